#ifndef MPSYNC_CLI_EXIT_CODES_H
#define MPSYNC_CLI_EXIT_CODES_H

/* Exit codes of our own (man page); those of a command are passed on. */
enum {
	EXIT_LOST = 120,
	EXIT_NOT_ACQUIRED = 121,
	EXIT_STORE = 122,
	EXIT_USAGE = 125,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNAL = 128
};

#endif
