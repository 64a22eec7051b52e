/*
 * How quickly a name goes round among many contenders, over a store of a given speed: hand-offs as
 * multiples of the floor (the release's write, the event of it, the next grant's write), and writes
 * to each. Simulated, so that a busy machine tells the same as a quiet one: the product's own
 * claim, record, records and engine.
 *
 *   crowd [--contenders N] [--hold MS] [--way US] [--fan-out US] [--stutter PERCENT] [--first US]
 *         [--once 1] [--apart US] [--seed S]
 *
 * --way: how long each message is under way. --fan-out: the store takes so long to tell one of
 * those who watch, and tells one after the other. --stutter: so many messages take up to thirty
 * times as long. --first: a process's first answer comes so much later, for it connects.
 * --once: all wait, as in bench's drain; each holds once, for no time. Otherwise they contend as in
 * bench's contend: one program has them all, and asks for none while one of them holds. --apart:
 * each is a program of its own, as in bench's handoff, and asks again so long after its release.
 * --most-floors TENTHS, --most-writes TENTHS: fails if it takes more of them.
 */
#include "base/identity.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TTL_MS     15000
#define MOST_TURNS 1000
/* Until everybody has come, and knows the store's speed. */
#define WARM_TURNS 300

struct contender {
	struct sim_node *node;
	struct engine_claim *claim;
	unsigned grants;
	bool waits;
};

struct crowd {
	struct sim *sim;
	struct contender *contenders;
	int count;
	int waiting;
	bool once;
	bool apart;
	uint64_t rest_us; /* after a release, where they are apart */
	uint64_t hold_us;
	uint64_t busy_until_us; /* the one program that has them all sleeps while one holds */
	uint64_t released_us;   /* 0: nobody has yet */
	uint64_t took_us[MOST_TURNS];
	size_t turns;
	size_t warm; /* turns that do not count */
	uint64_t writes_before;
};

static struct crowd *crowd_of(const struct contender *contender)
{
	return contender->node->sim->workload;
}

static void ask(struct sim *sim, void *argument)
{
	struct contender *contender = argument;
	const struct crowd *crowd = crowd_of(contender);
	struct engine_wish wish = {.name = sim_name(0),
	    .holder = "contender",
	    .ttl_ms = TTL_MS,
	    .wait_ms = CLAIM_NEVER,
	    .owner = contender};

	for (size_t i = 0; i < sizeof wish.secret.bytes; i++)
		wish.secret.bytes[i] = (uint8_t)sim_random(sim, 256);
	if (crowd->turns < crowd->warm + MOST_TURNS && !contender->claim &&
	    !engine_acquire(contender->node->engine, &wish, &contender->claim))
		abort();
}

static void let_go(struct sim *sim, void *argument)
{
	struct contender *contender = argument;

	crowd_of(contender)->released_us = sim->now_us;
	engine_release(contender->claim);
}

static bool is_first(const struct contender *contender)
{
	return contender == crowd_of(contender)->contenders;
}

static void on_held(struct contender *contender)
{
	struct crowd *crowd = crowd_of(contender);
	struct sim *sim = crowd->sim;
	uint64_t hold_us = crowd->hold_us;

	contender->grants++;
	if (crowd->released_us > 0) {
		if (crowd->turns++ == crowd->warm)
			crowd->writes_before = sim->writes;
		if (crowd->turns > crowd->warm && crowd->turns - crowd->warm <= MOST_TURNS)
			crowd->took_us[crowd->turns - crowd->warm - 1] = sim->now_us - crowd->released_us;
	} else if (crowd->once) {
		return; /* until all the others wait */
	}
	crowd->busy_until_us = sim->now_us + hold_us;
	sim_at(sim, crowd->busy_until_us, contender->node, let_go, contender, NULL);
}

/* The first holds until all the others wait. */
static void on_waiting(struct contender *contender)
{
	struct crowd *crowd = crowd_of(contender);

	crowd->waiting += !contender->waits;
	if (!contender->waits && crowd->waiting == crowd->count - 1 && crowd->once)
		let_go(crowd->sim, crowd->contenders);
	contender->waits = true;
}

static void on_event(void *owner, const struct engine_event *event)
{
	if (event->type == MPSYNC_EVENT_HELD)
		on_held(owner);
	else if (event->type == MPSYNC_EVENT_WAITING)
		on_waiting(owner);
}

static void on_ended(void *owner)
{
	struct contender *contender = owner;

	const struct crowd *crowd = crowd_of(contender);
	struct sim *sim = contender->node->sim;
	uint64_t at_us = sim->now_us + crowd->rest_us;

	contender->claim = NULL;
	if (!crowd->apart && at_us < crowd->busy_until_us)
		at_us = crowd->busy_until_us + 1;
	if (!crowd->once)
		sim_at(sim, at_us, contender->node, ask, contender, NULL);
}

static void start(struct crowd *crowd, int i)
{
	static const struct engine_owner owner = {.event = on_event, .ended = on_ended};
	struct sim *sim = crowd->sim;
	struct sim_node *node = &sim->nodes[i];
	struct contender *contender = &crowd->contenders[i];
	struct engine_host host = {
	    .owner = &owner, .random_id = id_random, .digest_id = id_digest, .wake_at = sim_wake_at};

	*node = (struct sim_node){.sim = sim,
	    .number = i,
	    .alive = true,
	    .rate_ppm = 1000000,
	    .offset_us = (int64_t)(1000000000 + sim_random(sim, 1000000))};
	contender->node = node;
	host.clock = sim_clock(node);
	node->engine = engine_new(&host, sim_backend_new(node));
	if (!node->engine)
		abort();
	/* A program opens one after the other. */
	sim_at(sim, sim->now_us + (is_first(contender) ? 0 : 1000000 + 1000 * (uint64_t)i), node, ask,
	    contender, NULL);
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double fairness(const struct crowd *crowd)
{
	double sum = 0;
	double squares = 0;

	for (int i = 0; i < crowd->count; i++) {
		sum += crowd->contenders[i].grants;
		squares += (double)crowd->contenders[i].grants * crowd->contenders[i].grants;
	}
	return sum * sum / (crowd->count * squares);
}

/* In floors, and writes: what a hand-off takes. */
static void show(struct crowd *crowd, uint64_t way_us, double *floors, double *writes)
{
	const size_t turns = crowd->turns - crowd->warm;
	const double floor_us = 4.0 * (double)way_us;

	qsort(crowd->took_us, turns, sizeof *crowd->took_us, compare);
	*floors = (double)crowd->took_us[turns / 2] / floor_us;
	*writes = (double)(crowd->sim->writes - crowd->writes_before) / (double)turns;
	printf("%d contenders, floor %.1f ms%s: hand-off %.1f ms, %.2f of the floor (p99 %.1f), "
	       "%.2f writes, fairness %.3f, of %zu\n",
	    crowd->count - crowd->once, floor_us / 1000, crowd->once ? ", each once" : "",
	    (double)crowd->took_us[turns / 2] / 1000, *floors,
	    (double)crowd->took_us[turns * 99 / 100] / floor_us, *writes, fairness(crowd), turns);
}

static uint64_t number_of(int argc, char **argv, const char *name, uint64_t otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return strtoull(argv[i + 1], NULL, 0);
	return otherwise;
}

int main(int argc, char **argv)
{
	static struct sim sim;
	static struct crowd crowd;
	double floors;
	double writes;

	sim.options.rate_ratio_ppm = 1050000;
	sim.options.way_us = number_of(argc, argv, "--way", 700);
	sim.options.fan_out_us = number_of(argc, argv, "--fan-out", 0);
	sim.options.stutter = (unsigned)number_of(argc, argv, "--stutter", 0);
	sim.options.first_us = number_of(argc, argv, "--first", 0);
	sim.options.trace = number_of(argc, argv, "--trace", 0);
	sim.random_state = number_of(argc, argv, "--seed", 1);
	sim.now_us = 1000000;
	sim.mode = MODE_LEASE;
	sim.ttl_ms = TTL_MS;
	sim.faults = FAULT_FOREIGN; /* of which nobody comes: messages are not counted */
	crowd.sim = &sim;
	crowd.once = number_of(argc, argv, "--once", 0);
	/* Beside the first holder of all. */
	crowd.count = (int)number_of(argc, argv, "--contenders", 100) + crowd.once;
	crowd.rest_us = number_of(argc, argv, "--apart", 0);
	crowd.apart = crowd.rest_us > 0;
	crowd.warm = crowd.once ? 0 : WARM_TURNS;
	crowd.hold_us = crowd.once ? 0 : 1000 * number_of(argc, argv, "--hold", 15);
	crowd.contenders = calloc((size_t)crowd.count, sizeof *crowd.contenders);
	sim.node_count = crowd.count;
	sim.nodes = calloc((size_t)crowd.count, sizeof *sim.nodes);
	if (!crowd.contenders || !sim.nodes)
		abort();
	sim.workload = &crowd;
	sim_world(&sim);
	sim.store = sim_store_new(&sim);
	for (int i = 0; i < crowd.count; i++)
		start(&crowd, i);
	while (crowd.turns < (crowd.once ? (size_t)crowd.count - 1 : crowd.warm + MOST_TURNS) &&
	       sim_step(&sim))
		;
	show(&crowd, sim.options.way_us, &floors, &writes);
	for (int i = 0; i < crowd.count; i++) {
		sim.nodes[i].alive = false;
		engine_free(sim.nodes[i].engine);
	}
	sim_clear_agenda(&sim);
	sim_store_free(sim.store);
	free(sim.nodes);
	free(crowd.contenders);
	return floors * 10 > (double)number_of(argc, argv, "--most-floors", 1000000) ||
	       writes * 10 > (double)number_of(argc, argv, "--most-writes", 1000000);
}
