/*
 * Looking after the keeper's times on the board, for a process that is not the keeper: what runs
 * under a right that the keeper neither renews nor ends in time is ended in its place.
 */
#ifndef MPSYNC_CLI_WATCH_H
#define MPSYNC_CLI_WATCH_H

#include "link.h"

/* In quarters of the time in which the keeper should have acted; whoever comes later is the
 * reserve. */
enum watch_patience { WATCH_GUARD = 2, WATCH_MPSYNC = 3 };

#define WATCH_NEVER UINT64_MAX

struct watch {
	const struct link *link;
	const char *name;
	enum watch_patience patience;
	bool told_to_end; /* what runs under the present times */
	bool killed;
};

/* Does what is due; when to look again, unless the keeper rings before. */
uint64_t watch_look(struct watch *watch);

/* Says what became of the keeper, and that this process acts for it. */
void watch_say(const struct watch *watch, const char *what);

/* A timer that polls as readable at that time of the boot clock. */
void watch_arm(int timer, uint64_t at_ms);

#endif
