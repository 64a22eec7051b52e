/*
 * Watches the keeper's times on the board, in a process that is not the keeper: it ends what runs
 * under a right that the keeper neither renews nor ends in time.
 */
#ifndef MPSYNC_CLI_WATCHDOG_H
#define MPSYNC_CLI_WATCHDOG_H

#include "link.h"

/*
 * The guard acts when the keeper is late by two quarters of the time that it had for acting,
 * `mpsync` at three, in case the guard fails as well.
 */
enum watchdog_patience { WATCHDOG_GUARD = 2, WATCHDOG_MPSYNC = 3 };

#define WATCHDOG_NEVER UINT64_MAX

struct watchdog {
	const struct link *link;
	const char *name;
	enum watchdog_patience patience;
	bool told_to_end; /* SIGTERM was sent to what runs under the present times */
	bool killed;
};

/* Do what is due. Returns when to look again, unless the keeper rings before. */
uint64_t watchdog_look(struct watchdog *watchdog);

/* Say what became of the keeper, and that this process acts in its place. */
void watchdog_say(const struct watchdog *watchdog, const char *what);

/* The timer becomes readable at that time of the boot clock. */
void watchdog_arm(int timer, uint64_t at_ms);

#endif
