#include "run.h"

#include "base/container.h"
#include "base/list.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t now_of(const mpsync_client *client)
{
	const struct store_clock *clock = &client->store->clock;

	return clock->boot_ms(clock->context);
}

static void feed(struct lock_run *run, struct terms_input *input)
{
	const struct store_clock *clock = &run->lock->client->store->clock;

	input->now_ms = clock->boot_ms(clock->context);
	input->random = clock->random(clock->context);
	terms_feed(&run->terms, input);
}

void run_feed(struct lock_run *run, enum terms_event event)
{
	feed(run, &(struct terms_input){.event = event});
}

void run_free(struct lock_run *run)
{
	if (!run)
		return;
	free(run->value);
	free(run->message);
	free(run);
}

static void keep_message(struct lock_run *run, const char *message)
{
	free(run->message);
	run->message = text_copy(message);
}

/* ---- What the loop does ---- */

static void on_ask(void *context, uint64_t wait_ms)
{
	struct lock_run *run = context;
	mpsync_lock *lock = run->lock;
	const struct engine_wish wish = lock_wish(lock, run->value, wait_ms);
	struct spares spares = {{NULL}};

	keep_message(run, NULL);
	lock_await(lock, NULL);
	lock_reference(lock);
	/* What is told of a term and of its end needs no memory then. */
	if (lock_make_spares(lock, &spares)) {
		lock_take_spares(lock, &spares);
		if (engine_acquire(lock->client->engine, &wish, &lock->claim))
			return;
	}
	lock_unreference(lock);
	feed(run, &(struct terms_input){.event = TERMS_FAILED, .status = MPSYNC_E_NO_MEMORY});
}

static void on_cancel(void *context)
{
	engine_cancel(((struct lock_run *)context)->lock->claim);
}

/* is_held is no before anything is sent (rule 37, say no before you let go). */
static void on_release(void *context)
{
	mpsync_lock *lock = ((struct lock_run *)context)->lock;

	atomic_store(&lock->grant, 0);
	engine_release(lock->claim);
}

static void tell_term(struct lock_run *run, mpsync_event event)
{
	event.type = MPSYNC_EVENT_TERM;
	event.left_ms = -1;
	atomic_store(&run->lock->term, run->grant);
	lock_tell(run->lock, &event);
}

static void tell_ending(struct lock_run *run, mpsync_event event)
{
	char trouble[300] = "";

	if (run->terms.reason == MPSYNC_REASON_EXPIRED && !run->message)
		lock_last_trouble(run->lock, trouble, sizeof trouble);
	event.type = MPSYNC_EVENT_ENDING;
	event.reason = (int32_t)run->terms.reason;
	event.left_ms = terms_left_ms(&run->terms, now_of(run->lock->client));
	event.message = *trouble ? trouble : run->message;
	lock_tell(run->lock, &event);
}

static void tell_late(const struct lock_run *run)
{
	char text[500];

	snprintf(text, sizeof text,
	    "\"%.100s\": what its term started is still at work, %" PRIu64
	    " s after it was told to end: %s",
	    run->lock->name, (now_of(run->lock->client) - run->terms.since_ms) / 1000,
	    run->terms.held ? "it is held until that has ended"
	                    : "it is not held any more, and another may have it");
	client_tell(run->lock->client,
	    &(mpsync_event){.type = MPSYNC_EVENT_LOG, .lock = run->lock->id, .message = text});
}

static void tell_trouble(struct lock_run *run, mpsync_event event)
{
	event.type = MPSYNC_EVENT_LOG;
	event.status = (int32_t)run->terms.status;
	event.grant = event.token = 0;
	event.message = run->message ? run->message : mpsync_status_text(event.status);
	lock_tell(run->lock, &event);
}

static void on_tell(void *context, enum terms_word word)
{
	struct lock_run *run = context;
	mpsync_event event = {
	    .op_id = run->op.id,
	    .lock = run->lock->id,
	    .grant = run->grant,
	    .token = run->token,
	    .name = run->lock->name,
	};

	switch (word) {
	case TERMS_TELL_TERM:
		tell_term(run, event);
		return;
	case TERMS_TELL_ENDING:
		tell_ending(run, event);
		return;
	case TERMS_TELL_LATE:
		tell_late(run);
		return;
	case TERMS_TELL_TROUBLE:
		tell_trouble(run, event);
		return;
	}
}

static void on_wake_at(void *context, uint64_t at_ms)
{
	struct lock_run *run = context;
	mpsync_client *client = run->lock->client;

	heap_set(&client->run_wakes, &run->wake, at_ms);
	client_arm(client);
}

static int32_t end_type(const struct terms *terms)
{
	if (terms->busy)
		return MPSYNC_EVENT_BUSY;
	switch (terms->end_status) {
	case MPSYNC_OK:
	case MPSYNC_E_CANCELLED:
	case MPSYNC_E_CLOSED:
	case MPSYNC_E_LOST:
		return MPSYNC_EVENT_DONE;
	default:
		return MPSYNC_EVENT_FAILED;
	}
}

void run_leave_handle(mpsync_lock *lock)
{
	atomic_store(&lock->running, false);
	lock_end_asking(lock);
}

/* The handle is free for the next request before anybody is told. */
static void detach(struct lock_run *run)
{
	mpsync_lock *lock = run->lock;
	SINGLY_REMOVE(lock->client->runs, run);
	lock->client->run_count--;
	lock->run = NULL;
	atomic_store(&lock->term, 0);
	run_leave_handle(lock);
}

static void on_end(void *context)
{
	struct lock_run *run = context;
	mpsync_lock *lock = run->lock;
	mpsync_event event = {
	    .type = end_type(&run->terms),
	    .status = (int32_t)run->terms.end_status,
	    .lock = lock->id,
	    .name = lock->name,
	    .message = run->message,
	};

	if (run->terms.busy)
		event.holder = lock->awaited;
	detach(run);
	lock_end_op(lock, &run->op, &event);
	client_request_ended(lock->client);
	lock_unreference(lock);
	run_free(run);
}

static const struct terms_host host = {on_ask, on_cancel, on_release, on_tell, on_wake_at, on_end};

struct lock_run *run_new(
    mpsync_lock *lock, const struct run_wish *wish, const struct terms_options *options)
{
	struct lock_run *run = calloc(1, sizeof *run);

	if (!run)
		return NULL;
	run->lock = lock;
	run->op = (struct op){.id = wish->op_id, .open = true};
	run->value = text_copy(wish->value);
	terms_init(&run->terms, options, &host, run);
	if (!wish->value || run->value)
		return run;
	run_free(run);
	return NULL;
}

/* ---- What comes from the engine ---- */

static void begin_term(struct lock_run *run, mpsync_event *event)
{
	terms_right(&run->terms, atomic_load(&run->lock->until_ms));
	lock_begin_grant(run->lock, event);
	run->grant = event->grant;
	run->token = event->token;
	run_feed(run, TERMS_HELD);
}

static void end_term(struct lock_run *run, const mpsync_event *event, enum terms_event what)
{
	mpsync_lock *lock = run->lock;
	struct op release = lock->release;
	mpsync_event answer = *event;

	lock->release.open = false;
	lock_end_grant(lock, &answer);
	/* The grant was lost before the release was carried out, so the release fails. */
	if (what == TERMS_LOST) {
		answer.type = MPSYNC_EVENT_FAILED;
		answer.status = MPSYNC_E_NOT_HELD;
	}
	lock_end_op(lock, &release, &answer);
	feed(run, &(struct terms_input){.event = what, .reason = (enum mpsync_reason)event->reason});
}

static void end_claim(struct lock_run *run, const mpsync_event *event, enum terms_event what)
{
	run->lock->claim = NULL;
	feed(run, &(struct terms_input){.event = what, .status = (enum mpsync_status)event->status});
}

void run_on_event(struct lock_run *run, const struct engine_event *told, mpsync_event *event)
{
	keep_message(run, event->message);
	switch (told->type) {
	case MPSYNC_EVENT_HELD:
		begin_term(run, event);
		return;
	case MPSYNC_EVENT_LOST:
		lock_note_loss(run->lock, event->reason);
		end_term(run, event, TERMS_LOST);
		return;
	case MPSYNC_EVENT_RELEASED:
		end_term(run, event, TERMS_RELEASED);
		return;
	case MPSYNC_EVENT_BUSY:
		if (told->holder)
			lock_await(run->lock, told->holder);
		end_claim(run, event, TERMS_BUSY);
		return;
	case MPSYNC_EVENT_CANCELLED:
		end_claim(run, event, TERMS_CANCELLED);
		return;
	case MPSYNC_EVENT_WAITING:
		lock_await(run->lock, told->holder);
		event->op_id = run->op.id;
		lock_tell(run->lock, event);
		return;
	default:
		end_claim(run, event, TERMS_FAILED);
		return;
	}
}

/* ---- Commands ---- */

void run_begin(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	struct lock_run *run = command->run;
	mpsync_lock *lock = command->lock;
	const bool open = !client->closing && !client->closed;

	if (lock_park(lock, command))
		return;
	lock_take_spares(lock, &command->spares);
	if (!open || !heap_reserve(&client->run_wakes, client->run_count + 1)) {
		const mpsync_status status = open ? MPSYNC_E_NO_MEMORY : MPSYNC_E_CLOSED;

		run_leave_handle(lock);
		lock_end_op(lock, &run->op,
		    &(mpsync_event){.type = MPSYNC_EVENT_FAILED,
		        .status = status,
		        .lock = lock->id,
		        .name = lock->name});
		run_free(run);
		lock_unreference(lock);
		return;
	}
	/* The command's reference is the run's from here on. */
	run->wake.index = HEAP_ABSENT;
	SINGLY_ADD(client->runs, run);
	client->run_count++;
	client->open_requests++;
	lock->run = run;
	run_feed(run, lock->stopped_op == run->op.id ? TERMS_STOP : TERMS_TICK);
}

/* Also of a run that has not begun yet, which ends as it begins. */
void run_stop(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	mpsync_lock *lock = command->lock;

	(void)client;
	lock->stopped_op = command->op.id;
	if (lock->run && lock->run->op.id == command->op.id)
		run_feed(lock->run, TERMS_STOP);
	lock_unreference(lock);
}

void run_term_done(mpsync_client *client, struct command *base)
{
	struct lock_command *command = (struct lock_command *)base;
	struct lock_run *run = command->lock->run;

	(void)client;
	if (run && run->grant == command->grant)
		feed(run, &(struct terms_input){.event = TERMS_DONE, .failed = command->failed});
	lock_unreference(command->lock);
}

/* ---- The client ---- */

void client_wake_runs(mpsync_client *client)
{
	const uint64_t now_ms = now_of(client);
	struct heap_item *first;

	while ((first = heap_first(&client->run_wakes)) && first->at_ms <= now_ms) {
		heap_set(&client->run_wakes, first, HEAP_NEVER);
		run_feed(CONTAINER_OF(first, struct lock_run, wake), TERMS_TICK);
	}
}

void client_close_runs(mpsync_client *client)
{
	struct lock_run *next;

	for (struct lock_run *run = client->runs; run; run = next) {
		next = run->next;
		run_feed(run, TERMS_CLOSE);
	}
}
