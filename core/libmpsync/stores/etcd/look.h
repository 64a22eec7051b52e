/* A query under way: what queries for one name and for all names have in common. */
#ifndef MPSYNC_STORES_ETCD_LOOK_H
#define MPSYNC_STORES_ETCD_LOOK_H

#include "store.h"

/* A place in a queue, as its facts describe it; another client's place has none. */
struct place {
	char *name;
	char *key; /* of the facts; NULL: another client's place */
	char *facts;
	int64_t written; /* the revision of the facts */
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
	size_t told; /* how many of them were told */
	size_t found;
};

/* Send the transaction; what `call` leaves out is filled in. */
void look_ask(struct etcd_look *look, const struct etcd_call *call);
/* Is the answer good, so that the query goes on? Else it has ended. */
bool look_is_good(struct etcd_look *look, const struct etcd_answer *answer);
/* `oldest` holds the name; `facts_text` NULL: the holder is another client. */
void look_tell(struct etcd_look *look, const char *name, const struct etcd_key *oldest,
    const char *facts_text, uint32_t waiters);
/* The query is over, and its caller is told. */
void look_end(struct etcd_look *look, enum mpsync_status status, const char *message);
void look_drop(struct etcd_look *look);

/* ---- list.c ---- */

void look_list(struct etcd_look *look, const char *sessions);

#endif
