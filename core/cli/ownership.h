/* Variables of the command's environment that describe the right it runs under. */
#ifndef MPSYNC_CLI_OWNERSHIP_H
#define MPSYNC_CLI_OWNERSHIP_H

#include "right.h"

#define OWNERSHIP_COUNT 5

struct ownership {
	char *variables[OWNERSHIP_COUNT]; /* NAME=VALUE */
};

/* False without memory; ownership_clear is needed even then. */
bool ownership_make(struct ownership *ownership, const struct right *right, const char *name);
void ownership_clear(struct ownership *ownership);

/*
 * Does this process run under the very grant that it waits for? Then it would wait for ever. Asks
 * the store if the environment has such a name and holder.
 */
bool ownership_is_own(const struct right *right, const char *name, const char *holder);

#endif
