#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool process_read(int32_t pid, struct process_stat *stat)
{
	char path[64];
	char line[1024];
	unsigned long long start = 0;
	const char *after_name;
	size_t length;
	FILE *file;

	*stat = (struct process_stat){0};
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	length = fread(line, 1, sizeof line - 1, file);
	fclose(file);
	line[length] = '\0';
	/*
	 * The process's name may contain spaces and parentheses, so fields are counted from the last
	 * ")".
	 */
	after_name = strrchr(line, ')');
	if (!after_name ||
	    sscanf(after_name + 1,
	        " %c %d %d %d %*d %d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %llu",
	        &stat->state, &stat->parent, &stat->group, &stat->session, &stat->foreground_group,
	        &stat->threads, &start) != 7)
		return false;
	stat->start = start;
	return true;
}

uint64_t process_pending(int32_t pid)
{
	char path[64];
	char line[1024];
	unsigned long long pending = 0;
	unsigned long long mask;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	/* Those of the thread, and those of the process. */
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "SigPnd: %llx", &mask) == 1 || sscanf(line, "ShdPnd: %llx", &mask) == 1)
			pending |= mask;
	fclose(file);
	return pending;
}

/* Clock ticks since boot; 0: /proc cannot be read. */
static uint64_t start_time(int32_t pid)
{
	struct process_stat stat;

	return process_read(pid, &stat) ? stat.start : 0;
}

static bool read_boot_id(struct id *boot)
{
	char text[64] = "";
	char hex[ID_HEX_SIZE];
	size_t n = 0;
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!file)
		return false;
	if (!fgets(text, sizeof text, file))
		text[0] = '\0';
	fclose(file);
	for (const char *c = text; *c && n < ID_HEX_SIZE - 1; c++)
		if (*c != '-' && *c != '\n')
			hex[n++] = *c;
	hex[n] = '\0';
	return id_from_hex(boot, hex);
}

static uint32_t namespace_inode(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? (uint32_t)status.st_ino : 0;
}

bool process_self(struct record_host *host)
{
	*host = (struct record_host){.pid = (int32_t)getpid()};
	host->timens = namespace_inode("/proc/self/ns/time");
	host->pidns = namespace_inode("/proc/self/ns/pid");
	host->pid_start = start_time(host->pid);
	return read_boot_id(&host->boot) && host->pidns && host->pid_start;
}

static bool has_ended(int descriptor)
{
	struct pollfd poller = {.fd = descriptor, .events = POLLIN};

	return poll(&poller, 1, 0) == 1 && (poller.revents & POLLIN);
}

int process_watch(const struct record_host *host, bool *dead)
{
	const int descriptor = (int)syscall(SYS_pidfd_open, host->pid, 0);
	uint64_t start;

	*dead = false;
	if (descriptor < 0) {
		*dead = errno == ESRCH;
		return -1;
	}
	/*
	 * Process numbers are used again. The start time is read after the descriptor was opened: if it
	 * is the one of the record, the descriptor is of that very process.
	 */
	start = start_time(host->pid);
	*dead = has_ended(descriptor) || (start != 0 && start != host->pid_start);
	if (!*dead && start != 0)
		return descriptor;
	close(descriptor);
	return -1;
}
