/*
 * The process that holds the right and is the command's parent. It ends the command before the
 * right ends (docs/processes.md).
 */
#ifndef MPSYNC_CLI_KEEPER_H
#define MPSYNC_CLI_KEEPER_H

#include "cli.h"
#include "command.h"
#include "link.h"

struct keeper_start {
	const struct arguments *arguments;
	bool election;
	struct link *link;
	const struct origin *origin;
	sigset_t watched; /* the signals that the keeper takes */
	pid_t mpsync;
};

/* Runs in a process of its own; its result stands on the board. */
void keeper_run(const struct keeper_start *start);

#endif
