/* The statements and columns of the database. */
#ifndef MPSYNC_STORES_SQLITE_ROWS_H
#define MPSYNC_STORES_SQLITE_ROWS_H

#include "protocol/record.h"
#include "file.h"

/* SQLite's code. What was prepared until an error is to be finalized. */
int sqlite_prepare_all(struct sqlite_file *file);
void sqlite_finalize_all(struct sqlite_file *file);

/* The parameters 1 to 18 of INSERT and UPDATE. */
void sqlite_bind_record(
    sqlite3_stmt *statement, const char *name, const struct record *record, uint64_t version);

/* Of SELECT_ONE and SELECT_ALL. Strings are borrowed until the statement is reset. */
struct record sqlite_column_record(sqlite3_stmt *statement);

#endif
