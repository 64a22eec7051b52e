/* The COMMAND that runs under the right: its environment, and its start. */
#ifndef MPSYNC_CLI_COMMAND_H
#define MPSYNC_CLI_COMMAND_H

#include "cli.h"
#include "link.h"

#include <signal.h>

/* What `mpsync` inherited when it was started, and passes on to the command. */
struct origin {
	sigset_t mask;
	struct sigaction on_pipe;  /* what was done on SIGPIPE */
	struct sigaction on_child; /* what was done on SIGCHLD */
};

struct command {
	char **arguments;
	char **environment;
	const struct origin *origin;
	struct link *link;
	bool stopped; /* the job is stopped, so the command begins stopped */
};

/* The environment with these variables (NULL: leave it as it is); the caller frees it by free(). */
char **environment_with(char *const *variables, size_t count);

/*
 * The command's process id; -1: errno says why not. The process waits at the gate, with all signals
 * blocked, and becomes the command when command_begin opens that.
 */
pid_t command_start(const struct command *command, int *gate);
void command_begin(int gate);

#endif
