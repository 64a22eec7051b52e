#include "engine.h"

#include "base/heap.h"
#include "base/text.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So near to the front of its queue a claim's position is counted, and exact. */
#define NEAR 64
/* Who waits shorter than that is gone before its place comes up. */
#define BRIEF_WAIT_MS 1000
/* Trouble that lasts so long is told, and told again. */
#define TROUBLE_AFTER_MS 1000
#define TROUBLE_EVERY_MS 60000

/*
 * One allocation, for an elector has a hundred thousand: behind it stand what the store keeps of it
 * and the name. The claims of one engine for one name are a queue, in the order in which they came.
 */
struct engine_claim {
	struct claim claim;
	struct engine *engine;
	void *owner;
	struct engine_claim *ahead; /* of the first: the last */
	struct engine_claim *behind;
	struct engine_claim *next_turn; /* in the engine's list of claims whose turn has come */
	char *message;                  /* of the last error */
	struct heap_item wake;
	uint32_t queued; /* of the first: how many are in the queue */
	uint32_t place;  /* rises along the queue, but for those that adopt */
	uint16_t depth;
	bool turn;     /* it had one, or has it now */
	bool listed;   /* among those whose turn has come */
	bool stopping; /* its turn is to let go */
	bool value_asked;
	bool refusal_told;
	bool ended;
	struct store_claim stored;
};

struct engine {
	struct engine_host host;
	struct store *store;
	void *queues; /* tsearch tree of the first claim of each name, by that name */
	char *holder; /* the latest, as a shared text */
	struct heap wakes;
	struct store_claim **batch; /* renewals that are sent together */
	size_t batch_count;
	size_t batch_size;
	struct engine_claim *turns;
	size_t claims;
	uint64_t answered_ms;
	uint64_t trouble_ms; /* when its trouble is to be told; 0: it answers well */
	uint64_t armed_ms;
	uint64_t store_wake_ms;
	unsigned depth;
	char silence[100]; /* what is to be said of a store that said nothing */
};

/* Room for every claim is made when it is created, so that waking never needs memory. */
static bool grow(void *array, size_t *size, size_t need, size_t item)
{
	void **items = array;
	void *more;

	if (need <= *size)
		return true;
	more = realloc(*items, (need + need / 2 + 8) * item);
	if (!more)
		return false;
	*items = more;
	*size = need + need / 2 + 8;
	return true;
}

static struct engine_claim *claim_of_wake(struct heap_item *item)
{
	return (struct engine_claim *)((char *)item - offsetof(struct engine_claim, wake));
}

static struct engine_claim *claim_of_stored(struct store_claim *stored)
{
	return (struct engine_claim *)((char *)stored - offsetof(struct engine_claim, stored));
}

/* ---- Queues of one name ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct engine_claim *)a)->stored.name,
	    ((const struct engine_claim *)b)->stored.name);
}

/* Where the tree points to the first of the queue; NULL: nobody is in it. */
static struct engine_claim **find_first(const struct engine *engine, const char *name)
{
	const struct engine_claim probe = {.stored.name = name};

	return tfind(&probe, &engine->queues, compare_names);
}

static bool is_first(const struct engine_claim *claim)
{
	return !claim->ahead->behind;
}

static void enqueue_last(struct engine_claim *claim, struct engine_claim *first)
{
	first->queued++;
	claim->place = first->ahead->place + 1;
	claim->ahead = first->ahead;
	first->ahead->behind = claim;
	first->ahead = claim;
}

/* What the store already shows as this claim's waits for nobody here. */
static void enqueue_first(struct engine_claim *claim, struct engine_claim *first)
{
	claim->queued = first->queued + 1;
	claim->place = first->place - 1;
	claim->ahead = first->ahead;
	claim->behind = first;
	first->ahead = claim;
}

/* Who has the name before it, or wants it; NULL: nobody. A try does not queue behind them. */
static const struct engine_claim *in_the_way(
    const struct engine_claim *first, const struct engine_claim *claim)
{
	while (first && first != claim && first->claim.state >= CLAIM_LEAVING)
		first = first->behind;
	return first == claim ? NULL : first;
}

/* Where others wait here it has what it was granted elsewhere, or nothing. */
static bool regains_alone(const struct engine_claim *claim, const struct engine_claim *first)
{
	return claim->stored.regain && in_the_way(first, claim);
}

/* Who is the first then; NULL without memory. */
static struct engine_claim *enqueue(struct engine_claim *claim)
{
	struct engine_claim **first = tsearch(claim, &claim->engine->queues, compare_names);

	if (!first)
		return NULL;
	assert(*first);
	if (*first == claim) {
		claim->ahead = claim;
		claim->queued = 1;
	} else if (claim->stored.adopt || regains_alone(claim, *first)) {
		claim->stored.adopt = true;
		enqueue_first(claim, *first);
		*first = claim;
	} else {
		enqueue_last(claim, *first);
	}
	return *first;
}

/* Who is the first without it; NULL: nobody. */
static struct engine_claim *dequeue(struct engine_claim *claim)
{
	struct engine_claim **first = find_first(claim->engine, claim->stored.name);

	assert(first && *first);
	if (*first != claim) {
		(*first)->queued--;
		claim->ahead->behind = claim->behind;
		(claim->behind ? claim->behind : *first)->ahead = claim->ahead;
		return *first;
	}
	if (!claim->behind) {
		tdelete(claim, &claim->engine->queues, compare_names);
		return NULL;
	}
	claim->behind->ahead = claim->ahead;
	claim->behind->queued = claim->queued - 1;
	*first = claim->behind;
	return *first;
}

static void list_turn(struct engine_claim *claim)
{
	if (claim->listed)
		return;
	claim->listed = true;
	claim->next_turn = claim->engine->turns;
	claim->engine->turns = claim;
}

static void give_turn(struct engine_claim *claim)
{
	if (!claim || claim->turn || claim->ended)
		return;
	claim->turn = true;
	list_turn(claim);
}

static void take_turn_back(struct engine_claim *claim)
{
	struct engine_claim **link = &claim->engine->turns;

	if (!claim->listed)
		return;
	while (*link != claim)
		link = &(*link)->next_turn;
	*link = claim->next_turn;
}

/* ---- Stepping a claim ---- */

static void tell(struct engine_claim *claim, const struct engine_event *event)
{
	claim->engine->host.owner->event(claim->owner, event);
}

static enum mpsync_event_type report_type(enum claim_report report)
{
	switch (report) {
	case CLAIM_REPORT_HELD:
		return MPSYNC_EVENT_HELD;
	case CLAIM_REPORT_LOST:
		return MPSYNC_EVENT_LOST;
	case CLAIM_REPORT_RELEASED:
		return MPSYNC_EVENT_RELEASED;
	case CLAIM_REPORT_BUSY:
		return MPSYNC_EVENT_BUSY;
	case CLAIM_REPORT_CANCELLED:
		return MPSYNC_EVENT_CANCELLED;
	case CLAIM_REPORT_FAILED:
	case CLAIM_REPORT_NONE:
		break;
	}
	return MPSYNC_EVENT_FAILED;
}

static enum mpsync_status report_status(const struct claim *claim)
{
	switch (claim->report) {
	case CLAIM_REPORT_LOST:
		return MPSYNC_E_LOST;
	case CLAIM_REPORT_BUSY:
		return claim->once ? MPSYNC_E_HELD : MPSYNC_E_TIMEOUT;
	case CLAIM_REPORT_CANCELLED:
		return MPSYNC_E_CANCELLED;
	case CLAIM_REPORT_FAILED:
		return claim->status;
	case CLAIM_REPORT_HELD:
	case CLAIM_REPORT_RELEASED:
	case CLAIM_REPORT_NONE:
		break;
	}
	return MPSYNC_OK;
}

static void end_value(struct engine_claim *claim, enum mpsync_status status)
{
	if (!claim->value_asked)
		return;
	claim->value_asked = false;
	tell(claim, &(struct engine_event){.type = MPSYNC_EVENT_DONE, .status = status});
}

/* The store may know what it waits for itself. */
static const char *silence_of(const struct engine *engine)
{
	const struct store *store = engine->store;
	const char *own = store->ops->silence ? store->ops->silence(store) : NULL;

	return own ? own : engine->silence;
}

/* What the store said last, if that is why. */
static const char *message_of(const struct engine_claim *claim)
{
	const struct claim *told = &claim->claim;
	const bool silent = told->status == MPSYNC_E_UNREACHABLE;

	if (told->report == CLAIM_REPORT_LOST)
		return told->reason == MPSYNC_REASON_EXPIRED && silent ? claim->message : NULL;
	if (told->report != CLAIM_REPORT_FAILED)
		return NULL;
	return claim->message || !silent ? claim->message : silence_of(claim->engine);
}

static void report(struct engine_claim *claim, const struct store_word *word)
{
	end_value(claim, MPSYNC_E_LOST);
	if (claim->claim.report == CLAIM_REPORT_HELD)
		claim->stored.token = claim->claim.token;
	tell(claim, &(struct engine_event){
	                .type = report_type(claim->claim.report),
	                .status = report_status(&claim->claim),
	                .reason = claim->claim.reason,
	                .token = claim->claim.token,
	                .holder = word ? word->holder : NULL,
	                .value = claim->claim.report == CLAIM_REPORT_HELD ? claim->stored.value : NULL,
	                .ttl_ms = claim->claim.ttl_ms,
	                .message = message_of(claim),
	            });
}

/* Before anything is done about it (rule 37). */
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
		engine->batch[engine->batch_count++] = &claim->stored;
		return;
	case CLAIM_WITHDRAW:
		engine->store->ops->withdraw(engine->store, &claim->stored);
		return;
	case CLAIM_REPORT:
		report(claim, word);
		return;
	case CLAIM_SLEEP:
	case CLAIM_END:
		break;
	}
	assert(false && "no such action");
}

static void leave_batch(struct engine_claim *claim)
{
	struct engine *engine = claim->engine;

	for (size_t i = 0; i < engine->batch_count; i++)
		if (engine->batch[i] == &claim->stored)
			engine->batch[i--] = engine->batch[--engine->batch_count];
}

static void free_claim(struct engine_claim *claim)
{
	shared_text_free(claim->stored.holder);
	free(claim->stored.value);
	free(claim->message);
	free(claim);
}

static void drop(struct engine_claim *claim)
{
	struct engine *engine = claim->engine;

	leave_batch(claim);
	engine->store->ops->forget(engine->store, &claim->stored);
	take_turn_back(claim);
	heap_set(&engine->wakes, &claim->wake, HEAP_NEVER);
	give_turn(dequeue(claim));
	engine->claims--;
	engine->host.owner->ended(claim->owner);
	free_claim(claim);
}

/* Does nobody get to the store because another claim of this engine has the name, or waits for it?
 */
static bool is_held_here(const struct engine_claim *claim)
{
	struct engine_claim *const *first = find_first(claim->engine, claim->stored.name);

	assert(first && *first);
	return (*first)->claim.state == CLAIM_HELD ||
	       ((*first)->claim.state == CLAIM_WAITING && (*first)->claim.status == MPSYNC_OK);
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

static void feed(struct engine_claim *claim, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct claim_input input = input_of(claim->engine, event, answer);

	input.held_here = claim->claim.state == CLAIM_QUEUED &&
	                  input.now_ms >= claim->claim.give_up_ms && is_held_here(claim);
	claim->depth++;
	while (!claim->ended) {
		const struct claim_output output = step(claim, &input);

		if (output.action == CLAIM_SLEEP) {
			heap_set(&claim->engine->wakes, &claim->wake, output.wake_at_ms);
			break;
		}
		if (output.action == CLAIM_END)
			claim->ended = true;
		else
			perform(claim, output.action, word);
		input = input_of(claim->engine, CLAIM_TICK, NULL);
	}
	if (--claim->depth == 0 && claim->ended)
		drop(claim);
}

static void join_renewals(struct engine *engine, uint64_t now_ms)
{
	struct heap_item *first;

	while ((first = heap_first(&engine->wakes))) {
		struct engine_claim *next = claim_of_wake(first);
		const size_t joined = engine->batch_count;

		if (next->claim.state != CLAIM_HELD ||
		    !claim_is_nearly_due(&next->claim, first->at_ms, now_ms))
			return;
		feed(next, CLAIM_RENEW_EARLY, NULL, NULL);
		if (engine->batch_count == joined)
			return;
	}
}

/* The store may answer at once, and the answers may bring new renewals. */
static void send_batch(struct engine *engine)
{
	struct store_claim **batch = engine->batch;
	const size_t count = engine->batch_count;

	engine->batch = NULL;
	engine->batch_count = 0;
	engine->batch_size = 0;
	if (!grow(&engine->batch, &engine->batch_size, engine->claims, sizeof(*batch))) {
		/* No room to collect the next ones: let these time out and try again. */
		engine->batch = batch;
		engine->batch_size = count;
		for (size_t i = 0; i < count; i++)
			engine->store->sink.answer(engine, batch[i], CLAIM_UNKNOWN,
			    &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY}, NULL);
		return;
	}
	engine->store->ops->renew(engine->store, batch, count);
	free(batch);
}

static void take_turn(struct engine_claim *claim)
{
	claim->listed = false;
	if (!claim->stopping)
		feed(claim, CLAIM_TURN, NULL, NULL);
	else
		feed(claim, claim->claim.state == CLAIM_HELD ? CLAIM_RELEASE : CLAIM_CANCEL, NULL, NULL);
}

static void enter(struct engine *engine)
{
	engine->depth++;
}

static void leave(struct engine *engine)
{
	uint64_t wake_at;

	if (engine->depth > 1) {
		engine->depth--;
		return;
	}
	while (engine->turns || engine->batch_count > 0) {
		struct engine_claim *claim = engine->turns;

		if (!claim) {
			send_batch(engine);
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

static void remember_message(struct engine_claim *claim, const char *message)
{
	const struct engine_owner *owner = claim->engine->host.owner;

	free(claim->message);
	claim->message = message ? strdup(message) : NULL;
	if (claim->claim.state == CLAIM_HELD && message && owner->trouble)
		owner->trouble(claim->owner, message);
}

/* An adopted grant keeps its value. Without memory it has none from here on, as the store will
 * show. */
static void take_value(struct engine_claim *claim, const char *value)
{
	if (value && !claim->stored.value)
		claim->stored.value = strdup(value);
}

static void tell_waiting(struct engine_claim *claim, const struct store_word *word)
{
	tell(claim, &(struct engine_event){
	                .type = MPSYNC_EVENT_WAITING,
	                .holder = word->holder,
	                .position = word->position,
	                .unchanged_ms = word->unchanged_ms,
	            });
}

/* Nobody is left in silence: whoever waits hears why once, and each minute. */
static void tell_trouble(struct engine_claim *claim, enum mpsync_status status)
{
	struct engine *engine = claim->engine;
	const uint64_t now = engine->host.clock.boot_ms(engine->host.clock.context);

	if (engine->trouble_ms == 0)
		engine->trouble_ms = now + TROUBLE_AFTER_MS;
	if (!claim->message || now < engine->trouble_ms)
		return;
	engine->trouble_ms = now + TROUBLE_EVERY_MS;
	tell(claim, &(struct engine_event){
	                .type = MPSYNC_EVENT_LOG, .status = status, .message = claim->message});
}

/*
 * What is refused to a holder ends in a loss, or in a record that stays: that is told at once, and
 * once until the store does again as it is asked.
 */
static void tell_refusal(
    struct engine_claim *claim, enum mpsync_status status, const struct store_word *word)
{
	const bool held = claim->claim.state == CLAIM_HELD;
	char text[600];

	if (claim->refusal_told || !word || !word->message ||
	    !(held || claim->claim.state == CLAIM_LEAVING))
		return;
	claim->refusal_told = true;
	snprintf(text, sizeof text, "%.100s cannot be %s: %.450s", claim->stored.name,
	    held ? "renewed" : "released, and stays held until its ttl is over", word->message);
	tell(
	    claim, &(struct engine_event){.type = MPSYNC_EVENT_LOG, .status = status, .message = text});
}

static bool is_trouble(enum claim_event event)
{
	return event == CLAIM_UNKNOWN || event == CLAIM_REFUSED;
}

static void on_answer(void *context, struct store_claim *stored, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct engine *engine = context;
	struct engine_claim *claim = claim_of_stored(stored);

	enter(engine);
	claim->depth++;
	if (event != CLAIM_UNKNOWN)
		engine->answered_ms = engine->host.clock.boot_ms(engine->host.clock.context);
	if (is_trouble(event)) {
		remember_message(claim, word ? word->message : NULL);
	} else if (event > CLAIM_CHANGED) {
		engine->trouble_ms = 0;
		claim->refusal_told = false;
	}
	if (event == CLAIM_REFUSED)
		tell_refusal(claim, answer->status, word);
	if (event == CLAIM_GRANTED && stored->adopt && word)
		take_value(claim, word->value);
	if (event == CLAIM_RENEWED && stored->value_stored == stored->value_version)
		end_value(claim, MPSYNC_OK);
	feed(claim, event, answer, word);
	if (event == CLAIM_BUSY && word && claim->claim.state == CLAIM_WAITING)
		tell_waiting(claim, word);
	if (is_trouble(event) && claim->claim.state == CLAIM_WAITING)
		tell_trouble(claim, answer->status);
	if (--claim->depth == 0 && claim->ended)
		drop(claim);
	leave(engine);
}

static void on_store_wake(void *context, uint64_t at_ms)
{
	struct engine *engine = context;

	enter(engine);
	engine->store_wake_ms = at_ms;
	leave(engine);
}

/* ---- The engine's interface ---- */

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
		free_claim(claim);
	}
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	/* From here on the store is only told what to forget: nothing is timed or sent any more. */
	engine->depth++;
	heap_clear(&engine->wakes);
	tdestroy(engine->queues, free_queue);
	shared_text_free(engine->holder);
	engine->store->ops->close(engine->store);
	free(engine->batch);
	free(engine);
}

struct store *engine_store(struct engine *engine)
{
	return engine->store;
}

static struct engine_claim *allocate(const struct engine *engine, const char *name)
{
	const size_t kept = engine->store->claim_size;
	struct engine_claim *claim = calloc(1, sizeof *claim + kept + strlen(name) + 1);

	if (claim)
		claim->stored.name = strcpy((char *)store_claim_data(&claim->stored) + kept, name);
	return claim;
}

static bool draw_secret(
    const struct engine_host *host, struct store_claim *stored, const struct engine_wish *wish)
{
	stored->secret = wish->secret;
	return (!id_is_none(&wish->secret) || host->random_id(&stored->secret)) &&
	       host->digest_id(&stored->secret, &stored->digest);
}

static struct engine_claim *claim_new(struct engine *engine, const struct engine_wish *wish)
{
	struct engine_claim *claim = allocate(engine, wish->name);
	const size_t need = engine->claims + 1;

	if (!claim)
		return NULL;
	claim->stored.holder = shared_text_of(&engine->holder, wish->holder);
	claim->stored.value = wish->value ? strdup(wish->value) : NULL;
	if (!claim->stored.holder || (wish->value && !claim->stored.value) ||
	    !draw_secret(&engine->host, &claim->stored, wish) || !heap_reserve(&engine->wakes, need) ||
	    !grow(&engine->batch, &engine->batch_size, need, sizeof(void *))) {
		free_claim(claim);
		return NULL;
	}
	claim->engine = engine;
	claim->owner = wish->owner;
	claim->wake.index = HEAP_ABSENT;
	claim->stored.token = wish->adopt_token;
	claim->stored.adopt = wish->adopt_token != 0;
	claim->stored.regain = wish->regain;
	claim->stored.any_ttl = wish->any_ttl;
	claim->stored.ttl_ms = wish->ttl_ms;
	claim->stored.election = wish->election;
	claim->stored.once = wish->wait_ms == 0;
	claim->stored.brief = wish->wait_ms < BRIEF_WAIT_MS;
	claim_init(&claim->claim, wish->ttl_ms, engine->host.clock.boot_ms(engine->host.clock.context),
	    wish->wait_ms);
	if (wish->wait_ms == 0 && wish->try_ms > 0)
		claim->claim.give_up_ms =
		    engine->host.clock.boot_ms(engine->host.clock.context) + wish->try_ms;
	claim->claim.patient = wish->regain;
	claim->claim.on_behalf = engine->host.on_behalf;
	return claim;
}

/* It waits for a store that says nothing: nobody knows whether the name is held. */
static bool waits_in_doubt(const struct engine_claim *claim)
{
	return claim->claim.state == CLAIM_WAITING && claim->claim.doubtful &&
	       claim->claim.status == MPSYNC_E_UNREACHABLE;
}

/* A try that stands behind another knows what that knows. */
static void end_try(
    struct engine_claim *claim, const struct engine_claim *other, const struct store_word *word)
{
	if (!waits_in_doubt(other)) {
		feed(claim, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = CLAIM_NEVER}, word);
		return;
	}
	remember_message(claim, other->message);
	feed(claim, CLAIM_UNKNOWN, &(struct claim_answer){.status = MPSYNC_E_UNREACHABLE}, NULL);
}

/* Its first step, which may be its last. `other` has the name, or wants it. */
static void begin(struct engine_claim *claim, const struct engine_claim *other)
{
	struct store_word word = {0};

	if (other) {
		word.holder = other->claim.state == CLAIM_HELD ? other->stored.holder : NULL;
		word.position = engine_claim_position(claim);
	}
	if (is_first(claim))
		give_turn(claim);
	else if (other && claim->stored.once)
		end_try(claim, other, &word);
	else
		feed(claim, CLAIM_TICK, NULL, NULL);
	if (other && !claim->ended)
		tell_waiting(claim, &word);
}

bool engine_acquire(
    struct engine *engine, const struct engine_wish *wish, struct engine_claim **created)
{
	struct engine_claim *claim = claim_new(engine, wish);
	const struct engine_claim *first;

	*created = claim;
	if (!claim)
		return false;
	first = enqueue(claim);
	if (!first) {
		*created = NULL;
		free_claim(claim);
		return false;
	}
	enter(engine);
	claim->depth++;
	engine->claims++;
	begin(claim, in_the_way(first, claim));
	claim->depth--;
	if (claim->ended) {
		*created = NULL;
		drop(claim);
	}
	leave(engine);
	return true;
}

static void wish_for(struct engine_claim *claim, enum claim_event event)
{
	struct engine *engine = claim->engine;

	enter(engine);
	feed(claim, event, NULL, NULL);
	leave(engine);
}

void engine_cancel(struct engine_claim *claim)
{
	wish_for(claim, CLAIM_CANCEL);
}

void engine_release(struct engine_claim *claim)
{
	wish_for(claim, CLAIM_RELEASE);
}

void engine_renew(struct engine_claim *claim)
{
	wish_for(claim, CLAIM_RENEW_NOW);
}

bool engine_set_value(struct engine_claim *claim, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return false;
	free(claim->stored.value);
	claim->stored.value = copy;
	claim->stored.value_version++;
	claim->value_asked = true;
	if (claim->claim.state == CLAIM_HELD)
		wish_for(claim, CLAIM_RENEW_NOW);
	else
		end_value(claim, MPSYNC_E_LOST); /* nothing writes it any more */
	return true;
}

static void stop_queue(const void *node, VISIT visit, void *context)
{
	(void)context;
	if (visit != postorder && visit != leaf)
		return;
	/* The last is stopped first, so that nobody gets a turn that is taken away at once. */
	for (struct engine_claim *claim = *(struct engine_claim *const *)node; claim;
	     claim = claim->behind) {
		claim->stopping = true;
		list_turn(claim);
	}
}

void engine_stop(struct engine *engine)
{
	enter(engine);
	twalk_r(engine->queues, stop_queue, NULL);
	leave(engine);
}

void engine_begin(struct engine *engine)
{
	enter(engine);
}

void engine_end(struct engine *engine)
{
	leave(engine);
}

uint32_t engine_waiting(struct engine *engine, const char *name, uint32_t most,
    void (*found)(void *context, const char *holder), void *context)
{
	struct engine_claim **first = find_first(engine, name);
	uint32_t waiting = first ? (*first)->queued : 0;
	uint32_t told = 0;

	/* Who waits no longer, and is still in the queue, had its turn, and so stands among the first.
	 */
	for (const struct engine_claim *claim = first ? *first : NULL; claim && told < most;
	     claim = claim->behind) {
		if (claim->claim.state < CLAIM_HELD) {
			found(context, claim->stored.holder);
			told++;
		} else {
			waiting--;
		}
	}
	return waiting;
}

size_t engine_claims(const struct engine *engine)
{
	return engine->claims;
}

uint64_t engine_answered_ms(const struct engine *engine)
{
	return engine->answered_ms;
}

void engine_run(struct engine *engine)
{
	struct store_clock *clock = &engine->host.clock;
	uint64_t now = clock->boot_ms(clock->context);

	enter(engine);
	engine->armed_ms = CLAIM_NEVER; /* the host's timer is spent */
	while (heap_next_ms(&engine->wakes) <= now) {
		struct engine_claim *claim = claim_of_wake(heap_first(&engine->wakes));

		heap_set(&engine->wakes, &claim->wake, HEAP_NEVER);
		feed(claim, CLAIM_TICK, NULL, NULL);
	}
	if (engine->batch_count > 0)
		join_renewals(engine, now);
	if (engine->store_wake_ms <= now) {
		engine->store_wake_ms = CLAIM_NEVER;
		engine->store->ops->run(engine->store);
	}
	leave(engine);
}

const struct store_claim *engine_claim_stored(const struct engine_claim *claim)
{
	return &claim->stored;
}

uint64_t engine_claim_right_ms(const struct engine_claim *claim)
{
	return claim->claim.state == CLAIM_HELD ? claim->claim.valid_until_ms : 0;
}

uint32_t engine_claim_position(const struct engine_claim *claim)
{
	const struct engine_claim *first = *find_first(claim->engine, claim->stored.name);
	const struct engine_claim *other = first;
	uint32_t position = 0;

	/* Who has left is among the first, and has left places free: beyond these it is the smaller of
	   how many have come since the first, and how many are there. */
	for (unsigned i = 0; i < NEAR && other != claim; i++) {
		position += other->claim.state < CLAIM_LEAVING;
		other = other->behind;
	}
	if (other == claim)
		return position;
	position = claim->place - first->place;
	return position < first->queued - 1 ? position : first->queued - 1;
}
