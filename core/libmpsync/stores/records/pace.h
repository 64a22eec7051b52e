/*
 * How quickly a store answers, and how soon it tells of a write, as measured; and how long the
 * places of waiters last, which follows from it (rule 49, places instead of a herd). A wrong
 * measurement costs time and writes, never exclusion. Nothing here reads a clock.
 */
#ifndef MPSYNC_STORES_RECORDS_PACE_H
#define MPSYNC_STORES_RECORDS_PACE_H

#include <stdint.h>

/* How many hand-offs between other clients are remembered. */
#define PACE_OTHERS 4

/* All zero at first: nothing was measured. */
struct pace {
	uint32_t answers;             /* how many there were, up to two */
	uint32_t answer;              /* from a request to its answer: an average, in parts of a ms */
	uint32_t echo;                /* from a write to its event: likewise */
	uint32_t others[PACE_OTHERS]; /* from the event of a release to that of a grant, in ms */
	uint32_t newest;
};

void pace_answered(struct pace *pace, uint64_t took_ms);
void pace_echoed(struct pace *pace, uint64_t took_ms);

/*
 * This client heard of a release and, took_ms later, of another client's grant: a round is no
 * longer than that.
 */
void pace_outrun(struct pace *pace, uint64_t took_ms);

/* The longest time in which a client that writes cannot know of another's write. */
uint64_t pace_round_ms(const struct pace *pace);
/* How long a place is left to its owner while the name is free. */
uint64_t pace_place_ms(const struct pace *pace);

/*
 * An estimate of how many other contenders want a name. A lost race shows that there are some;
 * silence while every contender may write shows that there is none. All zero at first: none.
 */
struct rivals {
	uint32_t count; /* in parts */
	uint32_t unmet; /* races that were won since one was lost or seen */
};

/* Another contender's write was quicker than this client's. */
void rivals_met(struct rivals *rivals);
/* This client's write was the first. */
void rivals_unmet(struct rivals *rivals);
/*
 * This client heard of the first write after_ms after all contenders were allowed to write, each at
 * a random moment of `windows` times rivals_window_ms.
 */
void rivals_seen(
    struct rivals *rivals, const struct pace *pace, uint64_t after_ms, uint32_t windows);
/* All contenders were allowed to write for for_ms, likewise spread, and none wrote. */
void rivals_silent(
    struct rivals *rivals, const struct pace *pace, uint64_t for_ms, uint32_t windows);
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
