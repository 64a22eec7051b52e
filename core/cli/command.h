/* The command itself: its environment, and its beginning. */
#ifndef MPSYNC_CLI_COMMAND_H
#define MPSYNC_CLI_COMMAND_H

#include "cli.h"
#include "link.h"

#include <signal.h>

/* What `mpsync` was started with, and the command shall be too. */
struct origin {
	sigset_t mask;
	struct sigaction on_pipe;  /* SIGPIPE */
	struct sigaction on_child; /* SIGCHLD */
};

struct command {
	char **arguments;
	char **environment;
	const struct origin *origin;
	struct link *link;
	bool stopped; /* it begins stopped, as the job is */
};

/* The environment with these variables (NULL: keep what there is); freed by free(). */
char **environment_with(char *const *variables, size_t count);

/* Its process id, or -1 (errno). */
pid_t command_start(const struct command *command);

#endif
