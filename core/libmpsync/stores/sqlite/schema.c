#include "schema.h"

#include "base/clock.h"
#include "base/state_folder.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define APPLICATION_ID 0x4D505359
#define SCHEMA_VERSION 1
#define OPEN_LOOK_MS   200
/*
 * 1 MB. With SQLite's usual 4 MB a small disk has no room left to copy the -wal into the database.
 */
#define WAL_PAGES "250"

/* Compare-and-swap compares `version`: the counter's value at the row's last write. */
static const char schema[] =
    "CREATE TABLE counter (value INTEGER NOT NULL);"
    "CREATE TABLE lock ("
    "  name TEXT PRIMARY KEY NOT NULL, type TEXT NOT NULL, holder TEXT, claim TEXT,"
    "  token INTEGER NOT NULL, ttl_ms INTEGER NOT NULL, deadline_boot_ms INTEGER NOT NULL,"
    "  boot_id TEXT, timens INTEGER NOT NULL, pid INTEGER NOT NULL, pid_start INTEGER NOT NULL,"
    "  pidns INTEGER NOT NULL, instance TEXT, since_ms INTEGER NOT NULL, value TEXT,"
    "  revoked INTEGER NOT NULL, renewals INTEGER NOT NULL, version INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE waiter ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, claim TEXT NOT NULL UNIQUE,"
    "  holder TEXT NOT NULL, pid INTEGER NOT NULL, pid_start INTEGER NOT NULL,"
    "  pidns INTEGER NOT NULL, since_ms INTEGER NOT NULL);"
    "CREATE INDEX waiter_by_name ON waiter (name, seq);";

mpsync_status sqlite_status(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return MPSYNC_OK;
	case SQLITE_NOMEM:
		return MPSYNC_E_NO_MEMORY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return MPSYNC_E_FORBIDDEN;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR:
		return MPSYNC_E_CORRUPT;
	default:
		return MPSYNC_E_UNREACHABLE;
	}
}

static int integer_pragma(sqlite3 *database, const char *sql, int64_t *value)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);

	if (code != SQLITE_OK)
		return code;
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return code == SQLITE_ROW ? SQLITE_OK : code;
}

static int create_schema(sqlite3 *database)
{
	char sql[256];
	int code = sqlite3_exec(database, schema, NULL, NULL, NULL);

	if (code != SQLITE_OK)
		return code;
	/*
	 * The counter begins with the wall clock, so that it does not start at 1 after the file was
	 * removed and made anew.
	 */
	snprintf(sql, sizeof sql,
	    "INSERT INTO counter VALUES (%lld); PRAGMA application_id=%d; PRAGMA user_version=%d;",
	    (long long)clock_wall_ms() * 1000, APPLICATION_ID, SCHEMA_VERSION);
	return sqlite3_exec(database, sql, NULL, NULL, NULL);
}

static bool check_versions(
    const char *path, int64_t application, int64_t version, bool empty, mpsync_error *error)
{
	if (application != APPLICATION_ID && !empty)
		fail(error, MPSYNC_E_CORRUPT,
		    "%.150s is the database of another application; choose another with file:PATH", path);
	else if (version > SCHEMA_VERSION)
		fail(error, MPSYNC_E_CORRUPT,
		    "%.150s was written by a newer version (schema %lld, here %d); upgrade this program",
		    path, (long long)version, SCHEMA_VERSION);
	else
		return true;
	return false;
}

enum file_state { FILE_READY, FILE_EMPTY, FILE_REFUSED };

static int look_at_file(
    sqlite3 *database, const char *path, enum file_state *state, mpsync_error *error)
{
	int64_t application = 0;
	int64_t version = 0;
	int64_t tables = 0;
	int code = integer_pragma(database, "PRAGMA application_id", &application);

	if (code == SQLITE_OK)
		code = integer_pragma(database, "PRAGMA user_version", &version);
	if (code == SQLITE_OK)
		code = integer_pragma(database, "SELECT count(*) FROM sqlite_schema", &tables);
	if (code != SQLITE_OK)
		return code;
	if (!check_versions(path, application, version, tables == 0, error))
		*state = FILE_REFUSED;
	else
		*state = tables == 0 ? FILE_EMPTY : FILE_READY;
	return SQLITE_OK;
}

/* In one transaction, so that of many processes that start at once exactly one makes the tables. */
static int look_and_make(sqlite3 *database, const char *path, const char *begin,
    enum file_state *state, mpsync_error *error)
{
	int code = sqlite3_exec(database, begin, NULL, NULL, NULL);

	if (code == SQLITE_OK)
		code = look_at_file(database, path, state, error);
	if (code == SQLITE_OK && *state == FILE_EMPTY && strcmp(begin, "BEGIN IMMEDIATE") == 0) {
		code = create_schema(database);
		*state = FILE_READY;
	}
	if (code == SQLITE_OK)
		return sqlite3_exec(database, "COMMIT", NULL, NULL, NULL);
	if (!sqlite3_get_autocommit(database))
		sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
	return code;
}

int sqlite_checkpoint(sqlite3 *database)
{
	return sqlite3_wal_checkpoint_v2(database, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* Only the first process needs the lock for writing; the others must not queue for it. */
static int prepare_once(
    sqlite3 *database, const char *path, enum file_state *state, mpsync_error *error)
{
	int code = sqlite3_exec(database, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);

	*state = FILE_EMPTY;
	if (code == SQLITE_OK)
		code = look_and_make(database, path, "BEGIN", state, error);
	if (code == SQLITE_OK && *state == FILE_EMPTY) {
		code = look_and_make(database, path, "BEGIN IMMEDIATE", state, error);
		/* The database takes its room on the disk while there is some. */
		if (code == SQLITE_OK)
			sqlite_checkpoint(database);
	}
	return code;
}

int sqlite_prepare_file(
    sqlite3 *database, const char *path, uint32_t patience_ms, mpsync_error *error)
{
	const uint64_t until_ms = clock_boot_ms() + patience_ms;
	enum file_state state;
	int code;

	sqlite3_busy_timeout(database, patience_ms < OPEN_LOOK_MS ? (int)patience_ms : OPEN_LOOK_MS);
	do
		code = prepare_once(database, path, &state, error);
	while ((code & 0xff) == SQLITE_BUSY && clock_boot_ms() < until_ms);
	sqlite3_busy_timeout(database, 0);
	if (code == SQLITE_OK)
		sqlite3_exec(database, "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=" WAL_PAGES,
		    NULL, NULL, NULL);
	return code == SQLITE_OK && state == FILE_REFUSED ? SQLITE_ABORT : code;
}
