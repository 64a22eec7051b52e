#include "sim.h"

#include <stdlib.h>

/* P1, P3: looked at on every change, from outside of time. */

struct belief {
	struct sim_belief base;
	const void *who;
};

static struct belief *find(struct sim *sim, const void *who)
{
	for (struct sim_belief *belief = sim->beliefs; belief; belief = belief->next)
		if (((struct belief *)belief)->who == who)
			return (struct belief *)belief;
	return NULL;
}

static void drop(struct sim *sim, struct sim_belief *belief)
{
	struct sim_belief **link = &sim->beliefs;

	while (*link != belief)
		link = &(*link)->next;
	*link = belief->next;
	free(belief);
}

static bool holds(const struct sim_belief *belief)
{
	return belief->node->alive && belief->life == belief->node->life &&
	       sim_boot_ms(belief->node) < belief->until_ms;
}

bool sim_believes(struct sim *sim, const void *who)
{
	const struct belief *belief = find(sim, who);

	return belief && holds(&belief->base);
}

bool sim_is_believed(const struct sim *sim, int name)
{
	for (const struct sim_belief *belief = sim->beliefs; belief; belief = belief->next)
		if (belief->name == name && holds(belief))
			return true;
	return false;
}

void sim_believe(struct sim_node *node, int name, void *who, uint64_t until_ms)
{
	struct sim *sim = node->sim;
	struct belief *own = find(sim, who);

	if (until_ms == 0) {
		if (own)
			drop(sim, &own->base);
		return;
	}
	if (!own) {
		own = calloc(1, sizeof *own);
		if (!own)
			abort();
		own->who = who;
		own->base.since_us = sim->now_us;
		own->base.next = sim->beliefs;
		sim->beliefs = &own->base;
	}
	if (own->base.until_ms && own->base.life == node->life &&
	    sim_boot_ms(node) >= own->base.until_ms)
		sim_violate(sim, "P3", "node %d's right to %s came back", node->number, sim_name(name));
	own->base.node = node;
	own->base.life = node->life;
	own->base.name = name;
	own->base.until_ms = until_ms;
	if (!holds(&own->base) || sim->now_us < sim->robbed_until_us[name])
		return;
	for (struct sim_belief *other = sim->beliefs; other; other = other->next)
		if (other != &own->base && other->name == name && holds(other))
			sim_violate(sim, "P1", "nodes %d and %d both hold %s", node->number,
			    other->node->number, sim_name(name));
}

void sim_disbelieve_node(struct sim_node *node)
{
	struct sim *sim = node->sim;
	struct sim_belief *next;

	for (struct sim_belief *belief = sim->beliefs; belief; belief = next) {
		next = belief->next;
		if (belief->node == node)
			drop(sim, belief);
	}
}

void sim_granting_write(struct sim *sim, int name)
{
	if (sim->now_us < sim->robbed_until_us[name])
		return;
	for (struct sim_belief *belief = sim->beliefs; belief; belief = belief->next) {
		int64_t slack;

		if (belief->name != name || !belief->node->alive || belief->life != belief->node->life)
			continue;
		slack = (int64_t)sim->now_us - (int64_t)sim_real_us(belief->node, belief->until_ms);
		if (slack < sim->least_slack_us)
			sim->least_slack_us = slack;
		if (slack < 0)
			sim_violate(sim, "P3", "%s was granted %lld us before node %d's right ended",
			    sim_name(name), (long long)-slack, belief->node->number);
	}
}

/* P10: an elector gives away what nobody believes to have any more. */
void sim_freeing_write(struct sim *sim, int name)
{
	if (sim->now_us < sim->robbed_until_us[name])
		return;
	for (struct sim_belief *belief = sim->beliefs; belief; belief = belief->next)
		if (belief->name == name && holds(belief))
			sim_violate(sim, "P10", "%s is given away while node %d believes to hold it",
			    sim_name(name), belief->node->number);
}

struct robbery {
	int name;
	uint64_t at_us;
};

static void free_robbery(struct sim *sim, void *robbery)
{
	(void)sim;
	free(robbery);
}

static void check_robbed(struct sim *sim, void *argument)
{
	const struct robbery *robbery = argument;

	for (struct sim_belief *belief = sim->beliefs; belief; belief = belief->next)
		if (belief->name == robbery->name && belief->since_us <= robbery->at_us && holds(belief))
			sim_violate(sim, "P17", "node %d still believes to hold %s, whose place was deleted",
			    belief->node->number, sim_name(robbery->name));
	free(argument);
}

void sim_rob(struct sim *sim, int name)
{
	/* What keeps the news from coming: then the right's own end tells. */
	const uint32_t late = FAULT_LOSE | FAULT_DELAY | FAULT_PAUSE | FAULT_OUTAGE | FAULT_LEADER;
	const uint64_t ttl_us = (uint64_t)sim->ttl_ms * 1000;
	const bool in_time = !(sim->faults & late) && !sim_has_electors(sim);
	struct robbery *robbery = malloc(sizeof *robbery);

	if (!robbery)
		abort();
	*robbery = (struct robbery){name, sim->now_us};
	sim->robbed_until_us[name] = sim->now_us + (in_time ? ttl_us / 3 : ttl_us / 5 * 4) / 100 * 105;
	sim_at(sim, sim->robbed_until_us[name], NULL, check_robbed, robbery, free_robbery);
}

void sim_gives_away(struct sim_node *node, int name)
{
	for (struct sim_belief *belief = node->sim->beliefs; belief; belief = belief->next)
		if (belief->node == node && belief->name == name && holds(belief))
			sim_violate(node->sim, "P5", "node %d gives %s away while it is held", node->number,
			    sim_name(name));
}

void sim_told_token(struct sim *sim, int name, uint64_t token)
{
	const bool robbed = sim->now_us < sim->robbed_until_us[name];

	if (robbed && token < sim->last_token[name])
		return; /* told on the way, as the hand came */
	if (token <= sim->last_token[name])
		sim_violate(sim, "P2", "token %llu of %s follows %llu", (unsigned long long)token,
		    sim_name(name), (unsigned long long)sim->last_token[name]);
	sim->last_token[name] = token;
}
