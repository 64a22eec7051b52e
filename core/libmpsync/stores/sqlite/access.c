#include "access.h"

#include "base/status.h"
#include "path.h"
#include "schema.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CIFS_MAGIC      0xFF534D42
#define SMB2_MAGIC      0xFE534D42
#define USUAL_MODE      0600
#define NOT_SAID        ((mode_t)-1)
#define NO_GROUP        ((gid_t)-1)
#define MOST_GROUP_TEXT 16384

/* ---- Options ---- */

static bool find_group(const char *name, gid_t *group, mpsync_error *error)
{
	char *end;
	const unsigned long number = strtoul(name, &end, 10);
	char *text;
	struct group entry;
	struct group *found = NULL;

	if (*name >= '0' && *name <= '9' && !*end && number < NO_GROUP) {
		*group = (gid_t)number;
		return true;
	}
	text = malloc(MOST_GROUP_TEXT);
	if (!text) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return false;
	}
	if (getgrnam_r(name, &entry, text, MOST_GROUP_TEXT, &found) == 0 && found)
		*group = found->gr_gid;
	else
		fail(error, MPSYNC_E_INVALID, "group: there is no group \"%.60s\" here", name);
	free(text);
	return found;
}

bool sqlite_access_read(
    struct sqlite_access *access, const struct mpsync_options *options, mpsync_error *error)
{
	const char *mode = options_text(options, OPTION_MODE);
	const char *group = options_text(options, OPTION_GROUP);

	access->mode = mode ? (mode_t)strtoul(mode, NULL, 8) : NOT_SAID;
	access->group = NO_GROUP;
	return !group || find_group(group, &access->group, error);
}

/* ---- Making the database ---- */

static bool refuse(const char *path, const char *doing, mpsync_error *error)
{
	fail(error,
	    errno == EACCES || errno == EROFS || errno == EPERM ? MPSYNC_E_FORBIDDEN
	                                                        : MPSYNC_E_UNREACHABLE,
	    "cannot %s %.140s: %s; choose another with file:PATH", doing, path, strerror(errno));
	return false;
}

/* The owner of a file decides who may use it: another user's file stays as its owner made it. */
static bool give_access(
    const char *path, const struct sqlite_access *wanted, bool made, mpsync_error *error)
{
	const mode_t mode = wanted->mode == NOT_SAID && made ? USUAL_MODE : wanted->mode;
	struct stat status;

	if (stat(path, &status) != 0 || (status.st_uid != geteuid() && !made))
		return true;
	if (wanted->group != NO_GROUP && wanted->group != status.st_gid &&
	    chown(path, (uid_t)-1, wanted->group) != 0)
		return refuse(path, "give that group the file", error);
	if (mode != NOT_SAID && mode != (status.st_mode & 07777) && chmod(path, mode) != 0)
		return refuse(path, "set the mode of", error);
	return true;
}

/*
 * mknod opens no descriptor. Closing one would release the POSIX locks that other copies of SQLite
 * in this process have on the file.
 */
bool sqlite_access_make(const char *path, const struct sqlite_access *wanted, mpsync_error *error)
{
	bool made = false;

	if (access(path, F_OK) != 0) {
		made = mknod(path, S_IFREG | USUAL_MODE, 0) == 0;
		if (!made && errno != EEXIST)
			return refuse(path, "write the file", error);
	}
	return give_access(path, wanted, made, error);
}

/* ---- What can be shared ---- */

/*
 * On a network file system the shared memory of WAL is not coherent between hosts. FUSE is refused
 * too, since it hides what it stands on.
 */
static const char *network_file_system(const char *path)
{
	struct statfs status;

	if (statfs(path, &status) != 0)
		return NULL;
	switch ((unsigned long)status.f_type & 0xffffffff) {
	case NFS_SUPER_MAGIC:
		return "NFS";
	case CIFS_MAGIC:
	case SMB2_MAGIC:
	case SMB_SUPER_MAGIC:
		return "SMB";
	case V9FS_MAGIC:
		return "9p";
	case FUSE_SUPER_MAGIC:
		return "FUSE or virtiofs";
	default:
		return NULL;
	}
}

/*
 * A file that is mounted by itself (a container's volume) has other files beside it than under its
 * other name, so a -wal would not be shared.
 */
static bool is_mounted_alone(const char *path)
{
	struct statx status;

	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status) == 0 &&
	       (status.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

bool sqlite_access_check(const char *path, struct stat *status, mpsync_error *error)
{
	const char *network = network_file_system(path);

	if (stat(path, status) != 0)
		return refuse(path, "use", error);
	if (!S_ISREG(status->st_mode))
		fail(error, MPSYNC_E_INVALID, "cannot use %.150s: it is not a file", path);
	else if (network)
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "%.120s lies on %s; file: is for one host's own disk, use an elector or etcd", path,
		    network);
	else if (status->st_nlink > 1)
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "%.100s has %lu names (hard links), and who comes by another one would not see these "
		    "locks; remove all but one",
		    path, (unsigned long)status->st_nlink);
	else if (is_mounted_alone(path))
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "%.100s is mounted by itself, without what belongs beside it (-wal, -shm, -notify); "
		    "mount its folder instead",
		    path);
	else
		return true;
	return false;
}

bool sqlite_access_check_parts(char *const paths[SQLITE_PARTS], mpsync_error *error)
{
	struct stat status;

	for (int i = SQLITE_WAL; i < SQLITE_PARTS; i++) {
		if (lstat(paths[i], &status) != 0 || (S_ISREG(status.st_mode) && status.st_nlink == 1))
			continue;
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "%.150s is a link, or no file; it has to be a file of its own, so remove it", paths[i]);
		return false;
	}
	return true;
}

void sqlite_access_share(char *const paths[SQLITE_PARTS])
{
	struct stat database;
	struct stat status;
	mode_t mode;

	if (stat(paths[SQLITE_DATABASE], &database) != 0)
		return;
	mode = database.st_mode & 0666;
	for (int i = SQLITE_WAL; i < SQLITE_PARTS; i++) {
		if (lstat(paths[i], &status) != 0 || !S_ISREG(status.st_mode))
			continue;
		/* A failure is noticed by the process that cannot open the file, and explained there. */
		if (status.st_gid != database.st_gid && chown(paths[i], (uid_t)-1, database.st_gid) != 0)
			continue;
		if ((status.st_mode & 07777) != mode && chmod(paths[i], mode) != 0)
			continue;
	}
}

/* ---- Why not ---- */

/*
 * In a sticky folder that all may write, the kernel keeps a process from opening another user's
 * file with O_CREAT (fs.protected_regular).
 */
static bool explain_sticky(char *const paths[SQLITE_PARTS], mpsync_error *error)
{
	char *folder = sqlite_path_folder(paths[SQLITE_DATABASE]);
	struct stat status;
	bool sticky;

	sticky = folder && stat(folder, &status) == 0 && (status.st_mode & S_ISVTX) &&
	         (status.st_mode & 022);
	for (int i = SQLITE_WAL; sticky && i <= SQLITE_SHM; i++) {
		struct stat part;

		if (stat(paths[i], &part) != 0 || part.st_uid == geteuid() ||
		    part.st_uid == status.st_uid || access(paths[i], R_OK | W_OK) != 0)
			continue;
		fail(error, MPSYNC_E_FORBIDDEN,
		    "cannot use %.70s: others' files in the sticky folder %.50s cannot be shared "
		    "(fs.protected_regular); put it into a folder of the group's own",
		    paths[i], folder);
		free(folder);
		return true;
	}
	free(folder);
	return false;
}

/*
 * A process that may not make -wal and -shm can use the database only while another process has
 * made them.
 */
static bool explain_making(char *const paths[SQLITE_PARTS], mpsync_error *error)
{
	char *folder = sqlite_path_folder(paths[SQLITE_DATABASE]);
	const bool missing =
	    folder && access(paths[SQLITE_SHM], F_OK) != 0 && access(folder, W_OK) != 0;

	if (missing)
		fail(error, MPSYNC_E_FORBIDDEN,
		    "cannot use %.80s: -wal and -shm have to be made beside it, and %.60s: %s",
		    paths[SQLITE_DATABASE], folder, strerror(errno));
	free(folder);
	return missing;
}

static bool explain_permission(
    char *const paths[SQLITE_PARTS], const char *reason, mpsync_error *error)
{
	for (int i = SQLITE_DATABASE; i < SQLITE_NOTIFY; i++) {
		if (access(paths[i], R_OK | W_OK) == 0 || errno == ENOENT)
			continue;
		fail(error, MPSYNC_E_FORBIDDEN, "no permission to write %.120s (%.60s): %s", paths[i],
		    reason, strerror(errno));
		return true;
	}
	return false;
}

/*
 * SQLite locks the database and the -shm, never the -wal, so this file may be opened and closed
 * here.
 */
static bool wal_is_foreign(const char *path)
{
	unsigned char magic[4] = {0x37, 0x7f, 0x06, 0x82};
	const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = 0;

	if (descriptor >= 0) {
		length = read(descriptor, magic, sizeof magic);
		close(descriptor);
	}
	return length > 0 &&
	       (magic[0] != 0x37 || magic[1] != 0x7f || magic[2] != 0x06 || (magic[3] & ~1) != 0x82);
}

static void explain_damage(char *const paths[SQLITE_PARTS], const char *reason, mpsync_error *error)
{
	const bool wal = wal_is_foreign(paths[SQLITE_WAL]);

	if (wal)
		fail(error, MPSYNC_E_CORRUPT,
		    "%.100s is damaged (%.50s): stop every program that uses it, delete it and the -shm "
		    "beside it, and start them again",
		    paths[SQLITE_WAL], reason);
	else
		fail(error, MPSYNC_E_CORRUPT,
		    "%.80s is no database, or it or its -wal is damaged (%.40s); if it was one, stop what "
		    "uses it, delete it and what lies beside it, and start anew",
		    paths[SQLITE_DATABASE], reason);
}

void sqlite_access_explain(char *const paths[SQLITE_PARTS], int code, mpsync_error *error)
{
	const char *reason = sqlite3_errstr(code);

	switch (code & 0xff) {
	case SQLITE_FULL:
		fail(error, MPSYNC_E_UNREACHABLE, "the disk that holds %.120s is full; make room",
		    paths[SQLITE_DATABASE]);
		return;
	case SQLITE_BUSY:
		fail(error, MPSYNC_E_UNREACHABLE,
		    "another program keeps %.120s locked; lsof or fuser show which",
		    paths[SQLITE_DATABASE]);
		return;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		explain_damage(paths, reason, error);
		return;
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		if (explain_sticky(paths, error) || explain_making(paths, error) ||
		    explain_permission(paths, reason, error))
			return;
		break;
	default:
		break;
	}
	fail(error, sqlite_status(code), "cannot use %.140s: %.80s", paths[SQLITE_DATABASE], reason);
}
