#include "client.h"
#include "lock.h"

#include "base/crypto.h"
#include "base/identity.h"
#include "base/list.h"
#include "base/status.h"
#include "stores/open.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_MOMENT_MS 1000

void client_tell(mpsync_client *client, const mpsync_event *fields)
{
	mpsync_event *event = client->queue ? queue_event(fields) : NULL;

	if (event)
		queue_push(client->queue, event);
}

void client_end_op(mpsync_client *client, struct op *op, const mpsync_event *fields)
{
	mpsync_event event = *fields;

	if (!op->open)
		return;
	op->open = false;
	event.op_id = op->id;
	if (op->call)
		call_end(op->call, &event);
	else
		client_tell(client, &event);
}

/* ---- Commands ---- */

mpsync_status client_submit(mpsync_client *client, struct command *command, mpsync_error *error)
{
	const uint64_t one = 1;
	bool closed;
	bool woken;

	pthread_mutex_lock(&client->mutex);
	closed = client->closed;
	/*
	 * The write comes first: on failure the caller frees the command, so it must not be in the
	 * list.
	 */
	woken = !closed && write(client->descriptor, &one, sizeof one) > 0;
	if (woken)
		SINGLY_APPEND(client->first, client->last, command);
	pthread_mutex_unlock(&client->mutex);
	if (woken)
		return succeed(error);
	free(command);
	if (closed)
		return fail(error, MPSYNC_E_CLOSED, "the client is closed");
	return fail(error, MPSYNC_E_INTERNAL, "cannot wake the client's thread: %s", strerror(errno));
}

static uint64_t take_descriptor(int descriptor)
{
	uint64_t count = 0;

	return read(descriptor, &count, sizeof count) < 0 ? 0 : count;
}

static void on_commands(evutil_socket_t descriptor, short what, void *context)
{
	mpsync_client *client = context;
	struct command *command;

	(void)what;
	take_descriptor(descriptor);
	pthread_mutex_lock(&client->mutex);
	command = client->first;
	client->first = NULL;
	client->last = NULL;
	pthread_mutex_unlock(&client->mutex);
	while (command) {
		struct command *next = command->next;

		command->run(client, command);
		if (!command->kept)
			free(command);
		command = next;
	}
}

static void reject_commands(mpsync_client *client)
{
	pthread_mutex_lock(&client->mutex);
	client->closed = true;
	pthread_mutex_unlock(&client->mutex);
	on_commands(client->descriptor, 0, client);
}

/* ---- The engine ---- */

void client_arm(mpsync_client *client)
{
	const uint64_t run_ms = heap_next_ms(&client->run_wakes);

	boot_timer_arm(
	    &client->loop.timer, run_ms < client->engine_wake_ms ? run_ms : client->engine_wake_ms);
}

static void on_timer(void *context)
{
	mpsync_client *client = context;

	client->engine_wake_ms = CLAIM_NEVER; /* the timer is spent: the engine says when it wants it */
	engine_run(client->engine);
	client_wake_runs(client);
	client_arm(client);
}

static void say(void *context, const char *message)
{
	client_tell(context, &(mpsync_event){.type = MPSYNC_EVENT_LOG, .message = message});
}

static void wake_at(void *context, uint64_t at_ms)
{
	((mpsync_client *)context)->engine_wake_ms = at_ms;
	client_arm(context);
}

bool client_open_engine(mpsync_client *client, const struct url *url, mpsync_error *error)
{
	struct engine_host host = {
	    .owner = &lock_owner, .random_id = id_random, .digest_id = id_digest, .wake_at = wake_at};
	struct store *store;

	if (!loop_init(&client->loop, false, on_timer, client)) {
		fail(error, MPSYNC_E_INTERNAL, "no descriptors or memory for an event loop");
		return false;
	}
	store = store_open(url, &client->options, false, &client->loop, error);
	if (!store)
		return false;
	host.clock = store->clock;
	host.clock.context = client;
	client->store = store;
	store->say = say;
	store->say_context = client;
	client->engine_wake_ms = CLAIM_NEVER;
	client->fence = store_fence_share(store->fence);
	client->shortest_ttl_ms = store->shortest_ttl_ms;
	client->ttl_step_ms = store->ttl_step_ms;
	client->engine = engine_new(&host, store);
	client->commands =
	    event_new(client->loop.base, client->descriptor, EV_READ | EV_PERSIST, on_commands, client);
	if (client->engine && client->commands && event_add(client->commands, NULL) == 0)
		return true;
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

void client_free_engine(mpsync_client *client)
{
	if (client->engine)
		client_stop_observing(client);
	engine_free(client->engine);
	client->engine = NULL;
	heap_clear(&client->run_wakes);
	if (client->commands)
		event_free(client->commands);
	client->commands = NULL;
	loop_clear(&client->loop);
}

/* ---- The thread ---- */

/*
 * One second. A command that will end, and cannot take back a late write afterwards, waits longer.
 */
static struct timeval moment_of(const mpsync_client *client)
{
	const uint64_t ms =
	    client->taking_back_ms > LEAST_MOMENT_MS ? client->taking_back_ms : LEAST_MOMENT_MS;

	return (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
}

/* All callers have been told. Claims that are still being withdrawn get a moment more. */
static void finish_if_idle(mpsync_client *client)
{
	const struct timeval moment = moment_of(client);

	if (!client->closing || client->open_requests > 0)
		return;
	if (engine_claims(client->engine) == 0)
		event_base_loopbreak(client->loop.base);
	else if (event_base_loopexit(client->loop.base, &moment) != 0)
		event_base_loopbreak(client->loop.base); /* no memory for a timer */
}

void client_request_ended(mpsync_client *client)
{
	client->open_requests--;
	finish_if_idle(client);
}

void client_claim_ended(mpsync_client *client)
{
	finish_if_idle(client);
}

static bool has_to_finish(const mpsync_client *client)
{
	const struct store *store = engine_store(client->engine);

	return store_is_finishing(store) || (client->taking_back_ms > 0 && store_in_doubt(store));
}

/* What other programs see of a former holder (labels, Events) is finished, within a moment. */
static void let_store_finish(const mpsync_client *client)
{
	const struct timeval moment = moment_of(client);

	if (!has_to_finish(client) || event_base_loopexit(client->loop.base, &moment) != 0)
		return;
	do
		event_base_loop(client->loop.base, EVLOOP_ONCE);
	while (has_to_finish(client) && !event_base_got_exit(client->loop.base));
}

/* A late write may take a name when this client is gone, and nobody will take it back: say so. */
static void say_what_may_come(mpsync_client *client)
{
	const char *name = store_in_doubt(engine_store(client->engine));
	char text[300];

	if (!name)
		return;
	snprintf(text, sizeof text,
	    "%.100s may stay held by nobody for %" PRId64
	    " s: a request that the store did not answer may "
	    "yet take it",
	    name, options_ms(&client->options, OPTION_TTL) / 1000);
	client_tell(client, &(mpsync_event){.type = MPSYNC_EVENT_LOG, .message = text});
}

static void *client_main(void *context)
{
	mpsync_client *client = context;

	event_base_loop(client->loop.base, EVLOOP_NO_EXIT_ON_EMPTY);
	let_store_finish(client);
	say_what_may_come(client);
	reject_commands(client);
	client_tell_end(client);
	client_free_engine(client);
	client_end_op(
	    client, &client->close_op, &(mpsync_event){.type = MPSYNC_EVENT_DONE, .status = MPSYNC_OK});
	client_unreference(client);
	crypto_end_thread();
	return NULL;
}

/* Signals belong to the program that uses the library, so this thread blocks all of them. */
bool client_start_thread(mpsync_client *client)
{
	sigset_t all;
	sigset_t before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	client_reference(client);
	code = pthread_create(&client->thread, NULL, client_main, client);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0)
		atomic_fetch_sub(&client->references, 1);
	return code == 0;
}
