/*
 * How names stand in etcd. The queue of a name is what etcd's own recipe makes of it:
 *
 *   PREFIX NAME / LEASE                       the one that was created first holds
 *   PREFIX mpsync-session/ LEASE /            each lease of ours has one such key,
 *   PREFIX mpsync-session/ LEASE / NAME       and one for each place in a queue: the facts of it
 *   PREFIX mpsync-session/ LEASE / NAME / REV likewise of a place that was another lease's: adopted
 *
 * Names are escaped where they hold a slash, for the recipe's queue of "a" has the keys that begin
 * with "a/" (rule 36, names do not meet).
 */
#ifndef MPSYNC_STORES_ETCD_NAMES_H
#define MPSYNC_STORES_ETCD_NAMES_H

#include "base/id.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* The texts that these return are owned by the caller; NULL without memory. */
char *etcd_queue_path(const char *prefix, const char *name);
char *etcd_queue_key(const char *prefix, const char *name, int64_t lease);
char *etcd_sessions_path(const char *prefix);
char *etcd_session_path(const char *prefix, int64_t lease);
char *etcd_facts_key(const char *prefix, int64_t lease, const char *name);
/* The key of the facts of the place `key`, which was created at `created` and stands on `lease`. */
char *etcd_place_facts_key(
    const char *prefix, const char *name, const char *key, int64_t lease, int64_t created);

/* The beginning of the queues of all names that begin with `name`. */
char *etcd_queue_paths(const char *prefix, const char *name);
/* The name in whose queue a key on that lease stands; NULL: the key is in no queue. */
char *etcd_queue_name(const char *prefix, const char *key, int64_t lease);

/* The name that a facts key belongs to; NULL: the key is the session's own, or no facts key. */
char *etcd_facts_name(const char *prefix, const char *key);

/* The facts of a place in a queue. Texts are borrowed from `json` after they have been read. */
struct etcd_facts {
	cJSON *json;
	const char *holder;
	const char *value;
	const char *key; /* the place's key, if another lease made it (adopted); else NULL */
	struct id claim;
	uint64_t token; /* 0: the token is the revision at which the key was created */
	uint32_t ttl_ms;
	int64_t since_ms;
	bool election;
	bool revoked;
};

/* Owned by the caller; NULL without memory. */
char *etcd_facts_write(const struct etcd_facts *facts);
/* False, with nothing to clear, if the text is not what etcd_facts_write writes. */
bool etcd_facts_read(struct etcd_facts *facts, const char *text);
void etcd_facts_clear(struct etcd_facts *facts);

#endif
