/* What the commands and the elector share: flags with their help, exit codes, error messages. */
#ifndef MPSYNC_COMMAND_LINE_H
#define MPSYNC_COMMAND_LINE_H

#include <getopt.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of mpsync itself (see the man page). The code of a COMMAND is passed on. */
enum {
	EXIT_FREE = 1, /* status: nobody holds it */
	EXIT_LOST = 120,
	EXIT_NOT_ACQUIRED = 121,
	EXIT_STORE = 122,
	EXIT_USAGE = 125,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNAL = 128
};

/* The exit code for a library call that returned this status. */
int exit_code_of(int32_t status);

/* Prints "mpsync: …" and returns `code`. Control characters are escaped. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct flag {
	const char *name;    /* without its dashes */
	const char *value;   /* the name of its value in the help, or NULL */
	int id;              /* -h and -V are the letters themselves */
	unsigned commands;   /* a set of the commands that have the flag */
	const char *meaning; /* a sentence for the help, with the default */
};

/* The flags that every command has. */
#define FLAG_HELP    'h'
#define FLAG_VERSION 'V'

/* `options` has room for `count` and one more, the end. */
void flags_to_options(const struct flag *flags, size_t count, struct option *options);

/* Ids that no flag has. */
#define FLAG_NONE  (-1)
#define FLAG_WRONG '?'

/*
 * The id of the next flag; FLAG_NONE at the first word that is no flag; FLAG_WRONG after an error
 * was printed.
 */
int flags_next(int argc, char **argv, const struct option *options, const char *command);

/* Print the flags of any of these commands to standard output, one line each. */
void flags_print(const struct flag *flags, size_t count, unsigned commands);

#endif
