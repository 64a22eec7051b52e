/*
 * How quickly a store answers, and how soon it tells of a write, as measured; and how long the
 * places of waiters last, which follows from it (rule 49, places instead of a herd). A wrong
 * measurement costs time and writes, never exclusion. Nothing here reads a clock.
 */
#ifndef MPSYNC_STORES_RECORDS_PACE_H
#define MPSYNC_STORES_RECORDS_PACE_H

#include <stdint.h>

/* All zero at first: nothing was measured. */
struct pace {
	uint32_t answer; /* from a request to its answer: an average, in parts of a ms */
	uint32_t echo;   /* from a write to its event: likewise */
};

void pace_answered(struct pace *pace, uint64_t took_ms);
void pace_echoed(struct pace *pace, uint64_t took_ms);

/* Another client's write was made and heard of within this time: a round is no longer than that. */
void pace_outrun(struct pace *pace, uint64_t took_ms);

/* The longest time in which a client that writes cannot know of another's write. */
uint64_t pace_round_ms(const struct pace *pace);
/* How long a place is left to its owner while the name is free. */
uint64_t pace_place_ms(const struct pace *pace);

/*
 * An estimate of how many other contenders want a name, from how soon one of them writes when all
 * of them may. All zero at first: none.
 */
struct rivals {
	uint32_t count; /* in parts */
};

/*
 * The first write came so long after all contenders were allowed to write, as this client heard of
 * it; they were spread over `windows` times rivals_window_ms.
 */
void rivals_seen(
    struct rivals *rivals, const struct pace *pace, uint64_t after_ms, uint32_t windows);
/* All places are taken, so there are at least as many rivals as places. */
void rivals_crowd(struct rivals *rivals);

/*
 * The window within which all contenders write, each at a random moment: about three writes in two
 * rounds. 0: at once.
 */
uint64_t rivals_window_ms(const struct rivals *rivals, const struct pace *pace);
/* A moment of that window, moved forward: the longer nobody writes, the fewer rivals there are. */
uint64_t rivals_hasten_ms(const struct pace *pace, uint64_t moment_ms);
/*
 * The window for writing a place into the record: the more places are taken, the less urgent it is.
 */
uint64_t rivals_reserve_window_ms(
    const struct rivals *rivals, const struct pace *pace, uint32_t taken);

#endif
