/* A query under way: what looking at one name, and at all of them, have in common. */
#ifndef MPSYNC_STORES_ETCD_LOOK_H
#define MPSYNC_STORES_ETCD_LOOK_H

#include "store.h"

/* A place in a queue, as its facts say; or of another client, which has none. */
struct place {
	char *name;
	char *key; /* of the facts; NULL: another client's */
	char *facts;
};

/* A query under way. */
struct etcd_look {
	struct etcd_look *next;
	struct etcd *etcd;
	struct store_query *query;
	struct etcd_call call;
	char *queue; /* GET, FORCE */
	char *facts_key;
	char *key;
	int64_t created; /* of the key */
	uint32_t waiters;
	struct place *places; /* LIST: sorted by name */
	size_t place_count;
	size_t told; /* so many of them have been */
	size_t found;
};

/* What is left out of the call is filled in. */
void look_ask(struct etcd_look *look, const struct etcd_call *call);
/* Says if it goes on with a good answer; else it has ended. */
bool look_is_good(struct etcd_look *look, const struct etcd_answer *answer);
/* `oldest` has the name; `facts_text` NULL: it is no client of ours. */
void look_tell(struct etcd_look *look, const char *name, const struct etcd_key *oldest,
    const char *facts_text, uint32_t waiters);
/* It is over, and whoever asked is told. */
void look_end(struct etcd_look *look, enum mpsync_status status, const char *message);
void look_drop(struct etcd_look *look);

/* ---- list.c ---- */

void look_list(struct etcd_look *look, const char *sessions);

#endif
