#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Processes that are moved may start others meanwhile: moving is repeated at most so often. */
#define MOST_MOVES 100

#define PREFIX "mpsync-"

/* The path of this process in the hierarchy of cgroup v2, as its cgroup namespace shows it. */
static bool read_own_path(char path[PATH_MAX])
{
	char line[PATH_MAX + 8];
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file)) {
		found = strncmp(line, "0::/", 4) == 0 && strchr(line, '\n');
		if (found) {
			*strchr(line, '\n') = '\0';
			found = (size_t)snprintf(path, PATH_MAX, "%s", line + 3) < PATH_MAX;
		}
	}
	if (file)
		fclose(file);
	return found && !strstr(path, "/..");
}

/* Append the part of `path` below the mount's root. False: this mount does not show that path. */
static bool append_below(char *out, size_t size, const char *root, const char *path)
{
	const size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
	const size_t used = strlen(out);

	if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
		return false;
	return (size_t)snprintf(out + used, size - used, "%s", path + length) < size - used;
}

/* The folder under which that path is mounted. */
static bool find_folder(char folder[PATH_MAX], const char *path)
{
	char line[2 * PATH_MAX];
	char root[PATH_MAX];
	bool found = false;
	FILE *file = fopen("/proc/self/mountinfo", "re");

	while (file && !found && fgets(line, sizeof line, file)) {
		if (!strstr(line, " - cgroup2 ") || strchr(line, '\\'))
			continue;
		found = sscanf(line, "%*d %*d %*s %4095s %4095s", root, folder) == 2 &&
		        append_below(folder, PATH_MAX, root, path);
	}
	if (file)
		fclose(file);
	return found;
}

/*
 * A lock on the folder shows that the cgroup is in use, even across pid namespaces: the processes
 * of one mpsync share the lock, and the kernel drops it with the last of them.
 */
static bool claim(struct cgroup *cgroup)
{
	cgroup->directory = open(cgroup->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cgroup->directory >= 0 && flock(cgroup->directory, LOCK_SH | LOCK_NB) == 0 &&
	       faccessat(cgroup->directory, "cgroup.kill", W_OK, 0) == 0;
}

static bool make(struct cgroup *cgroup, const char *parent)
{
	for (unsigned i = 0; i < 100; i++) {
		const int length = snprintf(
		    cgroup->path, sizeof cgroup->path, "%s/" PREFIX "%ld-%u", parent, (long)getpid(), i);

		if (length < 0 || (size_t)length >= sizeof cgroup->path)
			break;
		if (mkdir(cgroup->path, 0755) == 0)
			return true;
		if (errno != EEXIST)
			break;
	}
	cgroup->path[0] = '\0';
	return false;
}

/* An mpsync that was killed could not remove its cgroup. One that still has members stays. */
static void remove_abandoned(int parent, const char *name)
{
	const int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (directory < 0)
		return;
	if (flock(directory, LOCK_EX | LOCK_NB) == 0)
		unlinkat(parent, name, AT_REMOVEDIR);
	close(directory);
}

static void sweep(const char *parent)
{
	DIR *folder = opendir(parent);
	const struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			remove_abandoned(dirfd(folder), entry->d_name);
	if (folder)
		closedir(folder);
}

bool cgroup_new(struct cgroup *cgroup)
{
	char path[PATH_MAX];
	char folder[PATH_MAX];

	cgroup->directory = -1;
	cgroup->path[0] = '\0';
	if (!read_own_path(path) || !find_folder(folder, path))
		return false;
	sweep(folder);
	/* Twice, for another mpsync may remove the new folder before it is locked. */
	for (int i = 0; i < 2 && make(cgroup, folder); i++) {
		if (claim(cgroup))
			return true;
		cgroup_remove(cgroup);
	}
	return false;
}

bool cgroup_is(const struct cgroup *cgroup)
{
	return cgroup->directory >= 0;
}

static bool write_to(int directory, const char *name, const char *text)
{
	const int file = openat(directory, name, O_WRONLY | O_CLOEXEC);
	const bool good = file >= 0 && write(file, text, strlen(text)) > 0;

	if (file >= 0)
		close(file);
	return good;
}

void cgroup_kill(const struct cgroup *cgroup)
{
	if (cgroup_is(cgroup))
		write_to(cgroup->directory, "cgroup.kill", "1");
}

static FILE *open_members(const struct cgroup *cgroup)
{
	const int file = openat(cgroup->directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *members = file < 0 ? NULL : fdopen(file, "r");

	if (file >= 0 && !members)
		close(file);
	return members;
}

bool cgroup_has(const struct cgroup *cgroup, pid_t pid)
{
	FILE *members = cgroup_is(cgroup) ? open_members(cgroup) : NULL;
	bool found = false;
	long member;

	while (members && !found && fscanf(members, "%ld", &member) == 1)
		found = member == (long)pid;
	if (members)
		fclose(members);
	return found;
}

/* False: there was no process to move. */
static bool move_members_up(const struct cgroup *cgroup)
{
	FILE *members = open_members(cgroup);
	bool moved = false;
	char text[32];
	long member;

	while (members && fscanf(members, "%ld", &member) == 1) {
		snprintf(text, sizeof text, "%ld", member);
		moved |= write_to(cgroup->directory, "../cgroup.procs", text);
	}
	if (members)
		fclose(members);
	return moved;
}

void cgroup_remove(struct cgroup *cgroup)
{
	unsigned moves = 0;

	if (cgroup->directory >= 0) {
		while (moves++ < MOST_MOVES && move_members_up(cgroup))
			;
		close(cgroup->directory);
		cgroup->directory = -1;
	}
	if (cgroup->path[0])
		rmdir(cgroup->path);
}
