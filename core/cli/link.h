/*
 * What joins `mpsync`, its guard and its keeper (docs/processes.md): one page that all three map,
 * and some pipes. A pipe also tells of a death: its other end closes when the process ends.
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
	atomic_int keeper;               /* its process id */
	atomic_uint_fast64_t stop_at_ms; /* the command is told to end, unless the right is renewed */
	atomic_uint_fast64_t kill_at_ms; /* it is killed; 0: nothing runs */
	atomic_uint_fast64_t margin_ms;  /* from there to the right's end */
	atomic_bool stopping;            /* the keeper has told it to end */
	atomic_bool keeper_replaced;     /* another process has, in its place */
	atomic_bool finished;            /* exit_code and end_signal are the keeper's last word */
	atomic_int exit_code;
	atomic_int end_signal;       /* not 0: end by this signal, as the command did */
	atomic_uint_fast64_t taking; /* what `mpsync` is about to tell, no longer pending at it */
};

enum { BELL_GUARD, BELL_MPSYNC, BELL_COUNT };

struct link {
	struct board *board;
	struct cgroup cgroup;
	int signals[2]; /* from mpsync to its keeper: the number of each signal that came, a byte */
	int guard[2];   /* from the guard to the keeper: it only ever closes */
	int bells[BELL_COUNT][2]; /* from the keeper: look at the board */
};

/* False without memory or descriptors (errno). */
bool link_new(struct link *link);

/* Each process keeps its own ends alone. */
void link_become_mpsync(struct link *link);
void link_become_guard(struct link *link);
void link_become_keeper(struct link *link);

/* Let go of standard input and output, so that whoever is at their other ends sees the command's.
 */
void link_close_standard(void);

/*
 * Waits until one is readable; reads what the first `drained` of them have. One whose other end is
 * closed is left out from then on.
 */
void link_wait(struct pollfd *pollers, size_t count, size_t drained);

/* The keeper: from now on the others look after these times too. */
void link_publish(
    const struct link *link, uint64_t stop_at_ms, uint64_t kill_at_ms, uint64_t margin_ms);

#endif
