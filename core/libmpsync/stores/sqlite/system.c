#include "system.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

/* SQLite's VFS calls back without a context, but on the thread that called SQLite. */
static _Thread_local bool ours;
static unsigned forks;

/*
 * POSIX locks of a process on a file are released when any descriptor of that file is closed, by
 * anybody in the process: another copy of this library or of SQLite, a backup, a program that only
 * looked. Locks of the open file description (OFD) stay as long as the connection that took them,
 * and exclude POSIX locks as well. They need one connection to a file in each copy of SQLite, which
 * file.c sees to: with several, SQLite takes a lock through one descriptor and releases it through
 * another.
 */
static int command_of_description(int command)
{
	switch (command) {
	case F_SETLK:
		return F_OFD_SETLK;
	case F_SETLKW:
		return F_OFD_SETLKW;
	case F_GETLK:
		return F_OFD_GETLK;
	default:
		return command;
	}
}

static int locking_fcntl(int descriptor, int command, ...)
{
	struct flock *lock = NULL;
	int number = 0;
	va_list arguments;

	va_start(arguments, command);
	if (command == F_SETLK || command == F_SETLKW || command == F_GETLK)
		lock = va_arg(arguments, struct flock *);
	else
		number = va_arg(arguments, int);
	va_end(arguments);
	if (!lock)
		return fcntl(descriptor, command, number);
	if (!ours)
		return fcntl(descriptor, command, lock);
	lock->l_pid = 0;
	return fcntl(descriptor, command_of_description(command), lock);
}

/*
 * SQLite identifies files by device and inode, and would take the parent's locks for a forked
 * child's, which has none. So to the child the same file gets another device.
 */
static void tell_apart(struct stat *status)
{
	status->st_dev += (dev_t)forks << 48;
}

static int forked_stat(const char *path, struct stat *status)
{
	const int code = stat(path, status);

	if (code == 0 && ours)
		tell_apart(status);
	return code;
}

static int forked_fstat(int descriptor, struct stat *status)
{
	const int code = fstat(descriptor, status);

	if (code == 0 && ours)
		tell_apart(status);
	return code;
}

bool sqlite_system_install(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

	return vfs &&
	       vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)locking_fcntl) == SQLITE_OK &&
	       vfs->xSetSystemCall(vfs, "stat", (sqlite3_syscall_ptr)forked_stat) == SQLITE_OK &&
	       vfs->xSetSystemCall(vfs, "fstat", (sqlite3_syscall_ptr)forked_fstat) == SQLITE_OK;
}

void sqlite_system_enter(void)
{
	ours = true;
}

void sqlite_system_leave(void)
{
	ours = false;
}

void sqlite_system_forked(void)
{
	forks++;
}
