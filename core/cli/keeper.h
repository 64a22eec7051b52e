/* The process between `mpsync` and the command: it holds the right, and ends the command before it.
 */
#ifndef MPSYNC_CLI_KEEPER_H
#define MPSYNC_CLI_KEEPER_H

#include "cli.h"

/* Runs in the forked child; returns the exit code. */
int keeper_run(const struct arguments *arguments, bool election);

#endif
