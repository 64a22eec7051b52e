/* What a person, or a program that reads lines of JSON, is told while it waits. */
#ifndef MPSYNC_CLI_NOTICES_H
#define MPSYNC_CLI_NOTICES_H

#include "cli.h"

#include <sys/types.h>

struct notices {
	const struct arguments *arguments;
	pid_t mpsync; /* its place in the terminal's job control counts */
	bool terminal;
	bool shown; /* a line about waiting stands on the terminal */
};

void notices_init(struct notices *notices, const struct arguments *arguments, pid_t mpsync);
void notices_show_waiting(struct notices *notices, const mpsync_event *event);
void notices_clear_line(struct notices *notices);

/* What was lost, since when and why. */
void notices_say_lost(const struct notices *notices, const mpsync_event *event);

#endif
