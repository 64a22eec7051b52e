#include "client.h"

#include "base/clock.h"
#include "base/identity.h"
#include "base/status.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_AS_OPTION   (-2)
#define LOST_REASON_BITS 8
#define LOST_REASON_MASK 0xff

static mpsync_lock *reference(mpsync_lock *lock)
{
	atomic_fetch_add(&lock->references, 1);
	return lock;
}

static void free_spares(mpsync_lock *lock)
{
	for (size_t i = 0; i < sizeof lock->spares / sizeof *lock->spares; i++) {
		mpsync_event_free(lock->spares[i]);
		lock->spares[i] = NULL;
	}
}

static void unreference(mpsync_lock *lock)
{
	if (atomic_fetch_sub(&lock->references, 1) > 1)
		return;
	free_spares(lock);
	free(lock->reserved_abandon);
	free(lock->awaited);
	free(lock->trouble);
	options_clear(&lock->options);
	client_unreference(lock->client);
	free(lock->name);
	free(lock);
}

/* ---- What the engine tells, on its thread ---- */

/* With its strings where there is memory for them, else bare, from the spares made at acquire. */
static void tell(mpsync_lock *lock, const mpsync_event *fields)
{
	mpsync_event *event;

	if (!lock->client->queue)
		return;
	event = queue_event(fields);
	for (size_t i = 0; !event && i < sizeof lock->spares / sizeof *lock->spares; i++) {
		event = lock->spares[i];
		lock->spares[i] = NULL;
		if (event) {
			const char *name = event->name;

			*event = *fields;
			event->name = name;
			event->holder = event->value = event->message = NULL;
		}
	}
	if (event)
		queue_push(lock->client->queue, event);
}

static void end_op(mpsync_lock *lock, struct op *op, mpsync_event *event)
{
	if (!op->open)
		return;
	event->op_id = op->id;
	if (op->call) {
		client_end_op(lock->client, op, event);
		return;
	}
	op->open = false;
	tell(lock, event);
}

static void set_asking(mpsync_lock *lock, bool asking)
{
	pthread_mutex_lock(&lock->client->mutex);
	lock->asking = asking;
	pthread_mutex_unlock(&lock->client->mutex);
}

static void set_trouble(mpsync_lock *lock, char *message)
{
	char *before;

	pthread_mutex_lock(&lock->client->mutex);
	before = lock->trouble;
	lock->trouble = message;
	pthread_mutex_unlock(&lock->client->mutex);
	free(before);
}

static void on_trouble(void *owner, const char *message)
{
	set_trouble(owner, strdup(message));
}

static void on_right(void *owner, uint64_t until_ms, int64_t wall_ahead_ms)
{
	mpsync_lock *lock = owner;

	if (lock->trouble && until_ms > atomic_load(&lock->until_ms))
		set_trouble(lock, NULL);
	atomic_store(&lock->wall_ahead_ms, wall_ahead_ms);
	atomic_store(&lock->until_ms, until_ms);
}

static void begin_grant(mpsync_lock *lock, mpsync_event *event)
{
	lock->held = true;
	lock->claimed_grant = atomic_fetch_add(&lock->client->next_grant, 1) + 1;
	event->grant = lock->claimed_grant;
	atomic_store(&lock->token, event->token);
	atomic_store(&lock->grant, lock->claimed_grant);
}

/* Ready for the next acquire before anybody is told, for who is told may ask at once. */
static void end_request(mpsync_lock *lock, mpsync_event *event)
{
	event->grant = lock->held ? lock->claimed_grant : 0;
	lock->held = false;
	lock->claim = NULL; /* it may still be withdrawn; the handle is free for the next one */
	atomic_store(&lock->grant, 0);
	atomic_store(&lock->until_ms, 0);
	set_asking(lock, false);
}

/* A wait that ends without the lock names whom it waited for. */
static void await(mpsync_lock *lock, const char *holder)
{
	free(lock->awaited);
	lock->awaited = holder ? strdup(holder) : NULL;
}

/* Grant and reason in one word, so that they are read together. */
static uint64_t lost_word(uint64_t grant, int32_t reason)
{
	return grant << LOST_REASON_BITS | (uint64_t)reason;
}

static void on_event(void *owner, const struct engine_event *told)
{
	mpsync_lock *lock = owner;
	mpsync_event event = {
	    .type = (int32_t)told->type,
	    .status = (int32_t)told->status,
	    .reason = (int32_t)told->reason,
	    .position = told->position,
	    .lock = lock->id,
	    .token = told->token,
	    .unchanged_ms = (int64_t)told->unchanged_ms,
	    .name = lock->name,
	    .holder = told->holder,
	    .message = told->message,
	};

	switch (told->type) {
	case MPSYNC_EVENT_HELD:
		begin_grant(lock, &event);
		end_op(lock, &lock->acquire, &event);
		return;
	case MPSYNC_EVENT_LOST:
		atomic_store(&lock->lost, lost_word(lock->claimed_grant, event.reason));
		end_request(lock, &event);
		tell(lock, &event); /* no release is under way: who releases hears RELEASED */
		break;
	case MPSYNC_EVENT_RELEASED:
		end_request(lock, &event);
		if (lock->release.open)
			end_op(lock, &lock->release, &event);
		else
			tell(lock, &event);
		break;
	case MPSYNC_EVENT_DONE:
		end_op(lock, &lock->value, &event);
		return;
	case MPSYNC_EVENT_WAITING:
		await(lock, told->holder);
		event.op_id = lock->acquire.id;
		if (lock->acquire.open && !lock->acquire.call)
			tell(lock, &event);
		return;
	case MPSYNC_EVENT_LOG:
		client_tell(lock->client,
		    &(mpsync_event){
		        .type = MPSYNC_EVENT_LOG, .status = event.status, .message = event.message});
		return;
	default:
		if (told->type == MPSYNC_EVENT_BUSY && !told->holder)
			event.holder = lock->awaited;
		end_request(lock, &event);
		end_op(lock, &lock->acquire, &event);
		break;
	}
	client_request_ended(lock->client);
}

static void on_ended(void *owner)
{
	mpsync_lock *lock = owner;

	client_claim_ended(lock->client);
	unreference(lock);
}

void lock_last_trouble(mpsync_lock *lock, char *out, size_t size)
{
	pthread_mutex_lock(&lock->client->mutex);
	snprintf(out, size, "%s", lock->trouble ? lock->trouble : "");
	pthread_mutex_unlock(&lock->client->mutex);
}

const struct engine_owner lock_owner = {on_event, on_right, on_ended, on_trouble};

/* ---- Commands, run on the client's thread ---- */

struct lock_command {
	struct command command;
	mpsync_lock *lock;
	struct op op;
	uint64_t wait_ms;
	uint64_t grant;
	char *value;
};

static void command_init(struct lock_command *command, mpsync_lock *lock,
    void (*run)(mpsync_client *client, struct command *command))
{
	command->command.run = run;
	command->lock = reference(lock);
}

static struct lock_command *command_new(
    mpsync_lock *lock, void (*run)(mpsync_client *client, struct command *command))
{
	struct lock_command *command = calloc(1, sizeof *command);

	if (command)
		command_init(command, lock, run);
	return command;
}

static void command_drop(struct lock_command *command)
{
	if (!command)
		return;
	unreference(command->lock);
	free(command->value);
	free(command);
}

static mpsync_status submit(mpsync_lock *lock, struct lock_command *command, mpsync_error *error)
{
	char *value = command->value;
	const mpsync_status status = client_submit(lock->client, &command->command, error);

	if (status == MPSYNC_OK)
		return status;
	free(value);
	unreference(lock);
	return status;
}

static void fail_op(mpsync_lock *lock, struct op *op, mpsync_status status, const char *message)
{
	end_op(lock, op,
	    &(mpsync_event){.type = MPSYNC_EVENT_FAILED,
	        .status = status,
	        .lock = lock->id,
	        .name = lock->name,
	        .message = message});
}

static struct engine_wish wish_of(const mpsync_lock *lock, const struct lock_command *command)
{
	return (struct engine_wish){
	    .name = lock->name,
	    .holder = options_text(&lock->options, OPTION_IDENTITY),
	    .value = command->value,
	    .ttl_ms = (uint32_t)options_ms(&lock->options, OPTION_TTL),
	    .wait_ms = command->wait_ms,
	    .election = lock->election,
	    .owner = (void *)(uintptr_t)lock,
	};
}

static void run_acquire(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;
	struct engine_wish wish;

	lock->acquire = command->op;
	await(lock, NULL);
	wish = wish_of(lock, command);
	if (client->closing || client->closed) {
		set_asking(lock, false);
		fail_op(lock, &lock->acquire, MPSYNC_E_CLOSED, NULL);
	} else {
		client->open_requests++;
		reference(lock);
		if (!engine_acquire(client->engine, &wish, &lock->claim)) {
			set_asking(lock, false);
			fail_op(lock, &lock->acquire, MPSYNC_E_NO_MEMORY, NULL);
			client_request_ended(client);
			unreference(lock);
		}
	}
	free(command->value);
	unreference(lock);
}

static void run_cancel(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;

	(void)client;
	if (command->lock->claim)
		engine_cancel(command->lock->claim);
	unreference(command->lock);
}

static void run_release(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;

	(void)client;
	if (lock->held && lock->claimed_grant == command->grant && !lock->release.open) {
		lock->release = command->op;
		engine_release(lock->claim);
	} else {
		fail_op(lock, &command->op, MPSYNC_E_NOT_HELD, NULL);
	}
	unreference(lock);
}

static void run_set_value(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;

	(void)client;
	if (!lock->held || lock->release.open) {
		fail_op(lock, &command->op, MPSYNC_E_NOT_HELD, NULL);
	} else {
		/* Nobody waits any more for whether the older value was ever stored. */
		fail_op(lock, &lock->value, MPSYNC_E_CANCELLED,
		    "a newer value was set before this one was known to be stored");
		lock->value = command->op;
		if (!engine_set_value(lock->claim, command->value))
			fail_op(lock, &lock->value, MPSYNC_E_NO_MEMORY, NULL);
	}
	free(command->value);
	unreference(lock);
}

/* The handle is gone: what it holds or asks for ends without anybody being told. */
static void run_abandon(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;

	(void)client;
	if (lock->claim && lock->held)
		engine_release(lock->claim);
	else if (lock->claim)
		engine_cancel(lock->claim);
	unreference(lock);
}

/* ---- Making handles ---- */

static mpsync_status check_ttl(const mpsync_lock *lock, mpsync_error *error)
{
	const mpsync_client *client = lock->client;
	const int64_t ttl_ms = options_ms(&lock->options, OPTION_TTL);

	if (client->ttl_step_ms && ttl_ms % client->ttl_step_ms)
		return fail(error, MPSYNC_E_UNSUPPORTED,
		    "ttl: %lld ms is not a multiple of %u ms, as it has to be here", (long long)ttl_ms,
		    client->ttl_step_ms);
	if (ttl_ms >= client->shortest_ttl_ms)
		return MPSYNC_OK;
	return fail(error, MPSYNC_E_UNSUPPORTED, "ttl: %lld ms is too short here; the least is %u ms",
	    (long long)ttl_ms, client->shortest_ttl_ms);
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
		unreference(lock);
		return NULL;
	}
	lock->clock_slack_ms = options_ms(&lock->options, OPTION_TTL) / 5;
	if (check_ttl(lock, error) == MPSYNC_OK) {
		succeed(error);
		return lock;
	}
	unreference(lock);
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
		command_init(command, lock, run_abandon);
		submit(lock, command, NULL);
	}
	unreference(lock);
}

uint64_t mpsync_lock_id(const mpsync_lock *lock)
{
	return lock ? lock->id : 0;
}

static mpsync_status check_handle(const mpsync_lock *lock, mpsync_error *error)
{
	if (!lock)
		return fail(error, MPSYNC_E_INVALID, "no lock given");
	return client_check_usable(lock->client, error);
}

/* ---- Asking ---- */

static bool make_spares(mpsync_lock *lock)
{
	const mpsync_event blank = {.lock = lock->id, .name = lock->name};

	free_spares(lock);
	for (size_t i = 0; i < sizeof lock->spares / sizeof *lock->spares; i++) {
		lock->spares[i] = queue_event(&blank);
		if (!lock->spares[i])
			return false;
	}
	return true;
}

/* One request at a time: from here to its end the handle is taken. */
static mpsync_status begin_asking(mpsync_lock *lock, mpsync_error *error)
{
	bool taken;
	bool spared = true;

	pthread_mutex_lock(&lock->client->mutex);
	taken = lock->asking;
	if (!taken)
		spared = make_spares(lock);
	lock->asking = taken || spared;
	pthread_mutex_unlock(&lock->client->mutex);
	if (taken)
		return fail(error, MPSYNC_E_ALREADY_HELD,
		    "this handle holds \"%.60s\", or asks for it, already", lock->name);
	return spared ? MPSYNC_OK : fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
}

static uint64_t wait_of(const mpsync_lock *lock, int64_t wait_ms)
{
	if (wait_ms == WAIT_AS_OPTION)
		wait_ms = options_ms(&lock->options, OPTION_WAIT);
	return wait_ms < 0 ? CLAIM_NEVER : (uint64_t)wait_ms;
}

mpsync_status lock_acquire(mpsync_lock *lock, uint64_t op_id, struct call *call, const char *value,
    int64_t wait_ms, mpsync_error *error)
{
	mpsync_status status = check_handle(lock, error);
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	if (value && value_problem(value))
		return fail(error, MPSYNC_E_INVALID, "%s", value_problem(value));
	status = begin_asking(lock, error);
	if (status != MPSYNC_OK)
		return status;
	command = command_new(lock, run_acquire);
	if (command && value)
		command->value = strdup(value);
	if (!command || (value && !command->value)) {
		command_drop(command);
		set_asking(lock, false);
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	}
	command->op = (struct op){.id = op_id, .call = call, .open = true};
	command->wait_ms = wait_of(lock, wait_ms);
	status = submit(lock, command, error);
	if (status != MPSYNC_OK)
		set_asking(lock, false);
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
	const mpsync_status status = check_handle(lock, error);
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	command = command_new(lock, run_cancel);
	return command ? submit(lock, command, error)
	               : fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
}

/* is_held is no from here on: before the command, and so before anything is sent (rule 37). */
static mpsync_status release(
    mpsync_lock *lock, uint64_t op_id, struct call *call, uint64_t grant, mpsync_error *error)
{
	const mpsync_status status = check_handle(lock, error);
	uint_fast64_t present;
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	command = command_new(lock, run_release);
	if (!command)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	present = atomic_load(&lock->grant);
	if (grant == 0)
		grant = present;
	if (grant == 0 || grant != present ||
	    !atomic_compare_exchange_strong(&lock->grant, &present, 0)) {
		command_drop(command);
		return fail(error, MPSYNC_E_NOT_HELD, "\"%.60s\" is not held", lock->name);
	}
	command->grant = grant;
	command->op = (struct op){.id = op_id, .call = call, .open = true};
	return submit(lock, command, error);
}

mpsync_status mpsync_lock_release_start(
    mpsync_lock *lock, uint64_t op_id, uint64_t grant, mpsync_error *error)
{
	return release(lock, op_id, NULL, grant, error);
}

mpsync_status mpsync_lock_release(mpsync_lock *lock, mpsync_error *error)
{
	struct call call;
	mpsync_status status;

	call_init(&call);
	status = release(lock, 0, &call, 0, error);
	return status == MPSYNC_OK ? call_wait(&call, error) : status;
}

mpsync_status lock_set_value(
    mpsync_lock *lock, uint64_t op_id, struct call *call, const char *value, mpsync_error *error)
{
	const mpsync_status status = check_handle(lock, error);
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	if (value && value_problem(value))
		return fail(error, MPSYNC_E_INVALID, "%s", value_problem(value));
	command = command_new(lock, run_set_value);
	if (command && value)
		command->value = strdup(value);
	if (!command || (value && !command->value)) {
		command_drop(command);
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	}
	command->op = (struct op){.id = op_id, .call = call, .open = true};
	return submit(lock, command, error);
}

/* ---- Looking ---- */

static bool is_ours(const mpsync_lock *lock)
{
	return lock && fork_mark_is_ours(lock->client->mark);
}

/* The end of the right if this very grant is held by the clock, else 0. */
static uint64_t right_of(const mpsync_lock *lock, uint64_t grant, uint64_t *now_ms)
{
	uint64_t until_ms;
	int64_t ahead;

	if (!is_ours(lock) || grant == 0 || atomic_load(&lock->grant) != grant)
		return 0;
	until_ms = atomic_load(&lock->until_ms);
	ahead = atomic_load(&lock->wall_ahead_ms);
	/* The same grant before and after: so they were its own. */
	if (atomic_load(&lock->grant) != grant)
		return 0;
	*now_ms = clock_boot_ms();
	if (*now_ms >= until_ms)
		return 0;
	/* This machine may have stood still without its boot clock noticing (rule 30). */
	if (clock_wall_ms() - (int64_t)*now_ms - ahead > lock->clock_slack_ms ||
	    !store_fence_stands(lock->client->fence))
		return 0;
	return until_ms;
}

int32_t mpsync_lock_is_held(const mpsync_lock *lock, uint64_t grant)
{
	uint64_t now_ms;

	return right_of(lock, grant, &now_ms) != 0;
}

int64_t mpsync_lock_remaining_ms(const mpsync_lock *lock, uint64_t grant)
{
	uint64_t now_ms = 0;
	const uint64_t until_ms = right_of(lock, grant, &now_ms);

	return until_ms ? (int64_t)(until_ms - now_ms) : 0;
}

uint64_t mpsync_lock_grant(const mpsync_lock *lock)
{
	return is_ours(lock) ? atomic_load(&lock->grant) : 0;
}

uint64_t mpsync_lock_token(const mpsync_lock *lock, uint64_t grant)
{
	uint64_t token;

	if (!is_ours(lock) || grant == 0 || atomic_load(&lock->grant) != grant)
		return 0;
	token = atomic_load(&lock->token);
	return atomic_load(&lock->grant) == grant ? token : 0;
}

int32_t mpsync_lock_lost_reason(const mpsync_lock *lock, uint64_t grant)
{
	const uint64_t lost = is_ours(lock) ? atomic_load(&lock->lost) : 0;

	return lost >> LOST_REASON_BITS == grant ? (int32_t)(lost & LOST_REASON_MASK)
	                                         : MPSYNC_REASON_NONE;
}
