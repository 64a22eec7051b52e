/* What a person, or a program that reads lines of JSON, is told while it waits. */
#ifndef MPSYNC_CLI_NOTICES_H
#define MPSYNC_CLI_NOTICES_H

#include "base/text.h"
#include "cli.h"

#include <sys/types.h>

/* Who waits without a terminal is told once, and again after so long. */
#define NOTICES_EVERY_MS 60000

#define NOTICES_NEVER UINT64_MAX

struct notices {
	const struct arguments *arguments;
	pid_t mpsync; /* its place in the terminal's job control counts */
	bool terminal;
	bool shown; /* a line about waiting stands on the terminal */
	char holder[HOLDER_MOST + 1];
	uint64_t
	    unchanged_since_ms; /* the holder's record, by the boot clock; 0: nobody is waited for */
	uint64_t again_ms;      /* when it is said again; 0: it has not been said */
};

void notices_init(struct notices *notices, const struct arguments *arguments, pid_t mpsync);
void notices_show_waiting(struct notices *notices, const mpsync_event *event, uint64_t now_ms);

/* Says it again if it is time. */
void notices_repeat(struct notices *notices, uint64_t now_ms);
uint64_t notices_wake_ms(const struct notices *notices);

/* The wait is over, or another begins. */
void notices_forget(struct notices *notices);

void notices_clear_line(struct notices *notices);

/* What was lost, since when and why. */
void notices_say_lost(const struct notices *notices, const mpsync_event *event);

#endif
