/* The texts that explain the commands. */
#ifndef MPSYNC_CLI_HELP_H
#define MPSYNC_CLI_HELP_H

#include "cli.h"

#include <stdio.h>

/* "lock [OPTION…] NAME [--] COMMAND…" */
const char *help_usage(const char *command);

/* All commands, one line each. */
void help_print_commands(FILE *out);

/* One command: usage, description, flags and examples. */
void help_print(const struct command_shape *shape);

#endif
