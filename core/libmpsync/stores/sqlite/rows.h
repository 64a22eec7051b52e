/* The statements and columns of the database. */
#ifndef MPSYNC_STORES_SQLITE_ROWS_H
#define MPSYNC_STORES_SQLITE_ROWS_H

#include "protocol/record.h"
#include <sqlite3.h>

enum statement {
	SELECT_ONE,
	SELECT_ALL,
	NEXT_VERSION,
	INSERT,
	UPDATE,
	RENEW,
	DELETE,
	ADD_WAITER,
	REMOVE_WAITER,
	SELECT_WAITERS,
	SELECT_WAITER,
	STATEMENT_COUNT
};

/*
 * Returns SQLite's code. After an error the statements that were prepared still have to be
 * finalized.
 */
int sqlite_prepare_all(sqlite3 *database, sqlite3_stmt *statements[STATEMENT_COUNT]);
void sqlite_finalize_all(sqlite3_stmt *statements[STATEMENT_COUNT]);

/* The parameters 1 to 18 of INSERT and UPDATE. */
void sqlite_bind_record(
    sqlite3_stmt *statement, const char *name, const struct record *record, uint64_t version);

/* A row of SELECT_ONE or SELECT_ALL. Texts are borrowed until the statement is reset. */
struct record sqlite_column_record(sqlite3_stmt *statement);

#endif
