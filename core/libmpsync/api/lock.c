#include "lock.h"
#include "client.h"

#include "base/status.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_AS_OPTION (-2)

mpsync_lock *lock_reference(mpsync_lock *lock)
{
	atomic_fetch_add(&lock->references, 1);
	return lock;
}

void lock_unreference(mpsync_lock *lock)
{
	if (atomic_fetch_sub(&lock->references, 1) > 1)
		return;
	spares_free(&lock->spares);
	free(lock->reserved_abandon);
	free(lock->awaited);
	free(lock->trouble);
	options_clear(&lock->options);
	client_unreference(lock->client);
	free(lock->name);
	free(lock);
}

/* ---- Making handles ---- */

static mpsync_status check_ttl(const mpsync_lock *lock, mpsync_error *error)
{
	const mpsync_client *client = lock->client;
	const int64_t ttl_ms = options_ms(&lock->options, OPTION_TTL);

	if (client->ttl_step_ms && ttl_ms % client->ttl_step_ms)
		return fail(error, MPSYNC_E_UNSUPPORTED,
		    "ttl: %lld ms is not a multiple of %u ms, which this store needs", (long long)ttl_ms,
		    client->ttl_step_ms);
	if (ttl_ms >= client->shortest_ttl_ms)
		return MPSYNC_OK;
	return fail(error, MPSYNC_E_UNSUPPORTED,
	    "ttl: %lld ms is too short for this store; the least is %u ms", (long long)ttl_ms,
	    client->shortest_ttl_ms);
}

mpsync_lock *lock_new(mpsync_client *client, const char *name, const mpsync_options *options,
    bool election, mpsync_error *error)
{
	const char *problem = name_problem(name);
	mpsync_lock *lock;

	if (client_check_usable(client, error) != MPSYNC_OK)
		return NULL;
	if (problem) {
		fail(error, MPSYNC_E_INVALID, "%s", problem);
		return NULL;
	}
	lock = calloc(1, sizeof *lock);
	if (!lock) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	atomic_init(&lock->references, 1);
	lock->client = client_reference(client);
	lock->election = election;
	lock->id = atomic_fetch_add(&client->next_lock, 1) + 1;
	lock->name = strdup(name);
	lock->reserved_abandon = calloc(1, sizeof *lock->reserved_abandon);
	if (!lock->name || !lock->reserved_abandon || !options_inherit(&lock->options, options) ||
	    !options_inherit(&lock->options, &client->options)) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		lock_unreference(lock);
		return NULL;
	}
	lock->clock_slack_ms = options_ms(&lock->options, OPTION_TTL) / 5;
	if (check_ttl(lock, error) == MPSYNC_OK) {
		succeed(error);
		return lock;
	}
	lock_unreference(lock);
	return NULL;
}

mpsync_lock *mpsync_lock_new(
    mpsync_client *client, const char *name, const mpsync_options *options, mpsync_error *error)
{
	return lock_new(client, name, options, false, error);
}

void mpsync_lock_free(mpsync_lock *lock)
{
	struct lock_command *command;

	if (!lock)
		return;
	atomic_store(&lock->grant, 0);
	if (client_check_usable(lock->client, NULL) == MPSYNC_OK) {
		command = lock->reserved_abandon;
		lock->reserved_abandon = NULL;
		lock_command_init(command, lock, lock_run_abandon);
		lock_submit(lock, command, NULL);
	}
	lock_unreference(lock);
}

uint64_t mpsync_lock_id(const mpsync_lock *lock)
{
	return lock ? lock->id : 0;
}

mpsync_status lock_check_handle(const mpsync_lock *lock, mpsync_error *error)
{
	if (!lock)
		return fail(error, MPSYNC_E_INVALID, "no lock given");
	return client_check_usable(lock->client, error);
}

/* ---- Asking ---- */

uint64_t lock_wait_ms(const mpsync_lock *lock, int64_t wait_ms)
{
	if (wait_ms == WAIT_AS_OPTION)
		wait_ms = options_ms(&lock->options, OPTION_WAIT);
	return wait_ms < 0 ? CLAIM_NEVER : (uint64_t)wait_ms;
}

mpsync_status lock_acquire(mpsync_lock *lock, uint64_t op_id, struct call *call, const char *value,
    int64_t wait_ms, mpsync_error *error)
{
	mpsync_status status = lock_check_handle(lock, error);
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	if (value && value_problem(value))
		return fail(error, MPSYNC_E_INVALID, "%s", value_problem(value));
	command = lock_command_new(lock, lock_run_acquire);
	if (command && value)
		command->value = strdup(value);
	if (!command || (value && !command->value)) {
		lock_command_drop(command);
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	}
	status = lock_begin_asking(lock, command, op_id, error);
	if (status != MPSYNC_OK) {
		lock_command_drop(command);
		return status;
	}
	command->op = (struct op){.id = op_id, .call = call, .open = true};
	command->wait_ms = lock_wait_ms(lock, wait_ms);
	status = lock_submit(lock, command, error);
	if (status != MPSYNC_OK)
		lock_end_asking(lock);
	return status;
}

mpsync_status mpsync_lock_acquire_start(
    mpsync_lock *lock, uint64_t op_id, int64_t wait_ms, mpsync_error *error)
{
	return lock_acquire(lock, op_id, NULL, NULL, wait_ms, error);
}

mpsync_status mpsync_lock_acquire(mpsync_lock *lock, int64_t wait_ms, mpsync_error *error)
{
	struct call call;
	mpsync_status status;

	call_init(&call);
	status = lock_acquire(lock, 0, &call, NULL, wait_ms, error);
	return status == MPSYNC_OK ? call_wait(&call, error) : status;
}

mpsync_status mpsync_lock_cancel(mpsync_lock *lock, mpsync_error *error)
{
	const mpsync_status status = lock_check_handle(lock, error);
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	command = lock_command_new(lock, lock_run_cancel);
	return command ? lock_submit(lock, command, error)
	               : fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
}

mpsync_status lock_withdraw(mpsync_lock *lock, uint64_t op_id, mpsync_error *error)
{
	const mpsync_status status = lock_check_handle(lock, error);
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	if (op_id == 0)
		return fail(error, MPSYNC_E_INVALID, "the number of the request is missing");
	command = lock_command_new(lock, lock_run_withdraw);
	if (!command)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	command->op.id = op_id;
	lock_begin_leaving(lock, op_id);
	return lock_submit(lock, command, error);
}

mpsync_status mpsync_lock_withdraw(mpsync_lock *lock, uint64_t op_id, mpsync_error *error)
{
	return lock_withdraw(lock, op_id, error);
}

/*
 * A term of a run ends when what it started has ended, so nobody can wait for that here: it may be
 * what asks.
 */
static mpsync_status release_term(
    mpsync_lock *lock, struct lock_command *command, mpsync_error *error)
{
	const uint64_t present = atomic_load(&lock->grant);

	if (command->grant == 0)
		command->grant = present;
	if (present == 0 || command->grant != present) {
		lock_command_drop(command);
		return fail(error, MPSYNC_E_NOT_HELD, "\"%.60s\" is not held", lock->name);
	}
	return lock_submit(lock, command, error);
}

/*
 * is_held answers no from here on: before the command is submitted, and so before anything is sent
 * (rule 37, say no before you let go).
 */
static mpsync_status release(mpsync_lock *lock, struct op op, uint64_t grant, mpsync_error *error)
{
	const mpsync_status status = lock_check_handle(lock, error);
	uint_fast64_t present;
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	command = lock_command_new(lock, lock_run_release);
	if (!command)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	command->grant = grant;
	command->op = op;
	if (atomic_load(&lock->running))
		return release_term(lock, command, error);
	present = atomic_load(&lock->grant);
	if (grant == 0)
		grant = present;
	if (grant == 0 || grant != present ||
	    !atomic_compare_exchange_strong(&lock->grant, &present, 0)) {
		lock_command_drop(command);
		return fail(error, MPSYNC_E_NOT_HELD, "\"%.60s\" is not held", lock->name);
	}
	command->grant = grant;
	lock_begin_leaving(lock, 0);
	return lock_submit(lock, command, error);
}

mpsync_status mpsync_lock_release_start(
    mpsync_lock *lock, uint64_t op_id, uint64_t grant, mpsync_error *error)
{
	return release(lock, (struct op){.id = op_id, .open = true}, grant, error);
}

mpsync_status mpsync_lock_release(mpsync_lock *lock, mpsync_error *error)
{
	mpsync_status status = lock_check_handle(lock, error);
	struct call call;

	if (status != MPSYNC_OK)
		return status;
	if (atomic_load(&lock->running))
		return release(lock, (struct op){0}, 0, error);
	call_init(&call);
	status = release(lock, (struct op){.call = &call, .open = true}, 0, error);
	return status == MPSYNC_OK ? call_wait(&call, error) : status;
}

mpsync_status lock_set_value(
    mpsync_lock *lock, uint64_t op_id, struct call *call, const char *value, mpsync_error *error)
{
	const mpsync_status status = lock_check_handle(lock, error);
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	if (value && value_problem(value))
		return fail(error, MPSYNC_E_INVALID, "%s", value_problem(value));
	command = lock_command_new(lock, lock_run_set_value);
	if (command && value)
		command->value = strdup(value);
	if (!command || (value && !command->value)) {
		lock_command_drop(command);
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	}
	command->op = (struct op){.id = op_id, .call = call, .open = true};
	return lock_submit(lock, command, error);
}
