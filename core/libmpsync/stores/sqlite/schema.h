/* The tables of the database. */
#ifndef MPSYNC_STORES_SQLITE_SCHEMA_H
#define MPSYNC_STORES_SQLITE_SCHEMA_H

#include <mpsync.h>
#include <sqlite3.h>

/*
 * Make or check the tables of a database that was just opened. Returns SQLite's code; SQLITE_ABORT:
 * the file must not be used, and the error says why.
 */
int sqlite_prepare_file(
    sqlite3 *database, const char *path, uint32_t patience_ms, mpsync_error *error);

/* Copy the -wal into the database, so that its room can be used again. Returns SQLite's code. */
int sqlite_checkpoint(sqlite3 *database);

/* What a result code means to a caller. */
mpsync_status sqlite_status(int code);

#endif
