/*
 * The contract between the engine and a place where locks live.
 *
 * Everything is asynchronous on one thread: the engine asks through `struct store_ops`, the store
 * answers through `struct store_sink`, at once (before the call returns) or later. For each claim
 * there is at most one request at a time, and exactly one event answers it: a store that hears
 * nothing for the request's time-out answers CLAIM_UNKNOWN. Between requests a store may tell
 * CLAIM_CHANGED to a waiting claim, CLAIM_GRANTED to a claim that it queues itself, and CLAIM_GONE
 * to a held one. See docs/stores.md.
 */
#ifndef MPSYNC_STORES_STORE_H
#define MPSYNC_STORES_STORE_H

#include "base/id.h"
#include "claim.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

struct store;

/* What a store must know of a claim. Texts are the engine's: copy what outlives the call. */
struct store_claim {
	const char *name;
	char *holder;
	char *value;
	struct id secret;
	struct id digest;       /* the claim's digest, which others may see */
	uint64_t token;         /* of the grant, or of the one to adopt */
	uint64_t right_ends_ms; /* boot clock; an answer after this is of no use; 0: nothing is held */
	uint32_t ttl_ms;
	uint32_t value_version; /* rises when the engine changes `value` */
	uint32_t value_stored;  /* the version that the store has, set before CLAIM_RENEWED */
	bool election : 1;
	bool adopt : 1; /* `attempt` confirms the grant that a former instance made */
	/*
	 * The token is not known. If the store shows a grant of this claim by another instance,
	 * `attempt` adopts it and sets `adopt` and `token`; if not, it contends for a new grant.
	 */
	bool regain : 1;
	bool any_ttl : 1;      /* adopt: the grant keeps its ttl; the store sets ttl_ms to it */
	bool once : 1;         /* a try: do not queue it */
	bool awaits_store : 1; /* wait also for a server that has never answered */
	bool brief : 1;        /* waits so short a time that a place in a queue is not worth a write */
};

/*
 * The store's own data of a claim, kept behind it: as many bytes as the store's `claim_size`, all
 * zero at first.
 */
static inline void *store_claim_data(struct store_claim *claim)
{
	return claim + 1;
}

/* Details of an answer for people and logs. Borrowed during the call. */
struct store_word {
	const char *holder;
	const char *value; /* GRANTED, adopted: what the former instance had stored */
	const char *message;
	uint32_t position;     /* of the claim in the queue: 1 is next; 0 is not known */
	uint64_t unchanged_ms; /* how long the holder's record was seen unchanged */
};

/* One lock, as lists and observers see it. Borrowed during the call. */
struct store_lock {
	const char *name;
	const char *holder; /* NULL: free */
	const char *value;
	uint64_t token;
	uint64_t version; /* another number after each change, renewals aside */
	uint64_t ttl_ms;  /* as stored; another program may have written any number */
	int64_t since_ms;
	uint64_t expires_in_ms;
	uint32_t waiters;
	bool election;
};

/*
 * A request that concerns no claim. The store calls `done` once, after any number of `found`, and
 * may do so before `query` returns. The store borrows the query and its texts: both belong to the
 * caller, who keeps them until `done` or query_cancel.
 */
struct store_query {
	enum { STORE_CHECK, STORE_LIST, STORE_GET, STORE_FORCE } kind;
	const char *name;   /* GET, FORCE */
	const char *prefix; /* LIST: "" for all */
	const char *after;  /* LIST: only names behind this one; NULL for all */
	size_t limit;       /* LIST: how many at most */
	bool now;           /* FORCE: the next grant need not wait */
	bool watching;      /* accept the last watch event; false: a linearizable read */
	void (*found)(struct store_query *query, const struct store_lock *lock);
	void (*done)(struct store_query *query, enum mpsync_status status, const char *message);
};

/* LIST: is the name one of those that are asked for? A prefix of NULL is that of all. */
static inline bool store_query_lists(const struct store_query *query, const char *name)
{
	return (!query->prefix || strncmp(name, query->prefix, strlen(query->prefix)) == 0) &&
	       (!query->after || strcmp(name, query->after) > 0);
}

/*
 * Told of every change of one name, or of all names: first of each lock that exists, then `synced`,
 * then of changes.
 */
struct store_observer {
	const char *name; /* NULL: all */
	void (*changed)(struct store_observer *observer, const struct store_lock *lock);
	void (*gone)(struct store_observer *observer, const char *name);
	void (*synced)(struct store_observer *observer);
	void (*failed)(struct store_observer *observer, enum mpsync_status status, const char *message);
	void *data; /* the store's own data of the observer */
};

/* Where a store tells the engine. */
struct store_sink {
	void (*answer)(void *engine, struct store_claim *claim, enum claim_event event,
	    const struct claim_answer *answer, const struct store_word *word);
	/* Ask the engine to call `run` at at_ms of the boot clock. Only the last call counts. */
	void (*wake_at)(void *engine, uint64_t at_ms);
	void *engine;
};

/* The clocks of an engine and its stores. The simulation replaces all of them. */
struct store_clock {
	uint64_t (*boot_ms)(void *context);
	int64_t (*wall_ms)(void *context);
	uint32_t (*random)(void *context);
	void *context;
};

struct store_ops {
	/* Try to get the name for the claim, or (`adopt`) to adopt the grant that it had. */
	void (*attempt)(struct store *store, struct store_claim *claim);
	/* Renew some grants, together where the store can. Stores `value` where the value changed. */
	void (*renew)(struct store *store, struct store_claim *const *claims, size_t count);
	/* Make sure that the claim neither holds nor waits; answered by CLAIM_FREED. */
	void (*withdraw)(struct store *store, struct store_claim *claim);
	/* The engine frees the claim: the store must not answer it any more. */
	void (*forget)(struct store *store, struct store_claim *claim);
	void (*query)(struct store *store, struct store_query *query);
	/* The store must not call the query's `done` any more. */
	void (*query_cancel)(struct store *store, struct store_query *query);
	void (*observe)(struct store *store, struct store_observer *observer);
	void (*observe_stop)(struct store *store, struct store_observer *observer);
	/* The time has come that the store asked for by wake_at. */
	void (*run)(struct store *store);
	void (*close)(struct store *store);
	/*
	 * Must closing wait for work that belongs to no claim and that other programs see, such as
	 * removing a Pod's leader label? NULL: never.
	 */
	bool (*finishing)(const struct store *store);
	/*
	 * The reason of a missing answer if the server is not its cause (no credentials, say). Returns
	 * NULL if the server is silent. May be NULL.
	 */
	const char *(*silence)(const struct store *store);
	/*
	 * A name that a request may still take although its claim is gone; NULL: there is none. May be
	 * NULL.
	 */
	const char *(*in_doubt)(const struct store *store);
};

#define STORE_MOST_RETIRED 8

/*
 * A connection whose end the elector takes as proof that this process is dead. So `is_held` looks,
 * on any thread, whether the connection still stands: if it does not, the right may be another's
 * already (rule 1, proof of death). descriptor -1: there is none. References are counted, because a
 * thread may look while the store closes.
 */
struct store_fence {
	atomic_uint references;
	atomic_int descriptor;
	atomic_uint_fast64_t cookie;
	int retired[STORE_MOST_RETIRED]; /* former ones, kept open while their peers live */
	size_t retired_count;
};

struct store {
	const struct store_ops *ops;
	struct store_fence *fence; /* NULL: rights end by time alone */
	struct store_sink sink;
	struct store_clock clock;
	const char *warning; /* a sentence for people about how the store was opened, or NULL */
	const char *url; /* the URL that means the same store in every folder; NULL: as it was given */
	/* Tell people something that concerns no claim. NULL: nobody listens. */
	void (*say)(void *context, const char *message);
	void *say_context;
	const char *kind;  /* for logs and metrics: "memory", "file", "elector" */
	size_t claim_size; /* bytes that the store keeps of each claim, a multiple of 8 */
	uint32_t shortest_ttl_ms;
	uint32_t ttl_step_ms; /* each ttl has to be a multiple of this; 0: any ttl */
	/*
	 * A stored record names its grant's token only from the first renewal or waiter's place on, and
	 * the token may change until then.
	 */
	bool bears_token_late;
	/* The store cannot notice that a process died: its grants are taken over only after the ttl. */
	bool outlives_process;
};

static inline bool store_is_finishing(const struct store *store)
{
	return store->ops->finishing && store->ops->finishing(store);
}

static inline const char *store_in_doubt(const struct store *store)
{
	return store->ops->in_doubt ? store->ops->in_doubt(store) : NULL;
}

/*
 * NULL without memory. Each reference is dropped once: the first one, and one for each
 * store_fence_share.
 */
struct store_fence *store_fence_new(void);
struct store_fence *store_fence_share(struct store_fence *fence);
void store_fence_drop(struct store_fence *fence);

/* Does the connection stand? True where there is no fence. */
bool store_fence_stands(const struct store_fence *fence);

/*
 * The fence becomes a second descriptor of this socket; -1: of none. `keep`: the former one stays
 * open until its peer has gone or store_fence_forget is called. Returns whether a connection
 * stands.
 */
bool store_fence_replace(struct store_fence *fence, int socket, bool keep);
/* Close all former connections that were kept. */
void store_fence_forget(struct store_fence *fence);

/* Why a grant is not adopted with another ttl. */
#define STORE_TTL_IS_FIXED "the ttl of a grant is fixed; give the one that it was asked with"

/* The longest ttl, of every store: 24 h. */
#define STORE_LONGEST_TTL_MS (24u * 3600 * 1000)

#endif
