/*
 * One database as this process has it open. All of its clients share one connection, whatever the
 * spelling of their paths: device and inode say which file it is. -wal, -shm and the notification
 * file belong to it.
 */
#ifndef MPSYNC_STORES_SQLITE_FILE_H
#define MPSYNC_STORES_SQLITE_FILE_H

#include "access.h"
#include "base/id.h"
#include "rows.h"

#include <pthread.h>
#include <sqlite3.h>

/*
 * One for each part, and some more: a second copy of this library in the process may have them open
 * too.
 */
#define SQLITE_MOST_DESCRIPTORS 16

struct sqlite_file {
	struct sqlite_file *next;
	unsigned users; /* under the table's mutex */
	char *paths[SQLITE_PARTS];
	struct stat parts[SQLITE_PARTS]; /* as they were when the file was opened */
	int descriptors[SQLITE_MOST_DESCRIPTORS];
	size_t descriptor_count;
	pthread_mutex_t mutex; /* held by the thread that uses what follows */
	struct id opening;     /* random for each opening: a version from another one does not count */
	sqlite3 *database;     /* NULL: the file was replaced, and its users have to open it again */
	sqlite3_stmt *statements[STATEMENT_COUNT];
	bool full_sync;
	int notify;
};

/*
 * `path` is as sqlite_path_resolve returns it; the file is made if there is none. `patience_ms`:
 * how long to wait for other processes that make it at the same time. NULL: the error says what is
 * wrong.
 */
struct sqlite_file *sqlite_file_open(const char *path, const struct sqlite_access *access,
    uint32_t patience_ms, mpsync_error *error);
void sqlite_file_close(struct sqlite_file *file);

/*
 * From here to sqlite_file_leave the connection is this thread's. False: one of the parts was
 * removed or replaced; then the file is closed and has to be opened again.
 */
bool sqlite_file_enter(struct sqlite_file *file);
void sqlite_file_leave(struct sqlite_file *file);

#endif
