#include "client.h"

#include "base/identity.h"
#include "base/status.h"
#include "base/store_url.h"
#include "base/text.h"
#include "stores/open.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- Blocking calls ---- */

void call_init(struct call *call)
{
	memset(call, 0, sizeof *call);
	sem_init(&call->done, 0, 0);
}

mpsync_status call_wait(struct call *call, mpsync_error *error)
{
	mpsync_status status;

	while (sem_wait(&call->done) != 0)
		; /* a signal */
	sem_destroy(&call->done);
	status = (mpsync_status)call->event.status;
	if (status == MPSYNC_OK)
		return succeed(error);
	return fail(error, status, "%s", call->message);
}

static void describe(char *out, size_t size, const mpsync_event *event)
{
	const char *text = mpsync_status_text(event->status);

	if (event->message)
		snprintf(out, size, "%s", event->message);
	else if (event->holder)
		snprintf(out, size, "%s: %s has it", text, event->holder);
	else
		snprintf(out, size, "%s", text);
}

/* The caller may be gone the moment it is told: nothing of the call is touched after. */
static void call_end(struct call *call, const mpsync_event *event)
{
	call->event = *event;
	describe(call->message, sizeof call->message, event);
	sem_post(&call->done);
}

/* ---- Events ---- */

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

/* ---- The thread ---- */

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
		free(command);
		command = next;
	}
}

static void on_timer(void *context)
{
	engine_run(((mpsync_client *)context)->engine);
}

static void say(void *context, const char *message)
{
	client_tell(context, &(mpsync_event){.type = MPSYNC_EVENT_LOG, .message = message});
}

static void wake_at(void *context, uint64_t at_ms)
{
	boot_timer_arm(&((mpsync_client *)context)->loop.timer, at_ms);
}

/* Everybody has been told; what is still being withdrawn gets a moment more. */
static void finish_if_idle(mpsync_client *client)
{
	const struct timeval moment = {1, 0};

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

static void free_thread_parts(mpsync_client *client)
{
	if (client->engine)
		client_stop_observing(client);
	engine_free(client->engine);
	client->engine = NULL;
	if (client->commands)
		event_free(client->commands);
	client->commands = NULL;
	loop_clear(&client->loop);
}

static void reject_commands(mpsync_client *client)
{
	pthread_mutex_lock(&client->mutex);
	client->closed = true;
	pthread_mutex_unlock(&client->mutex);
	on_commands(client->descriptor, 0, client);
}

/* What others see of a former holder is brought to its end, for a moment at most. */
static void let_store_finish(const mpsync_client *client)
{
	const struct timeval moment = {1, 0};
	const struct store *store = engine_store(client->engine);

	if (!store_is_finishing(store) || event_base_loopexit(client->loop.base, &moment) != 0)
		return;
	do
		event_base_loop(client->loop.base, EVLOOP_ONCE);
	while (store_is_finishing(store) && !event_base_got_exit(client->loop.base));
}

static void *client_main(void *context)
{
	mpsync_client *client = context;

	event_base_loop(client->loop.base, EVLOOP_NO_EXIT_ON_EMPTY);
	let_store_finish(client);
	reject_commands(client);
	free_thread_parts(client);
	client_end_op(
	    client, &client->close_op, &(mpsync_event){.type = MPSYNC_EVENT_DONE, .status = MPSYNC_OK});
	client_unreference(client);
	return NULL;
}

/* The host program's signals are the host program's: none is taken on our thread. */
static bool start_thread(mpsync_client *client)
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

/* ---- Handles ---- */

mpsync_client *client_reference(mpsync_client *client)
{
	atomic_fetch_add(&client->references, 1);
	return client;
}

void client_unreference(mpsync_client *client)
{
	if (atomic_fetch_sub(&client->references, 1) > 1)
		return;
	mpsync_queue_free(client->queue);
	options_clear(&client->options);
	free(client->url);
	free(client->store_url);
	free(client->reserved_close);
	store_fence_drop(client->fence);
	if (client->descriptor >= 0)
		close(client->descriptor);
	fork_mark_free(client->mark);
	pthread_mutex_destroy(&client->mutex);
	free(client);
}

mpsync_status client_check_usable(const mpsync_client *client, mpsync_error *error)
{
	if (!client)
		return fail(error, MPSYNC_E_INVALID, "no client given");
	if (!fork_mark_is_ours(client->mark))
		return fail(error, MPSYNC_E_FORKED, "%s", mpsync_status_text(MPSYNC_E_FORKED));
	return MPSYNC_OK;
}

static void append(mpsync_client *client, struct command *command)
{
	command->next = NULL;
	if (client->first)
		client->last->next = command;
	else
		client->first = command;
	client->last = command;
}

mpsync_status client_submit(mpsync_client *client, struct command *command, mpsync_error *error)
{
	const uint64_t one = 1;
	bool closed;
	bool woken;

	pthread_mutex_lock(&client->mutex);
	closed = client->closed;
	/* First: what cannot be announced must not be in the list, for its owner frees it. */
	woken = !closed && write(client->descriptor, &one, sizeof one) > 0;
	if (woken)
		append(client, command);
	pthread_mutex_unlock(&client->mutex);
	if (woken)
		return succeed(error);
	free(command);
	if (closed)
		return fail(error, MPSYNC_E_CLOSED, "the client is closed");
	return fail(error, MPSYNC_E_INTERNAL, "cannot wake the client's thread: %s", strerror(errno));
}

/* ---- Opening ---- */

/* The holder that people see, where nobody said one. */
static bool name_holder(struct mpsync_options *options, mpsync_error *error)
{
	char own[HOLDER_MOST + 1];
	const char *problem;

	if (options_text(options, OPTION_IDENTITY))
		return true;
	problem = identity_default(own, sizeof own);
	if (!problem)
		return mpsync_options_set(options, option_name(OPTION_IDENTITY), own, error) == MPSYNC_OK;
	fail(error, MPSYNC_E_INVALID,
	    "POD_NAME or the host's name cannot say who holds: %s; give identity", problem);
	return false;
}

/* The nearer to the call wins: call, URL, environment. */
static bool resolve(mpsync_client *client, struct url *url, const char *text,
    const mpsync_options *options, mpsync_error *error)
{
	struct mpsync_options environment = {{0}};
	bool good = options_from_environment(&environment, error) == MPSYNC_OK;
	const char *from_options = options ? options_text(options, OPTION_URL) : NULL;

	if (good && !text)
		text = from_options ? from_options : options_text(&environment, OPTION_URL);
	good = good && url_parse(url, text ? text : URL_DEFAULT, error);
	if (good && (!options_inherit(&client->options, options) ||
	                !options_inherit(&client->options, &url->options) ||
	                !options_inherit(&client->options, &environment))) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		good = false;
	}
	options_clear(&environment);
	if (good && name_holder(&client->options, error))
		return true;
	url_clear(url);
	return false;
}

static bool open_engine(mpsync_client *client, const struct url *url, mpsync_error *error)
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

/* For whoever is given them, and may look from another folder. */
static bool keep_urls(mpsync_client *client, const struct url *url, mpsync_error *error)
{
	client->url = strdup(client->store->url ? client->store->url : url->text);
	client->store_url = client->url ? store_url(client->url, url, &client->options) : NULL;
	if (!client->store_url)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory, or this folder was removed");
	return client->store_url;
}

mpsync_client *mpsync_client_open(
    const char *text, const mpsync_options *options, mpsync_queue *queue, mpsync_error *error)
{
	mpsync_client *client = calloc(1, sizeof *client);
	struct url url = {0};
	bool good;

	succeed(error);
	if (queue && queue_check_usable(queue, error) != MPSYNC_OK) {
		free(client);
		return NULL;
	}
	if (!client) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	atomic_init(&client->references, 1);
	pthread_mutex_init(&client->mutex, NULL);
	client->loop.timer.descriptor = -1;
	client->queue = queue_reference(queue);
	client->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	client->mark = fork_mark_new();
	client->reserved_close = calloc(1, sizeof *client->reserved_close);
	if (client->descriptor < 0 || !client->mark || !client->reserved_close) {
		fail(error, MPSYNC_E_INTERNAL, "no descriptors or memory: %s", strerror(errno));
		client_unreference(client);
		return NULL;
	}
	good = resolve(client, &url, text, options, error) && open_engine(client, &url, error) &&
	       keep_urls(client, &url, error);
	url_clear(&url);
	if (good) {
		client->store->say = say;
		client->store->say_context = client;
	}
	if (good && client->store->warning)
		client_tell(
		    client, &(mpsync_event){.type = MPSYNC_EVENT_LOG, .message = client->store->warning});
	if (good && start_thread(client))
		return client;
	if (good)
		fail(error, MPSYNC_E_INTERNAL, "cannot start a thread");
	free_thread_parts(client);
	client_unreference(client);
	return NULL;
}

const char *mpsync_client_url(const mpsync_client *client)
{
	return client ? client->url : NULL;
}

/* ---- Closing ---- */

static void run_close(mpsync_client *client, struct command *base)
{
	struct close_command *command = (struct close_command *)base;

	if (client->closing) {
		client_end_op(client, &command->op,
		    &(mpsync_event){.type = MPSYNC_EVENT_DONE, .status = MPSYNC_E_CLOSED});
		return;
	}
	client->closing = true;
	client->close_op = command->op;
	client->open_requests++;
	engine_stop(client->engine);
	client_request_ended(client);
}

/* Takes the command over; NULL: there was no memory for it. */
static mpsync_status close_client(
    mpsync_client *client, struct close_command *command, uint64_t op_id, mpsync_error *error)
{
	if (!command)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	command->command.run = run_close;
	command->op = (struct op){.id = op_id, .open = true};
	return client_submit(client, &command->command, error);
}

mpsync_status mpsync_client_close_start(mpsync_client *client, uint64_t op_id, mpsync_error *error)
{
	const mpsync_status status = client_check_usable(client, error);

	if (status != MPSYNC_OK)
		return status;
	return close_client(client, calloc(1, sizeof(struct close_command)), op_id, error);
}

void mpsync_client_close(mpsync_client *client)
{
	if (!client)
		return;
	if (client_check_usable(client, NULL) == MPSYNC_OK) {
		close_client(client, client->reserved_close, 0, NULL);
		client->reserved_close = NULL;
		if (pthread_equal(pthread_self(), client->thread))
			pthread_detach(client->thread);
		else
			pthread_join(client->thread, NULL);
	}
	client_unreference(client);
}

/* ---- Queries ---- */

struct mpsync_list {
	mpsync_lock_info *items;
	size_t count;
	size_t size;
	bool failed;
};

struct query_command {
	struct command command;
	struct query_run *run;
};

/* Lives on the caller's stack until the call has ended. */
struct query_run {
	struct store_query query;
	mpsync_client *client;
	struct op op;
	mpsync_list *list;
};

static char *copy_text(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

static void on_found(struct store_query *query, const struct store_lock *lock)
{
	mpsync_list *list = ((struct query_run *)query)->list;
	mpsync_lock_info *info;

	if (!list || list->failed)
		return;
	if (list->count == list->size) {
		mpsync_lock_info *more = realloc(list->items, (list->size * 2 + 16) * sizeof *list->items);

		list->failed = !more;
		if (!more)
			return;
		list->items = more;
		list->size = list->size * 2 + 16;
	}
	info = &list->items[list->count++];
	*info = (mpsync_lock_info){
	    .name = copy_text(lock->name, &list->failed),
	    .holder = copy_text(lock->holder, &list->failed),
	    .value = copy_text(lock->value, &list->failed),
	    .token = lock->token,
	    .ttl_ms = (int64_t)lock->ttl_ms,
	    .since_unix_ms = lock->since_ms,
	    .is_election = lock->election,
	    .waiters = lock->waiters,
	};
	if (lock->expires_in_ms) {
		const struct store_clock *clock =
		    &engine_store(((struct query_run *)query)->client->engine)->clock;

		info->expires_unix_ms = clock->wall_ms(clock->context) + (int64_t)lock->expires_in_ms;
	}
}

static void on_query_done(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct query_run *run = (struct query_run *)query;
	mpsync_client *client = run->client;

	client_end_op(client, &run->op,
	    &(mpsync_event){.type = MPSYNC_EVENT_DONE, .status = status, .message = message});
	client_request_ended(client);
}

static void run_query(mpsync_client *client, struct command *base)
{
	struct query_run *run = ((struct query_command *)base)->run;
	struct store *store = engine_store(client->engine);

	client->open_requests++;
	if (client->closing || client->closed)
		on_query_done(&run->query, MPSYNC_E_CLOSED, NULL);
	else
		store->ops->query(store, &run->query);
}

static mpsync_status query(mpsync_client *client, struct query_run *run, mpsync_error *error)
{
	mpsync_status status = client_check_usable(client, error);
	struct query_command *command;
	struct call call;

	if (status != MPSYNC_OK)
		return status;
	command = calloc(1, sizeof *command);
	if (!command)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	call_init(&call);
	run->client = client;
	run->op = (struct op){.call = &call, .open = true};
	run->query.found = on_found;
	run->query.done = on_query_done;
	command->command.run = run_query;
	command->run = run;
	status = client_submit(client, &command->command, error);
	return status == MPSYNC_OK ? call_wait(&call, error) : status;
}

mpsync_status mpsync_client_check(mpsync_client *client, mpsync_error *error)
{
	struct query_run run = {.query.kind = STORE_CHECK};

	return query(client, &run, error);
}

mpsync_list *mpsync_client_list(mpsync_client *client, const char *prefix, mpsync_error *error)
{
	mpsync_list *list = calloc(1, sizeof *list);
	struct query_run run = {
	    .query = {.kind = STORE_LIST, .prefix = prefix ? prefix : "", .limit = SIZE_MAX},
	    .list = list,
	};

	if (!list) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	if (query(client, &run, error) == MPSYNC_OK && !list->failed)
		return list;
	if (list->failed)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	mpsync_list_free(list);
	return NULL;
}

size_t mpsync_list_count(const mpsync_list *list)
{
	return list ? list->count : 0;
}

const mpsync_lock_info *mpsync_list_at(const mpsync_list *list, size_t index)
{
	return list && index < list->count ? &list->items[index] : NULL;
}

void mpsync_list_free(mpsync_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++) {
		free((char *)(uintptr_t)list->items[i].name);
		free((char *)(uintptr_t)list->items[i].holder);
		free((char *)(uintptr_t)list->items[i].value);
	}
	free(list->items);
	free(list);
}

mpsync_status mpsync_client_force_release(
    mpsync_client *client, const char *name, int32_t now, mpsync_error *error)
{
	struct query_run run = {.query = {.kind = STORE_FORCE, .name = name, .now = now != 0}};

	if (!name || !*name)
		return fail(error, MPSYNC_E_INVALID, "no name given");
	return query(client, &run, error);
}
