#include "tree.h"

#include "base/process.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The end of a descendant that is no child sends no signal here, so look again after this time. */
#define LOOK_AGAIN_NS (5 * 1000 * 1000)

struct pids {
	pid_t *items;
	size_t count;
	size_t size;
};

static bool append(struct pids *pids, pid_t pid)
{
	if (pids->count == pids->size) {
		const size_t size = pids->size * 2 + 16;
		pid_t *more = realloc(pids->items, size * sizeof *more);

		if (!more)
			return false;
		pids->items = more;
		pids->size = size;
	}
	pids->items[pids->count++] = pid;
	return true;
}

static void append_children_of_thread(struct pids *pids, pid_t process, const char *thread)
{
	char path[320];
	FILE *file;
	long child;

	snprintf(path, sizeof path, "/proc/%ld/task/%s/children", (long)process, thread);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fscanf(file, "%ld", &child) == 1 && append(pids, (pid_t)child))
		;
	fclose(file);
}

static void append_children(struct pids *pids, pid_t process)
{
	char path[64];
	const struct dirent *entry;
	DIR *threads;

	snprintf(path, sizeof path, "/proc/%ld/task", (long)process);
	threads = opendir(path);
	if (!threads)
		return;
	while ((entry = readdir(threads)))
		if (entry->d_name[0] != '.')
			append_children_of_thread(pids, process, entry->d_name);
	closedir(threads);
}

pid_t *tree_children(pid_t parent, size_t *count)
{
	struct pids pids = {0};

	append_children(&pids, parent);
	*count = pids.count;
	return pids.items;
}

static bool is_spared(const struct tree *tree, pid_t pid)
{
	for (size_t i = 0; i < tree->spared_count; i++)
		if (tree->spared[i] == pid)
			return true;
	return false;
}

static void drop_spared(const struct tree *tree, struct pids *pids)
{
	size_t kept = 0;

	for (size_t i = 0; i < pids->count; i++)
		if (!is_spared(tree, pids->items[i]))
			pids->items[kept++] = pids->items[i];
	pids->count = kept;
}

/*
 * Parents come before their children. Orphans that the root gets as a subreaper become children of
 * its first thread. What another thread has started, as the library starts a credential plugin, is
 * not part of the tree.
 */
static struct pids descendants(const struct tree *tree)
{
	struct pids pids = {0};
	char first_thread[24];

	snprintf(first_thread, sizeof first_thread, "%ld", (long)tree->root);
	append_children_of_thread(&pids, tree->root, first_thread);
	drop_spared(tree, &pids);
	for (size_t i = 0; i < pids.count; i++)
		append_children(&pids, pids.items[i]);
	return pids;
}

/* By a descriptor of the process that was just looked at, since its number may be used again. */
static int send_signal(pid_t pid, uint64_t start, int number)
{
	const int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
	struct process_stat stat;
	int code = 0;

	if (descriptor < 0)
		return errno == ENOSYS ? kill(pid, number) : -1;
	if (process_read(pid, &stat) && stat.start == start)
		code = (int)syscall(SYS_pidfd_send_signal, descriptor, number, NULL, 0);
	if (code != 0 && errno == EPERM) {
		close(descriptor);
		errno = EPERM;
		return -1;
	}
	close(descriptor);
	return code;
}

/* Other threads may go on after the first one has ended. */
static bool has_ended(const struct process_stat *stat)
{
	return stat->state == 'X' || (stat->state == 'Z' && stat->threads <= 1);
}

struct tree_count tree_signal(const struct tree *tree, int number, enum tree_part part)
{
	struct tree_count count = {0};
	struct pids pids = descendants(tree);
	const pid_t group = getpgrp();

	for (size_t i = 0; i < pids.count; i++) {
		struct process_stat stat;

		if (!process_read(pids.items[i], &stat) || has_ended(&stat) ||
		    (part == TREE_GROUP && stat.group != group))
			continue;
		if (send_signal(pids.items[i], stat.start, number) == 0) {
			count.living++;
		} else if (errno == EPERM && !cgroup_has(tree->cgroup, pids.items[i])) {
			count.refused++;
			count.example = pids.items[i];
		} else if (errno == EPERM) {
			count.living++; /* the kernel kills it with the cgroup, whoever owns it */
		}
	}
	free(pids.items);
	return count;
}

/* SIGCHLD is taken here only where the caller does not take it elsewhere. */
static void wait_a_moment(bool reap)
{
	const struct timespec moment = {0, LOOK_AGAIN_NS};
	sigset_t child;

	if (!reap) {
		nanosleep(&moment, NULL);
		return;
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &moment);
}

/* False: this thread has no children. */
static bool reap_ended(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG | __WNOTHREAD)) > 0)
		;
	return pid == 0;
}

/*
 * One walk can miss the child of a process that ended during the walk. So two walks must have found
 * nobody, unless the kernel says that the caller has no children at all.
 */
struct tree_count tree_kill(const struct tree *tree, bool reap)
{
	const bool kernel_tells = reap && tree->spared_count == 0;
	struct tree_count count;
	unsigned empty_walks = 0;

	for (;;) {
		cgroup_kill(tree->cgroup);
		count = tree_signal(tree, SIGKILL, TREE_ALL);
		empty_walks = count.living == 0 ? empty_walks + 1 : 0;
		if (reap && !reap_ended() && kernel_tells)
			return count;
		if (empty_walks >= 2 && (!kernel_tells || count.refused > 0))
			return count;
		wait_a_moment(reap);
	}
}
