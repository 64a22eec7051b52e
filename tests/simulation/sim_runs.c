/*
 * Users that run elections: what a term starts is a function that takes its time, never returns
 * until it is told to, fails, or ends the run itself.
 *
 * P22: no two functions of one name are at work at once, but where one of them did not return in
 * the time that it was promised, its process stood still, or its right was lost in the drain.
 * P23: each TERM is followed by exactly one ENDING, and then by the run's end or the next TERM;
 * what is not renewed is told before it ends.
 */
#include "sim.h"

#include <stdlib.h>

struct sim_run {
	struct sim_run *next;
	struct sim *sim;
	struct sim_node *node;
	const struct sim_run_host *host;
	void *user;
	struct terms terms;
	int name;
	bool running;
	unsigned life; /* of the node, when it began */
	uint64_t wake_number;
	/* The function: */
	unsigned term; /* rises with each: what was planned for a former one is stale */
	bool at_work;
	bool told;
	bool lost;
	enum mpsync_reason lost_for; /* may be another than the function was told: a hand was there */
	int64_t left_ms;             /* as it was told */
	uint64_t told_ms;
	uint64_t until_ms; /* of the right, also when it has ended */
};

static uint64_t ttl_us(const struct sim_run *run)
{
	return (uint64_t)run->sim->ttl_ms * 1000;
}

static bool is_alive(const struct sim_run *run)
{
	return run->running && run->node->alive && run->life == run->node->life;
}

static void feed(struct sim_run *run, struct terms_input *input)
{
	input->now_ms = sim_boot_ms(run->node);
	input->random = (uint32_t)sim_random(run->sim, UINT32_MAX);
	terms_feed(&run->terms, input);
}

/* ---- What is planned ---- */

enum deed { DEED_DONE, DEED_FAILED, DEED_STOP, DEED_HAND_OVER, DEED_WAKE };

struct plan {
	struct sim_run *run;
	enum deed deed;
	unsigned term;
	uint64_t wake_number;
};

static void free_plan(struct sim *sim, void *plan)
{
	(void)sim;
	free(plan);
}

static void finish(struct sim_run *run, bool failed)
{
	if (!run->at_work)
		return;
	run->at_work = false;
	sim_allow_messages(run->node);
	feed(run, &(struct terms_input){.event = TERMS_DONE, .failed = failed});
}

static void do_deed(struct sim *sim, void *argument)
{
	const struct plan plan = *(struct plan *)argument;
	struct sim_run *run = plan.run;

	(void)sim;
	free(argument);
	if (!is_alive(run) ||
	    (plan.deed == DEED_WAKE ? plan.wake_number != run->wake_number : plan.term != run->term))
		return;
	switch (plan.deed) {
	case DEED_DONE:
	case DEED_FAILED:
		finish(run, plan.deed == DEED_FAILED);
		return;
	case DEED_STOP:
		feed(run, &(struct terms_input){.event = TERMS_STOP});
		return;
	case DEED_HAND_OVER:
		feed(run, &(struct terms_input){.event = TERMS_HAND_OVER});
		return;
	case DEED_WAKE:
		feed(run, &(struct terms_input){.event = TERMS_TICK});
		return;
	}
}

static struct plan *plan_new(struct sim_run *run, enum deed deed)
{
	struct plan *plan = malloc(sizeof *plan);

	if (!plan)
		abort();
	*plan = (struct plan){run, deed, run->term, run->wake_number};
	return plan;
}

static void in_us(struct sim_run *run, uint64_t us, enum deed deed)
{
	sim_at(run->sim, run->sim->now_us + us, run->node, do_deed, plan_new(run, deed), free_plan);
}

/* ---- P22 ---- */

static bool stood_still(const struct sim_run *run)
{
	return run->node->paused_until_us + 2 * ttl_us(run) > run->sim->now_us;
}

/*
 * May this function still be at work while another begins? What it was told of a right that nobody
 * renews holds by the clock alone, a drain as long as it is renewed.
 */
static bool is_late(const struct sim_run *run)
{
	if (!run->told)
		return false;
	if (run->lost &&
	    (run->terms.reason != MPSYNC_REASON_EXPIRED || run->lost_for != MPSYNC_REASON_EXPIRED))
		return true;
	if (run->left_ms < 0)
		return false;
	return sim_boot_ms(run->node) >= run->told_ms + (uint64_t)run->left_ms;
}

static void check_alone(const struct sim_run *run)
{
	struct sim *sim = run->sim;

	if (sim->now_us < sim->robbed_until_us[run->name])
		return;
	for (const struct sim_run *other = sim->runs; other; other = other->next)
		if (other != run && other->name == run->name && other->at_work && is_alive(other) &&
		    !stood_still(other) && !is_late(other))
			sim_violate(sim, "P22", "nodes %d and %d are both at work under %s", run->node->number,
			    other->node->number, sim_name(run->name));
}

/* ---- What the loop does ---- */

static void on_ask(void *context, uint64_t wait_ms)
{
	struct sim_run *run = context;

	run->host->ask(run->user, wait_ms);
}

static void on_cancel(void *context)
{
	struct sim_run *run = context;

	run->host->cancel(run->user);
}

static void on_release(void *context)
{
	struct sim_run *run = context;

	if (run->lost)
		sim_violate(run->sim, "P23", "node %d releases what it lost", run->node->number);
	run->host->release(run->user);
}

static void begin_work(struct sim_run *run)
{
	struct sim *sim = run->sim;

	if (run->at_work)
		sim_violate(sim, "P22", "node %d begins %s beside its own former term", run->node->number,
		    sim_name(run->name));
	check_alone(run);
	run->term++;
	run->at_work = true;
	run->told = false;
	switch (sim_random(sim, 6)) {
	case 0:
		in_us(run, sim_random(sim, ttl_us(run)), DEED_FAILED);
		break;
	case 1:
		in_us(run, sim_random(sim, ttl_us(run)), DEED_STOP);
		break;
	case 2:
		in_us(run, sim_random(sim, ttl_us(run)), DEED_HAND_OVER);
		break;
	case 3:
		break; /* it never returns until it is told to */
	default:
		in_us(run, sim_random(sim, ttl_us(run)), DEED_DONE);
		break;
	}
}

/* Most return in time; where there is no limit, they take theirs. */
static void end_work(struct sim_run *run)
{
	const bool failed = sim_chance(run->sim, 20);
	const bool prompt = sim_chance(run->sim, 80);

	run->told = true;
	run->told_ms = sim_boot_ms(run->node);
	run->left_ms = terms_left_ms(&run->terms, run->told_ms);
	if (!run->at_work)
		return;
	if (prompt && run->left_ms > 0)
		sim_timer(run->node, run->told_ms + sim_random(run->sim, (uint64_t)run->left_ms), do_deed,
		    plan_new(run, failed ? DEED_FAILED : DEED_DONE), free_plan);
	else
		in_us(run, sim_random(run->sim, 2 * ttl_us(run)), failed ? DEED_FAILED : DEED_DONE);
}

static void on_tell(void *context, enum terms_word word)
{
	struct sim_run *run = context;

	sim_trace(run->sim, "node %d run %p of %s: word %d, reason %d", run->node->number, (void *)run,
	    sim_name(run->name), (int)word, (int)run->terms.reason);
	if (word == TERMS_TELL_TROUBLE)
		return;
	if (word == TERMS_TELL_LATE ? !run->at_work || !run->told
	                            : (word == TERMS_TELL_TERM) != run->told)
		sim_violate(
		    run->sim, "P23", "node %d is told word %d out of turn", run->node->number, (int)word);
	if (word == TERMS_TELL_TERM)
		begin_work(run);
	else if (word == TERMS_TELL_ENDING)
		end_work(run);
}

static void on_wake_at(void *context, uint64_t at_ms)
{
	struct sim_run *run = context;

	run->wake_number++;
	if (at_ms != TERMS_NEVER)
		sim_timer(run->node, at_ms, do_deed, plan_new(run, DEED_WAKE), free_plan);
}

static void on_end(void *context)
{
	struct sim_run *run = context;

	if (run->at_work || !run->told || !run->running)
		sim_violate(run->sim, "P23", "node %d's run ends in the middle", run->node->number);
	run->running = false;
	run->host->ended(run->user);
}

static const struct terms_host host = {on_ask, on_cancel, on_release, on_tell, on_wake_at, on_end};

/* ---- Its life ---- */

struct sim_run *sim_run_new(
    struct sim_node *node, int name, const struct sim_run_host *asked, void *user)
{
	struct sim_run *run = calloc(1, sizeof *run);

	if (!run)
		abort();
	run->sim = node->sim;
	run->node = node;
	run->name = name;
	run->host = asked;
	run->user = user;
	run->next = node->sim->runs;
	node->sim->runs = run;
	return run;
}

void sim_run_begin(struct sim_run *run)
{
	struct sim *sim = run->sim;
	const uint64_t ttl_ms = sim->ttl_ms;
	const struct terms_options options = {
	    .once = sim_chance(sim, 20),
	    .ttl_ms = sim->ttl_ms,
	    .wait_ms = sim_chance(sim, 80) ? TERMS_NEVER : sim_random(sim, 3 * ttl_ms),
	    .drain_ms = sim_chance(sim, 70) ? TERMS_NEVER : sim_random(sim, 2 * ttl_ms),
	    .notice_ms = ttl_ms / 30,
	};

	run->running = true;
	run->life = run->node->life;
	run->at_work = false;
	run->told = true;
	run->lost = false;
	run->term++;
	terms_init(&run->terms, &options, &host, run);
	if (sim_fault(sim, FAULT_CANCEL, 30))
		in_us(run, sim_random(sim, ttl_us(run)), DEED_STOP);
	feed(run, &(struct terms_input){.event = TERMS_TICK});
}

void sim_run_right(struct sim_run *run, uint64_t until_ms)
{
	if (until_ms)
		run->until_ms = until_ms;
	terms_right(&run->terms, until_ms);
}

void sim_run_event(struct sim_run *run, const struct engine_event *event)
{
	struct terms_input input = {.reason = event->reason, .status = event->status};

	if (!is_alive(run))
		return;
	switch (event->type) {
	case MPSYNC_EVENT_HELD:
		run->lost = false;
		input.event = TERMS_HELD;
		break;
	case MPSYNC_EVENT_LOST:
		if (run->at_work && !run->told && sim_boot_ms(run->node) >= run->until_ms &&
		    !stood_still(run))
			sim_violate(run->sim, "P23", "node %d lost %s without a notice", run->node->number,
			    sim_name(run->name));
		run->lost = true;
		run->lost_for = event->reason;
		input.event = TERMS_LOST;
		break;
	case MPSYNC_EVENT_RELEASED:
		input.event = TERMS_RELEASED;
		break;
	case MPSYNC_EVENT_BUSY:
		input.event = TERMS_BUSY;
		break;
	case MPSYNC_EVENT_CANCELLED:
		input.event = TERMS_CANCELLED;
		break;
	case MPSYNC_EVENT_FAILED:
		input.event = TERMS_FAILED;
		break;
	default:
		return;
	}
	feed(run, &input);
}

void sim_run_stop(struct sim_run *run)
{
	if (!is_alive(run))
		return;
	feed(run, &(struct terms_input){.event = TERMS_STOP});
	if (is_alive(run) && run->at_work && run->told)
		in_us(run, 0, DEED_DONE);
}

void sim_run_crash(struct sim_run *run)
{
	run->running = false;
	run->at_work = false;
}

bool sim_run_goes_on(const struct sim_run *run)
{
	return is_alive(run);
}

void sim_runs_free(struct sim *sim)
{
	struct sim_run *next;

	for (struct sim_run *run = sim->runs; run; run = next) {
		next = run->next;
		free(run);
	}
	sim->runs = NULL;
}
