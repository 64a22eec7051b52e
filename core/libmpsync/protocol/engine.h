/*
 * All claims of one client or one elector: their timers, the queues of claims for one name, and one
 * store. Single-threaded, without locks; its time and its store are given to it, so that the
 * simulation runs this file as it is.
 */
#ifndef MPSYNC_ENGINE_H
#define MPSYNC_ENGINE_H

#include "store.h"

struct engine;
struct engine_claim;

/* What became of a claim. Strings are borrowed during the call. */
struct engine_event {
	/* HELD, LOST, RELEASED, BUSY, CANCELLED, FAILED, WAITING, DONE; LOG: a claim waits for a store
	   that does not answer well */
	enum mpsync_event_type type;
	enum mpsync_status status;
	enum mpsync_reason reason;
	uint64_t token;
	uint32_t position;
	uint64_t unchanged_ms;
	const char *holder;
	const char *value; /* HELD, adopted: what the grant had */
	uint32_t ttl_ms;   /* HELD */
	const char *message;
};

/* What those who ask for claims are told. */
struct engine_owner {
	void (*event)(void *owner, const struct engine_event *event);
	/*
	 * The right's end; 0: none. Called before anything is sent that could give it away (rule 37).
	 * NULL: the owner asks when it wants to know.
	 */
	void (*right)(void *owner, uint64_t until_ms, int64_t wall_ahead_ms);
	/* The claim is freed; its pointer must not be used again. */
	void (*ended)(void *owner);
	/* A renewal was not acknowledged, and why; NULL: the owner does not want to know. */
	void (*trouble)(void *owner, const char *message);
};

struct engine_wish {
	const char *name;
	const char *holder;
	const char *value;
	struct id secret; /* none: one is drawn */
	uint32_t ttl_ms;
	uint64_t wait_ms; /* 0 tries once; CLAIM_NEVER */
	uint64_t try_ms;  /* how long a try waits for an answer; 0: a third of the ttl */
	uint64_t adopt_token;
	/* Adopt what this claim was granted elsewhere, if it was: its token is not known. A try asks
	   again then, until try_ms have passed, where the store does not answer well. */
	bool regain;
	bool any_ttl; /* adopting: ttl_ms is a guess */
	bool election;
	void *owner;
};

/* Where the engine asks to be woken: engine_run at at_ms of the boot clock; CLAIM_NEVER: not at
 * all. */
struct engine_host {
	struct store_clock clock;
	const struct engine_owner *owner;
	bool (*random_id)(struct id *id);
	/* What others may see of a secret. */
	bool (*digest_id)(const struct id *secret, struct id *digest);
	void (*wake_at)(void *context, uint64_t at_ms);
	bool on_behalf; /* its claims are those of other processes */
};

/* Takes the store over; it is closed with the engine. NULL without memory (the store is closed). */
struct engine *engine_new(const struct engine_host *host, struct store *store);
void engine_free(struct engine *engine);
struct store *engine_store(struct engine *engine);

/*
 * False without memory or randomness. May call back before it returns: *claim is set before, and
 * NULL after, if the claim ended at once.
 */
bool engine_acquire(
    struct engine *engine, const struct engine_wish *wish, struct engine_claim **claim);
void engine_cancel(struct engine_claim *claim);
void engine_release(struct engine_claim *claim);

/*
 * Store the value: DONE tells when, or that the grant ended before. Of several that are asked for
 * one after the other only the last is told. False without memory.
 */
bool engine_set_value(struct engine_claim *claim, const char *value);
void engine_renew(struct engine_claim *claim);

/* What is asked for between these is sent together where the store can. */
void engine_begin(struct engine *engine);
void engine_end(struct engine *engine);

/* How many claims of this engine wait for the name; tells the first of them, `most`, in order. */
uint32_t engine_waiting(struct engine *engine, const char *name, uint32_t most,
    void (*found)(void *context, const char *holder), void *context);

/* Cancel or release every claim; `ended` tells each. */
void engine_stop(struct engine *engine);
size_t engine_claims(const struct engine *engine);

/* When the store answered last, whatever it was; 0: never. */
uint64_t engine_answered_ms(const struct engine *engine);

/* Do what is due. */
void engine_run(struct engine *engine);

/* What the store knows of it, as long as the claim lives. */
const struct store_claim *engine_claim_stored(const struct engine_claim *claim);

/* The right's end; 0: none. */
uint64_t engine_claim_right_ms(const struct engine_claim *claim);

/* How many claims of this engine come before it for its name; far from the front, at most. */
uint32_t engine_claim_position(const struct engine_claim *claim);

#endif
