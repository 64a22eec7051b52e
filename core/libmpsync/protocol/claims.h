/*
 * What the files of the engine share: claims.c steps the claims, and joins them with the store;
 * acquire.c begins a claim, turns.c has the queue of each name, renewals.c sends renewals together,
 * values.c has the values of grants, reports.c tells the owners.
 */
#ifndef MPSYNC_CLAIMS_H
#define MPSYNC_CLAIMS_H

#include "base/heap.h"
#include "engine.h"

/* Where a claim stands among the claims of its engine for the same name. */
enum turn {
	TURN_AWAITED,  /* behind another claim */
	TURN_HAS_COME, /* first of its name; the engine has not yet given it its turn */
	TURN_TAKEN,
	TURN_TO_LEAVE, /* the engine will withdraw it instead of giving it a turn */
	TURN_OVER      /* the claim has ended, and is freed when no step of it is under way */
};

/*
 * One allocation for each claim, since an elector has a hundred thousand: the store's data and the
 * name stand behind it. The claims of one engine for one name are a queue, in the order in which
 * they came.
 */
struct engine_claim {
	struct claim claim;
	struct engine *engine;
	void *owner;
	struct engine_claim *ahead; /* of the first claim: the last one */
	struct engine_claim *behind;
	struct engine_claim *next_turn; /* HAS_COME, TO_LEAVE: the next one in the engine's list */
	char *message;                  /* of the last error */
	struct heap_item wake;
	uint32_t queued; /* of the first claim: how many are in the queue */
	uint32_t place;  /* rises along the queue, except for claims that adopt */
	uint16_t depth;  /* how many steps of the claim are under way, one within another */
	enum turn turn : 8;
	bool value_asked;
	bool refusal_told;
	struct store_claim stored;
};

struct engine {
	struct engine_host host;
	struct store *store;
	void *queues; /* for tsearch: the first claim of each name */
	char *holder; /* the latest holder, as a shared text */
	struct heap wakes;
	struct store_claim **batch; /* renewals that are sent together */
	size_t batch_count;
	size_t batch_size;
	struct engine_claim *turns; /* claims that have something to do before the engine rests */
	size_t claims;
	uint64_t answered_ms;
	uint64_t trouble_ms; /* when the store's trouble is to be reported; 0: there is none */
	uint64_t armed_ms;
	uint64_t store_wake_ms;
	bool ending;       /* it is being freed: its owners may ask for nothing more */
	unsigned depth;    /* how many calls into the engine are under way, one within another */
	char silence[100]; /* the message for a store that does not answer */
};

/* ---- claims.c ---- */

struct engine_claim *claim_of_wake(struct heap_item *item);
/* Step the claim until it sleeps. It may be freed then. */
void engine_feed(struct engine_claim *claim, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word);
/* Likewise for a wish of the claim's owner, between engine_begin and engine_end. */
void engine_wish_for(struct engine_claim *claim, enum claim_event event);
void engine_drop(struct engine_claim *claim);
void engine_claim_free(struct engine_claim *claim);

/* ---- turns.c ---- */

/* The first claim of the name then; NULL without memory. */
struct engine_claim *queue_join(struct engine_claim *claim);
const struct engine_claim *queue_first(const struct engine_claim *claim);
bool queue_is_first(const struct engine_claim *claim);
/*
 * The claim that holds the name or wants it, before this one; NULL: there is none. A try does not
 * queue behind waiters.
 */
const struct engine_claim *queue_in_the_way(
    const struct engine_claim *first, const struct engine_claim *claim);
/* Withdraw all claims. */
void queues_stop(struct engine *engine);

void turn_give(struct engine_claim *claim);
/* The claim has ended. */
void turn_end(struct engine_claim *claim);
/* The claim leaves its queue, and the next one gets its turn. */
void turn_pass_on(struct engine_claim *claim);

/* ---- renewals.c ---- */

/*
 * Room for every claim is made when the claim is made, so that waking never needs memory. False
 * without memory.
 */
bool renewals_reserve(struct engine *engine, size_t claims);
void renewals_add(struct engine_claim *claim);
void renewals_leave(struct engine_claim *claim);
/* Renewals that are nearly due join those that are due. */
void renewals_join(struct engine *engine, uint64_t now_ms);
/* The store may answer at once, and its answers may bring new renewals. */
void renewals_send(struct engine *engine);

/* ---- values.c ---- */

/* Tell the caller that asked for a value to be stored how that ended. */
void value_end(struct engine_claim *claim, enum mpsync_status status);
/*
 * An adopted grant keeps its value. Without memory it has none from here on, and the store will
 * show so.
 */
void value_adopt(struct engine_claim *claim, const char *value);

/* ---- reports.c ---- */

void report_event(struct engine_claim *claim, const struct engine_event *event);
/* Tell the owner what the claim's last step reports. */
void report_claim(struct engine_claim *claim, const struct store_word *word);
void report_waiting(struct engine_claim *claim, const struct store_word *word);
/* Keep the store's reason for not doing what it was asked; NULL: it gave none. */
void report_remember(struct engine_claim *claim, const char *message);
/* Tell a waiter why it waits: once, and again each minute. */
void report_trouble(struct engine_claim *claim, enum mpsync_status status, bool refused);
/*
 * What a store refuses to a holder ends in a loss, or leaves a record behind. So it is told at
 * once, and only once until the store does what it is asked again.
 */
void report_refusal(
    struct engine_claim *claim, enum mpsync_status status, const struct store_word *word);

#endif
