/* What the commands share. */
#ifndef MPSYNC_CLI_H
#define MPSYNC_CLI_H

#include "exit_codes.h"
#include "output.h"

#include <mpsync.h>
#include <stdbool.h>

/* The command line, taken apart. Strings are those of argv. */
struct arguments {
	mpsync_options *options;
	char **positional;
	int positional_count;
	char **command; /* after --, or NULL */
	const char *prefix;
	const char *value;
	int64_t wait_ms;  /* -2: as the URL or the environment says */
	int64_t grace_ms; /* -1: not given */
	bool json;
	bool watch;
	bool once;
	bool force;
	bool now;
	bool quiet;
	bool wait_all; /* until what the command started has ended too */
	bool kill_all; /* it is ended with the command */
};

/* 0, or the exit code after an error was printed. */
int arguments_parse(struct arguments *arguments, int argc, char **argv);
void arguments_clear(struct arguments *arguments);

/* The exit code for what a call came to. */
int exit_code_of(int32_t status);

/* A client on the arguments' URL; NULL after an error was printed. */
mpsync_client *open_client(const struct arguments *arguments, mpsync_queue *queue);

int command_lock(const struct arguments *arguments);
int command_elect(const struct arguments *arguments);
int command_ls(const struct arguments *arguments);
int command_watch(const struct arguments *arguments);
int command_status(const struct arguments *arguments);
int command_release(const struct arguments *arguments);
int command_doctor(const struct arguments *arguments);

#endif
