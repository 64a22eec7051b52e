/* The flags of the commands. */
#ifndef MPSYNC_CLI_FLAGS_H
#define MPSYNC_CLI_FLAGS_H

#include "base/options.h"
#include "elector/command_line.h"

#include <stdbool.h>

/* A set of commands. */
enum {
	FOR_LOCK = 1,
	FOR_ELECT = 2,
	FOR_LS = 4,
	FOR_WATCH = 8,
	FOR_STATUS = 16,
	FOR_RELEASE = 32,
	FOR_DOCTOR = 64,
	FOR_VERSION = 128,
	FOR_RUNNING = FOR_LOCK | FOR_ELECT,
	FOR_STORE = 127,
	FOR_ALL = 255
};

/* Flags of the command line alone; ids below OPTION_COUNT are the library's options. */
enum own {
	OWN_WAIT = 1000,
	OWN_GRACE,
	OWN_PREFIX,
	OWN_VALUE,
	OWN_JSON,
	OWN_WATCH,
	OWN_ONCE,
	OWN_FORCE,
	OWN_NOW,
	OWN_QUIET,
	OWN_VERBOSE,
	OWN_WAIT_ALL,
	OWN_KILL_ALL
};

#define OWN_COUNT  15
#define FLAG_COUNT (OWN_COUNT + OPTION_COUNT - 1)

/* First the flags of the command line alone, then the library's options. */
extern const struct flag flag_table[FLAG_COUNT];

/* The flag with this id; NULL: there is none. */
const struct flag *flag_of(int id);

/* Is this word a flag of one of these commands, with or without its value? */
bool flag_is_written(const char *word, unsigned commands);

#endif
