/*
 * What joins `mpsync`, its guard and its keeper (docs/processes.md): a page of memory that all
 * three map, and some pipes. A pipe also shows that a process is dead: the kernel closes its end of
 * the pipe.
 */
#ifndef MPSYNC_CLI_LINK_H
#define MPSYNC_CLI_LINK_H

#include "cgroup.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Written by the keeper, but for `keeper`, `keeper_replaced` and `taking`; times are those of the
 * boot clock.
 */
struct board {
	atomic_int keeper;               /* the keeper's process id */
	atomic_uint_fast64_t stop_at_ms; /* SIGTERM for the command, unless the right is renewed */
	atomic_uint_fast64_t kill_at_ms; /* SIGKILL for the command; 0: nothing runs */
	atomic_uint_fast64_t margin_ms;  /* from kill_at_ms to the right's end */
	atomic_bool stopping;            /* the keeper has sent SIGTERM to the command */
	atomic_bool keeper_replaced;     /* `mpsync` or the guard has done so in the keeper's place */
	atomic_bool finished;            /* exit_code and end_signal are final */
	atomic_int exit_code;
	atomic_int end_signal;       /* not 0: `mpsync` ends by this signal, as the command did */
	atomic_uint_fast64_t taking; /* what `mpsync` is about to tell, no longer pending at it */
};

enum { BELL_GUARD, BELL_MPSYNC, BELL_COUNT };

struct link {
	struct board *board;
	struct cgroup cgroup;
	int signals[2];           /* from mpsync to the keeper: one byte for each signal, its number */
	int guard[2];             /* from the guard to the keeper: it shows the guard's death */
	int bells[BELL_COUNT][2]; /* from the keeper: look at the board again */
};

/* False without memory or descriptors (errno). */
bool link_new(struct link *link);

/* Each process closes the ends that are not its own. */
void link_become_mpsync(struct link *link);
void link_become_guard(struct link *link);
void link_become_keeper(struct link *link);

/*
 * Close standard input and output, so that programs at their other ends see the command close them.
 */
void link_close_standard(void);

/*
 * Wait until one descriptor is readable, and empty the first `drained` ones. A pipe whose other end
 * is closed is left out from then on.
 */
void link_wait(struct pollfd *pollers, size_t count, size_t drained);

/* By the keeper: from now on the guard and `mpsync` watch these times as well. */
void link_publish(
    const struct link *link, uint64_t stop_at_ms, uint64_t kill_at_ms, uint64_t margin_ms);

#endif
