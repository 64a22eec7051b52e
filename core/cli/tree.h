/* A process and its descendants: signalling them, and killing them until none is left. */
#ifndef MPSYNC_CLI_TREE_H
#define MPSYNC_CLI_TREE_H

#include "cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tree {
	pid_t root;                  /* its descendants are meant, not the root itself */
	const struct cgroup *cgroup; /* the one in which they were started, or NULL */
	const pid_t *spared; /* children of the root that are left alone, and their descendants */
	size_t spared_count;
};

enum tree_part {
	TREE_ALL,
	TREE_GROUP /* the processes in the caller's process group */
};

struct tree_count {
	size_t living;  /* processes that have not ended and can be signalled */
	size_t refused; /* processes of another user, which cannot be signalled */
	pid_t example;  /* one of the refused ones */
};

/*
 * The children of a process; the caller frees them. NULL: there are none, or /proc cannot be read.
 */
pid_t *tree_children(pid_t parent, size_t *count);

/* Send `number` to each process of the part; 0 only counts them. */
struct tree_count tree_signal(const struct tree *tree, int number, enum tree_part part);

/*
 * Kill every descendant until none is alive, but for those that cannot be signalled. `reap`: the
 * root is the caller, who waits for its children here; SIGCHLD is blocked.
 */
struct tree_count tree_kill(const struct tree *tree, bool reap);

#endif
