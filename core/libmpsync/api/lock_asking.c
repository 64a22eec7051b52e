/*
 * Who has the handle: one request at a time, and behind one that is being taken back, or whose
 * grant is being released, those that wait until nothing is left of it.
 */
#include "client.h"
#include "lock.h"

#include "base/status.h"

#include <stdlib.h>

/* ---- Events made before they are needed ---- */

void spares_free(struct spares *spares)
{
	for (size_t i = 0; i < sizeof spares->events / sizeof *spares->events; i++) {
		mpsync_event_free(spares->events[i]);
		spares->events[i] = NULL;
	}
}

bool lock_make_spares(const mpsync_lock *lock, struct spares *spares)
{
	const mpsync_event blank = {.lock = lock->id, .name = lock->name};

	for (size_t i = 0; i < sizeof spares->events / sizeof *spares->events; i++) {
		spares->events[i] = queue_event(&blank);
		if (!spares->events[i]) {
			spares_free(spares);
			return false;
		}
	}
	return true;
}

void lock_take_spares(mpsync_lock *lock, struct spares *spares)
{
	spares_free(&lock->spares);
	lock->spares = *spares;
	*spares = (struct spares){{NULL}};
}

/* ---- The handle ---- */

mpsync_status lock_begin_asking(
    mpsync_lock *lock, struct lock_command *command, uint64_t op_id, mpsync_error *error)
{
	bool taken;

	if (!lock_make_spares(lock, &command->spares))
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	pthread_mutex_lock(&lock->client->mutex);
	taken = lock->asking > 0 && !lock->leaving;
	if (!taken) {
		lock->asking++;
		lock->asking_op = op_id;
		lock->leaving = false;
	}
	pthread_mutex_unlock(&lock->client->mutex);
	if (taken)
		return fail(error, MPSYNC_E_ALREADY_HELD,
		    "this handle holds \"%.60s\", or asks for it, already", lock->name);
	return MPSYNC_OK;
}

void lock_end_asking(mpsync_lock *lock)
{
	pthread_mutex_lock(&lock->client->mutex);
	lock->asking--;
	pthread_mutex_unlock(&lock->client->mutex);
}

/* A run ends when its work has ended, which may be never, so nothing queues behind one. */
void lock_begin_leaving(mpsync_lock *lock, uint64_t op_id)
{
	pthread_mutex_lock(&lock->client->mutex);
	if (op_id ? lock->asking_op == op_id : lock->asking == 1)
		lock->leaving = !atomic_load(&lock->running);
	pthread_mutex_unlock(&lock->client->mutex);
}

/* ---- Requests that wait ---- */

bool lock_park(mpsync_lock *lock, struct lock_command *command)
{
	struct lock_command **link = &lock->parked;

	if (!lock->claim && !lock->run)
		return false;
	while (*link)
		link = &(*link)->parked;
	*link = command;
	command->command.kept = true;
	return true;
}

static struct lock_command *take_parked(struct lock_command **link)
{
	struct lock_command *command = *link;

	*link = command->parked;
	command->parked = NULL;
	command->command.kept = false;
	return command;
}

void lock_unpark(mpsync_lock *lock)
{
	struct lock_command *command;

	while (lock->parked && !lock->claim && !lock->run) {
		command = take_parked(&lock->parked);
		command->command.run(lock->client, &command->command);
		free(command);
	}
}

bool lock_cancel_parked(mpsync_lock *lock, uint64_t op_id)
{
	struct lock_command **link = &lock->parked;
	struct lock_command *command;
	bool found = false;

	while (*link) {
		if (op_id != 0 && ((*link)->run || (*link)->op.id != op_id)) {
			link = &(*link)->parked;
			continue;
		}
		command = take_parked(link);
		found = true;
		lock_cancel_command(lock, command);
		free(command);
	}
	return found;
}
