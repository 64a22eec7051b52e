/*
 * Callers of the old wire: they name no holder and no claim, have no session and no token, and look
 * at the status alone. All callers of one site's electors are one holder, whichever of them
 * answers.
 *
 *   P20 no name stays refused to them while nobody believes to have it
 *   P21 electors that are stopped, killed and replaced cost them nothing for the 30 s that each of
 *       their requests counts
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define MOST_CALLERS 2
/* 30 s by the elector's clock, which may be 5 % faster, less the request's way. */
#define COUNTS_US  28000000u
#define USUAL_US   10000000u
#define SLOWEST_US 26000000u
#define SILENCE_US 60000000u

struct caller {
	struct sim_node node; /* a process of its own that nothing happens to */
	uint64_t call;        /* under way; an earlier one's answer is not waited for any more */
	uint64_t asked_us;
	uint64_t held_us; /* when that was sent which was last answered well; 0: it holds nothing */
	int name;
	bool served; /* since everything else has ended */
};

struct sim_old_wire {
	struct caller callers[MOST_CALLERS];
	int count;
	uint64_t calls;
	bool ending;
};

/* On a quick way: a dozen times forth and back are within the 5 s for which an elector asks. */
static bool only_restarts(const struct sim *sim)
{
	const uint32_t replaced = FAULT_STREAM | FAULT_HANDS;

	return !(sim->faults & ~(uint32_t)(FAULT_STREAM | FAULT_CRASH)) || sim->faults == replaced;
}

static uint64_t pick_pause_us(struct sim *sim)
{
	switch (sim_random(sim, 8)) {
	case 0:
		return SILENCE_US;
	case 1:
	case 2:
		return SLOWEST_US;
	default:
		return 1 + sim_random(sim, USUAL_US);
	}
}

static void ask(struct sim *sim, void *argument)
{
	struct caller *caller = argument;
	struct sim_old_wire *old = sim->old_wire;
	struct sim_node *elector = &sim->nodes[2 * caller->node.site + sim->current[caller->node.site]];

	if (old->ending && caller->served)
		return;
	caller->call = ++old->calls;
	caller->asked_us = sim->now_us;
	sim_trace(sim, "a caller of the old wire asks elector %d for %s", elector->number,
	    sim_name(caller->name));
	if (elector->alive)
		sim_elector_ask_old_wire(&caller->node, elector, sim_name(caller->name), caller->call);
	sim_at(sim, sim->now_us + (old->ending ? 1 + sim_random(sim, USUAL_US) : pick_pause_us(sim)),
	    NULL, ask, caller, NULL);
}

void sim_old_wire_answered(struct sim *sim, struct sim_node *node, uint64_t call, int status)
{
	struct caller *caller = (struct caller *)node;

	if (call != caller->call || status == 0)
		return;
	if (status == 200) {
		caller->held_us = caller->asked_us;
		caller->served = sim->old_wire->ending;
		return;
	}
	if (caller->held_us && caller->asked_us < caller->held_us + COUNTS_US && only_restarts(sim))
		sim_violate(sim, "P21", "a caller of the old wire lost %s to a restart, after %llu ms",
		    sim_name(caller->name),
		    (unsigned long long)(caller->asked_us - caller->held_us) / 1000);
	caller->held_us = 0;
}

struct sim_old_wire *sim_old_wire_new(struct sim *sim)
{
	struct sim_old_wire *old;

	if (!sim_has_electors(sim) || !sim_chance(sim, 50))
		return NULL;
	old = calloc(1, sizeof *old);
	if (!old)
		abort();
	old->count = 1 + (int)sim_random(sim, MOST_CALLERS);
	for (int i = 0; i < old->count; i++) {
		struct caller *caller = &old->callers[i];

		caller->node = (struct sim_node){.sim = sim,
		    .number = -1 - i,
		    .alive = true,
		    .rate_ppm = 1000000,
		    .site = i % sim->sites};
		caller->name = (int)sim_random(sim, SIM_NAMES);
		sim_at(sim, sim->now_us + sim_random(sim, USUAL_US), NULL, ask, caller, NULL);
	}
	return old;
}

void sim_old_wire_end(struct sim *sim)
{
	if (!sim->old_wire)
		return;
	sim->old_wire->ending = true;
	for (int i = 0; i < sim->old_wire->count; i++)
		sim_at(sim, sim->now_us + sim_random(sim, USUAL_US), NULL, ask, &sim->old_wire->callers[i],
		    NULL);
}

void sim_old_wire_check(struct sim *sim)
{
	for (int i = 0; sim->old_wire && i < sim->old_wire->count; i++) {
		const struct caller *caller = &sim->old_wire->callers[i];

		if (!caller->served && !sim_store_lasted(sim, caller->name))
			sim_violate(
			    sim, "P20", "%s stays refused to a caller of the old wire", sim_name(caller->name));
	}
}

void sim_old_wire_free(struct sim *sim)
{
	free(sim->old_wire);
	sim->old_wire = NULL;
}
