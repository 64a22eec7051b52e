#include "engine.h"

#include "heap.h"
#include "text.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* Who waits shorter than that is gone before its place comes up. */
#define BRIEF_WAIT_MS 1000

/* The claims of one engine for one name, in the order in which they came. */
struct name_queue {
	struct engine_claim *first;
	struct engine_claim *last;
	char name[];
};

struct engine_claim {
	struct claim claim;
	struct store_claim stored;
	struct engine *engine;
	struct name_queue *queue;
	struct engine_claim *ahead;
	struct engine_claim *behind;
	struct engine_claim *next_turn; /* in the engine's list of claims whose turn has come */
	const struct engine_owner *ops;
	void *owner;
	struct shared_text *holder;
	char *value;
	char *message; /* of the last error */
	struct heap_item wake;
	uint64_t right_ms; /* as told to the owner */
	unsigned depth;
	bool turn;     /* it had one, or has it now */
	bool listed;   /* among those whose turn has come */
	bool stopping; /* its turn is to let go */
	bool value_asked;
	bool ended;
};

struct engine {
	struct engine_host host;
	struct store *store;
	void *names;                /* tsearch tree of the names that stand in struct name_queue */
	struct shared_text *holder; /* the latest */
	struct heap wakes;
	struct store_claim **batch; /* renewals that are sent together */
	size_t batch_count;
	size_t batch_size;
	struct engine_claim *turns;
	size_t claims;
	uint64_t answered_ms;
	uint64_t armed_ms;
	uint64_t store_wake_ms;
	unsigned depth;
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

/* ---- Queues of one name ---- */

static struct name_queue *queue_of_name(void *name)
{
	return (struct name_queue *)((char *)name - offsetof(struct name_queue, name));
}

static struct name_queue *find_queue(const struct engine *engine, const char *name)
{
	void **found = tfind(name, &engine->names, text_compare);

	return found ? queue_of_name(*found) : NULL;
}

static struct name_queue *make_queue(struct engine *engine, const char *name)
{
	struct name_queue *queue = find_queue(engine, name);

	if (queue)
		return queue;
	queue = calloc(1, sizeof *queue + strlen(name) + 1);
	if (!queue)
		return NULL;
	strcpy(queue->name, name);
	if (!tsearch(queue->name, &engine->names, text_compare)) {
		free(queue);
		return NULL;
	}
	return queue;
}

static void drop_queue_if_empty(struct engine *engine, struct name_queue *queue)
{
	if (queue->first)
		return;
	tdelete(queue->name, &engine->names, text_compare);
	free(queue);
}

static void enqueue_last(struct engine_claim *claim)
{
	claim->ahead = claim->queue->last;
	if (claim->ahead)
		claim->ahead->behind = claim;
	else
		claim->queue->first = claim;
	claim->queue->last = claim;
}

/* What the store already shows as this claim's waits for nobody here. */
static void enqueue_first(struct engine_claim *claim)
{
	claim->behind = claim->queue->first;
	if (claim->behind)
		claim->behind->ahead = claim;
	else
		claim->queue->last = claim;
	claim->queue->first = claim;
}

static void dequeue(struct engine_claim *claim)
{
	struct name_queue *queue = claim->queue;

	if (claim->ahead)
		claim->ahead->behind = claim->behind;
	else
		queue->first = claim->behind;
	if (claim->behind)
		claim->behind->ahead = claim->ahead;
	else
		queue->last = claim->ahead;
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

	while (*link && *link != claim)
		link = &(*link)->next_turn;
	if (*link)
		*link = claim->next_turn;
}

/* ---- Stepping a claim ---- */

static void tell(struct engine_claim *claim, const struct engine_event *event)
{
	claim->ops->event(claim->owner, event);
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
	                .value = claim->claim.report == CLAIM_REPORT_HELD ? claim->value : NULL,
	                .ttl_ms = claim->claim.ttl_ms,
	                .message = claim->claim.report == CLAIM_REPORT_FAILED ? claim->message : NULL,
	            });
}

static void publish_right(struct engine_claim *claim)
{
	const uint64_t until = claim->claim.state == CLAIM_HELD ? claim->claim.valid_until_ms : 0;

	if (until == claim->right_ms)
		return;
	claim->right_ms = until;
	if (claim->ops->right)
		claim->ops->right(claim->owner, until, claim->claim.wall_ahead_ms);
}

static void perform(
    struct engine_claim *claim, enum claim_action action, const struct store_word *word)
{
	struct engine *engine = claim->engine;

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
	shared_text_free(claim->holder);
	free(claim->value);
	free(claim->message);
	free(claim);
}

static void drop(struct engine_claim *claim)
{
	struct engine *engine = claim->engine;
	struct name_queue *queue = claim->queue;

	leave_batch(claim);
	engine->store->ops->forget(engine->store, &claim->stored);
	take_turn_back(claim);
	heap_set(&engine->wakes, &claim->wake, HEAP_NEVER);
	dequeue(claim);
	give_turn(queue->first);
	drop_queue_if_empty(engine, queue);
	engine->claims--;
	claim->ops->ended(claim->owner);
	free_claim(claim);
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

	claim->depth++;
	while (!claim->ended) {
		const struct claim_output output = claim_step(&claim->claim, &input);

		publish_right(claim);
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

		if (next->claim.state != CLAIM_HELD || first->at_ms > now_ms + next->claim.ttl_ms / 8)
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
	free(claim->message);
	claim->message = message ? strdup(message) : NULL;
}

/* An adopted grant keeps its value. Without memory it has none from here on, as the store will
 * show. */
static void take_value(struct engine_claim *claim, const char *value)
{
	if (!value || claim->value)
		return;
	claim->value = strdup(value);
	claim->stored.value = claim->value;
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

static void on_answer(void *context, struct store_claim *stored, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct engine *engine = context;
	struct engine_claim *claim =
	    (struct engine_claim *)((char *)stored - offsetof(struct engine_claim, stored));

	enter(engine);
	claim->depth++;
	if (event != CLAIM_UNKNOWN)
		engine->answered_ms = engine->host.clock.boot_ms(engine->host.clock.context);
	if (event == CLAIM_UNKNOWN || event == CLAIM_REFUSED)
		remember_message(claim, word ? word->message : NULL);
	if (event == CLAIM_GRANTED && stored->adopt && word)
		take_value(claim, word->value);
	if (event == CLAIM_RENEWED && stored->value_stored == stored->value_version)
		end_value(claim, MPSYNC_OK);
	feed(claim, event, answer, word);
	if (event == CLAIM_BUSY && word && claim->claim.state == CLAIM_WAITING)
		tell_waiting(claim, word);
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
	store->sink =
	    (struct store_sink){.answer = on_answer, .wake_at = on_store_wake, .engine = engine};
	return engine;
}

static void free_queue(void *name)
{
	struct name_queue *queue = queue_of_name(name);

	while (queue->first) {
		struct engine_claim *claim = queue->first;

		queue->first = claim->behind;
		claim->engine->store->ops->forget(claim->engine->store, &claim->stored);
		claim->ops->ended(claim->owner);
		free_claim(claim);
	}
	free(queue);
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	/* From here on the store is only told what to forget: nothing is timed or sent any more. */
	engine->depth++;
	heap_clear(&engine->wakes);
	tdestroy(engine->names, free_queue);
	shared_text_free(engine->holder);
	engine->store->ops->close(engine->store);
	free(engine->batch);
	free(engine);
}

struct store *engine_store(struct engine *engine)
{
	return engine->store;
}

static struct engine_claim *claim_new(struct engine *engine, const struct engine_wish *wish)
{
	struct engine_claim *claim = calloc(1, sizeof *claim);
	const size_t need = engine->claims + 1;

	if (!claim)
		return NULL;
	claim->stored.secret = wish->secret;
	claim->holder = shared_text_of(&engine->holder, wish->holder);
	claim->value = wish->value ? strdup(wish->value) : NULL;
	claim->queue = make_queue(engine, wish->name);
	if (!claim->holder || (wish->value && !claim->value) || !claim->queue ||
	    !heap_reserve(&engine->wakes, need) ||
	    !grow(&engine->batch, &engine->batch_size, need, sizeof(void *)) ||
	    (id_is_none(&wish->secret) && !id_random(&claim->stored.secret)) ||
	    !id_digest(&claim->stored.secret, &claim->stored.digest)) {
		if (claim->queue)
			drop_queue_if_empty(engine, claim->queue);
		free_claim(claim);
		return NULL;
	}
	claim->engine = engine;
	claim->ops = wish->ops;
	claim->owner = wish->owner;
	claim->wake.index = HEAP_ABSENT;
	claim->stored.name = claim->queue->name;
	claim->stored.holder = claim->holder->text;
	claim->stored.value = claim->value;
	claim->stored.token = wish->adopt_token;
	claim->stored.adopt = wish->adopt_token != 0;
	claim->stored.any_ttl = wish->any_ttl;
	claim->stored.ttl_ms = wish->ttl_ms;
	claim->stored.election = wish->election;
	claim->stored.once = wish->wait_ms == 0;
	claim->stored.brief = wish->wait_ms < BRIEF_WAIT_MS;
	claim_init(&claim->claim, wish->ttl_ms, engine->host.clock.boot_ms(engine->host.clock.context),
	    wish->wait_ms);
	claim->claim.adopting = wish->adopt_token != 0;
	return claim;
}

/* A try does not queue behind anyone who has the name or wants it. */
static struct engine_claim *in_the_way(const struct name_queue *queue)
{
	struct engine_claim *claim = queue->first;

	while (claim && claim->claim.state >= CLAIM_LEAVING)
		claim = claim->behind;
	return claim;
}

bool engine_acquire(
    struct engine *engine, const struct engine_wish *wish, struct engine_claim **created)
{
	struct engine_claim *claim = claim_new(engine, wish);
	struct engine_claim *other;
	struct store_word word = {0};

	*created = claim;
	if (!claim)
		return false;
	enter(engine);
	claim->depth++;
	engine->claims++;
	other = claim->claim.adopting ? NULL : in_the_way(claim->queue);
	if (claim->claim.adopting)
		enqueue_first(claim);
	else
		enqueue_last(claim);
	if (other) {
		word.holder = other->claim.state == CLAIM_HELD ? other->stored.holder : NULL;
		word.position = engine_claim_position(claim);
	}
	if (claim->queue->first == claim)
		give_turn(claim);
	else if (other && claim->stored.once)
		feed(claim, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = CLAIM_NEVER}, &word);
	else
		feed(claim, CLAIM_TICK, NULL, NULL);
	if (other && !claim->ended)
		tell_waiting(claim, &word);
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
	free(claim->value);
	claim->value = copy;
	claim->stored.value = copy;
	claim->stored.value_version++;
	claim->value_asked = true;
	wish_for(claim, CLAIM_RENEW_NOW);
	return true;
}

static void stop_queue(const void *node, VISIT visit, void *context)
{
	const struct name_queue *queue = queue_of_name(*(void *const *)node);

	(void)context;
	if (visit != postorder && visit != leaf)
		return;
	/* The last is stopped first, so that nobody gets a turn that is taken away at once. */
	for (struct engine_claim *claim = queue->first; claim; claim = claim->behind) {
		claim->stopping = true;
		list_turn(claim);
	}
}

void engine_stop(struct engine *engine)
{
	enter(engine);
	twalk_r(engine->names, stop_queue, NULL);
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

void engine_waiting(struct engine *engine, const char *name,
    void (*found)(void *context, const char *holder), void *context)
{
	const struct name_queue *queue = find_queue(engine, name);

	for (struct engine_claim *claim = queue ? queue->first : NULL; claim; claim = claim->behind)
		if (claim->claim.state < CLAIM_HELD)
			found(context, claim->stored.holder);
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
	return claim->right_ms;
}

uint32_t engine_claim_position(const struct engine_claim *claim)
{
	uint32_t position = 0;

	for (const struct engine_claim *other = claim->ahead; other; other = other->ahead)
		position += other->claim.state < CLAIM_LEAVING;
	return position;
}
