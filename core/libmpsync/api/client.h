/*
 * A client: an engine on a thread of its own. Callers hand commands in and get events out; nothing
 * else is shared but each lock's right, which is read without a lock.
 */
#ifndef MPSYNC_CLIENT_H
#define MPSYNC_CLIENT_H

#include "base/fork_mark.h"
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
	uint64_t try_ms; /* how long a try waits for an answer; 0: as the engine does */
	atomic_uint_fast64_t
	    taking_back_ms; /* how long closing waits for what may yet be written; 0: not at all */
	bool closing;
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

/* The one lock of that name, if it is held: asks for no right to see the others. */
mpsync_list *client_get(mpsync_client *client, const char *name, mpsync_error *error);

/* The engine over the store of that URL. What was made is freed by client_free_engine. */
bool client_open_engine(mpsync_client *client, const struct url *url, mpsync_error *error);
void client_free_engine(mpsync_client *client);
bool client_start_thread(mpsync_client *client);

#endif
