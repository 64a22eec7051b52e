/* What a person, or a program that reads JSON, is told while mpsync waits. */
#ifndef MPSYNC_CLI_NOTICES_H
#define MPSYNC_CLI_NOTICES_H

#include "base/text.h"
#include "cli.h"

#include <sys/types.h>

/* Without a terminal a wait is reported once, and then again after so long. */
#define NOTICES_EVERY_MS 60000

#define NOTICES_NEVER UINT64_MAX

struct notices {
	const struct arguments *arguments;
	pid_t mpsync; /* whose place in the terminal's job control counts */
	bool terminal;
	bool shown; /* a line about waiting stands on the terminal */
	char holder[HOLDER_MOST + 1];
	uint64_t unchanged_since_ms; /* boot clock, of the holder's record; 0: nobody is waited for */
	uint64_t again_ms;           /* when the wait is reported again; 0: it was not reported yet */
};

void notices_init(struct notices *notices, const struct arguments *arguments, pid_t mpsync);
void notices_show_waiting(struct notices *notices, const mpsync_event *event, uint64_t now_ms);

/* Report the wait again if it is time. */
void notices_repeat(struct notices *notices, uint64_t now_ms);
uint64_t notices_wake_ms(const struct notices *notices);

/* The wait is over, or another begins. */
void notices_forget(struct notices *notices);

void notices_clear_line(struct notices *notices);

/* What was lost, since when and why. */
void notices_say_lost(const struct notices *notices, const mpsync_event *event);

#endif
