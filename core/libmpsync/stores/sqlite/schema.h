/* What is in the file. */
#ifndef MPSYNC_STORES_SQLITE_SCHEMA_H
#define MPSYNC_STORES_SQLITE_SCHEMA_H

#include <mpsync.h>
#include <sqlite3.h>

/*
 * Make or check the tables of a database that was just opened. SQLite's code; SQLITE_ABORT: the
 * file is not for us, and error says why.
 */
int sqlite_prepare_file(
    sqlite3 *database, const char *path, uint32_t patience_ms, mpsync_error *error);

/* What the -wal holds goes into the database, so that its room can be used again. SQLite's code. */
int sqlite_checkpoint(sqlite3 *database);

/* What a result code means to a caller. */
mpsync_status sqlite_status(int code);

#endif
