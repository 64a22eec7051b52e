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

/* What became of a claim. Texts are borrowed during the call. */
struct engine_event {
	/*
	 * HELD, LOST, RELEASED, BUSY, CANCELLED, FAILED, WAITING, DONE; LOG: a claim waits for a store
	 * that answers with errors, or not at all
	 */
	enum mpsync_event_type type;
	enum mpsync_status status;
	enum mpsync_reason reason;
	uint64_t token;
	uint32_t position;
	uint64_t unchanged_ms;
	const char *holder;
	const char *value; /* HELD, adopted: the value that the grant had */
	uint32_t ttl_ms;   /* HELD */
	const char *message;
};

/* Who owns the engine's claims, and is told of them. */
struct engine_owner {
	void (*event)(void *owner, const struct engine_event *event);
	/*
	 * The right's end on the boot clock; 0: there is none. Called before anything is sent that
	 * could give the right away (rule 37, say no before you let go). NULL: the owner asks by
	 * engine_claim_right_ms.
	 */
	void (*right)(void *owner, uint64_t until_ms, int64_t wall_ahead_ms);
	/* The claim is freed; its pointer must not be used again. */
	void (*ended)(void *owner);
	/* A renewal was not acknowledged, and why. NULL: the owner does not want to know. */
	void (*trouble)(void *owner, const char *message);
};

struct engine_wish {
	const char *name;
	const char *holder;
	const char *value;
	struct id secret; /* none: the engine draws one */
	uint32_t ttl_ms;
	uint64_t wait_ms; /* 0 tries once; CLAIM_NEVER waits for ever */
	uint64_t try_ms;  /* how long a try waits for an answer; 0: a third of the ttl */
	uint64_t adopt_token;
	/* Adopt what this claim was granted elsewhere, if it was: its token is not known. A try asks
	   again then, until try_ms have passed, where the store does not answer well. */
	bool regain;
	bool any_ttl; /* adopting: ttl_ms is a guess */
	bool election;
	bool awaits_store; /* waits also for a store that has never answered */
	void *owner;
};

/*
 * Where the engine asks to be woken: its host calls engine_run at at_ms of the boot clock;
 * CLAIM_NEVER: not at all.
 */
struct engine_host {
	struct store_clock clock;
	const struct engine_owner *owner;
	bool (*random_id)(struct id *id);
	/* The digest of a secret, which others may see. */
	bool (*digest_id)(const struct id *secret, struct id *digest);
	void (*wake_at)(void *context, uint64_t at_ms);
	bool on_behalf; /* an elector: its claims are those of other processes */
};

/*
 * Takes the store over, and closes it with the engine. NULL without memory; the store is closed
 * then too.
 */
struct engine *engine_new(const struct engine_host *host, struct store *store);
void engine_free(struct engine *engine);
struct store *engine_store(struct engine *engine);
/* Whether it is being freed. */
bool engine_is_ending(const struct engine *engine);

/*
 * False without memory or randomness, and while the engine is being freed. The owner may be told
 * before this returns: *claim is set before that, and is NULL afterwards if the claim ended at
 * once.
 */
bool engine_acquire(
    struct engine *engine, const struct engine_wish *wish, struct engine_claim **claim);
void engine_cancel(struct engine_claim *claim);
void engine_release(struct engine_claim *claim);

/*
 * Store the value: DONE tells when the store has it, or that the grant ended before. Of several
 * values that are set one after the other only the last gets a DONE. False without memory.
 */
bool engine_set_value(struct engine_claim *claim, const char *value);
void engine_renew(struct engine_claim *claim);

/* Renewals that are asked for between these two are sent together where the store can. */
void engine_begin(struct engine *engine);
void engine_end(struct engine *engine);

/*
 * How many claims of this engine wait for the name. `found` is told the first `most` of them, in
 * order.
 */
uint32_t engine_waiting(struct engine *engine, const char *name, uint32_t most,
    void (*found)(void *context, const char *holder), void *context);

/* Cancel or release every claim; `ended` is called for each. */
void engine_stop(struct engine *engine);
size_t engine_claims(const struct engine *engine);

/* Boot clock, when the store last answered anything; 0: never. */
uint64_t engine_answered_ms(const struct engine *engine);

/* Do everything that is due. */
void engine_run(struct engine *engine);

/* What the store knows of the claim; borrowed as long as the claim lives. */
const struct store_claim *engine_claim_stored(const struct engine_claim *claim);

/* The end of the claim's right on the boot clock; 0: it has none. */
uint64_t engine_claim_right_ms(const struct engine_claim *claim);

/*
 * The claim's place among those of this engine that wait for its name: 1 is next; counting stops
 * far from the front.
 */
uint32_t engine_claim_position(const struct engine_claim *claim);

#endif
