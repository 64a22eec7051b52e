/*
 * How long a command waits for a name, its store included: with --wait, a store that is not up yet
 * is asked again until the time is over. A campaign without an end that has led before is asked for
 * again whatever the store says: what was allowed once may be allowed again.
 */
#ifndef MPSYNC_CLI_PATIENCE_H
#define MPSYNC_CLI_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define PATIENCE_NEVER UINT64_MAX

struct patience {
	uint64_t give_up_ms; /* boot clock, the end of the wait; 0: it has no end */
	uint64_t retry_ms;   /* boot clock; PATIENCE_NEVER: nothing is asked again */
	uint64_t tell_ms;    /* when it is told next that the store is waited for */
	bool without_end;
};

/* A wait of so long begins; -1: for ever. */
void patience_begin(struct patience *patience, int64_t wait_ms, uint64_t now_ms);

/* The store did not answer. True: ask again at retry_ms. */
bool patience_has_more(struct patience *patience, uint64_t now_ms);

/* The store refuses what it granted before: likewise. */
bool patience_bears(struct patience *patience, uint64_t now_ms);

/* Whether it is to be told that the store is waited for: at first, and each minute. */
bool patience_tells(struct patience *patience, uint64_t now_ms);

/* Is it time to ask again? */
bool patience_retries(struct patience *patience, uint64_t now_ms);

/* What is left of the wait; wait_ms itself where the wait has no end. */
int64_t patience_left_ms(const struct patience *patience, int64_t wait_ms, uint64_t now_ms);

#endif
