#include "client.h"
#include "run.h"

#include "base/status.h"

#include <stdlib.h>

void lock_command_init(struct lock_command *command, mpsync_lock *lock,
    void (*run)(mpsync_client *client, struct command *command))
{
	command->command.run = run;
	command->lock = lock_reference(lock);
}

struct lock_command *lock_command_new(
    mpsync_lock *lock, void (*run)(mpsync_client *client, struct command *command))
{
	struct lock_command *command = calloc(1, sizeof *command);

	if (command)
		lock_command_init(command, lock, run);
	return command;
}

void lock_command_drop(struct lock_command *command)
{
	if (!command)
		return;
	spares_free(&command->spares);
	lock_unreference(command->lock);
	free(command->value);
	free(command);
}

mpsync_status lock_submit(mpsync_lock *lock, struct lock_command *command, mpsync_error *error)
{
	char *value = command->value;
	struct spares spares = command->spares;
	const mpsync_status status = client_submit(lock->client, &command->command, error);

	if (status == MPSYNC_OK)
		return status;
	spares_free(&spares);
	free(value);
	lock_unreference(lock);
	return status;
}

/* ---- On the client's thread ---- */

static void fail_op(mpsync_lock *lock, struct op *op, mpsync_status status, const char *message)
{
	lock_end_op(lock, op,
	    &(mpsync_event){.type = MPSYNC_EVENT_FAILED,
	        .status = status,
	        .lock = lock->id,
	        .name = lock->name,
	        .message = message});
}

struct engine_wish lock_wish(const mpsync_lock *lock, const char *value, uint64_t wait_ms)
{
	return (struct engine_wish){
	    .name = lock->name,
	    .holder = options_text(&lock->options, OPTION_IDENTITY),
	    .value = value,
	    .ttl_ms = (uint32_t)options_ms(&lock->options, OPTION_TTL),
	    .wait_ms = wait_ms,
	    .try_ms = lock->client->try_ms,
	    .election = lock->election,
	    .owner = (void *)(uintptr_t)lock,
	};
}

void lock_run_acquire(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;
	struct engine_wish wish;

	if (lock_park(lock, command))
		return;
	lock_take_spares(lock, &command->spares);
	lock->acquire = command->op;
	lock_await(lock, NULL);
	wish = lock_wish(lock, command->value, command->wait_ms);
	wish.awaits_store = command->wait_ms != 0; /* a run does so itself, and says it at once */
	if (client->closing || client->closed) {
		lock_end_asking(lock);
		fail_op(lock, &lock->acquire, MPSYNC_E_CLOSED, NULL);
	} else {
		client->open_requests++;
		lock_reference(lock);
		if (!engine_acquire(client->engine, &wish, &lock->claim)) {
			lock_end_asking(lock);
			fail_op(lock, &lock->acquire, MPSYNC_E_NO_MEMORY, NULL);
			client_request_ended(client);
			lock_unreference(lock);
		}
	}
	free(command->value);
	lock_unreference(lock);
}

void lock_run_cancel(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;

	(void)client;
	if (lock->parked)
		lock_cancel_parked(lock, 0);
	else if (lock->run)
		run_feed(lock->run, TERMS_STOP);
	else if (lock->claim)
		engine_cancel(lock->claim);
	lock_unreference(lock);
}

void lock_cancel_command(mpsync_lock *lock, struct lock_command *command)
{
	struct op op = command->run ? command->run->op : command->op;

	lock_take_spares(lock, &command->spares);
	if (command->run)
		run_leave_handle(lock);
	else
		lock_end_asking(lock);
	lock_end_op(lock, &op,
	    &(mpsync_event){.type = MPSYNC_EVENT_CANCELLED,
	        .status = MPSYNC_E_CANCELLED,
	        .lock = lock->id,
	        .name = lock->name});
	run_free(command->run);
	free(command->value);
	lock_unreference(lock);
}

void lock_run_withdraw(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;
	const uint64_t op_id = command->op.id;

	(void)client;
	lock->stopped_op = op_id; /* if it is a run that has not begun yet */
	if (lock->run && lock->run->op.id == op_id) {
		run_feed(lock->run, TERMS_STOP);
	} else if (!lock_cancel_parked(lock, op_id) && lock->claim && lock->acquire.id == op_id) {
		if (lock->held) {
			/* Before anything is sent (rule 37, say no before you let go). */
			atomic_store(&lock->grant, 0);
			engine_release(lock->claim);
		} else {
			engine_cancel(lock->claim);
		}
	}
	lock_unreference(lock);
}

void lock_run_release(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;

	(void)client;
	if (lock->held && lock->claimed_grant == command->grant && !lock->release.open) {
		lock->release = command->op;
		if (lock->run)
			run_feed(lock->run, TERMS_HAND_OVER);
		else
			engine_release(lock->claim);
	} else {
		fail_op(lock, &command->op, MPSYNC_E_NOT_HELD, NULL);
	}
	lock_unreference(lock);
}

void lock_run_set_value(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;

	(void)client;
	if (!lock->held || lock->release.open) {
		fail_op(lock, &command->op, MPSYNC_E_NOT_HELD, NULL);
	} else {
		/* The older value's request ends here: the store may never have had that value. */
		fail_op(lock, &lock->value, MPSYNC_E_CANCELLED,
		    "a newer value was set before this one was known to be stored");
		lock->value = command->op;
		if (!engine_set_value(lock->claim, command->value))
			fail_op(lock, &lock->value, MPSYNC_E_NO_MEMORY, NULL);
	}
	free(command->value);
	lock_unreference(lock);
}

/*
 * The handle is gone: what it holds is released, or what it asks for cancelled, and no event tells
 * of it.
 */
void lock_run_abandon(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;

	(void)client;
	lock_cancel_parked(lock, 0);
	if (lock->run)
		run_feed(lock->run, TERMS_CLOSE);
	else if (lock->claim && lock->held)
		engine_release(lock->claim);
	else if (lock->claim)
		engine_cancel(lock->claim);
	lock_unreference(lock);
}
