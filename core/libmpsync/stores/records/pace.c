#include "pace.h"

/* Averages of times and the estimate of rivals are fixed-point numbers: 64 parts to one. */
#define PARTS 64
/*
 * A new time moves the average by an eighth of the difference upwards, by a quarter downwards: a
 * client that writes seldom then soon forgets how long it waited for a busy machine.
 */
#define RISING  8
#define FALLING 4
/* The first request opens the connection: one round trip for TCP, two for TLS, one of its own. */
#define FIRST 4

/*
 * The clock counts whole milliseconds, so a round is at least one; and places do not wait longer
 * than this for a slow server.
 */
#define LEAST_ROUND_MS 1
#define MOST_ROUND_MS  1000

/* Rounds that a place lasts: the event, the write, its event, and one for a busy machine. */
#define PLACE_ROUNDS   4
#define LEAST_PLACE_MS 10
#define MOST_PLACE_MS  2000
/* How long a place lasts before anything was measured. */
#define PLACE_MS 50

#define MOST_RIVALS 256
/* The estimate of rivals shrinks by this fraction with each race, and with each silent step. */
#define PASSED 128
#define SILENT 4
/* After this many races that met no rival the estimate is zero. */
#define UNMET 4
/* After so many rounds in which nobody wrote, twice as many contenders write in the same time. */
#define HASTE_ROUNDS   4
#define MOST_WINDOW_MS 5000
/* This many contenders may have come at once, before any of them could know of the others. */
#define TOGETHER 4
/* The least number of rivals while all places are taken. */
#define CROWD 16

static uint64_t between(uint64_t least, uint64_t value, uint64_t most)
{
	if (value < least)
		return least;
	return value < most ? value : most;
}

/*
 * Moves the average towards a new time. On a busy machine a single time may be a hundred times the
 * average, so no time counts as more than twice the average.
 */
static void follow(uint32_t *average, uint64_t took_ms)
{
	const uint32_t took = (uint32_t)between(0, took_ms, MOST_ROUND_MS) * PARTS;
	const uint32_t most = 2 * *average + PARTS;

	if (*average == 0)
		*average = took + 1;
	else if (took < *average)
		*average -= (*average - took) / FALLING;
	else
		*average += ((took < most ? took : most) - *average) / RISING;
}

/* If the first answer did not wait for the connection, the second makes up for it. */
void pace_answered(struct pace *pace, uint64_t took_ms)
{
	if (pace->answers < 2)
		pace->answer = 0;
	follow(&pace->answer, pace->answers == 0 ? took_ms / FIRST : took_ms);
	pace->answers += pace->answers < 2;
}

void pace_echoed(struct pace *pace, uint64_t took_ms)
{
	follow(&pace->echo, took_ms);
}

void pace_outrun(struct pace *pace, uint64_t took_ms)
{
	pace->others[pace->newest++ % PACE_OTHERS] =
	    (uint32_t)between(LEAST_ROUND_MS, took_ms, MOST_ROUND_MS);
}

/*
 * A time may be short because the first of its two events was late, so the longest of a few counts.
 * 0: not known yet.
 */
static uint32_t others_round(const struct pace *pace)
{
	uint32_t longest_ms = 0;

	for (int i = 0; i < PACE_OTHERS; i++) {
		if (pace->others[i] == 0)
			return 0;
		if (pace->others[i] > longest_ms)
			longest_ms = pace->others[i];
	}
	return longest_ms * PARTS;
}

/*
 * In parts of a millisecond. The time of one event is not to be trusted where it is much longer
 * than an answer's: the machine was busy.
 */
static uint64_t round_of(const struct pace *pace)
{
	const uint32_t own = (uint32_t)between(pace->answer, pace->echo, 2 * (uint64_t)pace->answer);
	const uint32_t others = others_round(pace);

	return between(
	    LEAST_ROUND_MS * PARTS, others > 0 && others < own ? others : own, MOST_ROUND_MS * PARTS);
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

/*
 * Doubled by each race that is lost, and taken away by a share: each contender's window becomes as
 * long as the others', whatever it began with, and however it measures a round.
 */
void rivals_met(struct rivals *rivals)
{
	rivals->unmet = 0;
	rivals->count = (uint32_t)between(0, 2 * rivals->count + PARTS, MOST_RIVALS * PARTS);
}

void rivals_unmet(struct rivals *rivals)
{
	if (++rivals->unmet < UNMET)
		return;
	rivals->count /= 2;
	if (rivals->count < PARTS)
		rivals->count = 0;
}

void rivals_crowd(struct rivals *rivals)
{
	if (rivals->count < CROWD * PARTS)
		rivals->count = CROWD * PARTS;
}

/*
 * If each of n contenders writes at a random moment of a window of n × 2/3 rounds, the first write
 * comes after 2/3 of a round on average, and is heard of one round later. Where it comes later,
 * there are fewer. Where it comes sooner there need not be more: one contender that knows of no
 * other writes at once.
 */
void rivals_silent(
    struct rivals *rivals, const struct pace *pace, uint64_t for_ms, uint32_t windows)
{
	const uint64_t expected = (3 + 2 * windows) * round_of(pace) / 3;
	const uint64_t silent = between(expected, for_ms * PARTS, 2 * expected);

	rivals->count -= (uint32_t)(rivals->count / SILENT * (silent - expected) / expected);
}

void rivals_seen(
    struct rivals *rivals, const struct pace *pace, uint64_t after_ms, uint32_t windows)
{
	rivals_silent(rivals, pace, after_ms, windows);
	rivals->count -= rivals->count / PASSED;
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
	const uint64_t least = TOGETHER * PARTS;

	return window_ms(rivals->count > least ? rivals->count : least, pace, 2 * (1 + taken));
}
