/*
 * Callers of the old wire do not say who they are, so all of them are one holder. Its name is
 * public; the key that its claims are made with is not.
 */
#ifndef MPSYNC_ELECTOR_ANONYMOUS_H
#define MPSYNC_ELECTOR_ANONYMOUS_H

#include "base/id.h"

struct anonymous {
	char holder[256];
	struct id key;
};

#define ANONYMOUS_WARNING_SIZE 512

/*
 * Name and key stay the same after a restart with the same state folder. A second elector that runs
 * at the same time gets others, but for electors of one Pod (POD_UID). False without randomness.
 * `warning` says why they are not kept for a restart, or is empty.
 */
bool anonymous_open(struct anonymous *anonymous, char warning[ANONYMOUS_WARNING_SIZE]);

/* The holder's claim for a name, which nobody can compute without the key. False without memory. */
bool anonymous_claim(const struct id *key, const char *name, struct id *claim);

#endif
