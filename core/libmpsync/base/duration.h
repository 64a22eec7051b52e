/* Durations as people and the wire write them: "15s", "250ms", "1.5s". */
#ifndef MPSYNC_DURATION_H
#define MPSYNC_DURATION_H

#include <stdbool.h>
#include <stdint.h>

#define DURATION_TEXT_SIZE 32

/*
 * Durations that people set: digits with at most three decimals and one of ms, s, m, h; at most
 * 1000 hours.
 */
bool duration_parse(const char *text, uint64_t *ms);

/* Whether it is one of more than those 1000 hours: why duration_parse does not take it. */
bool duration_is_too_long(const char *text);

/* Durations that other programs report: the same form, but up to 2^53 ms. */
bool duration_read(const char *text, uint64_t *ms);

/* Seconds with three decimals: "11.900s". */
void duration_format(char text[DURATION_TEXT_SIZE], uint64_t ms);

#endif
