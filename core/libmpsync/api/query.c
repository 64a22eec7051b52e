#include "client.h"

#include "base/status.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

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

static char *copy_or_fail(const char *text, bool *failed)
{
	char *copy = text_copy(text);

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
	    .name = copy_or_fail(lock->name, &list->failed),
	    .holder = copy_or_fail(lock->holder, &list->failed),
	    .value = copy_or_fail(lock->value, &list->failed),
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

static mpsync_list *find(mpsync_client *client, const struct store_query *what, mpsync_error *error)
{
	mpsync_list *list = calloc(1, sizeof *list);
	struct query_run run = {.query = *what, .list = list};
	mpsync_status status;

	if (!list) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	status = query(client, &run, error);
	if ((status == MPSYNC_OK || (status == MPSYNC_E_NOT_HELD && what->kind == STORE_GET)) &&
	    !list->failed)
		return list;
	if (list->failed)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	mpsync_list_free(list);
	return NULL;
}

mpsync_list *mpsync_client_list(mpsync_client *client, const char *prefix, mpsync_error *error)
{
	return find(client,
	    &(struct store_query){
	        .kind = STORE_LIST, .prefix = prefix ? prefix : "", .limit = SIZE_MAX},
	    error);
}

mpsync_list *client_get(mpsync_client *client, const char *name, mpsync_error *error)
{
	return find(client, &(struct store_query){.kind = STORE_GET, .name = name}, error);
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
