/*
 * The run of an election, or of one term of a lock: run.c does on the client's thread what
 * protocol/terms.c decides; election_run.c is what callers see.
 */
#ifndef MPSYNC_API_RUN_H
#define MPSYNC_API_RUN_H

#include "lock.h"

#include "base/heap.h"
#include "protocol/terms.h"

#define RUN_USUAL_NOTICE (-1)

struct lock_run {
	struct terms terms;
	struct lock_run *next; /* of the client */
	mpsync_lock *lock;
	struct heap_item wake;
	struct op op;
	char *value;
	char *message; /* why the latest claim ended */
	uint64_t grant;
	uint64_t token;
};

struct run_wish {
	uint64_t op_id;
	const char *value;
	int64_t wait_ms;
	int64_t notice_ms; /* how long before a right's end ENDING is told; RUN_USUAL_NOTICE */
};

/* ---- election_run.c ---- */

mpsync_status lock_run_start(mpsync_lock *lock, const struct run_wish *wish, mpsync_error *error);
mpsync_status lock_run_stop(mpsync_lock *lock, uint64_t op_id, mpsync_error *error);
mpsync_status lock_term_done(
    mpsync_lock *lock, uint64_t grant, int32_t failed, mpsync_error *error);

/* ---- run.c ---- */

/* Commands, on the client's thread. */
void run_begin(mpsync_client *client, struct command *base);
void run_stop(mpsync_client *client, struct command *base);
void run_term_done(mpsync_client *client, struct command *base);

void run_feed(struct lock_run *run, enum terms_event event);

/* What the engine tells of the claim of a run. */
void run_on_event(struct lock_run *run, const struct engine_event *told, mpsync_event *event);

/* NULL without memory. */
struct lock_run *run_new(
    mpsync_lock *lock, const struct run_wish *wish, const struct terms_options *options);
void run_free(struct lock_run *run);
/* The handle may be asked for something else: its run is over, or did not begin. */
void run_leave_handle(mpsync_lock *lock);

#endif
