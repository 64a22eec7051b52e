#include "sqlite.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/status.h"
#include "path.h"
#include "store.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* How long to wait at the opening for other processes that make the file. */
#define OPEN_PATIENCE_MS 10000

void sqlite_fail_request(struct record_request *request, const mpsync_error *error)
{
	const mpsync_status status = (mpsync_status)error->status;
	const bool refused = status != MPSYNC_E_UNREACHABLE && status != MPSYNC_E_NO_MEMORY;

	request->done(
	    request, refused ? RECORD_REFUSED : RECORD_UNKNOWN, NULL, status, error->message, 0);
}

/* ---- The file itself ---- */

static bool open_again(struct sqlite *sqlite, mpsync_error *error)
{
	struct sqlite_file *fresh = sqlite_file_open(sqlite->path, &sqlite->access, 0, error);

	if (!fresh)
		return false;
	sqlite_file_close(sqlite->file);
	sqlite->file = fresh;
	sqlite_watch_again(sqlite);
	return true;
}

bool sqlite_enter(struct sqlite *sqlite, mpsync_error *error)
{
	if (sqlite_file_enter(sqlite->file))
		return true;
	if (!open_again(sqlite, error))
		return false;
	if (sqlite_file_enter(sqlite->file))
		return true;
	fail(error, MPSYNC_E_UNREACHABLE, "%.150s is being removed or replaced", sqlite->path);
	return false;
}

void sqlite_leave(struct sqlite *sqlite)
{
	sqlite_file_leave(sqlite->file);
}

void sqlite_note_version(struct sqlite *sqlite, uint64_t version)
{
	if (version > sqlite->newest)
		sqlite->newest = version;
}

/* ---- Reading ---- */

/*
 * Process numbers are used again: then a dead waiter counts as alive, which costs time and never
 * exclusion.
 */
static bool waiter_lives(const struct sqlite *sqlite, int pid, uint32_t pidns)
{
	return pidns != sqlite->self.pidns || kill(pid, 0) == 0 || errno != ESRCH;
}

/*
 * At most eight are counted: that is enough to leave each its moment, and every waiter counts at
 * each hand-off.
 */
static uint32_t count_ahead(struct sqlite *sqlite, const char *name, const struct id *claim)
{
	sqlite3_stmt *statement = sqlite->file->statements[SELECT_WAITERS];
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

static bool is_listed(struct sqlite *sqlite, const struct id *claim)
{
	sqlite3_stmt *statement = sqlite->file->statements[SELECT_WAITER];
	char own[ID_HEX_SIZE];
	int code;

	id_to_hex(claim, own);
	sqlite3_bind_text(statement, 1, own, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	sqlite3_reset(statement);
	return code != SQLITE_DONE;
}

/* SQLITE_ROW: the record is a copy; SQLITE_DONE: there is none. */
static int read_row(
    struct sqlite *sqlite, const struct record_request *request, struct record *record)
{
	sqlite3_stmt *statement = sqlite->file->statements[SELECT_ONE];
	int code;

	sqlite3_bind_text(statement, 1, request->name, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		const struct record borrowed = sqlite_column_record(statement);

		if (!record_copy(record, &borrowed))
			code = SQLITE_NOMEM;
		record->uid = sqlite->file->opening;
		sqlite_note_version(sqlite, record->version);
	}
	sqlite3_reset(statement);
	record->ahead = count_ahead(sqlite, request->name, &request->claim);
	record->unlisted = !is_listed(sqlite, &request->claim);
	return code;
}

static void sqlite_read(struct record_backend *base, struct record_request *request)
{
	struct sqlite *sqlite = sqlite_of(base);
	struct record record = {0};
	mpsync_error error;
	int code;

	if (!sqlite_enter(sqlite, &error)) {
		sqlite_fail_request(request, &error);
		return;
	}
	code = read_row(sqlite, request, &record);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		sqlite_access_explain(sqlite->file->paths, code, &error);
	sqlite_leave(sqlite);
	if (code != SQLITE_ROW && code != SQLITE_DONE) {
		sqlite_fail_request(request, &error);
		return;
	}
	if (code == SQLITE_ROW && record.holder)
		record.holder_dead = sqlite_holder_is_dead(sqlite, request->name, &record);
	request->done(
	    request, code == SQLITE_ROW ? RECORD_OK : RECORD_ABSENT, &record, MPSYNC_OK, NULL, 0);
	record_clear(&record);
}

/* ---- Lists ---- */

static int list(struct sqlite *sqlite, struct store_query *query)
{
	sqlite3_stmt *statement = sqlite->file->statements[SELECT_ALL];
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
	sqlite3_stmt *statement = sqlite->file->statements[SELECT_ONE];
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

static int ask(struct sqlite *sqlite, struct store_query *query, bool *found)
{
	if (query->kind == STORE_LIST)
		return list(sqlite, query);
	return get(sqlite, query, found);
}

static void sqlite_query(struct record_backend *base, struct store_query *query)
{
	struct sqlite *sqlite = sqlite_of(base);
	bool found = true;
	mpsync_error error;
	int code;

	if (query->kind == STORE_CHECK) {
		sqlite_check(sqlite, query);
		return;
	}
	if (!sqlite_enter(sqlite, &error)) {
		query->done(query, (mpsync_status)error.status, error.message);
		return;
	}
	code = ask(sqlite, query, &found);
	if (code != SQLITE_OK)
		sqlite_access_explain(sqlite->file->paths, code, &error);
	sqlite_leave(sqlite);
	if (code != SQLITE_OK)
		query->done(query, (mpsync_status)error.status, error.message);
	else
		query->done(query, found ? MPSYNC_OK : MPSYNC_E_NOT_HELD, NULL);
}

/* ---- Opening and closing ---- */

static void sqlite_close(struct record_backend *base)
{
	struct sqlite *sqlite = sqlite_of(base);

	sqlite_watch_clear(sqlite);
	sqlite_changes_clear(sqlite);
	sqlite_file_close(sqlite->file);
	free(sqlite->url);
	free(sqlite->path);
	free(sqlite);
}

/* Places in the order of those who wait are given back on behalf of nobody. */
static bool sqlite_finishing(const struct record_backend *base)
{
	return ((const struct sqlite *)base)->first;
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
    .query_cancel = sqlite_query_cancel,
    .close = sqlite_close,
    .finishing = sqlite_finishing,
};

static bool open_all(struct sqlite *sqlite, const char *path, const struct mpsync_options *options,
    mpsync_error *error)
{
	sqlite->path = sqlite_path_resolve(path, error);
	if (!sqlite->path || !sqlite_access_read(&sqlite->access, options, error))
		return false;
	sqlite->file = sqlite_file_open(sqlite->path, &sqlite->access, OPEN_PATIENCE_MS, error);
	if (!sqlite->file)
		return false;
	sqlite->url = sqlite_path_url(sqlite->path);
	sqlite->base.url = sqlite->url;
	if (sqlite->url && sqlite_changes_init(sqlite) && sqlite_watch_init(sqlite))
		return true;
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

struct store *sqlite_open(const char *path, const struct mpsync_options *options,
    bool death_is_proof, struct loop *loop, const struct store_clock *clock, mpsync_error *error)
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
	sqlite->inotify_fd = -1;
	if (!process_self(&sqlite->self)) {
		fail(error, MPSYNC_E_UNSUPPORTED, "file: needs /proc to know this machine by; mount it");
		sqlite_close(&sqlite->base);
		return NULL;
	}
	sqlite->base.host = sqlite->self;
	if (!death_is_proof)
		sqlite->base.host.pid = 0;
	if (!open_all(sqlite, path, options, error)) {
		sqlite_close(&sqlite->base);
		return NULL;
	}
	store = records_new(&sqlite->base, clock);
	if (!store)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return store;
}
