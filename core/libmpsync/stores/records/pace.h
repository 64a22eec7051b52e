/*
 * How quickly a store answers, and how soon it tells of a write, as it was measured; and the times
 * in the order of those who wait that follow from it (rule 49). They are politeness: what is
 * measured wrongly costs time and writes, never exclusion. Nothing here reads a clock.
 */
#ifndef MPSYNC_STORES_RECORDS_PACE_H
#define MPSYNC_STORES_RECORDS_PACE_H

#include <stdint.h>

/* All zero at first: nothing is known. */
struct pace {
	uint32_t answer; /* from a request to its answer, smoothed; in parts of a millisecond */
	uint32_t echo;   /* from a write to the event of it */
};

void pace_answered(struct pace *pace, uint64_t took_ms);
void pace_echoed(struct pace *pace, uint64_t took_ms);

/* Another's write was made, and heard of, within so long: a round is no longer than that. */
void pace_outrun(struct pace *pace, uint64_t took_ms);

/* So long whoever writes cannot know of another's write. */
uint64_t pace_round_ms(const struct pace *pace);
/* A place in the order is left to its owner so long while the name is free. */
uint64_t pace_place_ms(const struct pace *pace);

/*
 * How many want one name beside us, as their traces tell: how soon somebody writes where
 * all of them may. All zero at first: nobody.
 */
struct rivals {
	uint32_t count; /* in parts */
};

/* The first wrote so long after all might, as we heard of it, `windows` being how many they had. */
void rivals_seen(
    struct rivals *rivals, const struct pace *pace, uint64_t after_ms, uint32_t windows);
/* All places are taken: there are more than that. */
void rivals_crowd(struct rivals *rivals);

/* They write within so long, each at a moment of its own: three in two rounds. 0: at once. */
uint64_t rivals_window_ms(const struct rivals *rivals, const struct pace *pace);
/* A moment of that window, made sooner: the longer nobody writes, the fewer there are. */
uint64_t rivals_hasten_ms(const struct pace *pace, uint64_t moment_ms);
/* The window for places in the order: the more are taken, the less is there any hurry. */
uint64_t rivals_reserve_window_ms(
    const struct rivals *rivals, const struct pace *pace, uint32_t taken);

#endif
