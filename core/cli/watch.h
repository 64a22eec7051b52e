/*
 * Watches the keeper's times on the board, in a process that is not the keeper: it ends what runs
 * under a right that the keeper neither renews nor ends in time.
 */
#ifndef MPSYNC_CLI_WATCH_H
#define MPSYNC_CLI_WATCH_H

#include "link.h"

/*
 * The guard acts when the keeper is late by two quarters of the time that it had for acting,
 * `mpsync` at three, in case the guard fails as well.
 */
enum watch_patience { WATCH_GUARD = 2, WATCH_MPSYNC = 3 };

#define WATCH_NEVER UINT64_MAX

struct watch {
	const struct link *link;
	const char *name;
	enum watch_patience patience;
	bool told_to_end; /* SIGTERM was sent to what runs under the present times */
	bool killed;
};

/* Do what is due. Returns when to look again, unless the keeper rings before. */
uint64_t watch_look(struct watch *watch);

/* Say what became of the keeper, and that this process acts in its place. */
void watch_say(const struct watch *watch, const char *what);

/* The timer becomes readable at that time of the boot clock. */
void watch_arm(int timer, uint64_t at_ms);

#endif
