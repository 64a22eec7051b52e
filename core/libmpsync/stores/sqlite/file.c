#include "file.h"

#include "base/fork_guard.h"
#include "base/identity.h"
#include "base/list.h"
#include "base/status.h"
#include "schema.h"
#include "system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The mutex of the table by which clients of one file share it. A fork waits for it, so that SQLite
 * is at rest in the child.
 */
static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sqlite_file *files;
static bool installed;

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- Forks ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&table_mutex);
	for (struct sqlite_file *file = files; file; file = file->next)
		pthread_mutex_lock(&file->mutex);
}

static void unlock_all(void)
{
	for (struct sqlite_file *file = files; file; file = file->next)
		pthread_mutex_unlock(&file->mutex);
	pthread_mutex_unlock(&table_mutex);
}

static void close_descriptors(const struct sqlite_file *file)
{
	for (size_t i = 0; i < file->descriptor_count; i++) {
		struct stat status;
		bool its = false;

		if (fstat(file->descriptors[i], &status) == 0)
			for (int part = 0; part < SQLITE_PARTS; part++)
				its |= same_file(&status, &file->parts[part]);
		if (its)
			close(file->descriptors[i]);
	}
}

/*
 * The child's copies of the descriptors would keep the parent's locks alive after the parent.
 * SQLite's own memory of them is left as it is: the child never uses it, for the parent's handles
 * answer FORKED there.
 */
static void after_fork_in_child(void)
{
	for (const struct sqlite_file *file = files; file; file = file->next)
		close_descriptors(file);
	unlock_all();
	files = NULL;
	sqlite_system_forked();
}

FORK_GUARD(FORK_LOCKS_FIRST, before_fork, unlock_all, after_fork_in_child)

static bool install(void)
{
	if (!installed)
		installed = fork_guarded && sqlite_system_install();
	return installed;
}

/* ---- What it consists of ---- */

static bool look_at_parts(char *const paths[SQLITE_PARTS], struct stat parts[SQLITE_PARTS])
{
	for (int i = 0; i < SQLITE_PARTS; i++)
		if (stat(paths[i], &parts[i]) != 0)
			return false;
	return true;
}

static bool is_intact(const struct sqlite_file *file)
{
	struct stat now[SQLITE_PARTS];

	if (!look_at_parts(file->paths, now))
		return false;
	for (int i = 0; i < SQLITE_PARTS; i++)
		if (!same_file(&now[i], &file->parts[i]))
			return false;
	return true;
}

static void note_descriptor(struct sqlite_file *file, int descriptor)
{
	struct stat status;

	if (fstat(descriptor, &status) != 0 || file->descriptor_count == SQLITE_MOST_DESCRIPTORS)
		return;
	for (int part = 0; part < SQLITE_PARTS; part++) {
		if (!same_file(&status, &file->parts[part]))
			continue;
		file->descriptors[file->descriptor_count++] = descriptor;
		return;
	}
}

/* SQLite does not tell which descriptors are its own. */
static void note_descriptors(struct sqlite_file *file)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			note_descriptor(file, atoi(entry->d_name));
	if (folder)
		closedir(folder);
}

/* ---- Opening and closing the connection ---- */

static void close_connection(struct sqlite_file *file, bool intact)
{
	sqlite_system_enter();
	sqlite_finalize_all(file->statements);
	if (intact)
		sqlite3_exec(file->database, "PRAGMA journal_size_limit=0", NULL, NULL, NULL);
	else /* another program's file lies there now */
		sqlite3_db_config(file->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(file->database);
	sqlite_system_leave();
	file->database = NULL;
	if (file->notify >= 0)
		close(file->notify);
	file->notify = -1;
}

/* Nobody removes -wal or -shm by their names: by then these may be another database's. */
static void keep_parts(sqlite3 *database)
{
	int on = 1;

	sqlite3_file_control(database, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
}

static bool open_connection(struct sqlite_file *file, uint32_t patience_ms, mpsync_error *error)
{
	int code;

	sqlite_system_enter();
	code = sqlite3_open_v2(file->paths[SQLITE_DATABASE], &file->database,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, "unix");
	if (code == SQLITE_OK) {
		keep_parts(file->database);
		code =
		    sqlite_prepare_file(file->database, file->paths[SQLITE_DATABASE], patience_ms, error);
	}
	if (code == SQLITE_OK)
		code = sqlite_prepare_all(file->database, file->statements);
	sqlite_system_leave();
	if (code == SQLITE_OK)
		return true;
	if (code != SQLITE_ABORT)
		sqlite_access_explain(file->paths, code, error);
	return false;
}

/* SQLite takes no locks on the notification file, so it may be opened and closed at any time. */
static bool open_notify(struct sqlite_file *file, mpsync_error *error)
{
	const char *path = file->paths[SQLITE_NOTIFY];

	file->notify = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (file->notify < 0 && errno == ENOENT)
		file->notify = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->notify < 0 && errno == EACCES)
		file->notify = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file->notify >= 0)
		return true;
	fail(error, MPSYNC_E_FORBIDDEN, "cannot write %.150s: %s", path, strerror(errno));
	return false;
}

static bool open_parts(struct sqlite_file *file, uint32_t patience_ms, mpsync_error *error)
{
	const struct stat asked = file->parts[SQLITE_DATABASE];

	if (!open_connection(file, patience_ms, error) || !open_notify(file, error))
		return false;
	sqlite_access_share(file->paths);
	if (!id_random(&file->opening)) {
		fail(error, MPSYNC_E_INTERNAL, "the kernel gives no random numbers (getrandom)");
		return false;
	}
	if (!look_at_parts(file->paths, file->parts) ||
	    !same_file(&asked, &file->parts[SQLITE_DATABASE])) {
		fail(error, MPSYNC_E_UNREACHABLE, "%.150s was replaced while it was opened",
		    file->paths[SQLITE_DATABASE]);
		return false;
	}
	note_descriptors(file);
	return true;
}

/* ---- The table ---- */

static void free_file(struct sqlite_file *file)
{
	if (file->database)
		close_connection(file, is_intact(file));
	for (int i = 0; i < SQLITE_PARTS; i++)
		free(file->paths[i]);
	pthread_mutex_destroy(&file->mutex);
	free(file);
}

static struct sqlite_file *allocate(const char *path)
{
	static const char *const endings[SQLITE_PARTS] = {"", "-wal", "-shm", "-notify"};
	struct sqlite_file *file = calloc(1, sizeof *file);
	bool complete = true;

	if (!file)
		return NULL;
	pthread_mutex_init(&file->mutex, NULL);
	file->users = 1;
	file->notify = -1;
	for (int i = 0; i < SQLITE_PARTS; i++) {
		if (asprintf(&file->paths[i], "%s%s", path, endings[i]) >= 0)
			continue;
		file->paths[i] = NULL;
		complete = false;
	}
	if (complete)
		return file;
	free_file(file);
	return NULL;
}

/* Is this still the file that was opened, and are its parts as they were? */
static bool is_the_file(struct sqlite_file *file, const struct stat *status)
{
	bool is;

	pthread_mutex_lock(&file->mutex);
	is = file->database && same_file(&file->parts[SQLITE_DATABASE], status);
	if (is && !is_intact(file)) {
		close_connection(file, false);
		is = false;
	}
	pthread_mutex_unlock(&file->mutex);
	return is;
}

static struct sqlite_file *find(const struct stat *status)
{
	struct sqlite_file *file = files;

	while (file && !is_the_file(file, status))
		file = file->next;
	return file;
}

static struct sqlite_file *open_new(
    const char *path, const struct stat *status, uint32_t patience_ms, mpsync_error *error)
{
	struct sqlite_file *file = allocate(path);

	if (!file) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	file->parts[SQLITE_DATABASE] = *status;
	if (!sqlite_access_check_parts(file->paths, error) || !open_parts(file, patience_ms, error)) {
		free_file(file);
		return NULL;
	}
	SINGLY_ADD(files, file);
	return file;
}

static struct sqlite_file *find_or_open(
    const char *path, const struct sqlite_access *access, uint32_t patience_ms, mpsync_error *error)
{
	struct sqlite_file *file;
	struct stat status;

	if (!install()) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	if (!sqlite_access_make(path, access, error) || !sqlite_access_check(path, &status, error))
		return NULL;
	file = find(&status);
	if (!file)
		return open_new(path, &status, patience_ms, error);
	file->users++;
	return file;
}

struct sqlite_file *sqlite_file_open(
    const char *path, const struct sqlite_access *access, uint32_t patience_ms, mpsync_error *error)
{
	struct sqlite_file *file;

	pthread_mutex_lock(&table_mutex);
	file = find_or_open(path, access, patience_ms, error);
	pthread_mutex_unlock(&table_mutex);
	return file;
}

void sqlite_file_close(struct sqlite_file *file)
{
	if (!file)
		return;
	pthread_mutex_lock(&table_mutex);
	if (--file->users == 0) {
		SINGLY_REMOVE_IF_THERE(files, file);
		free_file(file);
	}
	pthread_mutex_unlock(&table_mutex);
}

/* ---- Use ---- */

bool sqlite_file_enter(struct sqlite_file *file)
{
	pthread_mutex_lock(&file->mutex);
	if (file->database && is_intact(file)) {
		sqlite_system_enter();
		return true;
	}
	if (file->database)
		close_connection(file, false);
	pthread_mutex_unlock(&file->mutex);
	return false;
}

void sqlite_file_leave(struct sqlite_file *file)
{
	sqlite_system_leave();
	pthread_mutex_unlock(&file->mutex);
}
