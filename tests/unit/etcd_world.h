/* The store over an etcd, and that etcd's end of it: calls are kept until a test answers them. */
#ifndef MPSYNC_ETCD_WORLD_H
#define MPSYNC_ETCD_WORLD_H

#include "store_world.h"

#include "stores/etcd/rpc.h"

#define OPENED_AT 10 /* the revision at which the session's key was written */
#define TERM      2

/* A call under way, and what it was sent with. */
struct flight {
	struct flight *next;
	struct etcd_call *call;
	char key[200];      /* of its first operation, if it is a transaction */
	char compared[200]; /* the first of what is compared further */
};

struct etcd_world {
	struct flight *flights;   /* the oldest first */
	struct etcd_watch *watch; /* the last that began */
	unsigned next_members;    /* how often another member was turned to */
};

extern struct etcd_world etcd_world;

int open_etcd(void **state);
int close_etcd(void **state);

/* The oldest one under way of that kind; NULL: there is none. */
struct flight *calling(enum etcd_call_kind kind);
struct flight *expect_call(enum etcd_call_kind kind);
void answer_call(struct flight *flight, const struct etcd_answer *answer);
/* No answer came in time. */
void lose_call(enum etcd_call_kind kind);

/* The lease is granted for so long, and its key is written. */
void open_session(uint32_t ttl_s);
/* The transaction that wants a place gets it; `first`: and nobody stands before. */
void give_place(int64_t revision, bool first);
/* Another stands at the head of the queue, right before the place. */
void show_who_has_it(void);
/* A keep-alive, and the read that confirms it. */
void keep_alive(void);
void confirm(void);
/* A claim on n that is held, on a lease of 15 s. */
struct store_claim *hold_in_etcd(void);

#endif
