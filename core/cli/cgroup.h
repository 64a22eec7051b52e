/*
 * A cgroup (version 2) for the command, below the one that this process is in, where that is
 * allowed. Nothing that the command starts leaves it by itself, and the kernel kills all of its
 * members at once.
 */
#ifndef MPSYNC_CLI_CGROUP_H
#define MPSYNC_CLI_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct cgroup {
	int directory; /* -1: there is none */
	char path[PATH_MAX];
};

/* False where no cgroup can be made. That is common, so nothing is said. */
bool cgroup_new(struct cgroup *cgroup);

bool cgroup_is(const struct cgroup *cgroup);
void cgroup_kill(const struct cgroup *cgroup);
bool cgroup_has(const struct cgroup *cgroup, pid_t pid);

/* Its remaining members move to the cgroup above, and it is removed. */
void cgroup_remove(struct cgroup *cgroup);

#endif
