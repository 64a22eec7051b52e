/* Faults of the simulated etcd, hands in it, and other clients of its recipe. */
#include "sim_etcd.h"

#include "stores/etcd/names.h"

#include <inttypes.h>
#include <stdlib.h>

static void *zeroed(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		abort();
	return memory;
}

static void elect_another(struct sim *sim)
{
	struct sim_etcd *etcd = sim->etcd;

	etcd->term++;
	etcd->stale_until_us = sim->now_us + sim_random(sim, (uint64_t)sim->ttl_ms * 1500);
	etcd->rate_ppm = 1000000 + sim_random(sim, sim->options.rate_ratio_ppm - 1000000 + 1);
	for (struct lease *lease = etcd->leases; lease; lease = lease->next)
		sim_etcd_refresh(sim, lease);
	sim_trace(sim, "etcd: another member leads, term %" PRIu64, etcd->term);
}

struct foreign {
	int64_t lease;
	char *key;
};

static void free_foreign(struct sim *sim, void *argument)
{
	struct foreign *foreign = argument;

	(void)sim;
	free(foreign->key);
	free(foreign);
}

static void foreign_leaves(struct sim *sim, void *argument)
{
	const struct foreign *foreign = argument;

	sim->etcd->revision++;
	sim_etcd_delete(sim, foreign->key);
	free_foreign(sim, argument);
}

/* It queues, holds when its turn has come, and goes: politely, or with its lease. */
static void foreign_comes(struct sim *sim)
{
	struct foreign *foreign = zeroed(sizeof *foreign);
	const int64_t ttl_s = (int64_t)sim->ttl_ms / 1000;

	foreign->lease =
	    sim_etcd_grant(sim, (int64_t)sim_random(sim, INT64_MAX - 1) + 1, ttl_s, NULL)->id;
	foreign->key = etcd_queue_key("", sim_name((int)sim_random(sim, SIM_NAMES)), foreign->lease);
	sim->etcd->revision++;
	sim_etcd_put(sim, foreign->key, "", foreign->lease);
	sim_at(sim, sim->now_us + sim_random(sim, 2 * (uint64_t)sim->ttl_ms * 1000), NULL,
	    foreign_leaves, foreign, free_foreign);
}

/* A waiter's place, by hand (etcdctl del). */
static void delete_waiter(struct sim *sim)
{
	struct stored_key *key = sim->etcd->keys;

	while (key && (key->queue < 0 || key->created == sim->etcd->owner[key->queue]))
		key = key->next;
	if (!key)
		return;
	sim->etcd->revision++;
	sim_etcd_delete(sim, key->key);
}

static struct stored_key *held_place(const struct sim_etcd *etcd, int name)
{
	struct stored_key *key = etcd->keys;

	while (key && (key->queue != name || key->created != etcd->owner[name]))
		key = key->next;
	return key;
}

/*
 * By hand: the place that is held, what is known of it, or both. The place is all that holds: its
 * holder is robbed without it, and with it goes on.
 */
static void rob(struct sim *sim, int name)
{
	struct stored_key *place = held_place(sim->etcd, name);
	const struct lease *lease = place ? sim_etcd_lease(sim->etcd, place->lease) : NULL;
	const uint64_t what = sim_random(sim, 3);
	char *facts;

	if (!lease || !lease->node)
		return;
	facts = etcd_place_facts_key("", sim_name(name), place->key, place->lease, place->created);
	sim->etcd->revision++;
	sim_trace(sim, "etcd: a hand takes %s", what == 0 ? "a place" : "facts, or both");
	if (what < 2) {
		sim_rob(sim, name);
		sim_etcd_delete(sim, place->key);
	}
	if (what > 0)
		sim_etcd_delete(sim, facts);
	free(facts);
}

void sim_etcd_strike(struct sim *sim, bool robs)
{
	struct sim_node *node = &sim->nodes[sim_random(sim, (uint64_t)sim->node_count)];

	if (sim_fault(sim, FAULT_LEADER, 15))
		elect_another(sim);
	if (sim_fault(sim, FAULT_WATCH, 30) && node->etcd_rpc)
		sim_etcd_end_watches(sim, node->etcd_rpc);
	if (sim_fault(sim, FAULT_WATCH, 10))
		sim->etcd->compacted = sim->etcd->revision;
	if (sim_fault(sim, FAULT_HANDS, 30))
		delete_waiter(sim);
	if (robs && sim_fault(sim, FAULT_HANDS, 10))
		rob(sim, (int)sim_random(sim, SIM_NAMES));
	if (sim_fault(sim, FAULT_FOREIGN, 30))
		foreign_comes(sim);
}

int64_t sim_etcd_place(const struct sim *sim, int name, const struct id *claim)
{
	for (const struct stored_key *key = sim->etcd->keys; key; key = key->next) {
		char *facts_key = NULL;
		const struct stored_key *known;
		struct etcd_facts facts;

		if (key->queue == name)
			facts_key =
			    etcd_place_facts_key("", sim_name(name), key->key, key->lease, key->created);
		known = facts_key ? sim_etcd_find(sim->etcd, facts_key) : NULL;
		free(facts_key);
		if (known && etcd_facts_read(&facts, known->value)) {
			const bool same = id_equal(&facts.claim, claim);

			etcd_facts_clear(&facts);
			if (same)
				return key->created;
		}
	}
	return 0;
}
