#include "sqlite.h"

#include "../clock.h"
#include "../process.h"
#include "../status.h"
#include "sqlite_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that another process writes is tried again after a random part of this, and given up. */
#define BUSY_RETRY_US   2000
#define BUSY_GIVE_UP_MS 2000
/* An event on the -wal comes before its commit can be read. */
#define WAL_SETTLES_MS 10
/* Where the kernel has no inotify instance left (128 a user by default), waiters look so often. */
#define LOOK_EVERY_MS 20

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
	STATEMENT_COUNT
};

#define COLUMNS                                                                                    \
	"type, holder, claim, token, ttl_ms, deadline_boot_ms, boot_id, timens, pid, pid_start,"       \
	" pidns, instance, since_ms, value, revoked, renewals, version, name"

static const char *const sql[STATEMENT_COUNT] = {
    [SELECT_ONE] = "SELECT " COLUMNS " FROM lock WHERE name = ?1",
    [SELECT_ALL] = "SELECT " COLUMNS ", (SELECT count(*) FROM waiter WHERE waiter.name = lock.name)"
                   " FROM lock WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2"
                   " AND holder IS NOT NULL ORDER BY name LIMIT ?3",
    [NEXT_VERSION] = "UPDATE counter SET value = value + 1 RETURNING value",
    [INSERT] = "INSERT OR IGNORE INTO lock (" COLUMNS
               ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
    [UPDATE] = "UPDATE lock SET type=?1, holder=?2, claim=?3, token=?4, ttl_ms=?5,"
               " deadline_boot_ms=?6, boot_id=?7, timens=?8, pid=?9, pid_start=?10, pidns=?11,"
               " instance=?12, since_ms=?13, value=?14, revoked=?15, renewals=?16, version=?17"
               " WHERE name=?18 AND version=?19",
    [RENEW] = "UPDATE lock SET deadline_boot_ms=?1, renewals=?2, version=?3"
              " WHERE name=?4 AND version=?5",
    [DELETE] = "DELETE FROM lock WHERE name = ?1 AND version = ?2",
    [ADD_WAITER] = "INSERT OR IGNORE INTO waiter (name, claim, holder, pid, pid_start, pidns,"
                   " since_ms) VALUES (?1,?2,?3,?4,?5,?6,?7)",
    [REMOVE_WAITER] = "DELETE FROM waiter WHERE claim = ?1",
    [SELECT_WAITERS] = "SELECT claim, pid, pidns FROM waiter WHERE name = ?1 ORDER BY seq LIMIT 8",
};

/* A change on its way into the file. Several go in one transaction. */
struct change {
	struct change *next;
	enum { CHANGE_WRITE, CHANGE_REMOVE, CHANGE_ENQUEUE, CHANGE_DEQUEUE } kind;
	struct record_request *request; /* NULL: cancelled, or nobody asks */
	char *name;
	char claim[ID_HEX_SIZE];
	char *holder;
	struct record record; /* copies of its strings */
	bool grant;
	bool renewal;
	bool durable;
	bool create;
	uint64_t expected;
	uint64_t since_ms;
	enum record_result result;
};

/* A holder whose death somebody here waits for. */
struct watched_holder {
	struct watched_holder *next;
	struct sqlite *sqlite;
	char *name;
	struct record_host host;
	struct event *event;
	int descriptor;
};

struct sqlite {
	struct record_backend base;
	struct record_host self;
	struct loop *loop;
	char *path;
	char *notify_path;
	sqlite3 *database;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	ino_t inode;
	struct change *first;
	struct change *last;
	unsigned batches;
	bool running;
	bool full_sync;
	struct event *retry;
	struct event *settle;
	struct event *notified;
	int notify_fd;
	int inotify_fd;
	int notify_watch;
	uint32_t watches;
	struct watched_holder *holders;
	char message[200];
};

static struct sqlite *of(struct record_backend *base)
{
	return (struct sqlite *)base;
}

/* ---- Rows ---- */

static void bind_id(sqlite3_stmt *statement, int column, const struct id *id)
{
	char hex[ID_HEX_SIZE];

	if (id_is_none(id)) {
		sqlite3_bind_null(statement, column);
		return;
	}
	id_to_hex(id, hex);
	sqlite3_bind_text(statement, column, hex, -1, SQLITE_TRANSIENT);
}

static void bind_record(
    sqlite3_stmt *statement, const char *name, const struct record *record, uint64_t version)
{
	sqlite3_bind_text(statement, 1, record->election ? "election" : "lock", -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, record->holder, -1, SQLITE_TRANSIENT);
	bind_id(statement, 3, &record->claim);
	sqlite3_bind_int64(statement, 4, (sqlite3_int64)record->token);
	sqlite3_bind_int64(statement, 5, record->ttl_ms);
	sqlite3_bind_int64(statement, 6, (sqlite3_int64)record->deadline_ms);
	bind_id(statement, 7, &record->host.boot);
	sqlite3_bind_int64(statement, 8, record->host.timens);
	sqlite3_bind_int64(statement, 9, record->host.pid);
	sqlite3_bind_int64(statement, 10, (sqlite3_int64)record->host.pid_start);
	sqlite3_bind_int64(statement, 11, record->host.pidns);
	bind_id(statement, 12, &record->instance);
	sqlite3_bind_int64(statement, 13, record->since_ms);
	sqlite3_bind_text(statement, 14, record->value, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int(statement, 15, record->revoked);
	sqlite3_bind_int64(statement, 16, (sqlite3_int64)record->renewed_us);
	sqlite3_bind_int64(statement, 17, (sqlite3_int64)version);
	sqlite3_bind_text(statement, 18, name, -1, SQLITE_TRANSIENT);
}

static void column_id(sqlite3_stmt *statement, int column, struct id *id)
{
	if (!id_from_hex(id, (const char *)sqlite3_column_text(statement, column)))
		*id = (struct id){{0}};
}

/* Strings are borrowed until the statement is reset. */
static struct record column_record(sqlite3_stmt *statement)
{
	struct record record = {
	    .holder = (char *)sqlite3_column_text(statement, 1),
	    .token = (uint64_t)sqlite3_column_int64(statement, 3),
	    .ttl_ms = (uint32_t)sqlite3_column_int64(statement, 4),
	    .deadline_ms = (uint64_t)sqlite3_column_int64(statement, 5),
	    .host.timens = (uint32_t)sqlite3_column_int64(statement, 7),
	    .host.pid = sqlite3_column_int(statement, 8),
	    .host.pid_start = (uint64_t)sqlite3_column_int64(statement, 9),
	    .host.pidns = (uint32_t)sqlite3_column_int64(statement, 10),
	    .since_ms = sqlite3_column_int64(statement, 12),
	    .value = (char *)sqlite3_column_text(statement, 13),
	    .revoked = sqlite3_column_int(statement, 14),
	    .renewed_us = (uint64_t)sqlite3_column_int64(statement, 15),
	    .version = (uint64_t)sqlite3_column_int64(statement, 16),
	};
	const char *type = (const char *)sqlite3_column_text(statement, 0);

	record.election = type && strcmp(type, "election") == 0;
	column_id(statement, 2, &record.claim);
	column_id(statement, 6, &record.host.boot);
	column_id(statement, 11, &record.instance);
	return record;
}

static void fail_request(struct sqlite *sqlite, struct record_request *request, int code)
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

static void finalize_all(struct sqlite *sqlite)
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		sqlite3_finalize(sqlite->statements[i]);
		sqlite->statements[i] = NULL;
	}
}

static bool open_database(struct sqlite *sqlite, mpsync_error *error)
{
	struct stat status;

	sqlite->database = sqlite_open_file(sqlite->path, error);
	if (!sqlite->database)
		return false;
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		const int code = sqlite3_prepare_v3(
		    sqlite->database, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &sqlite->statements[i], NULL);

		if (code == SQLITE_OK)
			continue;
		fail(error, sqlite_status(code), "cannot use %.140s: %.80s", sqlite->path,
		    sqlite3_errmsg(sqlite->database));
		finalize_all(sqlite);
		sqlite3_close(sqlite->database);
		sqlite->database = NULL;
		return false;
	}
	sqlite->inode = stat(sqlite->path, &status) == 0 ? status.st_ino : 0;
	sqlite->full_sync = false;
	sqlite3_exec(sqlite->database, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
	return true;
}

/* A file that was removed and made anew is another file: what we held in the old one is gone. */
static bool reopen_if_replaced(struct sqlite *sqlite)
{
	struct stat status;

	if (sqlite->database && stat(sqlite->path, &status) == 0 && status.st_ino == sqlite->inode)
		return true;
	finalize_all(sqlite);
	sqlite3_close(sqlite->database);
	sqlite->database = NULL;
	return open_database(sqlite, NULL);
}

static void watch_files(struct sqlite *sqlite)
{
	char *wal = NULL;
	char *folder = strdup(sqlite->path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	sqlite->notify_watch = inotify_add_watch(sqlite->inotify_fd, sqlite->notify_path, IN_MODIFY);
	if (asprintf(&wal, "%s-wal", sqlite->path) >= 0) {
		inotify_add_watch(sqlite->inotify_fd, wal, IN_MODIFY);
		free(wal);
	}
	if (slash)
		*slash = '\0';
	inotify_add_watch(sqlite->inotify_fd,
	    slash && *folder ? folder
	    : slash          ? "/"
	                     : ".",
	    IN_CREATE | IN_MOVED_TO | IN_DELETE);
	free(folder);
}

/* ---- Holders whose death is awaited ---- */

static void drop_holder(struct watched_holder *holder)
{
	struct watched_holder **link = &holder->sqlite->holders;

	while (*link != holder)
		link = &(*link)->next;
	*link = holder->next;
	event_free(holder->event);
	close(holder->descriptor);
	free(holder->name);
	free(holder);
}

static void on_holder_ended(evutil_socket_t descriptor, short what, void *context)
{
	struct watched_holder *holder = context;
	struct sqlite *sqlite = holder->sqlite;
	char *name = holder->name;

	(void)descriptor, (void)what;
	holder->name = NULL;
	drop_holder(holder);
	records_changed(sqlite->base.records, name, false, NULL);
	free(name);
}

static struct watched_holder *find_holder(struct sqlite *sqlite, const char *name)
{
	struct watched_holder *holder = sqlite->holders;

	while (holder && strcmp(holder->name, name) != 0)
		holder = holder->next;
	return holder;
}

static bool same_process(const struct record_host *a, const struct record_host *b)
{
	return a->pid == b->pid && a->pid_start == b->pid_start && a->pidns == b->pidns &&
	       id_equal(&a->boot, &b->boot);
}

static void watch_holder(
    struct sqlite *sqlite, const char *name, const struct record_host *host, int descriptor)
{
	struct watched_holder *holder = calloc(1, sizeof *holder);

	if (holder) {
		holder->name = strdup(name);
		holder->event = event_new(sqlite->loop->base, descriptor, EV_READ, on_holder_ended, holder);
	}
	if (!holder || !holder->name || !holder->event || event_add(holder->event, NULL) != 0) {
		if (holder) {
			free(holder->name);
			if (holder->event)
				event_free(holder->event);
		}
		free(holder);
		close(descriptor);
		return;
	}
	holder->sqlite = sqlite;
	holder->host = *host;
	holder->descriptor = descriptor;
	holder->next = sqlite->holders;
	sqlite->holders = holder;
}

/* Only a process of our own pid namespace and kernel can be looked at. */
static bool holder_is_dead(struct sqlite *sqlite, const char *name, const struct record *record)
{
	struct watched_holder *known = find_holder(sqlite, name);
	const struct record_host *host = &record->host;
	bool dead = false;
	int descriptor;

	if (known && same_process(&known->host, host))
		return false;
	if (known)
		drop_holder(known);
	if (host->pid <= 0 || host->pidns != sqlite->self.pidns ||
	    !id_equal(&host->boot, &sqlite->self.boot) || same_process(host, &sqlite->self))
		return false;
	descriptor = process_watch(host, &dead);
	if (descriptor >= 0 && sqlite->watches > 0)
		watch_holder(sqlite, name, host, descriptor);
	else if (descriptor >= 0)
		close(descriptor);
	return dead;
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
	struct sqlite *sqlite = of(base);
	sqlite3_stmt *statement;
	struct record record = {0};
	int code;

	if (!reopen_if_replaced(sqlite)) {
		fail_request(sqlite, request, SQLITE_CANTOPEN);
		return;
	}
	statement = sqlite->statements[SELECT_ONE];
	sqlite3_bind_text(statement, 1, request->name, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		const struct record borrowed = column_record(statement);

		if (!record_copy(&record, &borrowed))
			code = SQLITE_NOMEM;
	}
	sqlite3_reset(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE) {
		fail_request(sqlite, request, code);
		return;
	}
	record.ahead = count_ahead(sqlite, request->name, &request->claim);
	if (code == SQLITE_ROW && record.holder)
		record.holder_dead = holder_is_dead(sqlite, request->name, &record);
	request->done(
	    request, code == SQLITE_ROW ? RECORD_OK : RECORD_ABSENT, &record, MPSYNC_OK, NULL, 0);
	record_clear(&record);
}

/* ---- Changing ---- */

static void free_change(struct change *change)
{
	record_clear(&change->record);
	free(change->name);
	free(change->holder);
	free(change);
}

static int step_and_reset(sqlite3_stmt *statement)
{
	const int code = sqlite3_step(statement);

	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int next_version(struct sqlite *sqlite, uint64_t *version)
{
	sqlite3_stmt *statement = sqlite->statements[NEXT_VERSION];
	const int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		*version = (uint64_t)sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_CORRUPT : code;
}

static int remove_waiter(struct sqlite *sqlite, const char *claim)
{
	sqlite3_stmt *statement = sqlite->statements[REMOVE_WAITER];

	sqlite3_bind_text(statement, 1, claim, -1, SQLITE_STATIC);
	return step_and_reset(statement);
}

/* What most writes are: thousands of them may go in one transaction. */
static int apply_renewal(struct sqlite *sqlite, struct change *change, uint64_t version)
{
	sqlite3_stmt *statement = sqlite->statements[RENEW];
	int code;

	sqlite3_bind_int64(statement, 1, (sqlite3_int64)change->record.deadline_ms);
	sqlite3_bind_int64(statement, 2, (sqlite3_int64)change->record.renewed_us);
	sqlite3_bind_int64(statement, 3, (sqlite3_int64)version);
	sqlite3_bind_text(statement, 4, change->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 5, (sqlite3_int64)change->expected);
	code = step_and_reset(statement);
	change->result = sqlite3_changes(sqlite->database) == 1 ? RECORD_OK : RECORD_CONFLICT;
	change->record.version = version;
	return code;
}

static int apply_write(struct sqlite *sqlite, struct change *change, uint64_t version)
{
	sqlite3_stmt *statement = sqlite->statements[change->create ? INSERT : UPDATE];
	int code;

	if (change->grant)
		change->record.token = version;
	bind_record(statement, change->name, &change->record, version);
	if (!change->create)
		sqlite3_bind_int64(statement, 19, (sqlite3_int64)change->expected);
	code = step_and_reset(statement);
	change->result = sqlite3_changes(sqlite->database) == 1 ? RECORD_OK : RECORD_CONFLICT;
	change->record.version = version;
	if (code == SQLITE_OK && change->grant && change->result == RECORD_OK)
		code = remove_waiter(sqlite, change->claim);
	return code;
}

static int apply_remove(struct sqlite *sqlite, struct change *change)
{
	sqlite3_stmt *statement = sqlite->statements[DELETE];
	int code;

	sqlite3_bind_text(statement, 1, change->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, (sqlite3_int64)change->expected);
	code = step_and_reset(statement);
	change->result = sqlite3_changes(sqlite->database) == 1 ? RECORD_OK : RECORD_CONFLICT;
	return code;
}

static int apply_enqueue(struct sqlite *sqlite, const struct change *change)
{
	sqlite3_stmt *statement = sqlite->statements[ADD_WAITER];

	sqlite3_bind_text(statement, 1, change->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, change->claim, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 3, change->holder, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 4, sqlite->self.pid);
	sqlite3_bind_int64(statement, 5, (sqlite3_int64)sqlite->self.pid_start);
	sqlite3_bind_int64(statement, 6, sqlite->self.pidns);
	sqlite3_bind_int64(statement, 7, clock_wall_ms());
	return step_and_reset(statement);
}

/* One version serves a transaction: a name gets a new holder in it once at most. */
static int apply(struct sqlite *sqlite, struct change *change, uint64_t version)
{
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
	}
	return SQLITE_INTERNAL;
}

static void set_synchronous(struct sqlite *sqlite, bool full)
{
	if (full == sqlite->full_sync)
		return;
	sqlite3_exec(sqlite->database,
	    full ? "PRAGMA synchronous=FULL; PRAGMA fullfsync=1" : "PRAGMA synchronous=NORMAL", NULL,
	    NULL, NULL);
	sqlite->full_sync = full;
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
	code = sqlite3_exec(sqlite->database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (code == SQLITE_OK && any_write(changes))
		code = next_version(sqlite, &version);
	for (struct change *change = changes; change && code == SQLITE_OK; change = change->next)
		code = apply(sqlite, change, version);
	if (code == SQLITE_OK)
		code = sqlite3_exec(sqlite->database, "COMMIT", NULL, NULL, NULL);
	if (code != SQLITE_OK && !sqlite3_get_autocommit(sqlite->database))
		sqlite3_exec(sqlite->database, "ROLLBACK", NULL, NULL, NULL);
	return code;
}

/* Frees, grants and values are news to others; a renewal is not. */
static bool is_news(const struct change *changes)
{
	for (; changes; changes = changes->next)
		if ((changes->durable && changes->result == RECORD_OK) || changes->kind == CHANGE_DEQUEUE)
			return true;
	return false;
}

/* After the commit, for what is told before it cannot be read yet. */
static void notify_others(struct sqlite *sqlite)
{
	if (pwrite(sqlite->notify_fd, "\n", 1, 0) < 0)
		return; /* they notice by the event on the -wal */
}

static void answer_change(struct sqlite *sqlite, struct change *change, int code)
{
	struct record_request *request = change->request;

	if (!request)
		return;
	if (code != SQLITE_OK)
		fail_request(sqlite, request, code);
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

/* All that has gathered, in one transaction. Answers may bring more. */
static void flush(struct sqlite *sqlite)
{
	struct change *changes = sqlite->first;
	int code;

	if (!changes || sqlite->running || sqlite->batches > 0)
		return;
	if (!reopen_if_replaced(sqlite))
		code = SQLITE_CANTOPEN;
	else
		code = transact(sqlite, changes);
	if ((code & 0xff) == SQLITE_BUSY && !given_up(changes)) {
		retry_soon(sqlite);
		return;
	}
	sqlite->first = NULL;
	sqlite->last = NULL;
	if (code == SQLITE_OK && is_news(changes))
		notify_others(sqlite);
	sqlite->running = true;
	while (changes) {
		struct change *next = changes->next;

		answer_change(sqlite, changes, code);
		free_change(changes);
		changes = next;
	}
	sqlite->running = false;
	flush(sqlite);
}

static void on_retry(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor, (void)what;
	flush(context);
}

static void submit(struct sqlite *sqlite, struct change *change)
{
	change->since_ms = clock_boot_ms();
	if (sqlite->first)
		sqlite->last->next = change;
	else
		sqlite->first = change;
	sqlite->last = change;
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
	submit(of(base), change);
}

static void sqlite_write(struct record_backend *base, struct record_request *request)
{
	submit_request(base, request, true);
}

static void sqlite_remove(struct record_backend *base, struct record_request *request)
{
	submit_request(base, request, false);
}

/* The change itself is done: a release that nobody waits for is still a release. */
static void sqlite_cancel(struct record_backend *base, struct record_request *request)
{
	for (struct change *change = of(base)->first; change; change = change->next)
		if (change->request == request)
			change->request = NULL;
}

static void sqlite_batch_begin(struct record_backend *base)
{
	of(base)->batches++;
}

static void sqlite_batch_end(struct record_backend *base)
{
	struct sqlite *sqlite = of(base);

	sqlite->batches--;
	if (!evtimer_pending(sqlite->retry, NULL))
		flush(sqlite);
}

static void sqlite_enqueue(struct record_backend *base, const struct store_claim *claim)
{
	struct change *change = change_new(claim->name, &claim->digest);

	if (!change)
		return; /* it waits all the same, out of order */
	change->kind = CHANGE_ENQUEUE;
	change->holder = strdup(claim->holder);
	if (change->holder)
		submit(of(base), change);
	else
		free_change(change);
}

static void sqlite_dequeue(struct record_backend *base, const struct store_claim *claim)
{
	struct change *change = change_new(claim->name, &claim->digest);

	if (!change)
		return;
	change->kind = CHANGE_DEQUEUE;
	submit(of(base), change);
}

/* ---- Being told ---- */

static void look_later(struct sqlite *sqlite, long after_ms)
{
	const struct timeval after = {0, after_ms * 1000};

	if (!evtimer_pending(sqlite->settle, NULL))
		evtimer_add(sqlite->settle, &after);
}

static void on_settled(evutil_socket_t descriptor, short what, void *context)
{
	struct sqlite *sqlite = context;

	(void)descriptor, (void)what;
	if (sqlite->watches == 0)
		return;
	records_changed(sqlite->base.records, NULL, false, NULL);
	if (sqlite->inotify_fd < 0)
		look_later(sqlite, LOOK_EVERY_MS);
}

static void on_file_event(evutil_socket_t descriptor, short what, void *context)
{
	struct sqlite *sqlite = context;
	_Alignas(struct inotify_event) char buffer[4096];
	bool notified = false;
	bool recreated = false;
	ssize_t length;

	(void)what;
	while ((length = read(descriptor, buffer, sizeof buffer)) > 0) {
		for (char *at = buffer; at < buffer + length;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			notified |= event->wd == sqlite->notify_watch;
			recreated |= event->len > 0;
			at += sizeof *event + event->len;
		}
	}
	if (recreated)
		watch_files(sqlite);
	if (sqlite->watches == 0)
		return;
	if (notified) {
		evtimer_del(sqlite->settle);
		records_changed(sqlite->base.records, NULL, false, NULL);
	} else {
		look_later(sqlite, WAL_SETTLES_MS);
	}
}

static void stop_watching(struct sqlite *sqlite)
{
	if (sqlite->notified)
		event_free(sqlite->notified);
	if (sqlite->inotify_fd >= 0)
		close(sqlite->inotify_fd);
	sqlite->notified = NULL;
	sqlite->inotify_fd = -1;
	while (sqlite->holders)
		drop_holder(sqlite->holders);
}

static void start_watching(struct sqlite *sqlite)
{
	if (sqlite->inotify_fd >= 0)
		return;
	sqlite->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (sqlite->inotify_fd < 0) {
		look_later(sqlite, LOOK_EVERY_MS);
		return;
	}
	watch_files(sqlite);
	sqlite->notified = event_new(
	    sqlite->loop->base, sqlite->inotify_fd, EV_READ | EV_PERSIST, on_file_event, sqlite);
	if (!sqlite->notified || event_add(sqlite->notified, NULL) != 0)
		stop_watching(sqlite);
}

static void sqlite_watch(struct record_backend *base, const char *name, bool on)
{
	struct sqlite *sqlite = of(base);
	struct watched_holder *holder;

	sqlite->watches += on ? 1 : (uint32_t)-1;
	if (on) {
		start_watching(sqlite);
		return;
	}
	holder = name ? find_holder(sqlite, name) : NULL;
	if (holder)
		drop_holder(holder);
	if (sqlite->watches == 0)
		stop_watching(sqlite);
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
		const struct record record = column_record(statement);
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
		const struct record record = column_record(statement);
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
	struct sqlite *sqlite = of(base);
	bool found = true;
	int code = SQLITE_CANTOPEN;

	if (reopen_if_replaced(sqlite)) {
		if (query->kind == STORE_LIST)
			code = list(sqlite, query);
		else if (query->kind == STORE_GET)
			code = get(sqlite, query, &found);
		else
			code = transact(sqlite, NULL);
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
	struct sqlite *sqlite = of(base);

	stop_watching(sqlite);
	while (sqlite->first) {
		struct change *change = sqlite->first;

		sqlite->first = change->next;
		free_change(change);
	}
	if (sqlite->retry)
		event_free(sqlite->retry);
	if (sqlite->settle)
		event_free(sqlite->settle);
	if (sqlite->notify_fd >= 0)
		close(sqlite->notify_fd);
	finalize_all(sqlite);
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
	sqlite->retry = evtimer_new(sqlite->loop->base, on_retry, sqlite);
	sqlite->settle = evtimer_new(sqlite->loop->base, on_settled, sqlite);
	if (sqlite->notify_fd < 0 || !sqlite->retry || !sqlite->settle) {
		fail(error, MPSYNC_E_FORBIDDEN, "cannot write %.150s: %s", sqlite->notify_path,
		    strerror(errno));
		return false;
	}
	return true;
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
