#include "pace.h"

/* Averages are kept in these parts of a millisecond, and of a rival. */
#define PARTS 64
/*
 * The weight of a new time in the average is one part of so many: where it is longer, where it is
 * shorter (a client that writes seldom soon forgets how long connecting took), and where it is the
 * time of another client's write.
 */
#define RISING  8
#define FALLING 4
#define OUTRUN  128

/*
 * The clock counts whole milliseconds, so a round is at least one; and places do not wait longer
 * than this for a slow server.
 */
#define LEAST_ROUND_MS 1
#define MOST_ROUND_MS  1000

/*
 * How many rounds a place lasts: for the event, the write, its event, and one for a busy machine.
 */
#define PLACE_ROUNDS   4
#define LEAST_PLACE_MS 20
#define MOST_PLACE_MS  2000
/* How long a place lasts before anything was measured. */
#define PLACE_MS 50

/* The most that one quick write adds to the number of rivals, besides its share. */
#define RISE        8
#define MOST_RIVALS 256
/* After so many rounds in which nobody wrote, twice as many contenders write in the same time. */
#define HASTE_ROUNDS   8
#define MOST_WINDOW_MS 5000
/* So many contenders may have come together before any of them could know of the others. */
#define CROWD 16

static uint64_t between(uint64_t least, uint64_t value, uint64_t most)
{
	if (value < least)
		return least;
	return value < most ? value : most;
}

/*
 * A busy machine is late now and then by a hundred times as much: such a time counts as twice the
 * average only.
 */
static void follow(uint32_t *average, uint64_t took_ms, uint32_t falling)
{
	const uint32_t took = (uint32_t)between(0, took_ms, MOST_ROUND_MS) * PARTS;
	const uint32_t most = 2 * *average + PARTS;

	if (*average == 0)
		*average = took + 1;
	else if (took < *average)
		*average -= (*average - took) / falling;
	else
		*average += ((took < most ? took : most) - *average) / RISING;
}

void pace_answered(struct pace *pace, uint64_t took_ms)
{
	follow(&pace->answer, took_ms, FALLING);
}

void pace_echoed(struct pace *pace, uint64_t took_ms)
{
	follow(&pace->echo, took_ms, FALLING);
}

void pace_outrun(struct pace *pace, uint64_t took_ms)
{
	const uint32_t took = (uint32_t)between(LEAST_ROUND_MS, took_ms, MOST_ROUND_MS) * PARTS;

	if (took < pace->answer)
		follow(&pace->answer, took_ms, OUTRUN);
	if (took < pace->echo)
		follow(&pace->echo, took_ms, OUTRUN);
}

/* In parts of a millisecond. */
static uint64_t round_of(const struct pace *pace)
{
	return between(LEAST_ROUND_MS * PARTS, pace->echo > pace->answer ? pace->echo : pace->answer,
	    MOST_ROUND_MS * PARTS);
}

uint64_t pace_round_ms(const struct pace *pace)
{
	return (round_of(pace) + PARTS - 1) / PARTS;
}

uint64_t pace_place_ms(const struct pace *pace)
{
	if (pace->answer == 0)
		return PLACE_MS;
	return between(LEAST_PLACE_MS, round_of(pace) * PLACE_ROUNDS / PARTS, MOST_PLACE_MS);
}

static void add(struct rivals *rivals, uint32_t count)
{
	rivals->count = (uint32_t)between(PARTS, rivals->count + count, MOST_RIVALS * PARTS);
}

void rivals_crowd(struct rivals *rivals)
{
	if (rivals->count < CROWD * PARTS)
		rivals->count = CROWD * PARTS;
}

/*
 * If each of n contenders writes at a random moment of a window of n × 2/3 rounds, the first write
 * comes after 2/3 of a round on average, and is heard of one round later. A write that is heard of
 * sooner means more rivals, a later one means fewer. The estimate grows by a sum and a share and
 * shrinks by a share alone: all contenders see much the same, so their estimates converge whatever
 * each began with.
 */
void rivals_seen(
    struct rivals *rivals, const struct pace *pace, uint64_t after_ms, uint32_t windows)
{
	const int64_t expected = (int64_t)((3 + 2 * windows) * round_of(pace) / 3);
	const int64_t early = expected - (int64_t)between(0, after_ms * PARTS, 2 * (uint64_t)expected);

	if (early > 0)
		add(rivals, (uint32_t)((RISE * PARTS + rivals->count / 64) * early / expected));
	else
		rivals->count -= (uint32_t)(rivals->count / 8 * -early / expected);
}

static uint64_t window_ms(uint64_t rivals, const struct pace *pace, uint64_t times)
{
	return between(0, rivals * round_of(pace) * times / PARTS / PARTS, MOST_WINDOW_MS);
}

uint64_t rivals_window_ms(const struct rivals *rivals, const struct pace *pace)
{
	return window_ms(rivals->count, pace, 1);
}

/*
 * If as many rivals had come as are reckoned with, one would have written by the end of the first
 * step: there are fewer, and the window shrinks.
 */
uint64_t rivals_hasten_ms(const struct pace *pace, uint64_t moment_ms)
{
	const uint64_t step_ms = HASTE_ROUNDS * pace_round_ms(pace);
	uint64_t span_ms = step_ms;
	uint64_t before_ms = 0;

	while (moment_ms > span_ms) {
		moment_ms -= span_ms;
		before_ms += step_ms;
		span_ms *= 2;
	}
	return before_ms + moment_ms * step_ms / span_ms;
}

uint64_t rivals_reserve_window_ms(
    const struct rivals *rivals, const struct pace *pace, uint32_t taken)
{
	const uint64_t least = CROWD * PARTS;

	return window_ms(rivals->count > least ? rivals->count : least, pace, 2 * (1 + taken));
}
