/* Processes of this machine: their state, and whether they are alive. Linux only. */
#ifndef MPSYNC_PROCESS_H
#define MPSYNC_PROCESS_H

#include "protocol/record.h"

/* What /proc/PID/stat says of a process. */
struct process_stat {
	char state; /* of its first thread: 'T': stopped, 'Z': ended, … */
	int32_t parent;
	int32_t group;
	int32_t session;
	int32_t foreground_group; /* of its terminal; -1: it has no terminal */
	int32_t threads;          /* that have not ended, but for the first, which counts always */
	uint64_t start;           /* in ticks since boot */
};

/* False if there is no such process, or /proc cannot be read. */
bool process_read(int32_t pid, struct process_stat *stat);

/* The signals that are pending at it, each its bit; none if /proc does not tell. */
uint64_t process_pending(int32_t pid);

static inline uint64_t signal_bit(int number)
{
	return (uint64_t)1 << (number - 1);
}

/* This process on this kernel. False if /proc cannot be read. */
bool process_self(struct record_host *host);

/*
 * A descriptor that is readable when that very process has ended; -1 when the process cannot be
 * watched. *dead is set when the process is proven to have ended already.
 */
int process_watch(const struct record_host *host, bool *dead);

#endif
