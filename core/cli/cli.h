/* What the commands share. */
#ifndef MPSYNC_CLI_H
#define MPSYNC_CLI_H

#include "elector/command_line.h"
#include "output.h"

#include <mpsync.h>
#include <stdbool.h>

/* As the URL or the environment says, else for ever. */
#define WAIT_AS_SET (-2)

/* What a command may be given. */
struct command_shape {
	const char *name;
	unsigned flags; /* which of flags.h */
	int names;      /* positional arguments */
	bool executes;  /* a COMMAND follows */
};

/* The command line, taken apart. Strings are those of argv. */
struct arguments {
	mpsync_options *options;
	char **positional;
	int positional_count;
	char **command; /* what is to be run, or NULL */
	const char *prefix;
	const char *value;
	int64_t wait_ms;  /* or WAIT_AS_SET */
	int64_t grace_ms; /* -1: not given */
	bool help;
	bool version;
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
int arguments_parse(
    struct arguments *arguments, int argc, char **argv, const struct command_shape *shape);
void arguments_clear(struct arguments *arguments);

/* A client on the arguments' URL; NULL, and the exit code, after an error was printed. */
mpsync_client *open_client(const struct arguments *arguments, mpsync_queue *queue, int *code);

int command_lock(const struct arguments *arguments);
int command_elect(const struct arguments *arguments);
int command_ls(const struct arguments *arguments);
int command_watch(const struct arguments *arguments);
int command_status(const struct arguments *arguments);
int command_release(const struct arguments *arguments);
int command_doctor(const struct arguments *arguments);

#endif
