#include "client.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/list.h"
#include "base/status.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define TELL_AGAIN_MS 60000

/* One observation of one client, from its start to its last event. */
struct observing_client {
	struct observing_client *next;
	struct store_observer observer;
	mpsync_client *client;
	char *name;
	uint64_t op_id;
	bool told;
	uint64_t again_ms; /* what is told already is not told again before; 0: it is news */
	enum mpsync_status told_status; /* of the last failure */
};

struct observe_command {
	struct command command;
	char *name;
	uint64_t op_id;
};

static struct observing_client *of(struct store_observer *observer)
{
	return CONTAINER_OF(observer, struct observing_client, observer);
}

static void on_changed(struct store_observer *observer, const struct store_lock *lock)
{
	struct observing_client *observing = of(observer);

	observing->told = true;
	observing->again_ms = 0;
	client_tell(observing->client, &(mpsync_event){.type = MPSYNC_EVENT_LEADER,
	                                   .op_id = observing->op_id,
	                                   .name = lock->name,
	                                   .holder = lock->holder,
	                                   .value = lock->value,
	                                   .token = lock->token});
}

static void on_gone(struct store_observer *observer, const char *name)
{
	on_changed(observer, &(struct store_lock){.name = name});
}

/* Of what fails again and again observers hear once, and each minute. */
static bool is_news(struct observing_client *observing, enum mpsync_status status)
{
	const uint64_t now = clock_boot_ms();

	if (now < observing->again_ms && status == observing->told_status)
		return false;
	observing->again_ms = now + TELL_AGAIN_MS;
	observing->told_status = status;
	return true;
}

/* An observer of one name is also told when nobody holds it. */
static void on_synced(struct store_observer *observer)
{
	struct observing_client *observing = of(observer);

	observing->again_ms = 0;
	if (observing->name && !observing->told)
		on_gone(observer, observing->name);
}

static void on_failed(
    struct store_observer *observer, enum mpsync_status status, const char *message)
{
	struct observing_client *observing = of(observer);

	if (!is_news(observing, status))
		return;
	client_tell(observing->client, &(mpsync_event){.type = MPSYNC_EVENT_LOG,
	                                   .status = status,
	                                   .op_id = observing->op_id,
	                                   .name = observing->name,
	                                   .message = message});
}

static void run_start(mpsync_client *client, struct command *base)
{
	struct observe_command *command = (struct observe_command *)base;
	struct observing_client *observing = calloc(1, sizeof *observing);
	struct store *store = engine_store(client->engine);

	if (!observing || client->closing || client->closed) {
		client_tell(client, &(mpsync_event){.type = MPSYNC_EVENT_DONE,
		                        .op_id = command->op_id,
		                        .status = observing ? MPSYNC_E_CLOSED : MPSYNC_E_NO_MEMORY});
		free(observing);
		free(command->name);
		return;
	}
	observing->client = client;
	observing->name = command->name;
	observing->op_id = command->op_id;
	observing->observer = (struct store_observer){.name = observing->name,
	    .changed = on_changed,
	    .gone = on_gone,
	    .synced = on_synced,
	    .failed = on_failed};
	SINGLY_ADD(client->observations, observing);
	store->ops->observe(store, &observing->observer);
}

static void drop(mpsync_client *client, struct observing_client *observing)
{
	struct store *store = engine_store(client->engine);

	SINGLY_REMOVE(client->observations, observing);
	store->ops->observe_stop(store, &observing->observer);
	client_tell(client, &(mpsync_event){.type = MPSYNC_EVENT_DONE, .op_id = observing->op_id});
	free(observing->name);
	free(observing);
}

static void run_stop(mpsync_client *client, struct command *base)
{
	const struct observe_command *command = (struct observe_command *)base;
	struct observing_client *observing = client->observations;

	while (observing && observing->op_id != command->op_id)
		observing = observing->next;
	if (observing)
		drop(client, observing);
}

void client_stop_observing(mpsync_client *client)
{
	while (client->observations)
		drop(client, client->observations);
}

static mpsync_status submit(mpsync_client *client, uint64_t op_id, const char *name,
    void (*run)(mpsync_client *client, struct command *command), mpsync_error *error)
{
	struct observe_command *command = calloc(1, sizeof *command);
	char *copy = text_copy(name);
	mpsync_status status;

	if (!command || (name && !copy)) {
		free(command);
		free(copy);
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	}
	command->command.run = run;
	command->name = copy;
	command->op_id = op_id;
	status = client_submit(client, &command->command, error);
	if (status != MPSYNC_OK)
		free(copy);
	return status;
}

mpsync_status mpsync_client_observe_start(
    mpsync_client *client, uint64_t op_id, const char *name, mpsync_error *error)
{
	const mpsync_status status = client_check_usable(client, error);

	if (status != MPSYNC_OK)
		return status;
	if (name && name_problem(name))
		return fail(error, MPSYNC_E_INVALID, "%s", name_problem(name));
	if (!client->queue)
		return fail(error, MPSYNC_E_INVALID, "the client was opened without a queue");
	return submit(client, op_id, name, run_start, error);
}

mpsync_status mpsync_client_observe_stop(mpsync_client *client, uint64_t op_id, mpsync_error *error)
{
	const mpsync_status status = client_check_usable(client, error);

	return status == MPSYNC_OK ? submit(client, op_id, NULL, run_stop, error) : status;
}
