/*
 * A client: an engine on a thread of its own. Callers submit commands and receive events. Nothing
 * else is shared but the end of each lock's right, which callers read without taking a mutex.
 */
#ifndef MPSYNC_CLIENT_H
#define MPSYNC_CLIENT_H

#include "base/fork_mark.h"
#include "base/heap.h"
#include "base/options.h"
#include "base/url.h"
#include "call.h"
#include "net/loop.h"
#include "protocol/engine.h"
#include "queue.h"

#include <pthread.h>
#include <stdatomic.h>

struct command {
	struct command *next;
	bool kept; /* whoever ran it has put it by, and frees it */
	void (*run)(mpsync_client *client, struct command *command);
};

struct close_command {
	struct command command;
	struct op op;
};

struct mpsync_client {
	atomic_uint references;
	mpsync_queue *queue;
	struct mpsync_options options; /* of all layers; the nearest one won */
	char *url;                     /* for people, without passwords */
	char *store_url;               /* for other programs: it names the same store in every folder */
	pthread_t thread;
	fork_mark mark;
	pthread_mutex_t mutex;
	struct command *first; /* under the mutex, as are the two below */
	struct command *last;
	bool closed;
	int descriptor; /* an eventfd, readable while commands wait */
	/* Read by callers' threads, also while the store closes: */
	struct store_fence *fence;
	uint32_t shortest_ttl_ms;
	uint32_t ttl_step_ms;
	atomic_uint_fast64_t next_lock;
	atomic_uint_fast64_t next_grant;
	/* Used by the client's thread alone: */
	struct loop loop;
	struct event *commands;
	struct engine *engine;
	struct store *store; /* owned by the engine */
	uint64_t engine_wake_ms;
	struct observing_client *observations;
	struct lock_run *runs; /* in progress */
	size_t run_count;
	struct heap run_wakes;
	struct op close_op;
	struct close_command *reserved_close; /* so that closing needs no memory */
	size_t open_requests;                 /* requests and grants that have not ended */
	uint64_t try_ms; /* how long a try waits for an answer; 0: the engine's time */
	atomic_uint_fast64_t
	    taking_back_ms; /* how long closing waits for writes that may yet be carried out */
	bool closing;
	/* Under the mutex of exit.c: */
	mpsync_client *next;
	bool enlisted;
};

mpsync_client *client_reference(mpsync_client *client);
void client_unreference(mpsync_client *client);

/* OK, INVALID for NULL, or FORKED. */
mpsync_status client_check_usable(const mpsync_client *client, mpsync_error *error);

/*
 * Run the command on the client's thread. Takes the command over, also on failure; CLOSED: the
 * client has ended.
 */
mpsync_status client_submit(mpsync_client *client, struct command *command, mpsync_error *error);

/* On the client's thread: end a request, by an event or by waking its blocked caller. */
void client_end_op(mpsync_client *client, struct op *op, const mpsync_event *fields);
void client_tell(mpsync_client *client, const mpsync_event *fields);
/*
 * On the client's thread: a request or claim has ended. The last one ends a client that is closing.
 */
void client_request_ended(mpsync_client *client);
void client_claim_ended(mpsync_client *client);

void client_stop_observing(mpsync_client *client);

/* On the thread: after a time changed at which a run is to be woken. */
void client_arm(mpsync_client *client);
/* Wake the runs that are due. */
void client_wake_runs(mpsync_client *client);
/* Each run gives up what it has, and waits for nobody. */
void client_close_runs(mpsync_client *client);

/* ---- exit.c ---- */

/* What the client holds is to be released at the end of the process; false without memory. */
bool client_enlist(mpsync_client *client);
void client_delist(mpsync_client *client);
/* On the client's thread, when nothing is held any more: wakes who waits for that. */
void client_tell_end(const mpsync_client *client);
/* Of a client that is enlisted; the handle stays, to be dropped by who has it. */
void client_close_at_exit(mpsync_client *client);
bool client_has_ended(mpsync_client *client);

/* The one lock of that name, if it is held. Needs no permission to list the others. */
mpsync_list *client_get(mpsync_client *client, const char *name, mpsync_error *error);

/* Open the engine over the store of that URL. On failure client_free_engine frees what was made. */
bool client_open_engine(mpsync_client *client, const struct url *url, mpsync_error *error);
void client_free_engine(mpsync_client *client);
bool client_start_thread(mpsync_client *client);

#endif
