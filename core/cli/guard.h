/*
 * The process between `mpsync` and its keeper. It outlives the keeper, and kills what the command
 * started when the keeper was killed, or when the keeper does not act although the right's end
 * comes near.
 */
#ifndef MPSYNC_CLI_GUARD_H
#define MPSYNC_CLI_GUARD_H

#include "link.h"

/* Returns when the keeper has ended, and all that it had started as well. */
void guard_run(const struct link *link, pid_t keeper, const char *name);

#endif
