/*
 * One question that is sent again while it gets no answer. Further requests join the first, each
 * over a connection of its own, since the former connection may hang (rule 28, one silent
 * connection stops nobody). Nothing here sends, or reads a clock.
 */
#ifndef MPSYNC_FURTHER_H
#define MPSYNC_FURTHER_H

#include <stdbool.h>
#include <stdint.h>

#define FURTHER_NEVER UINT64_MAX
/* How many requests of one question are under way at most. */
#define FURTHER_MOST 3
/*
 * If further requests are farther apart than this, the last one is sent so long before the end, and
 * one of the FURTHER_MOST is kept for it.
 */
#define FURTHER_LAST_MS 2500

struct further {
	uint64_t every_ms; /* after so long without an answer a further one is sent */
	uint64_t until_ms; /* nobody wants the answer after this */
	uint64_t next_ms;  /* when a further request is due */
	uint64_t last_ms;  /* when the last one is due; FURTHER_NEVER: it comes by the others' pace */
	uint32_t under_way;
	uint32_t sent; /* requests so far; after several a failed one may yet be done */
};

/* The first request is sent now. every_ms 0: there are no further ones. */
void further_begin(struct further *further, uint64_t now_ms, uint64_t every_ms, uint64_t until_ms);

/* When to call further_send; FURTHER_NEVER: not before a request has ended. */
uint64_t further_next_ms(const struct further *further);

/* Is a further request due now? Then it counts as sent. */
bool further_send(struct further *further, uint64_t now_ms);

/* A request ended without an answer. True: it was the last one, so the question is over. */
bool further_failed(struct further *further);

/* How long a request that is sent now may last, if each may last lasts_ms. */
uint64_t further_lasts_ms(const struct further *further, uint64_t now_ms, uint64_t lasts_ms);

#endif
