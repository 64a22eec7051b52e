/*
 * A client: an engine on a thread of its own. Callers hand commands in and get events out; nothing
 * else is shared but each lock's right, which is read without a lock.
 */
#ifndef MPSYNC_CLIENT_H
#define MPSYNC_CLIENT_H

#include "base/fork_mark.h"
#include "base/options.h"
#include "net/loop.h"
#include "protocol/engine.h"
#include "queue.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* A caller that blocks until its request has ended. */
struct call {
	sem_t done;
	mpsync_event event; /* status and, in `message`, why */
	char message[200];
};

/* Where the end of a request is told: to a blocked caller, or by an event with its number. */
struct op {
	uint64_t id;
	struct call *call;
	bool open;
};

struct command {
	struct command *next;
	void (*run)(mpsync_client *client, struct command *command);
};

struct close_command {
	struct command command;
	struct op op;
};

struct mpsync_client {
	atomic_uint references;
	mpsync_queue *queue;
	struct mpsync_options options; /* all layers, the nearest first */
	char *url;                     /* for people */
	char *store_url;               /* for other programs: with what says which store it is */
	pthread_t thread;
	fork_mark mark;
	pthread_mutex_t mutex;
	struct command *first; /* under the mutex, as is the rest up to here */
	struct command *last;
	bool closed;
	int descriptor; /* an eventfd: commands wait */
	/* What callers' threads look at; the store itself may be closing. */
	struct store_fence *fence;
	uint32_t shortest_ttl_ms;
	uint32_t ttl_step_ms;
	atomic_uint_fast64_t next_lock;
	atomic_uint_fast64_t next_grant;
	/* The thread's own: */
	struct loop loop;
	struct event *commands;
	struct engine *engine;
	struct store *store; /* the engine's */
	struct observing_client *observations;
	struct op close_op;
	struct close_command *reserved_close; /* so that closing needs no memory */
	size_t open_requests;                 /* requests and grants that have not ended */
	bool closing;
};

struct lock_command;

/* What a lock and an election are. */
struct mpsync_lock {
	atomic_uint references;
	mpsync_client *client;
	char *name;
	struct mpsync_options options;
	uint64_t id;
	bool election;
	/* Read by any thread, written by the client's: */
	atomic_uint_fast64_t grant;
	atomic_uint_fast64_t until_ms;
	atomic_int_fast64_t wall_ahead_ms;
	atomic_uint_fast64_t token;
	atomic_uint_fast64_t lost; /* the latest grant that was lost, and why */
	int64_t clock_slack_ms;    /* how far the wall clock may run ahead: ttl/5 */
	/* Under the client's mutex: */
	bool asking;   /* from acquire to its end, and while held */
	char *trouble; /* why the last renewal was not acknowledged; NULL: it was */
	/* The thread's own: */
	struct engine_claim *claim;
	struct op acquire;
	struct op release;
	struct op value;
	mpsync_event *spares[3];               /* so that an end is told also without memory */
	struct lock_command *reserved_abandon; /* so that dropping the handle needs no memory */
	char *awaited;                         /* who was seen to have it while we wait, or NULL */
	bool held;
	uint64_t claimed_grant;
};

mpsync_client *client_reference(mpsync_client *client);
void client_unreference(mpsync_client *client);

/* OK, FORKED or CLOSED. */
mpsync_status client_check_usable(const mpsync_client *client, mpsync_error *error);

/* Runs it on the client's thread; takes it over, also on failure. CLOSED: the client has ended. */
mpsync_status client_submit(mpsync_client *client, struct command *command, mpsync_error *error);

/* On the thread: a request ends, by an event or for a blocked caller. */
void client_end_op(mpsync_client *client, struct op *op, const mpsync_event *fields);
void client_tell(mpsync_client *client, const mpsync_event *fields);
/* On the thread: when closing, the last one ends it. */
void client_request_ended(mpsync_client *client);
void client_claim_ended(mpsync_client *client);

void client_stop_observing(mpsync_client *client);

void call_init(struct call *call);
mpsync_status call_wait(struct call *call, mpsync_error *error);

/* ---- lock.c ---- */
/* What the engine tells those who ask for locks. */
extern const struct engine_owner lock_owner;
mpsync_lock *lock_new(mpsync_client *client, const char *name, const mpsync_options *options,
    bool election, mpsync_error *error);
mpsync_status lock_acquire(mpsync_lock *lock, uint64_t op_id, struct call *call, const char *value,
    int64_t wait_ms, mpsync_error *error);
/* Why the last renewal was not acknowledged; empty: it was, or nothing is known. */
void lock_last_trouble(mpsync_lock *lock, char *out, size_t size);
mpsync_status lock_set_value(
    mpsync_lock *lock, uint64_t op_id, struct call *call, const char *value, mpsync_error *error);

#endif
