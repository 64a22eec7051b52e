/* A process and its descendants: signalling them, and killing them until none is left. */
#ifndef MPSYNC_CLI_TREE_H
#define MPSYNC_CLI_TREE_H

#include "cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tree {
	pid_t root;                  /* its descendants are meant, not itself */
	const struct cgroup *cgroup; /* in which they were started, if there is one */
	const pid_t *spared;         /* children of the root that are left alone, with theirs */
	size_t spared_count;
};

enum tree_part {
	TREE_ALL,
	TREE_GROUP /* those in the process group of the caller */
};

struct tree_count {
	size_t living;  /* have not ended, and can be signalled */
	size_t refused; /* belong to another user, and cannot */
	pid_t example;  /* one of the refused */
};

/* The children of a process; freed by the caller, NULL: none, or /proc does not tell. */
pid_t *tree_children(pid_t parent, size_t *count);

/* Sends `number` (0: only counts) to each. */
struct tree_count tree_signal(const struct tree *tree, int number, enum tree_part part);

/*
 * Kills every descendant until none lives, but those that cannot be signalled. `reap`: the root is
 * the caller, who takes their statuses; SIGCHLD is blocked.
 */
struct tree_count tree_kill(const struct tree *tree, bool reap);

#endif
