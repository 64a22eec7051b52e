/* The names that an observer has been told of: whoever looks anew tells it which of them are gone.
 */
#ifndef MPSYNC_STORES_RECORDS_SEEN_H
#define MPSYNC_STORES_RECORDS_SEEN_H

#include <stdint.h>

struct seen_name {
	struct seen_name *next; /* of those that are gone, while they are told */
	char *name;
	uint64_t version; /* what was told last, for the caller; 0 at first */
	unsigned round;
};

/* All zero: none. */
struct seen {
	void *names; /* tsearch tree of struct seen_name */
	unsigned round;
};

/* A look at all names begins: none has been found yet. */
void seen_begin(struct seen *seen);
/* This name is there. NULL without memory. */
struct seen_name *seen_there(struct seen *seen, const char *name);
void seen_gone(struct seen *seen, const char *name);
/* The look has ended: tells of each name that was not found, and forgets it. */
void seen_sweep(struct seen *seen, void (*gone)(void *context, const char *name), void *context);
void seen_clear(struct seen *seen);

#endif
