/*
 * The claims of one engine for one name are a queue, in the order in which they came: the first one
 * contends at the store, the others wait here (rule 40, one contender per name).
 */
#include "claims.h"

#include <assert.h>
#include <search.h>
#include <string.h>

/* Up to here a claim's position is counted one by one, and exact. */
#define NEAR 64

/* ---- Turns ---- */

/* The claim does what it has to do when the engine comes to it. */
static void list_as(struct engine_claim *claim, enum turn turn)
{
	if (claim->turn != TURN_HAS_COME && claim->turn != TURN_TO_LEAVE) {
		claim->next_turn = claim->engine->turns;
		claim->engine->turns = claim;
	}
	claim->turn = turn;
}

void turn_give(struct engine_claim *claim)
{
	if (claim && claim->turn == TURN_AWAITED)
		list_as(claim, TURN_HAS_COME);
}

void turn_end(struct engine_claim *claim)
{
	struct engine_claim **link = &claim->engine->turns;
	const bool listed = claim->turn == TURN_HAS_COME || claim->turn == TURN_TO_LEAVE;

	while (listed && *link != claim)
		link = &(*link)->next_turn;
	if (listed)
		*link = claim->next_turn;
	claim->turn = TURN_OVER;
}

/* ---- Queues ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct engine_claim *)a)->stored.name,
	    ((const struct engine_claim *)b)->stored.name);
}

/* The pointer to the queue's first claim in the tree; NULL: the queue is empty. */
static struct engine_claim **find_first(const struct engine *engine, const char *name)
{
	const struct engine_claim probe = {.stored.name = name};

	return tfind(&probe, &engine->queues, compare_names);
}

const struct engine_claim *queue_first(const struct engine_claim *claim)
{
	struct engine_claim *const *first = find_first(claim->engine, claim->stored.name);

	assert(first && *first);
	return *first;
}

bool queue_is_first(const struct engine_claim *claim)
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

/*
 * A claim that adopts its grant goes to the head of the queue: the store names it as the holder
 * already, so there is nobody to wait for.
 */
static void enqueue_first(struct engine_claim *claim, struct engine_claim *first)
{
	claim->queued = first->queued + 1;
	claim->place = first->place - 1;
	claim->ahead = first->ahead;
	claim->behind = first;
	first->ahead = claim;
}

const struct engine_claim *queue_in_the_way(
    const struct engine_claim *first, const struct engine_claim *claim)
{
	while (first && first != claim && first->claim.state >= CLAIM_LEAVING)
		first = first->behind;
	return first == claim ? NULL : first;
}

/*
 * A claim that may regain a former elector's grant while other claims wait here: it gets that
 * grant, or nothing.
 */
static bool regains_alone(const struct engine_claim *claim, const struct engine_claim *first)
{
	return claim->stored.regain && queue_in_the_way(first, claim);
}

struct engine_claim *queue_join(struct engine_claim *claim)
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

/* Returns the first claim of the queue without this one; NULL: there is none. */
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

void turn_pass_on(struct engine_claim *claim)
{
	turn_give(dequeue(claim));
}

static void stop_queue(const void *node, VISIT visit, void *context)
{
	(void)context;
	if (visit != postorder && visit != leaf)
		return;
	/* The last one is stopped first, so that no claim gets a turn that is taken away at once. */
	for (struct engine_claim *claim = *(struct engine_claim *const *)node; claim;
	     claim = claim->behind)
		if (claim->turn != TURN_OVER)
			list_as(claim, TURN_TO_LEAVE);
}

void queues_stop(struct engine *engine)
{
	twalk_r(engine->queues, stop_queue, NULL);
}

/* ---- Who stands where ---- */

uint32_t engine_waiting(struct engine *engine, const char *name, uint32_t most,
    void (*found)(void *context, const char *holder), void *context)
{
	struct engine_claim **first = find_first(engine, name);
	uint32_t waiting = first ? (*first)->queued : 0;
	uint32_t told = 0;

	/*
	 * A claim that waits no longer but is still in the queue has had its turn, so it is among the
	 * first.
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

uint32_t engine_claim_position(const struct engine_claim *claim)
{
	const struct engine_claim *first = *find_first(claim->engine, claim->stored.name);
	const struct engine_claim *other = first;
	const bool held = first->claim.state == CLAIM_HELD;
	uint32_t before = 0;

	/*
	 * Claims that have left are among the first, and have left gaps in the numbering. Beyond those
	 * the smaller counts of how many came since the first, and how many are in the queue.
	 */
	for (unsigned i = 0; i < NEAR && other != claim; i++) {
		before += other->claim.state < CLAIM_HELD;
		other = other->behind;
	}
	if (other == claim)
		return before + 1;
	before = claim->place - first->place;
	if (before > first->queued - 1)
		before = first->queued - 1;
	return held ? before : before + 1;
}
