/*
 * What is inside of the engine, for the files that it consists of: claims.c steps the claims and
 * brings them and the store together, acquire.c begins one, turns.c has the queue of each name,
 * renewals.c what is sent together, values.c what grants bear, reports.c what owners are told.
 */
#ifndef MPSYNC_CLAIMS_H
#define MPSYNC_CLAIMS_H

#include "base/heap.h"
#include "engine.h"

/* Where a claim stands among those of its engine for the same name. */
enum turn {
	TURN_AWAITED,  /* behind another */
	TURN_HAS_COME, /* the engine has yet to come to it */
	TURN_TAKEN,
	TURN_TO_LEAVE, /* likewise, but it is to let go */
	TURN_OVER      /* the claim has ended: freed when nothing steps it any more */
};

/*
 * One allocation, for an elector has a hundred thousand: behind it stand what the store keeps of it
 * and the name. The claims of one engine for one name are a queue, in the order in which they came.
 */
struct engine_claim {
	struct claim claim;
	struct engine *engine;
	void *owner;
	struct engine_claim *ahead; /* of the first: the last */
	struct engine_claim *behind;
	struct engine_claim *next_turn; /* HAS_COME, TO_LEAVE: in the engine's list */
	char *message;                  /* of the last error */
	struct heap_item wake;
	uint32_t queued; /* of the first: how many are in the queue */
	uint32_t place;  /* rises along the queue, but for those that adopt */
	uint16_t depth;  /* how many steps of it are under way, one inside of another */
	enum turn turn : 8;
	bool value_asked;
	bool refusal_told;
	struct store_claim stored;
};

struct engine {
	struct engine_host host;
	struct store *store;
	void *queues; /* tsearch tree of the first claim of each name, by that name */
	char *holder; /* the latest, as a shared text */
	struct heap wakes;
	struct store_claim **batch; /* renewals that are sent together */
	size_t batch_count;
	size_t batch_size;
	struct engine_claim *turns; /* what is to be done before the engine rests */
	size_t claims;
	uint64_t answered_ms;
	uint64_t trouble_ms; /* when its trouble is to be told; 0: it answers well */
	uint64_t armed_ms;
	uint64_t store_wake_ms;
	unsigned depth;    /* calls into the engine that are under way, one inside of another */
	char silence[100]; /* what is to be said of a store that said nothing */
};

/* ---- claims.c ---- */

struct engine_claim *claim_of_wake(struct heap_item *item);
/* Steps the claim until it sleeps. It may be freed then. */
void engine_feed(struct engine_claim *claim, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word);
/* The same between engine_begin and engine_end, as owners ask for it. */
void engine_wish_for(struct engine_claim *claim, enum claim_event event);
void engine_drop(struct engine_claim *claim);
void engine_claim_free(struct engine_claim *claim);

/* ---- turns.c ---- */

/* Who is the first of its name then; NULL without memory. */
struct engine_claim *queue_join(struct engine_claim *claim);
const struct engine_claim *queue_first(const struct engine_claim *claim);
bool queue_is_first(const struct engine_claim *claim);
/* Who has the name before it, or wants it; NULL: nobody. A try does not queue behind them. */
const struct engine_claim *queue_in_the_way(
    const struct engine_claim *first, const struct engine_claim *claim);
/* All are to let go. */
void queues_stop(struct engine *engine);

void turn_give(struct engine_claim *claim);
/* The claim has ended. */
void turn_end(struct engine_claim *claim);
/* It leaves its queue. */
void turn_pass_on(struct engine_claim *claim);

/* ---- renewals.c ---- */

/* Room for every claim is made when it is created, so that waking never needs memory: false. */
bool renewals_reserve(struct engine *engine, size_t claims);
void renewals_add(struct engine_claim *claim);
void renewals_leave(struct engine_claim *claim);
/* Those that are nearly due go with those that are. */
void renewals_join(struct engine *engine, uint64_t now_ms);
/* The store may answer at once, and the answers may bring new renewals. */
void renewals_send(struct engine *engine);

/* ---- values.c ---- */

/* Whoever asked for a value to be stored is told how that ended. */
void value_end(struct engine_claim *claim, enum mpsync_status status);
/* An adopted grant keeps its value. Without memory it has none from here on, as the store will
 * show. */
void value_adopt(struct engine_claim *claim, const char *value);

/* ---- reports.c ---- */

void report_event(struct engine_claim *claim, const struct engine_event *event);
/* What its last step says. */
void report_claim(struct engine_claim *claim, const struct store_word *word);
void report_waiting(struct engine_claim *claim, const struct store_word *word);
/* Why the store did not do as it was asked; NULL: it did not say. */
void report_remember(struct engine_claim *claim, const char *message);
/* Nobody is left in silence: whoever waits hears why once, and each minute. */
void report_trouble(struct engine_claim *claim, enum mpsync_status status, bool refused);
/*
 * What is refused to a holder ends in a loss, or in a record that stays: that is told at once, and
 * once until the store does again as it is asked.
 */
void report_refusal(
    struct engine_claim *claim, enum mpsync_status status, const struct store_word *word);

#endif
