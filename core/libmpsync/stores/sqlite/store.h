/*
 * What the files of the store for file: share. file.c has the database open (path.c says which file
 * it is, access.c who may use it, system.c how it is locked, schema.c what is in it), rows.c knows
 * the columns, changes.c writes, watch.c notices other processes' writes and deaths, and sqlite.c
 * reads and brings them together.
 */
#ifndef MPSYNC_STORES_SQLITE_STORE_H
#define MPSYNC_STORES_SQLITE_STORE_H

#include "file.h"
#include "net/loop.h"
#include "rows.h"
#include "stores/records/records.h"

struct change;
struct watched_holder;

struct sqlite {
	struct record_backend base;
	struct record_host self;
	struct loop *loop;
	char *path; /* absolute, so that it stays valid when this process changes its folder */
	char *url;
	struct sqlite_access access;
	struct sqlite_file *file;
	uint64_t newest; /* the greatest version that this client has seen, in any file */
	struct change *first;
	struct change *last;
	struct change *answering; /* committed, and not yet answered */
	unsigned batches;
	bool running;
	struct event *retry;
	struct event *settle;
	struct event *notified;
	int inotify_fd;
	int notify_watch;
	uint32_t watches;
	struct watched_holder *holders;
};

static inline struct sqlite *sqlite_of(struct record_backend *base)
{
	return (struct sqlite *)base;
}

/* ---- sqlite.c ---- */

/* Answers the request with the error. */
void sqlite_fail_request(struct record_request *request, const mpsync_error *error);
/*
 * From here to sqlite_leave the database is this thread's. A file that was removed or replaced is
 * opened anew: it is another file, and whatever was held in the former one is gone.
 */
bool sqlite_enter(struct sqlite *sqlite, mpsync_error *error);
void sqlite_leave(struct sqlite *sqlite);
void sqlite_note_version(struct sqlite *sqlite, uint64_t version);

/* ---- changes.c ---- */

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
/* Can the file be written? Tried by a transaction that changes nothing. */
void sqlite_check(struct sqlite *sqlite, struct store_query *query);
void sqlite_query_cancel(struct record_backend *base, struct store_query *query);

/* ---- watch.c ---- */

/* False without memory. */
bool sqlite_watch_init(struct sqlite *sqlite);
void sqlite_watch_clear(struct sqlite *sqlite);
void sqlite_watch(struct record_backend *base, const char *name, bool on);
/* Watch the file that is open now instead of the former one. */
void sqlite_watch_again(struct sqlite *sqlite);
/* Proven only of a process in our own pid namespace and on our own kernel. */
bool sqlite_holder_is_dead(struct sqlite *sqlite, const char *name, const struct record *record);

#endif
