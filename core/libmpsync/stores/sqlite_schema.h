/* The file: who may open it, and what is in it. */
#ifndef MPSYNC_STORES_SQLITE_SCHEMA_H
#define MPSYNC_STORES_SQLITE_SCHEMA_H

#include <mpsync.h>
#include <sqlite3.h>

/* Owned by the caller; path "" is the user's own file. NULL without memory or HOME. */
char *sqlite_path(const char *path, mpsync_error *error);

/* Open, make or migrate it. NULL: error says what is wrong with it. */
sqlite3 *sqlite_open_file(const char *path, mpsync_error *error);

/* What a result code means to a caller. */
mpsync_status sqlite_status(int code);

#endif
