/*
 * The process between `mpsync` and its keeper, which outlives the keeper: it kills what the command
 * started when the keeper was killed, or does not run as the right's end comes near.
 */
#ifndef MPSYNC_CLI_GUARD_H
#define MPSYNC_CLI_GUARD_H

#include "link.h"

/* Returns when the keeper has ended, and with it, or by the guard, what it had started. */
void guard_run(const struct link *link, pid_t keeper, const char *name);

#endif
