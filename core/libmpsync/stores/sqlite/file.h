/*
 * One database, as this process has it open: its clients share one connection, whatever the
 * spelling by which they came. Which file it is, is said by device and inode; -wal, -shm and the
 * notification file belong to it.
 */
#ifndef MPSYNC_STORES_SQLITE_FILE_H
#define MPSYNC_STORES_SQLITE_FILE_H

#include "access.h"
#include "base/id.h"
#include "rows.h"

#include <pthread.h>
#include <sqlite3.h>

/* A few more than one for each part, for a second copy of this library may have them open too. */
#define SQLITE_MOST_DESCRIPTORS 16

struct sqlite_file {
	struct sqlite_file *next;
	unsigned users; /* under the table's mutex */
	char *paths[SQLITE_PARTS];
	struct stat parts[SQLITE_PARTS]; /* as they were when it was opened */
	int descriptors[SQLITE_MOST_DESCRIPTORS];
	size_t descriptor_count;
	pthread_mutex_t mutex; /* whoever uses what follows holds it */
	struct id opening;     /* drawn each time: what was written under another one is not ours */
	sqlite3 *database;     /* NULL: it was replaced, and its users have to open it again */
	sqlite3_stmt *statements[STATEMENT_COUNT];
	bool full_sync;
	int notify;
};

/*
 * `path` as sqlite_path_resolve says it; made where there is none. `patience_ms`: how long to wait
 * for others that make it, too. NULL: error says what is wrong.
 */
struct sqlite_file *sqlite_file_open(const char *path, const struct sqlite_access *access,
    uint32_t patience_ms, mpsync_error *error);
void sqlite_file_close(struct sqlite_file *file);

/*
 * Until sqlite_file_leave the connection is this thread's. False: one of the parts was removed or
 * replaced. Then the file is closed and given up, and stands for nothing any more.
 */
bool sqlite_file_enter(struct sqlite_file *file);
void sqlite_file_leave(struct sqlite_file *file);

#endif
