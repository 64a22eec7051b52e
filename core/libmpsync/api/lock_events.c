#include "client.h"
#include "run.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * With its texts if there is memory for them; else a spare event without texts, made at the
 * acquire.
 */
void lock_tell(mpsync_lock *lock, const mpsync_event *fields)
{
	mpsync_event *event;

	if (!lock->client->queue)
		return;
	event = queue_event(fields);
	for (size_t i = 0; !event && i < sizeof lock->spares.events / sizeof *lock->spares.events;
	     i++) {
		event = lock->spares.events[i];
		lock->spares.events[i] = NULL;
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

void lock_end_op(mpsync_lock *lock, struct op *op, mpsync_event *event)
{
	if (!op->open)
		return;
	event->op_id = op->id;
	if (op->call) {
		client_end_op(lock->client, op, event);
		return;
	}
	op->open = false;
	lock_tell(lock, event);
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
	if (lock->run)
		terms_right(&lock->run->terms, until_ms);
}

void lock_begin_grant(mpsync_lock *lock, mpsync_event *event)
{
	lock->held = true;
	lock->claimed_grant = atomic_fetch_add(&lock->client->next_grant, 1) + 1;
	event->grant = lock->claimed_grant;
	atomic_store(&lock->token, event->token);
	atomic_store(&lock->grant, lock->claimed_grant);
}

void lock_end_grant(mpsync_lock *lock, mpsync_event *event)
{
	event->grant = lock->held ? lock->claimed_grant : 0;
	lock->held = false;
	lock->claim = NULL; /* the claim may still be withdrawn from the store */
	atomic_store(&lock->grant, 0);
	atomic_store(&lock->until_ms, 0);
}

/*
 * The handle is ready for the next acquire before the end is told, because whoever is told may ask
 * again at once.
 */
static void end_request(mpsync_lock *lock, mpsync_event *event)
{
	lock_end_grant(lock, event);
	lock_end_asking(lock);
}

/* Remembered so that a wait that ends without the lock can name whom it waited for. */
void lock_await(mpsync_lock *lock, const char *holder)
{
	free(lock->awaited);
	lock->awaited = text_copy(holder);
}

/* Grant and reason share one word, so that other threads always read a matching pair. */
static uint64_t lost_word(uint64_t grant, int32_t reason)
{
	return grant << LOST_REASON_BITS | (uint64_t)reason;
}

void lock_note_loss(mpsync_lock *lock, int32_t reason)
{
	atomic_store(&lock->lost, lost_word(lock->claimed_grant, reason));
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

	if (lock->run && told->type != MPSYNC_EVENT_DONE && told->type != MPSYNC_EVENT_LOG) {
		run_on_event(lock->run, told, &event);
		return;
	}
	switch (told->type) {
	case MPSYNC_EVENT_HELD:
		lock_begin_grant(lock, &event);
		lock_end_op(lock, &lock->acquire, &event);
		return;
	case MPSYNC_EVENT_LOST:
		lock_note_loss(lock, event.reason);
		end_request(lock, &event);
		lock_tell(lock, &event); /* there is no release under way, which would end in RELEASED */
		break;
	case MPSYNC_EVENT_RELEASED:
		end_request(lock, &event);
		if (lock->release.open)
			lock_end_op(lock, &lock->release, &event);
		else
			lock_tell(lock, &event);
		break;
	case MPSYNC_EVENT_DONE:
		lock_end_op(lock, &lock->value, &event);
		return;
	case MPSYNC_EVENT_WAITING:
		lock_await(lock, told->holder);
		event.op_id = lock->acquire.id;
		if (lock->acquire.open && !lock->acquire.call)
			lock_tell(lock, &event);
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
		lock_end_op(lock, &lock->acquire, &event);
		break;
	}
	lock_unpark(lock);
	client_request_ended(lock->client);
}

static void on_ended(void *owner)
{
	mpsync_lock *lock = owner;

	client_claim_ended(lock->client);
	lock_unreference(lock);
}

void lock_last_trouble(mpsync_lock *lock, char *out, size_t size)
{
	pthread_mutex_lock(&lock->client->mutex);
	snprintf(out, size, "%s", lock->trouble ? lock->trouble : "");
	pthread_mutex_unlock(&lock->client->mutex);
}

const struct engine_owner lock_owner = {on_event, on_right, on_ended, on_trouble};
