#include "store.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/status.h"
#include "schema.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * While another process writes the file, a change is tried again after a random part of this time;
 * after so long in all it is given up.
 */
#define BUSY_RETRY_US   2000
#define BUSY_GIVE_UP_MS 2000

/* A change on its way into the file. Several share one transaction. */
struct change {
	struct change *next;
	enum { CHANGE_WRITE, CHANGE_REMOVE, CHANGE_ENQUEUE, CHANGE_DEQUEUE, CHANGE_NOTHING } kind;
	struct record_request *request; /* NULL: cancelled, or no request waits for it */
	struct store_query *query; /* NOTHING: the query that asks whether the file can be written */
	char *name;
	char claim[ID_HEX_SIZE];
	char *holder;
	struct record record; /* with copies of its texts */
	bool grant;
	bool renewal;
	bool durable;
	bool create;
	uint64_t expected;
	struct id opening; /* of the file that the expected record was read from; none: no record */
	uint64_t since_ms;
	enum record_result result;
};

static void free_change(struct change *change)
{
	record_clear(&change->record);
	free(change->name);
	free(change->holder);
	free(change);
}

/* ---- One change ---- */

static int step_and_reset(sqlite3_stmt *statement)
{
	const int code = sqlite3_step(statement);

	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

/*
 * More than every earlier version, also where the file was removed, or lost its -wal and with it
 * the latest counts: the wall clock in microseconds is ahead of every count, and the greatest
 * version that this process has seen is a second bound.
 */
static int next_version(struct sqlite *sqlite, uint64_t *version)
{
	sqlite3_stmt *statement = sqlite->file->statements[NEXT_VERSION];
	const uint64_t now_us = (uint64_t)clock_wall_ms() * 1000;
	int code;

	sqlite3_bind_int64(
	    statement, 1, (sqlite3_int64)(now_us > sqlite->newest ? now_us : sqlite->newest + 1));
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*version = (uint64_t)sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_CORRUPT : code;
}

static int remove_waiter(struct sqlite *sqlite, const char *claim)
{
	sqlite3_stmt *statement = sqlite->file->statements[REMOVE_WAITER];

	sqlite3_bind_text(statement, 1, claim, -1, SQLITE_STATIC);
	return step_and_reset(statement);
}

/* Renewals are most of all writes; thousands of them may share one transaction. */
static int apply_renewal(struct sqlite *sqlite, struct change *change, uint64_t version)
{
	sqlite3_stmt *statement = sqlite->file->statements[RENEW];
	int code;

	sqlite3_bind_int64(statement, 1, (sqlite3_int64)change->record.deadline_ms);
	sqlite3_bind_int64(statement, 2, (sqlite3_int64)change->record.renewed_us);
	sqlite3_bind_int64(statement, 3, (sqlite3_int64)version);
	sqlite3_bind_text(statement, 4, change->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 5, (sqlite3_int64)change->expected);
	code = step_and_reset(statement);
	change->result = sqlite3_changes(sqlite->file->database) == 1 ? RECORD_OK : RECORD_CONFLICT;
	change->record.version = version;
	return code;
}

static int apply_write(struct sqlite *sqlite, struct change *change, uint64_t version)
{
	sqlite3_stmt *statement = sqlite->file->statements[change->create ? INSERT : UPDATE];
	int code;

	if (change->grant)
		change->record.token = version;
	sqlite_bind_record(statement, change->name, &change->record, version);
	if (!change->create)
		sqlite3_bind_int64(statement, 19, (sqlite3_int64)change->expected);
	code = step_and_reset(statement);
	change->result = sqlite3_changes(sqlite->file->database) == 1 ? RECORD_OK : RECORD_CONFLICT;
	change->record.version = version;
	if (code == SQLITE_OK && change->grant && change->result == RECORD_OK)
		code = remove_waiter(sqlite, change->claim);
	return code;
}

static int apply_remove(struct sqlite *sqlite, struct change *change)
{
	sqlite3_stmt *statement = sqlite->file->statements[DELETE];
	int code;

	sqlite3_bind_text(statement, 1, change->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, (sqlite3_int64)change->expected);
	code = step_and_reset(statement);
	change->result = sqlite3_changes(sqlite->file->database) == 1 ? RECORD_OK : RECORD_CONFLICT;
	return code;
}

static int apply_enqueue(struct sqlite *sqlite, const struct change *change)
{
	sqlite3_stmt *statement = sqlite->file->statements[ADD_WAITER];

	sqlite3_bind_text(statement, 1, change->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, change->claim, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 3, change->holder, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 4, sqlite->self.pid);
	sqlite3_bind_int64(statement, 5, (sqlite3_int64)sqlite->self.pid_start);
	sqlite3_bind_int64(statement, 6, sqlite->self.pidns);
	sqlite3_bind_int64(statement, 7, clock_wall_ms());
	return step_and_reset(statement);
}

/* A version of a file that was replaced says nothing about the present file. */
static bool is_of_former_file(const struct sqlite *sqlite, const struct change *change)
{
	return !id_is_none(&change->opening) && !id_equal(&change->opening, &sqlite->file->opening);
}

/*
 * All writes of a transaction have one version. Tokens stay unique for each name, because
 * compare-and-swap on the version before lets one grant of a name succeed in it at most.
 */
static int apply(struct sqlite *sqlite, struct change *change, uint64_t version)
{
	if (is_of_former_file(sqlite, change)) {
		change->result = RECORD_CONFLICT;
		return SQLITE_OK;
	}
	change->record.uid = sqlite->file->opening;
	switch (change->kind) {
	case CHANGE_WRITE:
		return change->renewal ? apply_renewal(sqlite, change, version)
		                       : apply_write(sqlite, change, version);
	case CHANGE_REMOVE:
		return apply_remove(sqlite, change);
	case CHANGE_ENQUEUE:
		return apply_enqueue(sqlite, change);
	case CHANGE_DEQUEUE:
		return remove_waiter(sqlite, change->claim);
	case CHANGE_NOTHING:
		return SQLITE_OK;
	}
	return SQLITE_INTERNAL;
}

/* ---- Transactions ---- */

static void set_synchronous(struct sqlite *sqlite, bool full)
{
	if (full == sqlite->file->full_sync)
		return;
	sqlite3_exec(sqlite->file->database,
	    full ? "PRAGMA synchronous=FULL; PRAGMA fullfsync=1" : "PRAGMA synchronous=NORMAL", NULL,
	    NULL, NULL);
	sqlite->file->full_sync = full;
}

static bool any_durable(const struct change *change)
{
	while (change && !change->durable)
		change = change->next;
	return change;
}

static bool any_write(const struct change *change)
{
	while (change && change->kind != CHANGE_WRITE)
		change = change->next;
	return change;
}

static int transact(struct sqlite *sqlite, struct change *changes)
{
	uint64_t version = 0;
	int code;

	set_synchronous(sqlite, any_durable(changes));
	code = sqlite3_exec(sqlite->file->database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (code == SQLITE_OK && any_write(changes))
		code = next_version(sqlite, &version);
	for (struct change *change = changes; change && code == SQLITE_OK; change = change->next)
		code = apply(sqlite, change, version);
	if (code == SQLITE_OK)
		code = sqlite3_exec(sqlite->file->database, "COMMIT", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		sqlite_note_version(sqlite, version);
	if (code != SQLITE_OK && !sqlite3_get_autocommit(sqlite->file->database))
		sqlite3_exec(sqlite->file->database, "ROLLBACK", NULL, NULL, NULL);
	return code;
}

/*
 * On a full disk the -wal cannot grow, and the write after which SQLite would copy it into the
 * database never comes. Copied here, its room serves the transactions that follow.
 */
static int transact_in_given_room(struct sqlite *sqlite, struct change *changes)
{
	const int code = transact(sqlite, changes);

	if ((code & 0xff) != SQLITE_FULL || sqlite_checkpoint(sqlite->file->database) != SQLITE_OK)
		return code;
	return transact(sqlite, changes);
}

/* Releases, grants, values, and waiters that leave, are news to others; a renewal is not. */
static bool is_news(const struct change *changes)
{
	for (; changes; changes = changes->next)
		if ((changes->durable && changes->result == RECORD_OK) || changes->kind == CHANGE_DEQUEUE)
			return true;
	return false;
}

/* After the commit, because processes that are told of a change read it at once. */
static void notify_others(struct sqlite *sqlite)
{
	if (pwrite(sqlite->file->notify, "\n", 1, 0) < 0)
		return; /* others notice the event on the -wal instead */
}

static void answer_change(const struct change *change, const mpsync_error *error)
{
	struct record_request *request = change->request;

	if (change->query)
		change->query->done(
		    change->query, (mpsync_status)error->status, *error->message ? error->message : NULL);
	if (!request)
		return;
	if (error->status != MPSYNC_OK)
		sqlite_fail_request(request, error);
	else
		request->done(request, change->result,
		    change->kind == CHANGE_WRITE && change->result == RECORD_OK ? &change->record : NULL,
		    MPSYNC_OK, NULL, 0);
}

static void retry_soon(struct sqlite *sqlite)
{
	const struct store_clock clock = clock_real(NULL);
	const struct timeval soon = {0, 100 + (long)(clock.random(NULL) % BUSY_RETRY_US)};

	evtimer_add(sqlite->retry, &soon);
}

static bool given_up(const struct change *change)
{
	return clock_boot_ms() - change->since_ms > BUSY_GIVE_UP_MS;
}

/* False: another process writes the file, so it is worth trying again. */
static bool write_all(struct sqlite *sqlite, struct change *changes, mpsync_error *error)
{
	int code;

	if (!sqlite_enter(sqlite, error))
		return true;
	succeed(error);
	code = transact_in_given_room(sqlite, changes);
	if (code == SQLITE_OK && is_news(changes))
		notify_others(sqlite);
	if (code != SQLITE_OK)
		sqlite_access_explain(sqlite->file->paths, code, error);
	sqlite_leave(sqlite);
	return (code & 0xff) != SQLITE_BUSY || given_up(changes);
}

/* Write all gathered changes in one transaction. Their answers may bring more. */
static void flush(struct sqlite *sqlite)
{
	struct change *changes = sqlite->first;
	mpsync_error error;

	if (!changes || sqlite->running || sqlite->batches > 0)
		return;
	if (!write_all(sqlite, changes, &error)) {
		retry_soon(sqlite);
		return;
	}
	sqlite->first = NULL;
	sqlite->last = NULL;
	sqlite->running = true;
	sqlite->answering = changes;
	while ((changes = sqlite->answering)) {
		sqlite->answering = changes->next;
		answer_change(changes, &error);
		free_change(changes);
	}
	sqlite->running = false;
	flush(sqlite);
}

static void on_retry(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor, (void)what;
	flush(context);
}

/* ---- What is asked ---- */

static void submit(struct sqlite *sqlite, struct change *change)
{
	change->since_ms = clock_boot_ms();
	SINGLY_APPEND(sqlite->first, sqlite->last, change);
	if (!evtimer_pending(sqlite->retry, NULL))
		flush(sqlite);
}

static struct change *change_new(const char *name, const struct id *claim)
{
	struct change *change = calloc(1, sizeof *change);

	if (!change)
		return NULL;
	change->name = strdup(name);
	if (!change->name) {
		free(change);
		return NULL;
	}
	id_to_hex(claim, change->claim);
	return change;
}

static void submit_request(struct record_backend *base, struct record_request *request, bool write)
{
	struct change *change = change_new(request->name, &request->claim);

	if (change && write && !record_copy(&change->record, &request->record)) {
		free_change(change);
		change = NULL;
	}
	if (!change) {
		request->done(request, RECORD_REFUSED, NULL, MPSYNC_E_NO_MEMORY, "out of memory", 0);
		return;
	}
	change->kind = write ? CHANGE_WRITE : CHANGE_REMOVE;
	change->request = request;
	change->grant = request->grant;
	change->renewal = request->renewal;
	change->durable = request->durable;
	change->create = request->create;
	change->expected = request->version;
	change->opening = request->uid;
	submit(sqlite_of(base), change);
}

void sqlite_write(struct record_backend *base, struct record_request *request)
{
	submit_request(base, request, true);
}

void sqlite_remove(struct record_backend *base, struct record_request *request)
{
	submit_request(base, request, false);
}

static void forget_asker(
    struct change *changes, const struct record_request *request, const struct store_query *query)
{
	for (; changes; changes = changes->next) {
		if (changes->request == request)
			changes->request = NULL;
		if (changes->query == query)
			changes->query = NULL;
	}
}

/* The change itself is carried out: a release that nobody waits for is still a release. */
void sqlite_cancel(struct record_backend *base, struct record_request *request)
{
	forget_asker(sqlite_of(base)->first, request, NULL);
	forget_asker(sqlite_of(base)->answering, request, NULL);
}

void sqlite_query_cancel(struct record_backend *base, struct store_query *query)
{
	forget_asker(sqlite_of(base)->first, NULL, query);
	forget_asker(sqlite_of(base)->answering, NULL, query);
}

void sqlite_batch_begin(struct record_backend *base)
{
	sqlite_of(base)->batches++;
}

void sqlite_batch_end(struct record_backend *base)
{
	struct sqlite *sqlite = sqlite_of(base);

	sqlite->batches--;
	if (!evtimer_pending(sqlite->retry, NULL))
		flush(sqlite);
}

void sqlite_enqueue(struct record_backend *base, const struct store_claim *claim)
{
	struct change *change = change_new(claim->name, &claim->digest);

	if (!change)
		return; /* without memory the waiter has no place, and waits all the same */
	change->kind = CHANGE_ENQUEUE;
	change->holder = strdup(claim->holder);
	if (change->holder)
		submit(sqlite_of(base), change);
	else
		free_change(change);
}

void sqlite_dequeue(struct record_backend *base, const struct store_claim *claim)
{
	struct change *change = change_new(claim->name, &claim->digest);

	if (!change)
		return;
	change->kind = CHANGE_DEQUEUE;
	submit(sqlite_of(base), change);
}

void sqlite_check(struct sqlite *sqlite, struct store_query *query)
{
	struct change *change = change_new("", &(struct id){{0}});

	if (!change) {
		query->done(query, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	change->kind = CHANGE_NOTHING;
	change->query = query;
	submit(sqlite, change);
}

/* ---- Beginning and end ---- */

bool sqlite_changes_init(struct sqlite *sqlite)
{
	sqlite->retry = evtimer_new(sqlite->loop->base, on_retry, sqlite);
	return sqlite->retry;
}

void sqlite_changes_clear(struct sqlite *sqlite)
{
	while (sqlite->first) {
		struct change *change = sqlite->first;

		sqlite->first = change->next;
		free_change(change);
	}
	if (sqlite->retry)
		event_free(sqlite->retry);
}
