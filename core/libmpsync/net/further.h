/*
 * One question that is sent again while nobody answers it: further requests join it, each over a
 * connection of its own, since the former one may hang (rule 28). Nothing here sends, or reads a
 * clock.
 */
#ifndef MPSYNC_FURTHER_H
#define MPSYNC_FURTHER_H

#include <stdbool.h>
#include <stdint.h>

#define FURTHER_NEVER UINT64_MAX
/* So many requests of one question are under way at most. */
#define FURTHER_MOST 3
/* Where they are sent less often, the last is sent so long before the end, and a place is kept for
 * it. */
#define FURTHER_LAST_MS 2500

struct further {
	uint64_t every_ms; /* after so long without an answer one more is sent */
	uint64_t until_ms; /* from then on nobody wants the answer */
	uint64_t next_ms;  /* when the next one is due */
	uint64_t last_ms;  /* when the last one is due; FURTHER_NEVER: it comes by the others' pace */
	uint32_t under_way;
	uint32_t sent; /* more than one: what was asked for may be done although another one failed */
};

/* The first is sent now. every_ms 0: it stays the only one. */
void further_begin(struct further *further, uint64_t now_ms, uint64_t every_ms, uint64_t until_ms);

/* When to ask whether one more is to be sent; FURTHER_NEVER: not before one has ended. */
uint64_t further_next_ms(const struct further *further);

/* Is one more to be sent now? It counts as sent then. */
bool further_send(struct further *further, uint64_t now_ms);

/* One of them ended without an answer. True: it was the last, and the question is over. */
bool further_failed(struct further *further);

/* How long a request that is sent now may last, when each lasts lasts_ms. */
uint64_t further_lasts_ms(const struct further *further, uint64_t now_ms, uint64_t lasts_ms);

#endif
