/*
 * The contract between the engine and a place where locks live.
 *
 * Everything is asynchronous on one thread: the engine asks through `struct store_ops`, the store
 * answers through `struct store_sink`, at once (before the call returns) or later. For each claim
 * there is at most one request at a time; each is answered by exactly one event, in time: a store
 * that hears nothing for the request's time-out answers CLAIM_UNKNOWN. Between requests a store may
 * tell CLAIM_CHANGED to a waiting claim, CLAIM_GRANTED to one that it queues itself, and CLAIM_GONE
 * to a held one. See docs/stores.md.
 */
#ifndef MPSYNC_STORES_STORE_H
#define MPSYNC_STORES_STORE_H

#include "base/id.h"
#include "claim.h"

#include <stdatomic.h>
#include <stddef.h>

struct store;

/* What a store must know of a claim. Strings are the engine's: copy what outlives the call. */
struct store_claim {
	const char *name;
	char *holder;
	char *value;
	struct id secret;
	struct id digest;       /* what others may see */
	uint64_t token;         /* of the grant, or of the one to adopt */
	uint64_t right_ends_ms; /* no answer is of use after that; 0: nothing is held */
	uint32_t ttl_ms;
	uint32_t value_version; /* rises when the engine changes `value` */
	uint32_t value_stored;  /* the one that the store has, set by it before CLAIM_RENEWED */
	bool election : 1;
	bool adopt : 1; /* `attempt` confirms the grant that a former instance had */
	bool
	    regain : 1;   /* `attempt` adopts what another instance had for this claim, whatever its
	                     token, and sets `adopt` and `token`; else, without `adopt`, it is like any */
	bool any_ttl : 1; /* adopt: the grant's own counts, and is set here */
	bool once : 1;    /* will not wait: do not queue it */
	bool brief : 1;   /* waits so short a time that a place in a queue is not worth a write */
};

/* The store's own, behind the claim: as many bytes as its `claim_size` says, all zero at first. */
static inline void *store_claim_data(struct store_claim *claim)
{
	return claim + 1;
}

/* The particulars of an answer that only people need. Borrowed during the call. */
struct store_word {
	const char *holder;
	const char *value; /* GRANTED, adopted: what the former instance had stored */
	const char *message;
	uint32_t position;     /* 1 is next; 0 not known */
	uint64_t unchanged_ms; /* how long the holder's record was seen unchanged */
};

/* One lock, as lists and observers see it. Borrowed during the call. */
struct store_lock {
	const char *name;
	const char *holder; /* NULL: free */
	const char *value;
	uint64_t token;
	uint64_t version; /* changes when anything else does but a renewal */
	uint64_t ttl_ms;  /* others may have written anything */
	int64_t since_ms;
	uint64_t expires_in_ms;
	uint32_t waiters;
	bool election;
};

/*
 * A request that concerns no claim. The store calls `done` once, after any number of `found`. It
 * borrows the texts, and the query itself: they stay whoever asks' until `done` or query_cancel.
 */
struct store_query {
	enum { STORE_CHECK, STORE_LIST, STORE_GET, STORE_FORCE } kind;
	const char *name;   /* GET, FORCE */
	const char *prefix; /* LIST: "" for all */
	const char *after;  /* LIST: only names behind this one; NULL for all */
	size_t limit;       /* LIST */
	bool now;           /* FORCE: the next grant need not wait */
	bool watching;      /* what a watch told is as good as what the store says now */
	void (*found)(struct store_query *query, const struct store_lock *lock);
	void (*done)(struct store_query *query, enum mpsync_status status, const char *message);
};

/* Told of every change of one name, or of all: first of each lock that there is, then `synced`. */
struct store_observer {
	const char *name; /* NULL: all */
	void (*changed)(struct store_observer *observer, const struct store_lock *lock);
	void (*gone)(struct store_observer *observer, const char *name);
	void (*synced)(struct store_observer *observer);
	void (*failed)(struct store_observer *observer, enum mpsync_status status, const char *message);
	void *data; /* the store's own */
};

/* Where a store tells the engine. */
struct store_sink {
	void (*answer)(void *engine, struct store_claim *claim, enum claim_event event,
	    const struct claim_answer *answer, const struct store_word *word);
	/* The store has something of its own to do at at_ms: call `run`. The last word counts. */
	void (*wake_at)(void *engine, uint64_t at_ms);
	void *engine;
};

/* What an engine and its stores know of the time. Replaced whole in the simulation. */
struct store_clock {
	uint64_t (*boot_ms)(void *context);
	int64_t (*wall_ms)(void *context);
	uint32_t (*random)(void *context);
	void *context;
};

struct store_ops {
	/* Try to get the name for the claim, or (`adopt`) to adopt the grant that it had. */
	void (*attempt)(struct store *store, struct store_claim *claim);
	/* Renew some grants, together where the store can. Stores `value` where it changed. */
	void (*renew)(struct store *store, struct store_claim *const *claims, size_t count);
	/* See to it that the claim neither holds nor waits; CLAIM_FREED. */
	void (*withdraw)(struct store *store, struct store_claim *claim);
	/* The engine frees the claim: no answer any more. */
	void (*forget)(struct store *store, struct store_claim *claim);
	void (*query)(struct store *store, struct store_query *query);
	/* The query's `done` must not be called any more. */
	void (*query_cancel)(struct store *store, struct store_query *query);
	void (*observe)(struct store *store, struct store_observer *observer);
	void (*observe_stop)(struct store *store, struct store_observer *observer);
	/* What the store asked to be woken for. */
	void (*run)(struct store *store);
	void (*close)(struct store *store);
	/* Is something under way that no claim waits for, but others see? NULL: never. */
	bool (*finishing)(const struct store *store);
	/* Why it says nothing, where that is not for want of an answer; NULL: it is. May be NULL. */
	const char *(*silence)(const struct store *store);
	/* A name that a request of nobody's any more may yet take; NULL: there is none. May be NULL. */
	const char *(*in_doubt)(const struct store *store);
};

#define STORE_MOST_RETIRED 8

/*
 * A connection whose end is taken as proof of this process's death: whoever asks whether something
 * is held looks, from any thread, whether it still stands (rule 1). descriptor -1: there is none.
 * It is counted, because such a thread may look while the store closes.
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
	const char *warning; /* what people should know of how it was opened, or NULL */
	const char *url;     /* the same place from wherever it is read; NULL: as it was given */
	/* Something that people should know happened on behalf of no claim. NULL: nobody listens. */
	void (*say)(void *context, const char *message);
	void *say_context;
	const char *kind;  /* for logs and metrics: "memory", "file", "elector" */
	size_t claim_size; /* what it keeps of each claim, a multiple of 8 */
	uint32_t shortest_ttl_ms;
	uint32_t ttl_step_ms; /* ttls are a multiple of it; 0: any */
	/* What is stored names its grant's token from the first renewal on, and may change before. */
	bool bears_token_late;
};

static inline bool store_is_finishing(const struct store *store)
{
	return store->ops->finishing && store->ops->finishing(store);
}

static inline const char *store_in_doubt(const struct store *store)
{
	return store->ops->in_doubt ? store->ops->in_doubt(store) : NULL;
}

/* NULL without memory; to be dropped once, and once for each time that it was shared. */
struct store_fence *store_fence_new(void);
struct store_fence *store_fence_share(struct store_fence *fence);
void store_fence_drop(struct store_fence *fence);

/* True where there is none. */
bool store_fence_stands(const struct store_fence *fence);

/*
 * The fence is a second descriptor of this socket from now on; -1: of none. `keep`: the former one
 * stays open until its peer has gone or all are forgotten. Says if one stands.
 */
bool store_fence_replace(struct store_fence *fence, int socket, bool keep);
/* Close all former ones that were kept. */
void store_fence_forget(struct store_fence *fence);

/* Why a grant is not adopted with another ttl. */
#define STORE_TTL_IS_FIXED "the ttl of a grant is fixed; give the one that it was asked with"

/* ttl 24 h is the longest everywhere. */
#define STORE_LONGEST_TTL_MS (24u * 3600 * 1000)

#endif
