/*
 * A cgroup (version 2) of the command's own, where this process may make one: below the one that it
 * is in. Nothing that the command starts leaves it by itself, and the kernel kills all in it at
 * once.
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

/* False where there is none to be had; nothing is said, for that is common. */
bool cgroup_new(struct cgroup *cgroup);

bool cgroup_is(const struct cgroup *cgroup);
void cgroup_kill(const struct cgroup *cgroup);
bool cgroup_has(const struct cgroup *cgroup, pid_t pid);

/* What is left in it goes back to the cgroup above, and it is removed. */
void cgroup_remove(struct cgroup *cgroup);

#endif
