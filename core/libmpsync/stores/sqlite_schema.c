#include "sqlite_schema.h"

#include "../clock.h"
#include "../state_folder.h"
#include "../status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define APPLICATION_ID   0x4D505359
#define SCHEMA_VERSION   1
#define OPEN_PATIENCE_MS 10000
#define OPEN_LOOK_MS     200
#define CIFS_MAGIC       0xFF534D42
#define SMB2_MAGIC       0xFE534D42

/* `version` is what compare-and-swap compares: the counter's value at the row's last write. */
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

char *sqlite_path(const char *path, mpsync_error *error)
{
	char *result = *path ? strdup(path) : state_file("locks.db");

	if (!result)
		fail(error, MPSYNC_E_INVALID,
		    "file: needs a path here, for HOME is not set, or there is no memory");
	return result;
}

static bool make_folder(char *folder, mpsync_error *error)
{
	for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(folder, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES) {
			fail(error, MPSYNC_E_FORBIDDEN, "cannot make the folder %.150s: %s", folder,
			    strerror(errno));
			return false;
		}
		*slash = '/';
	}
	return true;
}

/* WAL's shared memory is not coherent between hosts, and FUSE hides what is below it. */
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

/* So that it is 0600 whatever the umask; SQLite gives its other files the same mode. */
static bool make_file(const char *path, mpsync_error *error)
{
	const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	const char *network;

	if (descriptor < 0) {
		fail(error,
		    errno == EACCES || errno == EROFS || errno == EPERM ? MPSYNC_E_FORBIDDEN
		                                                        : MPSYNC_E_UNREACHABLE,
		    "cannot write the file %.150s: %s; choose another with file:PATH", path,
		    strerror(errno));
		return false;
	}
	close(descriptor);
	network = network_file_system(path);
	if (network)
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "%.120s lies on %s; file: is for one host's own disk, use an elector or etcd", path,
		    network);
	return !network;
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
	/* From the wall clock, so that a file that was removed and made anew does not start at 1. */
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

/* In one transaction, so that of many processes that start at once one makes the tables. */
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

/* Only the first needs the lock for writing; the others are not to queue for it. */
static int prepare_once(
    sqlite3 *database, const char *path, enum file_state *state, mpsync_error *error)
{
	int code = sqlite3_exec(database, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);

	*state = FILE_EMPTY;
	if (code == SQLITE_OK)
		code = look_and_make(database, path, "BEGIN", state, error);
	if (code == SQLITE_OK && *state == FILE_EMPTY)
		code = look_and_make(database, path, "BEGIN IMMEDIATE", state, error);
	return code;
}

/* Before the loop runs it may wait: many may start at once, and one of them makes the tables. */
static int prepare_file(sqlite3 *database, const char *path, bool *refused, mpsync_error *error)
{
	const uint64_t until_ms = clock_boot_ms() + OPEN_PATIENCE_MS;
	enum file_state state;
	int code;

	sqlite3_busy_timeout(database, OPEN_LOOK_MS);
	do
		code = prepare_once(database, path, &state, error);
	while ((code & 0xff) == SQLITE_BUSY && clock_boot_ms() < until_ms);
	sqlite3_busy_timeout(database, 0);
	*refused = state == FILE_REFUSED;
	return code;
}

sqlite3 *sqlite_open_file(const char *path, mpsync_error *error)
{
	sqlite3 *database = NULL;
	char *folder = strdup(path);
	bool refused = false;
	bool made = folder && make_folder(folder, error) && make_file(path, error);
	int code;

	if (!folder)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	free(folder);
	if (!made)
		return NULL;
	code = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK)
		code = prepare_file(database, path, &refused, error);
	if (code == SQLITE_OK && !refused)
		return database;
	if (!refused)
		fail(error, sqlite_status(code), "cannot use %.140s: %.80s", path, sqlite3_errstr(code));
	sqlite3_close(database);
	return NULL;
}
