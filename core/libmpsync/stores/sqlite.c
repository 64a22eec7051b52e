#include "sqlite.h"

#include "../clock.h"
#include "../process.h"
#include "../status.h"
#include "sqlite_schema.h"
#include "sqlite_store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void sqlite_fail_request(struct sqlite *sqlite, struct record_request *request, int code)
{
	const mpsync_status status = sqlite_status(code);
	const bool refused = status != MPSYNC_E_UNREACHABLE && status != MPSYNC_E_NO_MEMORY;

	if ((code & 0xff) == SQLITE_FULL)
		snprintf(sqlite->message, sizeof sqlite->message,
		    "the disk that holds %.120s is full; make room", sqlite->path);
	else
		snprintf(sqlite->message, sizeof sqlite->message, "%.110s: %.70s", sqlite->path,
		    sqlite3_errstr(code));
	request->done(
	    request, refused ? RECORD_REFUSED : RECORD_UNKNOWN, NULL, status, sqlite->message, 0);
}

/* ---- The file itself ---- */

static bool open_database(struct sqlite *sqlite, mpsync_error *error)
{
	struct stat status;
	int code;

	sqlite->database = sqlite_open_file(sqlite->path, error);
	if (!sqlite->database)
		return false;
	code = sqlite_prepare_all(sqlite);
	if (code != SQLITE_OK) {
		fail(error, sqlite_status(code), "cannot use %.140s: %.80s", sqlite->path,
		    sqlite3_errmsg(sqlite->database));
		sqlite_finalize_all(sqlite);
		sqlite3_close(sqlite->database);
		sqlite->database = NULL;
		return false;
	}
	sqlite->inode = stat(sqlite->path, &status) == 0 ? status.st_ino : 0;
	sqlite->full_sync = false;
	sqlite3_exec(sqlite->database, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
	return true;
}

bool sqlite_reopen_if_replaced(struct sqlite *sqlite)
{
	struct stat status;

	if (sqlite->database && stat(sqlite->path, &status) == 0 && status.st_ino == sqlite->inode)
		return true;
	sqlite_finalize_all(sqlite);
	sqlite3_close(sqlite->database);
	sqlite->database = NULL;
	return open_database(sqlite, NULL);
}

/* ---- Reading ---- */

/* A pid that was used again costs a moment of politeness, nothing else. */
static bool waiter_lives(const struct sqlite *sqlite, int pid, uint32_t pidns)
{
	return pidns != sqlite->self.pidns || kill(pid, 0) == 0 || errno != ESRCH;
}

/* Up to eight: enough to leave each its moment, and every waiter looks at each hand-over. */
static uint32_t count_ahead(struct sqlite *sqlite, const char *name, const struct id *claim)
{
	sqlite3_stmt *statement = sqlite->statements[SELECT_WAITERS];
	char own[ID_HEX_SIZE];
	uint32_t ahead = 0;

	id_to_hex(claim, own);
	sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	while (sqlite3_step(statement) == SQLITE_ROW) {
		const char *other = (const char *)sqlite3_column_text(statement, 0);

		if (other && strcmp(other, own) == 0)
			break;
		ahead += waiter_lives(
		    sqlite, sqlite3_column_int(statement, 1), (uint32_t)sqlite3_column_int64(statement, 2));
	}
	sqlite3_reset(statement);
	return ahead;
}

static void sqlite_read(struct record_backend *base, struct record_request *request)
{
	struct sqlite *sqlite = sqlite_of(base);
	sqlite3_stmt *statement;
	struct record record = {0};
	int code;

	if (!sqlite_reopen_if_replaced(sqlite)) {
		sqlite_fail_request(sqlite, request, SQLITE_CANTOPEN);
		return;
	}
	statement = sqlite->statements[SELECT_ONE];
	sqlite3_bind_text(statement, 1, request->name, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		const struct record borrowed = sqlite_column_record(statement);

		if (!record_copy(&record, &borrowed))
			code = SQLITE_NOMEM;
	}
	sqlite3_reset(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE) {
		sqlite_fail_request(sqlite, request, code);
		return;
	}
	record.ahead = count_ahead(sqlite, request->name, &request->claim);
	if (code == SQLITE_ROW && record.holder)
		record.holder_dead = sqlite_holder_is_dead(sqlite, request->name, &record);
	request->done(
	    request, code == SQLITE_ROW ? RECORD_OK : RECORD_ABSENT, &record, MPSYNC_OK, NULL, 0);
	record_clear(&record);
}

/* ---- Lists ---- */

static int list(struct sqlite *sqlite, struct store_query *query)
{
	sqlite3_stmt *statement = sqlite->statements[SELECT_ALL];
	const uint64_t now = clock_boot_ms();
	int code;

	sqlite3_bind_text(statement, 1, query->after ? query->after : "", -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, query->prefix ? query->prefix : "", -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, query->limit > INT64_MAX ? -1 : (sqlite3_int64)query->limit);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const struct record record = sqlite_column_record(statement);
		const struct store_lock lock =
		    record_as_lock(&record, (const char *)sqlite3_column_text(statement, 17), now,
		        (uint32_t)sqlite3_column_int(statement, 18));

		query->found(query, &lock);
	}
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int get(struct sqlite *sqlite, struct store_query *query, bool *found)
{
	sqlite3_stmt *statement = sqlite->statements[SELECT_ONE];
	int code;

	sqlite3_bind_text(statement, 1, query->name, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		const struct record record = sqlite_column_record(statement);
		const struct id nobody = {{0}};
		const struct store_lock lock = record_as_lock(
		    &record, query->name, clock_boot_ms(), count_ahead(sqlite, query->name, &nobody));

		*found = record.holder;
		if (*found)
			query->found(query, &lock);
	}
	sqlite3_reset(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static void sqlite_query(struct record_backend *base, struct store_query *query)
{
	struct sqlite *sqlite = sqlite_of(base);
	bool found = true;
	int code = SQLITE_CANTOPEN;

	if (sqlite_reopen_if_replaced(sqlite)) {
		if (query->kind == STORE_LIST)
			code = list(sqlite, query);
		else if (query->kind == STORE_GET)
			code = get(sqlite, query, &found);
		else
			code = sqlite_try_writing(sqlite);
	}
	if (code != SQLITE_OK) {
		snprintf(sqlite->message, sizeof sqlite->message, "%.110s: %.70s", sqlite->path,
		    sqlite3_errstr(code));
		query->done(query, sqlite_status(code), sqlite->message);
	} else {
		query->done(query, found ? MPSYNC_OK : MPSYNC_E_NOT_HELD, NULL);
	}
}

/* ---- Opening and closing ---- */

static void sqlite_close(struct record_backend *base)
{
	struct sqlite *sqlite = sqlite_of(base);

	sqlite_watch_clear(sqlite);
	sqlite_changes_clear(sqlite);
	if (sqlite->notify_fd >= 0)
		close(sqlite->notify_fd);
	sqlite_finalize_all(sqlite);
	sqlite3_close(sqlite->database);
	free(sqlite->notify_path);
	free(sqlite->path);
	free(sqlite);
}

static const struct record_backend_ops sqlite_ops = {
    .read = sqlite_read,
    .write = sqlite_write,
    .remove = sqlite_remove,
    .cancel = sqlite_cancel,
    .batch_begin = sqlite_batch_begin,
    .batch_end = sqlite_batch_end,
    .enqueue = sqlite_enqueue,
    .dequeue = sqlite_dequeue,
    .watch = sqlite_watch,
    .query = sqlite_query,
    .close = sqlite_close,
};

static bool open_all(struct sqlite *sqlite, const char *path, mpsync_error *error)
{
	sqlite->path = sqlite_path(path, error);
	if (!sqlite->path || !open_database(sqlite, error))
		return false;
	if (asprintf(&sqlite->notify_path, "%s-notify", sqlite->path) < 0) {
		sqlite->notify_path = NULL;
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return false;
	}
	sqlite->notify_fd = open(sqlite->notify_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (sqlite->notify_fd < 0) {
		fail(error, MPSYNC_E_FORBIDDEN, "cannot write %.150s: %s", sqlite->notify_path,
		    strerror(errno));
		return false;
	}
	if (sqlite_changes_init(sqlite) && sqlite_watch_init(sqlite))
		return true;
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

struct store *sqlite_open(const char *path, bool death_is_proof, struct loop *loop,
    const struct store_clock *clock, mpsync_error *error)
{
	struct sqlite *sqlite = calloc(1, sizeof *sqlite);
	struct store *store;

	if (!sqlite) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	sqlite->base.ops = &sqlite_ops;
	sqlite->base.kind = "file";
	sqlite->base.shortest_ttl_ms = 50;
	sqlite->base.absent_is_free = true;
	sqlite->loop = loop;
	sqlite->notify_fd = -1;
	sqlite->inotify_fd = -1;
	if (!process_self(&sqlite->self)) {
		fail(error, MPSYNC_E_UNSUPPORTED, "file: needs /proc to know this machine by; mount it");
		sqlite_close(&sqlite->base);
		return NULL;
	}
	sqlite->base.host = sqlite->self;
	if (!death_is_proof)
		sqlite->base.host.pid = 0;
	if (!open_all(sqlite, path, error)) {
		sqlite_close(&sqlite->base);
		return NULL;
	}
	store = records_new(&sqlite->base, clock);
	if (!store)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return store;
}
