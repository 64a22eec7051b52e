/* What the etcd of the simulation has in it: shared by sim_etcd.c and its faults. */
#ifndef SIM_ETCD_H
#define SIM_ETCD_H

#include "sim.h"

struct stored_key {
	struct stored_key *next;
	char *key;
	char *value;
	int64_t created;
	int64_t modified;
	int64_t lease;
	int queue; /* the name that it queues for; -1: none */
};

struct lease {
	struct lease *next;
	int64_t id;
	int64_t ttl_s;
	uint64_t deadline_us;
	struct sim_node *node; /* NULL: a foreign client's */
	unsigned life;
};

struct change;
struct watching;

struct sim_etcd {
	int64_t revision;
	uint64_t term;
	uint64_t rate_ppm;       /* of the leader's clock */
	uint64_t stale_until_us; /* so long the former leader answers every other node's keep-alives */
	int64_t compacted;
	struct stored_key *keys;
	struct lease *leases;
	struct change *changes;
	size_t change_count;
	size_t change_size;
	struct watching *watches;
	struct watching *ended; /* kept: pieces may be on their way */
	char *queues[SIM_NAMES];
	uint64_t numbers;
	int64_t owner[SIM_NAMES];       /* creation of the oldest key of each queue */
	uint64_t changed_us[SIM_NAMES]; /* where it is observed: its last change */
};

void sim_etcd_put(struct sim *sim, const char *key, const char *value, int64_t lease);
void sim_etcd_delete(struct sim *sim, const char *key);
struct stored_key *sim_etcd_find(const struct sim_etcd *etcd, const char *key);
/* In a queue: which one; else -1. */
int sim_etcd_queue(const struct sim_etcd *etcd, const char *key);
struct lease *sim_etcd_lease(struct sim_etcd *etcd, int64_t id);
/* node NULL: a foreign client's */
struct lease *sim_etcd_grant(struct sim *sim, int64_t id, int64_t ttl_s, struct sim_node *node);
void sim_etcd_refresh(struct sim *sim, struct lease *lease);
void sim_etcd_end_watches(struct sim *sim, const struct etcd_rpc *rpc);

#endif
