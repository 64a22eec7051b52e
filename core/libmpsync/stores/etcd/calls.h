/* What the recipe asks of an etcd, and what it is answered: transactions, leases and watches. */
#ifndef MPSYNC_STORES_ETCD_CALLS_H
#define MPSYNC_STORES_ETCD_CALLS_H

#include <mpsync.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#define ETCD_MOST_OPS      6
#define ETCD_MOST_COMPARES 3
/* etcd does 128 operations and comparisons in one transaction at most, where it is not told
 * otherwise. */
#define ETCD_MOST_FURTHER 100
#define ETCD_MOST_KEYS    10000

struct etcd_rpc;

/* One key as etcd has it. Text ends in NUL; borrowed during the call that brings it. */
struct etcd_key {
	const char *key;
	const char *value;
	int64_t create_revision;
	int64_t mod_revision;
	int64_t lease;
};

enum etcd_op_kind {
	ETCD_GET,
	ETCD_GET_KEYS,   /* likewise, without values, ETCD_MOST_KEYS at most; `key` may be empty */
	ETCD_GET_ALL,    /* all that begin with `key`, oldest creation first */
	ETCD_GET_OLDEST, /* of all that begin with `key`, the one that was created first */
	ETCD_GET_BEFORE, /* of those, the last that was created before `revision` */
	ETCD_PUT,
	ETCD_TOUCH, /* written once more as it is, on the lease that it stands on */
	ETCD_DELETE
};

struct etcd_op {
	enum etcd_op_kind kind;
	const char *key;
	const char *value; /* PUT */
	int64_t lease;     /* PUT */
	int64_t revision;  /* GET_BEFORE */
};

struct etcd_found {
	const struct etcd_key *keys;
	size_t count;
};

enum etcd_result {
	ETCD_OK,
	ETCD_NO_LEASE, /* there is no lease of that id (any more) */
	ETCD_REFUSED,  /* can never succeed; status, message */
	ETCD_UNKNOWN   /* no answer in time, or no quorum; status, message */
};

struct etcd_answer {
	enum etcd_result result;
	enum mpsync_status status;
	const char *message;
	int64_t revision;
	uint64_t term;                          /* of the leader, as the answering member knew it */
	int64_t ttl_s;                          /* of leases */
	bool succeeded;                         /* the answers are those of `then` */
	struct etcd_found found[ETCD_MOST_OPS]; /* one for each operation */
	struct etcd_found further;              /* which of those keys are there, if not all as said */
};

enum etcd_call_kind { ETCD_TXN, ETCD_GRANT, ETCD_KEEP_ALIVE };

enum etcd_compare_kind {
	ETCD_CREATED_AT,  /* the key, at that revision; 0: it is absent */
	ETCD_WRITTEN_AT,  /* likewise, written last: it is as it was */
	ETCD_NONE_BELOW,  /* no key begins with it */
	ETCD_NONE_BEFORE, /* of all that begin with it, none was created before that revision */
	ETCD_THERE        /* the key, whenever it was created */
};

struct etcd_compare {
	const char *key;
	int64_t revision;
	enum etcd_compare_kind kind;
};

/*
 * A request, kept by the caller until `done` or etcd_cancel. The rpc copies what it needs of the
 * rest before etcd_send returns.
 */
struct etcd_call {
	enum etcd_call_kind kind;
	/* TXN: if all comparisons are true `then`, else `otherwise`. */
	struct etcd_compare compares[ETCD_MOST_COMPARES];
	struct etcd_op then[ETCD_MOST_OPS];
	struct etcd_op otherwise[ETCD_MOST_OPS];
	size_t compare_count;
	size_t then_count;
	size_t otherwise_count;
	/* TXN: compared as well; where `otherwise` is done these keys are read, without their values.
	 * The caller's until etcd_send returns. */
	const struct etcd_compare *further;
	size_t further_count;
	int64_t lease; /* GRANT (a new one each time, drawn by the caller), KEEP_ALIVE */
	int64_t ttl_s; /* GRANT */
	uint64_t timeout_ms;
	void (*done)(struct etcd_call *call, const struct etcd_answer *answer);
	void *context; /* the caller's */
	void *flight;  /* the rpc's own; NULL when nothing is under way */
	bool unsent;   /* likewise: for want of memory */
	LIST_ENTRY(etcd_call) entry;
};

/* Told of each change of one key, or of all that begin with it, after `revision`. */
struct etcd_watch {
	const char *key; /* the caller's, until etcd_unwatch */
	bool all;
	int64_t revision;                        /* 0: from when it has begun */
	void (*began)(struct etcd_watch *watch); /* or NULL */
	void (*put)(struct etcd_watch *watch, const struct etcd_key *key);
	void (*gone)(struct etcd_watch *watch, const char *key, int64_t revision);
	/* It ended: changes may have been missed. It may be watched again, from a newer read. */
	void (*ended)(struct etcd_watch *watch);
	void *flight; /* the rpc's own; NULL when it does not watch */
	bool unsent;  /* likewise: for want of memory */
	LIST_ENTRY(etcd_watch) entry;
};

#endif
