/*
 * What is inside of the store for file:, for the files that it consists of: sqlite_rows.c knows the
 * columns, sqlite_changes.c writes, sqlite_watch.c hears of others' writes and deaths, and sqlite.c
 * reads and brings them together.
 */
#ifndef MPSYNC_STORES_SQLITE_STORE_H
#define MPSYNC_STORES_SQLITE_STORE_H

#include "../loop.h"
#include "records.h"

#include <sqlite3.h>
#include <sys/types.h>

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

struct change;
struct watched_holder;

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

static inline struct sqlite *sqlite_of(struct record_backend *base)
{
	return (struct sqlite *)base;
}

/* ---- sqlite.c ---- */

/* SQLite's error is the request's answer. */
void sqlite_fail_request(struct sqlite *sqlite, struct record_request *request, int code);
/*
 * A file that was removed and made anew is another file: what we held in the old one is gone.
 * False: there is none that could be opened.
 */
bool sqlite_reopen_if_replaced(struct sqlite *sqlite);

/* ---- sqlite_rows.c ---- */

/* SQLite's code. What was prepared until an error is to be finalized. */
int sqlite_prepare_all(struct sqlite *sqlite);
void sqlite_finalize_all(struct sqlite *sqlite);
/* The parameters 1 to 18 of INSERT and UPDATE. */
void sqlite_bind_record(
    sqlite3_stmt *statement, const char *name, const struct record *record, uint64_t version);
/* Of SELECT_ONE and SELECT_ALL. Strings are borrowed until the statement is reset. */
struct record sqlite_column_record(sqlite3_stmt *statement);

/* ---- sqlite_changes.c ---- */

/* False without memory. */
bool sqlite_changes_init(struct sqlite *sqlite);
void sqlite_changes_clear(struct sqlite *sqlite);
void sqlite_write(struct record_backend *base, struct record_request *request);
void sqlite_remove(struct record_backend *base, struct record_request *request);
void sqlite_cancel(struct record_backend *base, struct record_request *request);
void sqlite_batch_begin(struct record_backend *base);
void sqlite_batch_end(struct record_backend *base);
void sqlite_enqueue(struct record_backend *base, const struct store_claim *claim);
void sqlite_dequeue(struct record_backend *base, const struct store_claim *claim);
/* SQLite's code of a transaction that changes nothing. */
int sqlite_try_writing(struct sqlite *sqlite);

/* ---- sqlite_watch.c ---- */

/* False without memory. */
bool sqlite_watch_init(struct sqlite *sqlite);
void sqlite_watch_clear(struct sqlite *sqlite);
void sqlite_watch(struct record_backend *base, const char *name, bool on);
/* Only a process of our own pid namespace and kernel can be looked at. */
bool sqlite_holder_is_dead(struct sqlite *sqlite, const char *name, const struct record *record);

#endif
