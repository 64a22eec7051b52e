#include "claims.h"

#include "base/container.h"
#include "base/text.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct engine_claim *claim_of_wake(struct heap_item *item)
{
	return CONTAINER_OF(item, struct engine_claim, wake);
}

static struct engine_claim *claim_of_stored(struct store_claim *stored)
{
	return CONTAINER_OF(stored, struct engine_claim, stored);
}

/* ---- Stepping a claim ---- */

/*
 * The owner is told of the right's end before anything is done about it (rule 37, say no before you
 * let go).
 */
static struct claim_output step(struct engine_claim *claim, const struct claim_input *input)
{
	const struct engine_owner *owner = claim->engine->host.owner;
	const uint64_t before = engine_claim_right_ms(claim);
	struct claim_output output;
	uint64_t until;

	if (claim->stored.adopt && claim->claim.token == 0)
		claim_adopts(&claim->claim);
	output = claim_step(&claim->claim, input);
	until = engine_claim_right_ms(claim);

	if (owner->right && until != before)
		owner->right(claim->owner, until, claim->claim.wall_ahead_ms);
	return output;
}

static void perform(
    struct engine_claim *claim, enum claim_action action, const struct store_word *word)
{
	struct engine *engine = claim->engine;

	claim->stored.right_ends_ms = engine_claim_right_ms(claim);
	switch (action) {
	case CLAIM_ATTEMPT:
		engine->store->ops->attempt(engine->store, &claim->stored);
		return;
	case CLAIM_RENEW:
		renewals_add(claim);
		return;
	case CLAIM_WITHDRAW:
		engine->store->ops->withdraw(engine->store, &claim->stored);
		return;
	case CLAIM_REPORT:
		report_claim(claim, word);
		return;
	case CLAIM_SLEEP:
	case CLAIM_END:
		break;
	}
	assert(false && "no such action");
}

void engine_claim_free(struct engine_claim *claim)
{
	shared_text_free(claim->stored.holder);
	free(claim->stored.value);
	free(claim->message);
	free(claim);
}

void engine_drop(struct engine_claim *claim)
{
	struct engine *engine = claim->engine;

	renewals_leave(claim);
	engine->store->ops->forget(engine->store, &claim->stored);
	heap_set(&engine->wakes, &claim->wake, HEAP_NEVER);
	turn_pass_on(claim);
	engine->claims--;
	engine->host.owner->ended(claim->owner);
	engine_claim_free(claim);
}

/*
 * Is the name known to be held, so that a waiter that is queued in this engine may end as BUSY? Yes
 * if the first claim of the queue holds the name, or was told by the store that another holder
 * does.
 */
static bool is_held_here(const struct engine_claim *claim)
{
	const struct claim *first = &queue_first(claim)->claim;

	return first->state == CLAIM_HELD ||
	       (first->state == CLAIM_WAITING && first->status == MPSYNC_OK);
}

static struct claim_input input_of(
    struct engine *engine, enum claim_event event, const struct claim_answer *answer)
{
	struct store_clock *clock = &engine->host.clock;
	struct claim_input input = {.event = event};

	if (answer)
		input.answer = *answer;
	input.now_ms = clock->boot_ms(clock->context);
	input.wall_ms = clock->wall_ms(clock->context);
	input.random = clock->random(clock->context);
	return input;
}

void engine_feed(struct engine_claim *claim, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct claim_input input = input_of(claim->engine, event, answer);

	input.held_here = claim->claim.state == CLAIM_QUEUED &&
	                  input.now_ms >= claim->claim.give_up_ms && is_held_here(claim);
	claim->depth++;
	while (claim->turn != TURN_OVER) {
		const struct claim_output output = step(claim, &input);

		if (output.action == CLAIM_SLEEP) {
			heap_set(&claim->engine->wakes, &claim->wake, output.wake_at_ms);
			break;
		}
		if (output.action == CLAIM_END)
			turn_end(claim);
		else
			perform(claim, output.action, word);
		input = input_of(claim->engine, CLAIM_TICK, NULL);
	}
	if (--claim->depth == 0 && claim->turn == TURN_OVER)
		engine_drop(claim);
}

/* ---- What there is to do before the engine rests ---- */

static void take_turn(struct engine_claim *claim)
{
	const bool leaves = claim->turn == TURN_TO_LEAVE;

	claim->turn = TURN_TAKEN;
	if (!leaves)
		engine_feed(claim, CLAIM_TURN, NULL, NULL);
	else
		engine_feed(
		    claim, claim->claim.state == CLAIM_HELD ? CLAIM_RELEASE : CLAIM_CANCEL, NULL, NULL);
}

void engine_begin(struct engine *engine)
{
	engine->depth++;
}

void engine_end(struct engine *engine)
{
	uint64_t wake_at;

	if (engine->depth > 1) {
		engine->depth--;
		return;
	}
	while (engine->turns || engine->batch_count > 0) {
		struct engine_claim *claim = engine->turns;

		if (!claim) {
			renewals_send(engine);
			continue;
		}
		engine->turns = claim->next_turn;
		take_turn(claim);
	}
	engine->depth--;
	wake_at = heap_next_ms(&engine->wakes);
	if (engine->store_wake_ms < wake_at)
		wake_at = engine->store_wake_ms;
	if (wake_at != engine->armed_ms)
		engine->host.wake_at(engine->host.clock.context, wake_at);
	engine->armed_ms = wake_at;
}

/* ---- What the store says ---- */

static bool is_trouble(enum claim_event event)
{
	return event == CLAIM_UNKNOWN || event == CLAIM_REFUSED;
}

static void on_answer(void *context, struct store_claim *stored, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct engine *engine = context;
	struct engine_claim *claim = claim_of_stored(stored);

	engine_begin(engine);
	claim->depth++;
	if (event != CLAIM_UNKNOWN)
		engine->answered_ms = engine->host.clock.boot_ms(engine->host.clock.context);
	if (is_trouble(event)) {
		report_remember(claim, word ? word->message : NULL);
	} else if (event > CLAIM_CHANGED) {
		engine->trouble_ms = 0;
		claim->refusal_told = false;
	}
	if (event == CLAIM_REFUSED)
		report_refusal(claim, answer->status, word);
	if (event == CLAIM_GRANTED && stored->adopt && word)
		value_adopt(claim, word->value);
	if (event == CLAIM_RENEWED && stored->value_stored == stored->value_version)
		value_end(claim, MPSYNC_OK);
	engine_feed(claim, event, answer, word);
	if (event == CLAIM_BUSY && word && claim->claim.state == CLAIM_WAITING)
		report_waiting(claim, word);
	if (is_trouble(event) && claim->claim.state == CLAIM_WAITING)
		report_trouble(claim, answer->status, event == CLAIM_REFUSED);
	if (--claim->depth == 0 && claim->turn == TURN_OVER)
		engine_drop(claim);
	engine_end(engine);
}

static void on_store_wake(void *context, uint64_t at_ms)
{
	struct engine *engine = context;

	engine_begin(engine);
	engine->store_wake_ms = at_ms;
	engine_end(engine);
}

/* ---- Beginning and end ---- */

struct engine *engine_new(const struct engine_host *host, struct store *store)
{
	struct engine *engine = calloc(1, sizeof *engine);

	if (!engine) {
		store->ops->close(store);
		return NULL;
	}
	engine->host = *host;
	engine->store = store;
	engine->armed_ms = CLAIM_NEVER;
	engine->store_wake_ms = CLAIM_NEVER;
	snprintf(engine->silence, sizeof engine->silence,
	    "the %s%s does not answer: is it running, and can it be reached from here?", store->kind,
	    strcmp(store->kind, "elector") == 0 ? "" : " store");
	store->sink =
	    (struct store_sink){.answer = on_answer, .wake_at = on_store_wake, .engine = engine};
	return engine;
}

static void free_queue(void *first)
{
	struct engine_claim *next;

	for (struct engine_claim *claim = first; claim; claim = next) {
		struct engine *engine = claim->engine;

		next = claim->behind;
		engine->store->ops->forget(engine->store, &claim->stored);
		engine->host.owner->ended(claim->owner);
		engine_claim_free(claim);
	}
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	/* From here on the store is only told what to forget: nothing is timed or sent any more. */
	engine->depth++;
	engine->ending = true;
	heap_clear(&engine->wakes);
	tdestroy(engine->queues, free_queue);
	shared_text_free(engine->holder);
	engine->store->ops->close(engine->store);
	free(engine->batch);
	free(engine);
}

bool engine_is_ending(const struct engine *engine)
{
	return engine->ending;
}

/* ---- What owners ask for ---- */

void engine_wish_for(struct engine_claim *claim, enum claim_event event)
{
	struct engine *engine = claim->engine;

	engine_begin(engine);
	engine_feed(claim, event, NULL, NULL);
	engine_end(engine);
}

void engine_cancel(struct engine_claim *claim)
{
	engine_wish_for(claim, CLAIM_CANCEL);
}

void engine_release(struct engine_claim *claim)
{
	engine_wish_for(claim, CLAIM_RELEASE);
}

void engine_renew(struct engine_claim *claim)
{
	engine_wish_for(claim, CLAIM_RENEW_NOW);
}

void engine_stop(struct engine *engine)
{
	engine_begin(engine);
	queues_stop(engine);
	engine_end(engine);
}

void engine_run(struct engine *engine)
{
	struct store_clock *clock = &engine->host.clock;
	uint64_t now = clock->boot_ms(clock->context);

	engine_begin(engine);
	engine->armed_ms = CLAIM_NEVER; /* the host's timer has rung */
	while (heap_next_ms(&engine->wakes) <= now) {
		struct engine_claim *claim = claim_of_wake(heap_first(&engine->wakes));

		heap_set(&engine->wakes, &claim->wake, HEAP_NEVER);
		engine_feed(claim, CLAIM_TICK, NULL, NULL);
	}
	if (engine->batch_count > 0)
		renewals_join(engine, now);
	if (engine->store_wake_ms <= now) {
		engine->store_wake_ms = CLAIM_NEVER;
		engine->store->ops->run(engine->store);
	}
	engine_end(engine);
}

/* ---- What is known ---- */

struct store *engine_store(struct engine *engine)
{
	return engine->store;
}

size_t engine_claims(const struct engine *engine)
{
	return engine->claims;
}

uint64_t engine_answered_ms(const struct engine *engine)
{
	return engine->answered_ms;
}

const struct store_claim *engine_claim_stored(const struct engine_claim *claim)
{
	return &claim->stored;
}

uint64_t engine_claim_right_ms(const struct engine_claim *claim)
{
	return claim->claim.state == CLAIM_HELD ? claim->claim.valid_until_ms : 0;
}
