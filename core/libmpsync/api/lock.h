/*
 * A lock or an election: lock.c makes the handle and submits requests, lock_commands.c runs them on
 * the client's thread, lock_events.c tells their results, and lock_right.c answers whether the lock
 * is held.
 */
#ifndef MPSYNC_API_LOCK_H
#define MPSYNC_API_LOCK_H

#include "client.h"

#include "base/options.h"
#include "protocol/engine.h"

#include <stdatomic.h>

#define LOST_REASON_BITS 8
#define LOST_REASON_MASK 0xff

struct lock_command;

/* Events that were made before they are needed: the end of a grant is told even without memory. */
struct spares {
	mpsync_event *events[3];
};

/* The common part of a lock and an election. */
struct mpsync_lock {
	atomic_uint references;
	mpsync_client *client;
	char *name;
	struct mpsync_options options;
	uint64_t id;
	bool election;
	/* Read by any thread, written by the client's thread: */
	atomic_uint_fast64_t grant;
	atomic_uint_fast64_t until_ms;
	atomic_int_fast64_t wall_ahead_ms;
	atomic_uint_fast64_t token;
	atomic_uint_fast64_t lost; /* the latest grant that was lost, and why */
	atomic_uint_fast64_t term; /* of a run: its grant while what it started is at work */
	atomic_bool running;       /* a run is in progress */
	int64_t clock_slack_ms;    /* how far the wall clock may run ahead: ttl/5 */
	/* Under the client's mutex: */
	unsigned asking;    /* requests from their acquire until their failure, or their grant's end */
	uint64_t asking_op; /* of the latest of these */
	bool leaving;  /* the latest is being taken back or released: another may queue behind it */
	char *trouble; /* why the last renewal was not acknowledged; NULL: it was */
	/* Used by the client's thread alone: */
	struct engine_claim *claim;
	struct op acquire;
	struct op release;
	struct op value;
	struct spares spares;                  /* of the present request */
	struct lock_command *reserved_abandon; /* so that freeing the handle needs no memory */
	char *awaited; /* who held the name when we last waited for it, or NULL */
	bool held;
	uint64_t claimed_grant;
	struct lock_command *parked; /* requests that wait until nothing is left of one taken back */
	struct lock_run *run;        /* NULL: none is in progress */
	uint64_t stopped_op;         /* the run that was stopped last, whether it has begun or not */
};

/* What the engine calls for each claim of a lock. */
extern const struct engine_owner lock_owner;
mpsync_lock *lock_new(mpsync_client *client, const char *name, const mpsync_options *options,
    bool election, mpsync_error *error);
mpsync_status lock_acquire(mpsync_lock *lock, uint64_t op_id, struct call *call, const char *value,
    int64_t wait_ms, mpsync_error *error);
/* Why the last renewal was not acknowledged; empty: it was acknowledged, or nothing is known. */
void lock_last_trouble(mpsync_lock *lock, char *out, size_t size);
mpsync_status lock_set_value(
    mpsync_lock *lock, uint64_t op_id, struct call *call, const char *value, mpsync_error *error);
mpsync_status lock_check_handle(const mpsync_lock *lock, mpsync_error *error);
mpsync_status lock_withdraw(mpsync_lock *lock, uint64_t op_id, mpsync_error *error);
uint64_t lock_wait_ms(const mpsync_lock *lock, int64_t wait_ms);
mpsync_lock *lock_reference(mpsync_lock *lock);
void lock_unreference(mpsync_lock *lock);

/* ---- lock_asking.c ---- */

/* Room for what is told of one grant and its end; false without memory. */
bool lock_make_spares(const mpsync_lock *lock, struct spares *spares);
void spares_free(struct spares *spares);
/* On the client's thread: from now on the lock tells by these. */
void lock_take_spares(mpsync_lock *lock, struct spares *spares);
/*
 * A handle has one request at a time: from here until the request, or the grant it led to, has
 * ended. Another one may queue behind one that is being taken back, or released.
 */
mpsync_status lock_begin_asking(
    mpsync_lock *lock, struct lock_command *command, uint64_t op_id, mpsync_error *error);
void lock_end_asking(mpsync_lock *lock);
/*
 * From here on another request may queue behind the handle's latest one, which is being taken back
 * (op_id names it) or whose grant is being released (0).
 */
void lock_begin_leaving(mpsync_lock *lock, uint64_t op_id);
/* Put a request by if something is left of the one before; false: nothing is. */
bool lock_park(mpsync_lock *lock, struct lock_command *command);
/* Begin the first request that was put by, if nothing is left of the one before. */
void lock_unpark(mpsync_lock *lock);
/* End requests that were put by: this one, or, with 0, all. */
bool lock_cancel_parked(mpsync_lock *lock, uint64_t op_id);

/* ---- lock_commands.c ---- */

/* A request for a lock, until the client's thread has run it. */
struct lock_command {
	struct command command;
	mpsync_lock *lock;
	struct op op;
	uint64_t wait_ms;
	uint64_t grant;
	char *value;
	struct spares spares;        /* of a request */
	struct lock_run *run;        /* to begin */
	bool failed;                 /* what a term had started */
	struct lock_command *parked; /* the next one that waits */
};

/* Fill in a command that was allocated before. */
void lock_command_init(struct lock_command *command, mpsync_lock *lock,
    void (*run)(mpsync_client *client, struct command *command));
/* NULL without memory. */
struct lock_command *lock_command_new(
    mpsync_lock *lock, void (*run)(mpsync_client *client, struct command *command));
void lock_command_drop(struct lock_command *command);
/* On the client's thread: the request ends in CANCELLED before it has begun. */
void lock_cancel_command(mpsync_lock *lock, struct lock_command *command);
/* Takes the command over, also on failure. */
mpsync_status lock_submit(mpsync_lock *lock, struct lock_command *command, mpsync_error *error);
void lock_run_acquire(mpsync_client *client, struct command *base);
void lock_run_cancel(mpsync_client *client, struct command *base);
void lock_run_withdraw(mpsync_client *client, struct command *base);
void lock_run_release(mpsync_client *client, struct command *base);
void lock_run_set_value(mpsync_client *client, struct command *base);
void lock_run_abandon(mpsync_client *client, struct command *base);
struct engine_wish lock_wish(const mpsync_lock *lock, const char *value, uint64_t wait_ms);

/* ---- lock_events.c ---- */

void lock_end_op(mpsync_lock *lock, struct op *op, mpsync_event *event);
void lock_tell(mpsync_lock *lock, const mpsync_event *event);
void lock_begin_grant(mpsync_lock *lock, mpsync_event *event);
/* The grant, or the wish for one, is over. */
void lock_end_grant(mpsync_lock *lock, mpsync_event *event);
void lock_note_loss(mpsync_lock *lock, int32_t reason);
/* Note who holds the name while we wait; NULL: nobody is known. */
void lock_await(mpsync_lock *lock, const char *holder);

#endif
