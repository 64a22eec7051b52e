/* clang-format off */
/*
 * Contenders on simulated machines, with every fault that is known to break such systems: over a
 * store that behaves as Leases do, over one host's file, over etcd, and over several electors on
 * Leases and on etcd. Runs
 * the product's own objects: claim, record, records, engine, sessions, fields, and the elector's
 * client. After every step:
 *
 *   P1  at most one grant of a name is held, by the clocks of those who believe it
 *   P2  the tokens of a name rise strictly, as they are told; a grant keeps its own
 *   P3  a right has ended, in real time, before the next grant is written (the slack is printed);
 *       one that has ended never comes back
 *   P4  events keep their grammar: asked, then held, busy, cancelled or failed, once; held, then
 *       released or lost, once; lost only unasked
 *   P5  is_held is no before anything is sent that gives the name away
 *   P6  nobody changes a record that is not its own, but to take it over
 *   P7  when all is over, no record is held, nobody queues, no claim is left
 *   P8  the name of a dead holder is had again in time; without faults nobody loses
 *   P9  first come, first served, among the claims of one engine
 *   P10 an elector gives nothing away that its client may believe in, but for a goodbye or a proof
 *   P11 a renewal that was believed did change the record
 *   P12 without faults, whoever waits asks only when there is news
 *   P13 from a ttl of 6 s on, a right survives half a ttl of whatever a server can do
 *   P14 what nobody wants any more stays in the store no longer than a ttl after it was written, or
 *       after the second of two questions of its process that strayed, or whose answers did
 *   P15 while one name cannot be renewed, the grants of others are kept
 *   P16 an elector that is replaced costs no grant, whatever labels are written meanwhile
 *   P17 whose place in etcd a hand takes away is told so in time
 *   P18 a value that is said to be stored was stored, and stays until a newer one or the grant's end;
 *       each is answered, once, before the grant's end is told
 *   P19 a run comes to rest
 *   P20 no name stays refused to callers of the old wire while nobody believes to have it
 *   P21 electors that are stopped, killed and replaced cost those nothing
 *   P22 what two terms of one name have started is never at work at once, but where it did not end in
 *       the time that it was promised
 *   P23 each TERM is followed by exactly one ENDING; a right that is not renewed is told before it ends
 *   P24 observers of an etcd see, in order and in time, who holds what, and the value
 *   P25 connections to electors that go silent keep nobody waiting, where new ones are answered
 */
/* clang-format on */
#include "base/identity.h"
#include "sim.h"

#include "base/options.h"
#include "base/url.h"
#include "elector/protocol/sessions.h"
#include "stores/elector/elector.h"
#include "stores/etcd/etcd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONLY_DEATHS ((uint32_t)(FAULT_CRASH | FAULT_CANCEL))
/* Electors are replaced and streams break, while other hands write labels. */
#define ONLY_REPLACED ((uint32_t)(FAULT_STREAM | FAULT_HANDS))
/* What a holder survives, and what leaves something behind that its process is to take back. */
#define ONLY_TROUBLE  ((uint32_t)(FAULT_DOWN | FAULT_DEAF | FAULT_THROTTLE | FAULT_CANCEL))
#define ONLY_LEFT     ((uint32_t)(ONLY_TROUBLE | FAULT_LATE | FAULT_LOSE | FAULT_WATCH))
#define SURVIVING_TTL 6000
/* Seen after two thirds of a ttl, at both ends, and mended by requests that may be late as well. */
#define SILENT_US(ttl_us) ((ttl_us) + (ttl_us) / 2 + 1000000)
/* All places of rule 49, and what comes behind them. */
#define PLACES_US 1000000

enum asked { IDLE, ASKING, CANCELLING, HELD, RELEASING };

struct user {
	struct sim *sim;
	struct sim_node *node;
	struct engine_claim *claim;
	enum asked asked;
	int name;
	unsigned request; /* rises with each acquire: timers of former ones are stale */
	uint64_t order;
	uint64_t token;
	struct id digest;  /* of its claim */
	uint64_t since_us; /* ASKING: since when */
	bool once;
	bool for_ever;
	struct sim_value value;
	struct sim_run *run; /* NULL: it asks by itself */
};

struct workload {
	struct user *users;
	int user_count;
	uint64_t orders;
	uint64_t grants;
	uint64_t losses;
	bool ending; /* what is held is released, and nobody asks again */
};

uint64_t sim_claim_steps;

struct claim_output __real_claim_step(struct claim *claim, const struct claim_input *input);
struct claim_output __wrap_claim_step(struct claim *claim, const struct claim_input *input);

struct claim_output __wrap_claim_step(struct claim *claim, const struct claim_input *input)
{
	const enum claim_state before = claim->state;
	struct claim_output output;

	sim_claim_steps++;
	output = __real_claim_step(claim, input);
	if (input->event != CLAIM_TICK || output.action != CLAIM_SLEEP)
		sim_trace(sim_the_world(), "  claim %p: event %d in state %d: state %d, action %d",
		    (void *)claim, (int)input->event, (int)before, (int)claim->state, (int)output.action);
	return output;
}

static struct workload *workload_of(struct sim *sim)
{
	return sim->workload;
}

/* ---- Users ---- */

struct action {
	struct user *user;
	unsigned request;
};

static void free_action(struct sim *sim, void *argument)
{
	(void)sim;
	free(argument);
}

static void later(struct user *user, uint64_t us, sim_handler *handler)
{
	struct action *action = malloc(sizeof *action);

	if (!action)
		abort();
	*action = (struct action){user, user->request};
	sim_at(user->sim, user->sim->now_us + us, user->node, handler, action, free_action);
}

static void grammar(struct user *user, bool right, const char *event)
{
	if (!right)
		sim_violate(user->sim, "P4", "node %d is told '%s' for %s in state %d", user->node->number,
		    event, sim_name(user->name), (int)user->asked);
}

static void check_order(const struct user *user)
{
	const struct workload *workload = workload_of(user->sim);

	for (int i = 0; i < workload->user_count; i++) {
		const struct user *other = &workload->users[i];

		if (other != user && other->node == user->node && other->name == user->name &&
		    other->asked == ASKING && !other->once && other->order < user->order)
			sim_violate(user->sim, "P9", "node %d: a later request for %s was served first",
			    user->node->number, sim_name(user->name));
	}
}

static void user_release(struct sim *sim, void *argument)
{
	struct action *action = argument;
	struct user *user = action->user;

	(void)sim;
	sim_allow_messages(user->node);
	if (action->request == user->request && user->asked == HELD && user->claim) {
		user->asked = RELEASING;
		engine_release(user->claim);
	}
	free(action);
}

static void user_cancel(struct sim *sim, void *argument)
{
	struct action *action = argument;
	struct user *user = action->user;

	(void)sim;
	if (action->request == user->request && user->asked == ASKING && user->claim) {
		user->asked = CANCELLING;
		engine_cancel(user->claim);
	}
	free(action);
}

static void user_set_value(struct sim *sim, void *argument)
{
	struct action *action = argument;
	struct user *user = action->user;
	char text[SIM_VALUE_SIZE];

	if (action->request == user->request && user->asked == HELD && user->claim) {
		sim_allow_messages(user->node);
		sim_value_set(&user->value, text);
		if (!engine_set_value(user->claim, text))
			abort();
		if (sim_chance(sim, 50))
			later(user, sim_random(sim, (uint64_t)sim->ttl_ms * 500), user_set_value);
	}
	free(action);
}

static void on_held(struct user *user, const struct engine_event *event)
{
	struct sim *sim = user->sim;
	const uint64_t ttl_us = (uint64_t)sim->ttl_ms * 1000;

	grammar(user, user->asked == ASKING, "held");
	sim_told_token(sim, user->name, event->token);
	check_order(user);
	if (!sim_believes(sim, user))
		sim_violate(sim, "P4", "held is told without a right");
	user->asked = HELD;
	user->token = event->token;
	workload_of(sim)->grants++;
	if (sim_chance(sim, 30))
		later(user, sim_random(sim, ttl_us / 2), user_set_value);
	if (user->run)
		return;
	later(user,
	    workload_of(sim)->ending ? 0
	                             : sim_random(sim, sim_chance(sim, 30) ? 3 * ttl_us : ttl_us / 4),
	    user_release);
}

/* Now, or so that a right which could not be renewed then ends now. */
static bool was_forbidden(const struct sim *sim, int name)
{
	return name == sim->forbidden_name &&
	       sim->now_us < sim->forbidden_until_us + (uint64_t)sim->ttl_ms * 1000;
}

static bool survives(const struct sim *sim)
{
	return !(sim->faults & ~ONLY_TROUBLE) && sim->mode == MODE_LEASE &&
	       sim->ttl_ms >= SURVIVING_TTL;
}

static void take_event(struct user *user, const struct engine_event *event)
{
	sim_trace(user->sim, "node %d user %p: event %d for %s, token %llu, reason %d",
	    user->node->number, (void *)user, (int)event->type, sim_name(user->name),
	    (unsigned long long)event->token, (int)event->reason);
	if ((event->type == MPSYNC_EVENT_LOST || event->type == MPSYNC_EVENT_RELEASED) &&
	    event->token != user->token)
		sim_violate(user->sim, "P2", "the token of a grant changed while it was held");
	if (event->type == MPSYNC_EVENT_LOST || event->type == MPSYNC_EVENT_RELEASED)
		sim_value_end(user->sim, &user->value);
	switch (event->type) {
	case MPSYNC_EVENT_HELD:
		on_held(user, event);
		return;
	case MPSYNC_EVENT_DONE:
		sim_value_told(user->sim, &user->value, event->status);
		return;
	case MPSYNC_EVENT_LOST:
		grammar(user, user->asked == HELD, "lost");
		workload_of(user->sim)->losses++;
		if (user->sim->faults == 0)
			sim_violate(user->sim, "P8", "node %d lost %s though nothing failed",
			    user->node->number, sim_name(user->name));
		if (user->sim->faults == FAULT_NAME && !was_forbidden(user->sim, user->name))
			sim_violate(user->sim, "P15", "node %d lost %s, though another is forbidden",
			    user->node->number, sim_name(user->name));
		if (user->sim->faults == ONLY_REPLACED)
			sim_violate(user->sim, "P16", "node %d lost %s to a replacement", user->node->number,
			    sim_name(user->name));
		if (survives(user->sim))
			sim_violate(user->sim, "P13", "node %d lost %s to half a ttl of trouble",
			    user->node->number, sim_name(user->name));
		user->asked = IDLE;
		return;
	case MPSYNC_EVENT_RELEASED:
		grammar(user, user->asked == RELEASING, "released");
		user->asked = IDLE;
		return;
	case MPSYNC_EVENT_BUSY:
	case MPSYNC_EVENT_FAILED:
		/* A wait may end at the very moment of the cancel. */
		grammar(user, user->asked == ASKING || user->asked == CANCELLING, "busy");
		user->asked = IDLE;
		return;
	case MPSYNC_EVENT_CANCELLED:
		grammar(user, user->asked == CANCELLING, "cancelled");
		user->asked = IDLE;
		return;
	default:
		return;
	}
}

static bool ends_claim(enum mpsync_event_type type)
{
	return type == MPSYNC_EVENT_LOST || type == MPSYNC_EVENT_RELEASED ||
	       type == MPSYNC_EVENT_BUSY || type == MPSYNC_EVENT_FAILED ||
	       type == MPSYNC_EVENT_CANCELLED;
}

static void on_event(void *owner, const struct engine_event *event)
{
	struct user *user = owner;

	take_event(user, event);
	if (!user->run)
		return;
	/* The next one is asked for while the former one may still be withdrawn. */
	if (ends_claim(event->type))
		user->claim = NULL;
	sim_run_event(user->run, event);
}

static void on_right(void *owner, uint64_t until_ms, int64_t wall_ahead_ms)
{
	struct user *user = owner;

	(void)wall_ahead_ms;
	if (user->run)
		sim_run_right(user->run, until_ms);
	sim_believe(user->node, user->name, user, until_ms);
}

static void user_act(struct sim *sim, void *argument);

static void on_ended(void *owner)
{
	struct user *user = owner;

	if (user->run && !user->node->alive)
		sim_run_crash(user->run);
	if (user->run && user->node->alive)
		return;
	user->claim = NULL;
	if (!user->node->alive)
		return;
	if (user->asked != IDLE)
		sim_violate(user->sim, "P4", "a claim of node %d ended without a word", user->node->number);
	user->request++;
	if (!workload_of(user->sim)->ending)
		later(user, sim_random(user->sim, (uint64_t)user->sim->ttl_ms * 200), user_act);
}

static uint64_t pick_wait_ms(struct sim *sim)
{
	switch (sim_random(sim, 4)) {
	case 0:
		return 0;
	case 1:
		return 1 + sim_random(sim, 3 * (uint64_t)sim->ttl_ms);
	default:
		return CLAIM_NEVER;
	}
}

static void user_ask(struct user *user, uint64_t wait_ms)
{
	struct sim *sim = user->sim;
	char holder[32];
	struct engine_wish wish = {.holder = holder, .owner = user, .wait_ms = wait_ms};

	sim_allow_messages(user->node);
	snprintf(holder, sizeof holder, "node-%d", user->node->number);
	wish.name = sim_name(user->name);
	wish.ttl_ms = sim->ttl_ms;
	wish.election = sim_chance(sim, 30);
	for (size_t i = 0; i < sizeof wish.secret.bytes; i++)
		wish.secret.bytes[i] = (uint8_t)sim_random(sim, 256);
	if (!id_digest(&wish.secret, &user->digest))
		abort();
	user->asked = ASKING;
	user->once = wish.wait_ms == 0;
	user->for_ever = wish.wait_ms == CLAIM_NEVER;
	user->since_us = sim->now_us;
	user->order = ++workload_of(sim)->orders;
	user->request++;
	if (!user->run && sim_fault(sim, FAULT_CANCEL, 30))
		later(user, sim_random(sim, (uint64_t)sim->ttl_ms * 1000), user_cancel);
	if (!engine_acquire(user->node->engine, &wish, &user->claim))
		abort();
}

static void user_act(struct sim *sim, void *argument)
{
	struct action *action = argument;
	struct user *user = action->user;
	const bool stale = action->request != user->request || user->claim || !user->node->engine ||
	                   workload_of(sim)->ending;

	free(action);
	if (stale)
		return;
	if (!user->run)
		user_ask(user, pick_wait_ms(sim));
	else if (!sim_run_goes_on(user->run))
		sim_run_begin(user->run);
}

/* ---- Those that run ---- */

static void run_asks(void *user, uint64_t wait_ms)
{
	user_ask(user, wait_ms);
}

static void run_cancels(void *context)
{
	struct user *user = context;

	grammar(user, user->asked == ASKING && user->claim, "cancel");
	user->asked = CANCELLING;
	engine_cancel(user->claim);
}

static void run_releases(void *context)
{
	struct user *user = context;

	grammar(user, user->asked == HELD && user->claim, "release");
	user->asked = RELEASING;
	sim_allow_messages(user->node);
	engine_release(user->claim);
}

static void run_ended(void *context)
{
	struct user *user = context;

	user->request++;
	if (!workload_of(user->sim)->ending)
		later(user, sim_random(user->sim, (uint64_t)user->sim->ttl_ms * 200), user_act);
}

static void user_stop(struct sim *sim, void *argument)
{
	struct action *action = argument;

	(void)sim;
	sim_run_stop(action->user->run);
	free(action);
}

/* ---- Nodes ---- */

static bool is_client(const struct sim_node *node)
{
	return sim_has_electors(node->sim) && !node->is_elector;
}

static struct store *open_store(struct sim_node *node)
{
	const struct store_clock clock = sim_clock(node);
	struct mpsync_options *options;
	struct store *store;
	struct url url;
	char identity[32];

	if (!is_client(node) && !sim_is_on_etcd(node->sim))
		return sim_backend_new(node);
	options = mpsync_options_new(NULL);
	snprintf(identity, sizeof identity, "node-%d", node->number);
	if (!options || !url_parse(&url, "http://localhost:13131", NULL) ||
	    mpsync_options_set(options, "identity", identity, NULL) != MPSYNC_OK)
		abort();
	store = is_client(node) ? elector_open(&url, options, (struct loop *)node, &clock, NULL)
	                        : etcd_open(&url, options, (struct loop *)node, &clock, NULL);
	url_clear(&url);
	mpsync_options_free(options);
	return store;
}

static void node_start(struct sim_node *node)
{
	static const struct engine_owner users = {
	    .event = on_event, .right = on_right, .ended = on_ended};
	struct engine_host host = {.clock = sim_clock(node),
	    .random_id = id_random,
	    .digest_id = id_digest,
	    .wake_at = sim_wake_at};
	struct workload *workload = workload_of(node->sim);

	sim_trace(node->sim, "node %d starts", node->number);
	node->alive = true;
	host.owner = node->is_elector ? &sessions_owner : &users;
	host.on_behalf = node->is_elector;
	node->engine = engine_new(&host, open_store(node));
	if (!node->engine)
		abort();
	if (node->is_elector)
		sim_elector_start(node);
	sim_observers_start(node);
	for (int i = 0; i < workload->user_count; i++) {
		struct user *user = &workload->users[i];

		if (user->node != node)
			continue;
		user->asked = IDLE;
		sim_value_crash(&user->value);
		user->request++;
		later(user, sim_random(node->sim, (uint64_t)node->sim->ttl_ms * 500), user_act);
	}
}

static void node_end(struct sim_node *node, bool polite)
{
	struct engine *engine = node->engine;

	if (!node->alive)
		return;
	sim_trace(node->sim, "node %d %s", node->number, polite ? "stops" : "crashes");
	if (node->elector)
		sim_elector_crash(node, polite);
	node->alive = false;
	node->life++;
	node->paused_until_us = 0;
	node->engine = NULL;
	node->force.name = NULL;
	sim_disbelieve_node(node);
	sim_observers_end(node);
	engine_free(engine);
	sim_elector_free(node);
}

static void node_crash(struct sim_node *node)
{
	node_end(node, false);
}

static void node_restart(struct sim *sim, void *argument)
{
	(void)sim;
	if (!((struct sim_node *)argument)->alive)
		node_start(argument);
}

static void crash_and_restart(struct sim_node *node)
{
	struct sim *sim = node->sim;

	node_crash(node);
	sim_at(sim, sim->now_us + sim_random(sim, (uint64_t)sim->ttl_ms * 3000), NULL, node_restart,
	    node, NULL);
}

/* ---- Faults ---- */

static void ignore_found(struct store_query *query, const struct store_lock *lock)
{
	(void)query, (void)lock;
}

static void force_done(struct store_query *query, enum mpsync_status status, const char *message)
{
	(void)status, (void)message;
	query->name = NULL;
}

static void force_release(struct sim_node *node)
{
	struct store_query *query = &node->force;

	if (!node->engine || query->name || is_client(node))
		return;
	*query = (struct store_query){
	    .kind = STORE_FORCE,
	    .name = sim_name((int)sim_random(node->sim, SIM_NAMES)),
	    .found = ignore_found,
	    .done = force_done,
	};
	engine_store(node->engine)->ops->query(engine_store(node->engine), query);
}

/* The place in etcd of the claim that the node has queued last; 0: its elector has none for it. */
static int64_t place_of(const struct sim_node *node)
{
	struct id digest;

	return !id_is_none(&node->queued_claim) && id_digest(&node->queued_claim, &digest)
	           ? sim_etcd_place(node->sim, node->queued_name, &digest)
	           : 0;
}

static void crash_later(struct sim *sim, void *argument)
{
	struct sim_node *node = argument;

	(void)sim;
	if (node->alive)
		crash_and_restart(node);
}

static bool may_present(const struct sim_node *node, bool held)
{
	const int64_t place = place_of(node);

	return place && (!held || (uint64_t)place == node->sim->last_token[node->queued_name]);
}

/*
 * Who waits knows the revision of its place, and tells an elector of another site that it is a
 * token. Who holds may ask there as well, and what that elector asks of etcd then may outlive it.
 */
static void present(struct sim *sim, bool held)
{
	const int first = (int)sim_random(sim, (uint64_t)sim->node_count);
	struct sim_node *elector = &sim->nodes[sim_random(sim, 2 * (uint64_t)sim->sites)];
	struct sim_node *node = NULL;
	char claim[ID_HEX_SIZE];
	char path[64];
	char body[256];

	for (int i = 0; i < sim->node_count && !node; i++)
		if (may_present(&sim->nodes[(first + i) % sim->node_count], held))
			node = &sim->nodes[(first + i) % sim->node_count];
	if (!node || !elector->alive || elector->site == node->site)
		return;
	id_to_hex(&node->queued_claim, claim);
	snprintf(path, sizeof path, "/locks/%s", sim_name(node->queued_name));
	snprintf(body, sizeof body,
	    "{\"holder\":\"node-%d\",\"claim\":\"%s\",\"token\":\"%lld\",\"ttl\":\"%u.%03us\"}",
	    node->number, claim, (long long)place_of(node), sim->ttl_ms / 1000, sim->ttl_ms % 1000);
	sim_trace(sim, "node %d tells elector %d that it holds %s", node->number, elector->number,
	    sim_name(node->queued_name));
	sim_elector_ask(node, elector, path, body);
	if (held && sim_fault(sim, FAULT_CRASH, 50))
		sim_at(sim, sim->now_us + sim_random(sim, (uint64_t)sim->ttl_ms * 200), elector,
		    crash_later, elector, NULL);
}

static void step_wall(struct sim_node *node)
{
	struct sim *sim = node->sim;
	const int64_t step = (int64_t)sim_random(sim, 4 * (uint64_t)sim->ttl_ms);

	node->wall_step_ms += sim_chance(sim, 50) ? step : -step;
	if (sim_chance(sim, 30))
		node->wall_frozen = !node->wall_frozen;
}

static void power_loss(struct sim *sim)
{
	for (int i = 0; i < sim->node_count; i++)
		if (sim->nodes[i].host != 0)
			return; /* the file of one host only */
	for (int i = 0; i < sim->node_count; i++)
		if (sim->nodes[i].alive)
			crash_and_restart(&sim->nodes[i]);
	sim_store_power_loss(sim, 0);
}

static void node_stop(struct sim *sim, void *argument)
{
	struct sim_node *node = argument;

	if (node != &sim->nodes[2 * node->site + sim->current[node->site]])
		node_end(node, true);
}

/* A rolling replacement: for a while both electors of a site are there. */
static void replace_elector(struct sim *sim)
{
	const int site = (int)sim_random(sim, (uint64_t)sim->sites);
	struct sim_node *before = &sim->nodes[2 * site + sim->current[site]];
	struct sim_node *after = &sim->nodes[2 * site + !sim->current[site]];

	if (!after->alive)
		node_start(after);
	sim->current[site] = !sim->current[site];
	sim_at(sim, sim->now_us + sim_random(sim, 2 * (uint64_t)sim->ttl_ms * 1000), before, node_stop,
	    before, NULL);
}

/* Half a ttl, by the quickest clock; and then there is time to recover. */
static void trouble(struct sim *sim)
{
	const uint64_t half_us = (uint64_t)sim->ttl_ms * 500 * 1000000 / sim->options.rate_ratio_ppm;
	const uint64_t lasts_us = sim_random(sim, half_us);

	if (sim->now_us < sim->calm_until_us)
		return;
	sim->calm_until_us = sim->now_us + lasts_us + 2 * (uint64_t)sim->ttl_ms * 1000;
	if (sim_fault(sim, FAULT_DOWN, 60)) {
		sim->down = (enum sim_down)sim_random(sim, DOWN_KINDS);
		sim->down_until_us = sim->now_us + lasts_us;
		sim_trace(sim, "the store is down for %llu ms, kind %d",
		    (unsigned long long)lasts_us / 1000, (int)sim->down);
	} else if (sim_fault(sim, FAULT_DEAF, 50)) {
		for (int i = 0; i < sim->node_count; i++)
			sim->nodes[i].deaf = sim->nodes[i].connections;
		if (sim_has_electors(sim))
			sim_http_deafen(sim);
		sim->deaf_us = sim->now_us;
		sim_trace(sim, "all connections go deaf");
	} else if (sim_fault(sim, FAULT_THROTTLE, 100)) {
		sim->throttled = 1 + (unsigned)sim_random(sim, 3);
	}
}

static void strike(struct sim *sim, void *argument)
{
	const uint64_t ttl_us = (uint64_t)sim->ttl_ms * 1000;
	struct sim_node *node = &sim->nodes[sim_random(sim, (uint64_t)sim->node_count)];

	(void)argument;
	if (!sim->faults_on)
		return;
	if (sim_fault(sim, FAULT_PAUSE, 25) && node->alive)
		sim_pause(node, sim_random(sim, 3 * ttl_us));
	if (sim_fault(sim, FAULT_CRASH, 15) && node->alive)
		crash_and_restart(node);
	if (sim_fault(sim, FAULT_OUTAGE, 15))
		sim->outage_until_us = sim->now_us + sim_random(sim, 2 * ttl_us);
	if (sim->now_us > sim->forbidden_until_us + 2 * ttl_us && sim_fault(sim, FAULT_NAME, 50)) {
		sim->forbidden_name = (int)sim_random(sim, SIM_NAMES);
		sim->forbidden_until_us = sim->now_us + sim_random(sim, 3 * ttl_us);
		sim_trace(sim, "%s may not be renewed", sim_name(sim->forbidden_name));
	}
	trouble(sim);
	if (!sim_is_on_etcd(sim) && sim_fault(sim, FAULT_HANDS, 30))
		sim_store_hands(sim, sim->faults != ONLY_REPLACED);
	if (sim_fault(sim, FAULT_WALL, 20))
		step_wall(node);
	/* client-go does not know what revoked means: a forced release is out of the assumptions then.
	 */
	if (!(sim->faults & FAULT_FOREIGN) && sim_fault(sim, FAULT_FORCE, 10))
		force_release(node);
	if (sim_has_electors(sim) && sim_fault(sim, FAULT_STREAM, 60))
		sim_connection_break(sim);
	if (sim_has_electors(sim) && sim_fault(sim, FAULT_STREAM, 15))
		replace_elector(sim);
	if ((sim->mode == MODE_LEASE || sim->mode == MODE_ELECTOR) && sim_fault(sim, FAULT_FOREIGN, 15))
		sim_foreign_comes(sim);
	if (sim->mode == MODE_ELECTOR_ETCD && sim->faults != ONLY_REPLACED &&
	    sim_fault(sim, FAULT_HANDS, 30))
		present(sim, false);
	if (sim->mode == MODE_ELECTOR_ETCD && (sim->faults & FAULT_LATE) &&
	    sim_fault(sim, FAULT_HANDS, 30))
		present(sim, true);
	if (sim_is_on_etcd(sim))
		sim_etcd_strike(sim, sim->faults != ONLY_REPLACED);
	if (sim_fault(sim, FAULT_POWER, 5) && sim->mode == MODE_FILE)
		power_loss(sim);
	sim_at(sim, sim->now_us + sim_random(sim, ttl_us / 2), NULL, strike, NULL, NULL);
}

/* ---- One run ---- */

static uint64_t pick_rate(struct sim *sim, uint64_t ratio_ppm)
{
	/* Pairwise ratios are at most the ratio: from 1 to it. */
	return 1000000 + sim_random(sim, ratio_ppm - 1000000 + 1);
}

static void make_nodes(struct sim *sim)
{
	const bool many = sim_chance(sim, 2);

	sim->node_count = (int)(many ? 50 + sim_random(sim, 150) : 2 + sim_random(sim, 4));
	sim->sites = sim_has_electors(sim) ? 1 + (int)sim_random(sim, SIM_SITES) : 0;
	sim->node_count += 2 * sim->sites;
	sim->nodes = calloc((size_t)sim->node_count, sizeof *sim->nodes);
	if (!sim->nodes)
		abort();
	for (int i = 0; i < sim->node_count; i++) {
		struct sim_node *node = &sim->nodes[i];

		node->sim = sim;
		node->connections = 1;
		node->number = i;
		node->rate_ppm = pick_rate(sim, sim->options.rate_ratio_ppm);
		node->offset_us = (int64_t)sim_random(sim, 1000000000000);
		node->is_elector = i < 2 * sim->sites;
		node->site = node->is_elector ? i / 2 : sim->sites ? i % sim->sites : 0;
		node->host = sim->mode == MODE_FILE && sim_chance(sim, 20);
		if (sim->mode == MODE_FILE && node->host == 0) {
			node->rate_ppm = sim->nodes[0].rate_ppm;
			node->offset_us = sim->nodes[0].offset_us;
		}
	}
	if (sim->mode == MODE_FILE)
		sim->nodes[0].host = 0;
}

/* The nodes of the other host share its clock too. */
static void share_clocks(struct sim *sim)
{
	const struct sim_node *first = NULL;

	if (sim->mode != MODE_FILE)
		return;
	for (int i = 0; i < sim->node_count; i++) {
		if (sim->nodes[i].host == 0)
			continue;
		if (!first)
			first = &sim->nodes[i];
		sim->nodes[i].rate_ppm = first->rate_ppm;
		sim->nodes[i].offset_us = first->offset_us;
	}
}

static void make_users(struct sim *sim)
{
	static const struct sim_run_host runner = {run_asks, run_cancels, run_releases, run_ended};
	struct workload *workload = workload_of(sim);
	const int first = 2 * sim->sites;
	const int contenders = sim->node_count - first;
	const int each = contenders > 10 ? 1 : 1 + (int)sim_random(sim, 4);
	const uint64_t names = 1 + sim_random(sim, SIM_NAMES);

	workload->user_count = contenders * each;
	workload->users = calloc((size_t)workload->user_count, sizeof *workload->users);
	if (!workload->users)
		abort();
	for (int i = 0; i < workload->user_count; i++) {
		workload->users[i].sim = sim;
		sim_value_begin(sim, &workload->users[i].value);
		workload->users[i].node = &sim->nodes[first + i % contenders];
		workload->users[i].node->claims++;
		workload->users[i].name = (int)sim_random(sim, names);
		if (sim_chance(sim, 25))
			workload->users[i].run = sim_run_new(
			    workload->users[i].node, workload->users[i].name, &runner, &workload->users[i]);
	}
}

static uint32_t pick_ttl(struct sim *sim)
{
	static const uint32_t lease[] = {3000, 5000, 15000, 60000};
	static const uint32_t file[] = {50, 200, 1000, 15000, 24 * 3600 * 1000};

	return sim->mode == MODE_FILE ? file[sim_random(sim, 5)] : lease[sim_random(sim, 4)];
}

static uint32_t pick_faults(struct sim *sim)
{
	uint32_t faults = 0;

	if (sim_chance(sim, 5))
		return 0;
	if (sim_chance(sim, 5))
		return ONLY_DEATHS & sim->options.only;
	if (sim_chance(sim, 5))
		return FAULT_NAME & sim->options.only;
	if (sim_chance(sim, 5))
		return ONLY_REPLACED & sim->options.only;
	if (sim_has_electors(sim) && sim_chance(sim, 5))
		return FAULT_DEAF & sim->options.only;
	if (sim_chance(sim, 15))
		faults = sim_chance(sim, 50) ? ONLY_TROUBLE : ONLY_LEFT;
	if (faults)
		return faults & ((uint32_t)sim_random(sim, FAULT_ALL) | FAULT_DOWN) & sim->options.only;
	for (unsigned bit = 0; bit < FAULT_COUNT; bit++)
		if (sim_chance(sim, 40))
			faults |= 1u << bit;
	return faults & sim->options.only;
}

/* P8: somebody waits since before the dead holder's last write, and has all that it needs. */
static void check_takeover(struct sim *sim, void *argument)
{
	const struct workload *workload = workload_of(sim);
	const uint64_t ttl_us = (uint64_t)sim->ttl_ms * 1000;

	(void)argument;
	for (int i = 0; i < workload->user_count; i++) {
		const struct user *user = &workload->users[i];
		const uint64_t written_us = sim_store_dead_write_us(sim, user->name);

		if (user->asked == ASKING && user->for_ever && user->node->alive &&
		    user->since_us < written_us && written_us != SIM_NEVER &&
		    sim->now_us > written_us + ttl_us / 100 * 110 + PLACES_US)
			sim_violate(sim, "P8", "node %d waits for %s longer than its dead holder's ttl",
			    user->node->number, sim_name(user->name));
	}
	if (sim->faults_on)
		sim_at(sim, sim->now_us + ttl_us / 10, NULL, check_takeover, NULL, NULL);
}

static bool is_wanted(const struct sim *sim, int name, const struct id *claim)
{
	const struct workload *workload = sim->workload;

	for (int i = 0; i < workload->user_count; i++) {
		const struct user *user = &workload->users[i];

		if (user->name == name && user->asked != IDLE && user->asked != CANCELLING &&
		    id_equal(&user->digest, claim))
			return true;
	}
	return false;
}

/* P14 */
static void check_left(struct sim *sim, void *argument)
{
	const uint64_t ttl_us = (uint64_t)sim->ttl_ms * 1000;

	(void)argument;
	for (int name = 0; name < SIM_NAMES; name++) {
		uint64_t since_us;
		uint64_t strayed_us;
		const struct id *claim = sim_store_holding(sim, name, &since_us, &strayed_us);

		/*
		 * While the store is not to be reached, nothing can be taken back; nor is it promised where
		 * of the requests to do so one after the other strays.
		 */
		if (since_us < sim->down_until_us)
			since_us = sim->down_until_us;
		if (since_us < strayed_us)
			since_us = strayed_us;
		if (claim && !is_wanted(sim, name, claim) &&
		    sim->now_us > since_us + ttl_us / 100 * 110 + 100000)
			sim_violate(sim, "P14", "%s stands in the store for nobody", sim_name(name));
	}
	sim_at(sim, sim->now_us + ttl_us / 10, NULL, check_left, NULL, NULL);
}

/* Since when somebody waits for the name without an end; SIM_NEVER: nobody does. */
static uint64_t waited_for_us(const struct sim *sim, int name)
{
	const struct workload *workload = sim->workload;
	uint64_t since_us = SIM_NEVER;

	for (int i = 0; i < workload->user_count; i++) {
		const struct user *user = &workload->users[i];

		if (user->name == name && user->asked == ASKING && user->for_ever &&
		    user->since_us < since_us)
			since_us = user->since_us;
	}
	return since_us;
}

/* P25: whoever held the name, and whoever is the next, sees that it hears nothing any more. */
static void check_silence(struct sim *sim, void *argument)
{
	const uint64_t ttl_us = (uint64_t)sim->ttl_ms * 1000;

	(void)argument;
	for (int name = 0; name < SIM_NAMES; name++) {
		uint64_t since_us = waited_for_us(sim, name);

		if (since_us == SIM_NEVER || sim_is_believed(sim, name))
			sim->believed_us[name] = sim->now_us;
		if (since_us < sim->believed_us[name])
			since_us = sim->believed_us[name];
		if (since_us < sim->deaf_us)
			since_us = sim->deaf_us;
		if (since_us != SIM_NEVER && sim->now_us > since_us + SILENT_US(ttl_us))
			sim_violate(sim, "P25", "%s, which somebody waits for, is nobody's for %llu ms",
			    sim_name(name), (unsigned long long)(sim->now_us - since_us) / 1000);
	}
	if (sim->faults_on)
		sim_at(sim, sim->now_us + ttl_us / 20, NULL, check_silence, NULL, NULL);
}

static void run_until(struct sim *sim, uint64_t until_us)
{
	while (!sim->violated && sim->agenda_count > 0 && sim->agenda[0].at_us < until_us)
		sim_step(sim);
	if (sim->now_us < until_us)
		sim->now_us = until_us;
}

static void end_well(struct sim *sim)
{
	struct workload *workload = workload_of(sim);

	sim->faults_on = false;
	sim->outage_until_us = 0;
	sim->forbidden_until_us = 0;
	sim->down_until_us = sim->now_us;
	sim->throttled = 0;
	workload->ending = true;
	sim_old_wire_end(sim);
	for (int i = 0; i < sim->node_count; i++) {
		sim->nodes[i].wall_frozen = false;
		if (!sim->nodes[i].alive)
			node_start(&sim->nodes[i]);
	}
	for (int i = 0; i < workload->user_count; i++) {
		struct user *user = &workload->users[i];

		if (user->run)
			later(user, 0, user_stop);
		else if (user->asked == HELD)
			later(user, 0, user_release);
		/* Who saw a record that lasts for years, and not its release, may wait for years. */
		else if (user->asked == ASKING && sim_store_lasted(sim, user->name))
			later(user, 0, user_cancel);
	}
}

static void check_quiet(struct sim *sim)
{
	struct workload *workload = workload_of(sim);

	for (int i = 0; i < workload->user_count; i++)
		if (workload->users[i].asked != IDLE)
			sim_violate(sim, "P8", "node %d still waits for %s, state %d",
			    workload->users[i].node->number, sim_name(workload->users[i].name),
			    (int)workload->users[i].asked);
	for (int i = 0; i < sim->node_count; i++)
		if (sim->nodes[i].alive && engine_claims(sim->nodes[i].engine) > 0)
			sim_violate(sim, "P7", "node %d has a claim left", i);
	if (sim_store_leftover(sim))
		sim_violate(sim, "P7", "left in the store: %s", sim_store_leftover(sim));
	if (sim_etcd_leftover(sim))
		sim_violate(sim, "P7", "left in etcd: %s", sim_etcd_leftover(sim));
	sim_old_wire_check(sim);
	sim_observers_check(sim);
}

void sim_run(struct sim *sim)
{
	struct workload workload = {0};
	uint64_t ttl_us;

	sim_world(sim);
	sim_watch(sim);
	sim->random_state = sim->options.seed;
	sim->now_us = 1000000;
	sim->workload = &workload;
	sim->mode = sim->options.mode >= 0 ? (enum sim_mode)sim->options.mode
	                                   : (enum sim_mode)sim_random(sim, MODE_COUNT);
	sim->faults = pick_faults(sim);
	sim->faults_on = true;
	sim->names_only = sim_chance(sim, 30);
	sim->ttl_ms = pick_ttl(sim);
	ttl_us = (uint64_t)sim->ttl_ms * 1000;
	make_nodes(sim);
	share_clocks(sim);
	sim->store = sim_store_new(sim);
	sim->etcd = sim_etcd_new(sim);
	make_users(sim);
	sim->old_wire = sim_old_wire_new(sim);
	sim_observers_new(sim);
	snprintf(sim->world, sizeof sim->world, "mode %d, faults 0x%x, ttl %u ms, %d nodes, %d users",
	    (int)sim->mode, sim->faults, sim->ttl_ms, sim->node_count, workload.user_count);
	sim_trace(sim, "%s", sim->world);
	for (int i = 0; i < sim->node_count; i++)
		if (!sim->nodes[i].is_elector || i % 2 == 0)
			node_start(&sim->nodes[i]);
	sim_at(sim, sim->now_us, NULL, strike, NULL, NULL);
	if ((sim->mode == MODE_LEASE || sim->mode == MODE_FILE) && !(sim->faults & ~ONLY_DEATHS))
		check_takeover(sim, NULL);
	if (sim->mode == MODE_LEASE && !(sim->faults & ~ONLY_LEFT))
		check_left(sim, NULL);
	/* What callers of the old wire hold, nobody says. */
	if (sim_has_electors(sim) && sim->faults == FAULT_DEAF && !sim->old_wire)
		check_silence(sim, NULL);
	run_until(sim, sim->now_us + (4 + sim_random(sim, 8)) * ttl_us);
	if (!sim->violated) {
		end_well(sim);
		/* A pause, a ghost, a dead holder's ttl, and a turn for everyone. */
		run_until(
		    sim, sim->now_us + 150000000 + 8 * ttl_us + (uint64_t)workload.user_count * ttl_us / 4);
	}
	if (!sim->violated)
		check_quiet(sim);
	for (int i = 0; i < sim->node_count; i++)
		node_crash(&sim->nodes[i]);
	sim_clear_agenda(sim);
	sim_http_forget(sim);
	sim_store_free(sim->store);
	sim_etcd_free(sim->etcd);
	sim_old_wire_free(sim);
	sim_observers_free(sim);
	sim_runs_free(sim);
	free(sim->nodes);
	free(workload.users);
	sim_unwatch();
}
