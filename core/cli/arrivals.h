/*
 * Signals that are meant for the command. The command shares the process group of `mpsync` and of
 * the keeper. So a signal that reached both of them was sent to the group, or to every process of a
 * service: the command has it too. One that reached only one of them is passed on, once. Which it
 * was is known a moment after the first arrival, or when `mpsync` has told what is pending at it.
 */
#ifndef MPSYNC_CLI_ARRIVALS_H
#define MPSYNC_CLI_ARRIVALS_H

#include "base/process.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define ARRIVALS_NEVER UINT64_MAX

enum arrived_at { AT_MPSYNC = 1, AT_KEEPER = 2 };

struct arrivals {
	struct arrival {
		uint64_t decide_at_ms; /* boot clock; 0: no signal has come */
		unsigned at;           /* the processes that it reached: a set of enum arrived_at */
		bool sure;             /* pass it on, whether the command has it or not */
	} of[NSIG];
};

void arrivals_note(struct arrivals *arrivals, int number, enum arrived_at at, uint64_t now_ms);

/*
 * Of the signals known now those were sent before the command existed which are not pending at it:
 * it has none of them. at_command is a set of signal_bit.
 */
void arrivals_precede_command(struct arrivals *arrivals, uint64_t at_command);

/*
 * A signal that has reached the keeper and is pending at `mpsync` was sent to both, so it must not
 * be passed on: nothing is decided before `mpsync` has reported it. on_their_way is a set of
 * signal_bit.
 */
void arrivals_await(struct arrivals *arrivals, uint64_t on_their_way, uint64_t now_ms);

/* The next signal to pass on; 0: none at this time. */
int arrivals_due(struct arrivals *arrivals, uint64_t now_ms);
uint64_t arrivals_wake_ms(const struct arrivals *arrivals);

#endif
