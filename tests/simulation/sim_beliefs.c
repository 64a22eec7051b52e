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
	if (!holds(&own->base))
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
	for (struct sim_belief *belief = sim->beliefs; belief; belief = belief->next)
		if (belief->name == name && holds(belief))
			sim_violate(sim, "P10", "%s is given away while node %d believes to hold it",
			    sim_name(name), belief->node->number);
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
	if (token <= sim->last_token[name])
		sim_violate(sim, "P2", "token %llu of %s follows %llu", (unsigned long long)token,
		    sim_name(name), (unsigned long long)sim->last_token[name]);
	sim->last_token[name] = token;
}
