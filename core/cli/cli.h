/* What the files of the commands share. */
#ifndef MPSYNC_CLI_H
#define MPSYNC_CLI_H

#include "elector/command_line.h"
#include "output.h"

#include <mpsync.h>
#include <stdbool.h>

/* As the option `wait` of the URL or the environment says, else for ever. */
#define WAIT_AS_SET (-2)

/* The arguments that a command takes. */
struct command_shape {
	const char *name;
	unsigned flags; /* the commands of flags.h whose flags it has */
	int names;      /* how many positional arguments */
	bool executes;  /* a COMMAND follows */
};

/* The command line, taken apart. Texts are those of argv. */
struct arguments {
	mpsync_options *options;
	char **positional;
	int positional_count;
	char **command; /* COMMAND and its arguments, or NULL */
	const char *prefix;
	const char *value;
	int64_t wait_ms;  /* milliseconds, or WAIT_AS_SET */
	int64_t grace_ms; /* milliseconds; -1: not given */
	bool help;
	bool version;
	bool json;
	bool watch;
	bool once;
	bool force;
	bool now;
	bool quiet;
	bool wait_all; /* hold on until all that COMMAND started has ended */
	bool kill_all; /* end all that COMMAND started when COMMAND has ended */
};

/* 0, or the exit code after an error was printed. */
int arguments_parse(
    struct arguments *arguments, int argc, char **argv, const struct command_shape *shape);
void arguments_clear(struct arguments *arguments);

/* A client of the arguments' URL. NULL after an error was printed; *code is the exit code then. */
mpsync_client *open_client(const struct arguments *arguments, mpsync_queue *queue, int *code);

int command_lock(const struct arguments *arguments);
int command_elect(const struct arguments *arguments);
int command_ls(const struct arguments *arguments);
int command_watch(const struct arguments *arguments);
int command_status(const struct arguments *arguments);
int command_release(const struct arguments *arguments);
int command_doctor(const struct arguments *arguments);

#endif
