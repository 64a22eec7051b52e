/* What the commands and the elector share: flags with their help, exit codes, complaints. */
#ifndef MPSYNC_COMMAND_LINE_H
#define MPSYNC_COMMAND_LINE_H

#include <getopt.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of our own (man page); those of a command are passed on. */
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

/* The exit code for what a call came to. */
int exit_code_of(int32_t status);

/* Prints "mpsync: …" and returns `code`. Control characters are escaped. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct flag {
	const char *name;    /* without its dashes */
	const char *value;   /* what stands behind it, or NULL */
	int id;              /* -h and -V are the letters themselves */
	unsigned commands;   /* a set of those that have it, where the program has several */
	const char *meaning; /* a sentence, with its default */
};

/* Those that every command has. */
#define FLAG_HELP    'h'
#define FLAG_VERSION 'V'

/* `options` has room for one more, the end. */
void flags_to_options(const struct flag *flags, size_t count, struct option *options);

/* No flag has these ids. */
#define FLAG_NONE  (-1)
#define FLAG_WRONG '?'

/* The next flag's id, FLAG_NONE at the first word that is none, FLAG_WRONG after an error was
 * printed.
 */
int flags_next(int argc, char **argv, const struct option *options, const char *command);

/* To standard output, a line each: those of any of these commands. */
void flags_print(const struct flag *flags, size_t count, unsigned commands);

#endif
