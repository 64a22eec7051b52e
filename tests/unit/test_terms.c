/* The loop of terms, event by event, and then by chance: a claim that answers now or later, or not
 * as was hoped, and a function that returns when it likes. */
#include "protocol/terms.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define TTL 15000

enum claim { NONE, ASKED, CANCELLING, HELD, RELEASING };

struct world {
	struct terms terms;
	uint64_t now_ms;
	uint64_t wake_ms;
	uint64_t wait_ms; /* of the latest claim */
	enum claim claim; /* as the store has it */
	bool at_work;     /* the function */
	bool told;        /* it was told to stop */
	bool at_once;     /* claims answer before the call returns */
	bool closed;
	uint64_t told_ms;
	uint64_t drain_ms;
	unsigned asks;
	unsigned terms_told;
	unsigned endings;
	unsigned lates;
	unsigned troubles;
	unsigned ends;
	uint32_t random;
};

static void feed(struct world *world, enum terms_event event)
{
	terms_feed(&world->terms,
	    &(struct terms_input){.event = event, .now_ms = world->now_ms, .random = world->random});
}

static void feed_done(struct world *world, bool failed)
{
	world->at_work = false;
	terms_feed(&world->terms, &(struct terms_input){.event = TERMS_DONE,
	                              .now_ms = world->now_ms,
	                              .random = world->random,
	                              .failed = failed});
}

static void feed_failed(struct world *world, enum mpsync_status status)
{
	world->claim = NONE;
	terms_feed(&world->terms, &(struct terms_input){.event = TERMS_FAILED,
	                              .now_ms = world->now_ms,
	                              .random = world->random,
	                              .status = status});
}

static void lose(struct world *world, enum mpsync_reason reason)
{
	world->claim = NONE;
	terms_feed(&world->terms, &(struct terms_input){.event = TERMS_LOST,
	                              .now_ms = world->now_ms,
	                              .random = world->random,
	                              .reason = reason});
}

static void grant(struct world *world)
{
	world->claim = HELD;
	terms_right(&world->terms, world->now_ms + TTL / 5 * 4);
	feed(world, TERMS_HELD);
}

static void answer(struct world *world)
{
	const enum claim before = world->claim;

	world->claim = NONE;
	feed(world, before == RELEASING ? TERMS_RELEASED : TERMS_CANCELLED);
}

/* ---- What the loop does ---- */

static void on_ask(void *context, uint64_t wait_ms)
{
	struct world *world = context;

	assert_int_equal(world->claim, NONE);
	assert_false(world->at_work); /* two functions of one run at once */
	assert_int_equal(world->ends, 0);
	world->claim = ASKED;
	world->wait_ms = wait_ms;
	world->asks++;
	if (world->at_once)
		grant(world);
}

static void on_cancel(void *context)
{
	struct world *world = context;

	assert_int_equal(world->claim, ASKED);
	world->claim = CANCELLING;
	if (world->at_once)
		answer(world);
}

static void on_release(void *context)
{
	struct world *world = context;

	assert_int_equal(world->claim, HELD); /* what is lost is not touched */
	assert_true(!world->at_work || world->closed ||
	            (world->told && world->now_ms - world->told_ms >= world->drain_ms));
	world->claim = RELEASING;
	if (world->at_once)
		answer(world);
}

static void on_tell(void *context, enum terms_word word)
{
	struct world *world = context;

	assert_int_equal(world->ends, 0);
	switch (word) {
	case TERMS_TELL_TERM:
		assert_int_equal(world->claim, HELD);
		assert_false(world->at_work);
		assert_int_equal(world->terms_told, world->endings);
		world->terms_told++;
		world->at_work = true;
		world->told = false;
		return;
	case TERMS_TELL_ENDING:
		world->endings++;
		assert_int_equal(world->terms_told, world->endings);
		world->told = true;
		world->told_ms = world->now_ms;
		return;
	case TERMS_TELL_LATE:
		assert_true(world->at_work && world->told);
		world->lates++;
		return;
	case TERMS_TELL_TROUBLE:
		assert_false(world->at_work);
		world->troubles++;
		return;
	}
}

static void on_wake_at(void *context, uint64_t at_ms)
{
	((struct world *)context)->wake_ms = at_ms;
}

static void on_end(void *context)
{
	struct world *world = context;

	assert_int_equal(world->claim, NONE);
	world->ends++;
	assert_int_equal(world->ends, 1);
	assert_int_equal(world->terms_told, world->endings);
}

static const struct terms_host host = {on_ask, on_cancel, on_release, on_tell, on_wake_at, on_end};

static const struct terms_options usual = {
    .ttl_ms = TTL, .wait_ms = TERMS_NEVER, .drain_ms = TERMS_NEVER, .notice_ms = TTL / 30};

static void prepare(struct world *world, const struct terms_options *options)
{
	memset(world, 0, sizeof *world);
	world->now_ms = 1000;
	world->drain_ms = options->drain_ms;
	terms_init(&world->terms, options, &host, world);
}

static void stand(struct world *world, const struct terms_options *options)
{
	prepare(world, options);
	feed(world, TERMS_TICK);
	assert_int_equal(world->claim, ASKED);
}

static void lead(struct world *world, const struct terms_options *options)
{
	stand(world, options);
	grant(world);
	assert_true(world->at_work);
}

static void pass_to_wake(struct world *world)
{
	assert_true(world->wake_ms != TERMS_NEVER);
	if (world->now_ms < world->wake_ms)
		world->now_ms = world->wake_ms;
	feed(world, TERMS_TICK);
}

/* ---- Event by event ---- */

/* Goal: a function that returns by itself gives the term back, and the candidate stands again. */
static void test_returns_and_stands_again(void **state)
{
	struct world world;

	(void)state;
	lead(&world, &usual);
	feed_done(&world, false);
	assert_int_equal(world.claim, RELEASING);
	assert_int_equal(world.endings, 1);
	assert_int_equal(world.terms.reason, MPSYNC_REASON_RETURNED);
	answer(&world);
	assert_int_equal(world.claim, ASKED);
	assert_int_equal(world.asks, 2);
}

/* Goal: an end that is asked for waits for the function, however long it takes, and says so each
 * ttl; the right is released only then. */
static void test_stop_drains(void **state)
{
	struct world world;

	(void)state;
	lead(&world, &usual);
	feed(&world, TERMS_STOP);
	assert_int_equal(world.endings, 1);
	assert_int_equal(world.terms.reason, MPSYNC_REASON_STOPPED);
	assert_int_equal(terms_left_ms(&world.terms, world.now_ms), -1);
	for (unsigned i = 1; i <= 3; i++) {
		pass_to_wake(&world);
		assert_int_equal(world.now_ms, 1000 + i * TTL);
		assert_int_equal(world.lates, i);
		assert_int_equal(world.claim, HELD);
	}
	feed_done(&world, false);
	assert_int_equal(world.claim, RELEASING);
	assert_int_equal(world.ends, 0);
	answer(&world);
	assert_int_equal(world.ends, 1);
	assert_int_equal(world.terms.end_status, MPSYNC_OK);
}

/* Goal: at the drain's limit it is released under a function that goes on; nothing is asked for
 * before that has returned. */
static void test_limit_of_the_drain(void **state)
{
	struct terms_options options = usual;
	struct world world;

	(void)state;
	options.drain_ms = 3000;
	lead(&world, &options);
	feed(&world, TERMS_HAND_OVER);
	assert_int_equal(world.terms.reason, MPSYNC_REASON_ASKED);
	assert_int_equal(terms_left_ms(&world.terms, world.now_ms), 3000);
	pass_to_wake(&world);
	assert_int_equal(world.now_ms, 4000);
	assert_int_equal(world.claim, RELEASING);
	answer(&world);
	assert_int_equal(world.lates, 1);
	assert_int_equal(world.claim, NONE);
	assert_int_equal(terms_left_ms(&world.terms, world.now_ms), 0);
	world.now_ms += TTL;
	feed_done(&world, false);
	assert_int_equal(world.claim, ASKED);
}

/* Goal: who handed over as asked stands again when waiters have had time to notice, counted from
 * the release; not at once, and not later than a fifth of the ttl. */
static void test_others_come_first_after_a_hand_over(void **state)
{
	struct world world;

	(void)state;
	lead(&world, &usual);
	feed(&world, TERMS_HAND_OVER);
	world.now_ms += 700;
	feed_done(&world, false);
	world.now_ms += 50;
	answer(&world);
	assert_int_equal(world.claim, NONE);
	assert_int_equal(world.wake_ms, 1750 + TTL / 5);
	pass_to_wake(&world);
	assert_int_equal(world.claim, ASKED);
	assert_int_equal(world.asks, 2);
	grant(&world);
	feed_done(&world, false); /* the next term is its own affair */
	answer(&world);
	assert_int_equal(world.claim, ASKED);
}

/* Goal: a function that was to hand over and fails as well waits for the longer of both pauses. */
static void test_hand_over_of_a_function_that_fails(void **state)
{
	uint64_t pause_ms = 0;
	struct world world;

	(void)state;
	stand(&world, &usual);
	world.random = UINT32_MAX;
	for (int i = 0; i < 5; i++) {
		grant(&world);
		feed(&world, TERMS_HAND_OVER);
		feed_done(&world, true);
		answer(&world);
		pause_ms = world.wake_ms - world.now_ms;
		assert_true(pause_ms >= TTL / 5);
		pass_to_wake(&world);
	}
	assert_true(pause_ms > TTL / 5);
}

/* Goal: a stop during the pause after a hand-over ends the run at once. */
static void test_stop_after_a_hand_over(void **state)
{
	struct world world;

	(void)state;
	lead(&world, &usual);
	feed(&world, TERMS_HAND_OVER);
	feed_done(&world, false);
	answer(&world);
	feed(&world, TERMS_STOP);
	assert_int_equal(world.ends, 1);
	assert_int_equal(world.asks, 1);
}

/* Goal: a loss is told once; what is lost is not released; it stands again after the function. */
static void test_loss(void **state)
{
	struct world world;

	(void)state;
	lead(&world, &usual);
	lose(&world, MPSYNC_REASON_TAKEN);
	assert_int_equal(world.terms.reason, MPSYNC_REASON_TAKEN);
	assert_int_equal(terms_left_ms(&world.terms, world.now_ms), 0);
	assert_int_equal(world.asks, 1);
	pass_to_wake(&world);
	assert_int_equal(world.lates, 1);
	feed_done(&world, false);
	assert_int_equal(world.asks, 2);
	grant(&world);
	assert_int_equal(world.terms_told, 2);
}

/* Goal: a loss while the function ends is no second ENDING, and is said at once. */
static void test_loss_while_ending(void **state)
{
	struct world world;

	(void)state;
	lead(&world, &usual);
	feed(&world, TERMS_HAND_OVER);
	lose(&world, MPSYNC_REASON_EXPIRED);
	assert_int_equal(world.endings, 1);
	assert_int_equal(world.lates, 1);
	feed_done(&world, false);
	assert_int_equal(world.asks, 2);
}

/* Goal: whose right is not renewed is told before its end, with what is left; renewed in time, it
 * leads on. */
static void test_notice_before_the_right_ends(void **state)
{
	struct world world;

	(void)state;
	lead(&world, &usual);
	assert_int_equal(world.wake_ms, 1000 + TTL / 5 * 4 - TTL / 30);
	terms_right(&world.terms, 1000 + TTL);
	pass_to_wake(&world);
	assert_int_equal(world.endings, 0);
	pass_to_wake(&world);
	assert_int_equal(world.endings, 1);
	assert_int_equal(world.terms.reason, MPSYNC_REASON_EXPIRED);
	assert_int_equal(terms_left_ms(&world.terms, world.now_ms), TTL / 30);
	assert_int_equal(world.claim, HELD);
	feed_done(&world, false);
	assert_int_equal(world.claim, RELEASING);
}

/* Goal: after a function that failed the next candidate comes first, and longer each time. */
static void test_backs_off_after_a_failure(void **state)
{
	uint64_t before = 0;
	struct world world;

	(void)state;
	stand(&world, &usual);
	world.random = UINT32_MAX;
	for (int i = 0; i < 5; i++) {
		grant(&world);
		feed_done(&world, true);
		answer(&world);
		assert_int_equal(world.claim, NONE);
		assert_true(world.wake_ms - world.now_ms > before);
		before = world.wake_ms - world.now_ms;
		pass_to_wake(&world);
		assert_int_equal(world.claim, ASKED);
	}
	grant(&world);
	feed_done(&world, false);
	answer(&world);
	assert_int_equal(world.claim, ASKED);
	grant(&world);
	feed_done(&world, true);
	answer(&world);
	assert_true(world.wake_ms - world.now_ms <= TTL / 15);
}

/* Goal: it can be ended before it began, and while it stands, backs off, or drains. */
static void test_stop_at_any_moment(void **state)
{
	struct world world;

	(void)state;
	prepare(&world, &usual);
	feed(&world, TERMS_STOP);
	assert_int_equal(world.ends, 1);
	assert_int_equal(world.asks, 0);

	stand(&world, &usual);
	feed(&world, TERMS_STOP);
	assert_int_equal(world.claim, CANCELLING);
	answer(&world);
	assert_int_equal(world.ends, 1);

	lead(&world, &usual);
	feed_done(&world, true);
	answer(&world);
	feed(&world, TERMS_STOP);
	assert_int_equal(world.ends, 1);

	lead(&world, &usual);
	lose(&world, MPSYNC_REASON_EXPIRED);
	feed(&world, TERMS_STOP);
	assert_int_equal(world.ends, 0);
	feed_done(&world, false);
	assert_int_equal(world.ends, 1);
}

/* Goal: a grant that comes as it is stopped is given back, and told to nobody. */
static void test_grant_beside_the_stop(void **state)
{
	struct world world;

	(void)state;
	stand(&world, &usual);
	feed(&world, TERMS_STOP);
	grant(&world);
	assert_int_equal(world.terms_told, 0);
	assert_int_equal(world.claim, RELEASING);
	answer(&world);
	assert_int_equal(world.ends, 1);
}

/* Goal: a store that is away is waited for as long as the wait lasts; then its status is told. */
static void test_rides_out_a_store(void **state)
{
	struct terms_options options = usual;
	struct world world;

	(void)state;
	options.wait_ms = 5000;
	stand(&world, &options);
	assert_int_equal(world.wait_ms, 5000);
	while (world.now_ms < 6000) {
		feed_failed(&world, MPSYNC_E_UNREACHABLE);
		assert_int_equal(world.ends, 0);
		pass_to_wake(&world);
		assert_int_equal(world.claim, ASKED);
		assert_int_equal(world.wait_ms, 6000 - world.now_ms);
	}
	assert_true(world.asks > 5);
	assert_int_equal(world.troubles, 1);
	feed_failed(&world, MPSYNC_E_UNREACHABLE);
	assert_int_equal(world.ends, 1);
	assert_int_equal(world.terms.end_status, MPSYNC_E_UNREACHABLE);
}

/* Goal: a wait without an end says at once that the store is away, and then each minute. */
static void test_says_each_minute_what_it_waits_for(void **state)
{
	struct terms_options options = usual;
	struct world world;

	(void)state;
	options.wait_ms = TERMS_NEVER;
	stand(&world, &options);
	while (world.now_ms < 125000) {
		feed_failed(&world, MPSYNC_E_UNREACHABLE);
		assert_int_equal(world.ends, 0);
		pass_to_wake(&world);
	}
	assert_int_equal(world.troubles, 3);
}

/* Goal: what can never succeed ends at once; who has led waits for a permission to come back. */
static void test_refusals(void **state)
{
	struct world world;

	(void)state;
	stand(&world, &usual);
	feed_failed(&world, MPSYNC_E_FORBIDDEN);
	assert_int_equal(world.ends, 1);
	assert_int_equal(world.terms.end_status, MPSYNC_E_FORBIDDEN);

	lead(&world, &usual);
	feed_done(&world, false);
	answer(&world);
	feed_failed(&world, MPSYNC_E_FORBIDDEN);
	assert_int_equal(world.ends, 0);
	assert_int_equal(world.wake_ms, world.now_ms + TTL / 3);
	for (unsigned i = 0; i < 24; i++) { /* two minutes */
		assert_int_equal(world.troubles, 1 + i / 12);
		pass_to_wake(&world);
		assert_int_equal(world.claim, ASKED);
		feed_failed(&world, MPSYNC_E_FORBIDDEN);
	}
}

/* Goal: a lock's run is one term; its end says if it was lost. */
static void test_one_term_of_a_lock(void **state)
{
	struct terms_options options = usual;
	struct world world;

	(void)state;
	options.once = true;
	lead(&world, &options);
	feed_done(&world, true);
	answer(&world);
	assert_int_equal(world.ends, 1);
	assert_int_equal(world.terms.end_status, MPSYNC_OK);

	lead(&world, &options);
	lose(&world, MPSYNC_REASON_DELETED);
	feed_done(&world, false);
	assert_int_equal(world.ends, 1);
	assert_int_equal(world.terms.end_status, MPSYNC_E_LOST);
}

/* Goal: whoever closes waits for no function, and tells it. */
static void test_close(void **state)
{
	struct world world;

	(void)state;
	lead(&world, &usual);
	world.closed = true;
	feed(&world, TERMS_CLOSE);
	assert_int_equal(world.endings, 1);
	assert_int_equal(world.terms.reason, MPSYNC_REASON_CLOSED);
	assert_int_equal(terms_left_ms(&world.terms, world.now_ms), 0);
	assert_int_equal(world.claim, RELEASING);
	answer(&world);
	assert_int_equal(world.ends, 1);
	assert_int_equal(world.terms.end_status, MPSYNC_E_CLOSED);
	feed_done(&world, false); /* too late */
	assert_int_equal(world.ends, 1);
}

/* ---- By chance ---- */

static uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

static void play_claim(struct world *world, uint32_t luck)
{
	switch (world->claim) {
	case NONE:
		return;
	case ASKED:
		if (luck % 4 == 0)
			feed_failed(world, luck % 8 ? MPSYNC_E_UNREACHABLE : MPSYNC_E_FORBIDDEN);
		else
			grant(world);
		return;
	case CANCELLING:
		if (luck % 3 == 0)
			grant(world);
		else
			answer(world);
		return;
	case HELD:
		if (luck % 3 == 0)
			lose(world, MPSYNC_REASON_EXPIRED);
		else
			terms_right(&world->terms, world->now_ms + TTL / 5 * 4);
		return;
	case RELEASING:
		answer(world);
		return;
	}
}

static void play(struct world *world, uint64_t *seed)
{
	const uint32_t luck = draw(seed);

	world->random = draw(seed);
	world->at_once = draw(seed) % 4 == 0;
	world->now_ms += draw(seed) % 3 ? draw(seed) % 100 : draw(seed) % (2 * TTL);
	switch (draw(seed) % 8) {
	case 0:
		if (luck % 16 == 0)
			feed(world, TERMS_STOP);
		return;
	case 1:
		if (luck % 64 == 0) {
			world->closed = true;
			feed(world, TERMS_CLOSE);
		}
		return;
	case 2:
		feed(world, TERMS_HAND_OVER);
		return;
	case 3:
		if (world->at_work || luck % 4 == 0) /* or of a term that is over */
			feed_done(world, luck % 2);
		return;
	case 4:
	case 5:
		feed(world, TERMS_TICK);
		return;
	default:
		play_claim(world, luck);
	}
}

static void play_seed(uint64_t seed)
{
	struct terms_options options = usual;
	struct world world;

	options.once = draw(&seed) % 4 == 0;
	options.wait_ms = draw(&seed) % 3 ? TERMS_NEVER : draw(&seed) % (4 * TTL);
	options.drain_ms = draw(&seed) % 2 ? TERMS_NEVER : draw(&seed) % (2 * TTL);
	prepare(&world, &options);
	for (int i = 0; i < 200 && world.ends == 0; i++)
		play(&world, &seed);
	/* Nothing keeps it from its end but the function and the claim. */
	world.at_once = false;
	feed(&world, TERMS_STOP);
	while (world.ends == 0 && (world.at_work || world.claim != NONE)) {
		if (world.at_work)
			feed_done(&world, false);
		else
			answer(&world);
	}
	assert_int_equal(world.ends, 1);
}

/* Goal: whatever comes in whatever order, no two functions of a run are at work, nothing is
 * released that was lost, or under a function but at the drain's limit; each TERM has its ENDING,
 * and the run ends once. (The host above looks at each.) */
static void test_by_chance(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20000; seed++)
		play_seed(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_returns_and_stands_again),
	    cmocka_unit_test(test_stop_drains),
	    cmocka_unit_test(test_limit_of_the_drain),
	    cmocka_unit_test(test_others_come_first_after_a_hand_over),
	    cmocka_unit_test(test_hand_over_of_a_function_that_fails),
	    cmocka_unit_test(test_stop_after_a_hand_over),
	    cmocka_unit_test(test_loss),
	    cmocka_unit_test(test_loss_while_ending),
	    cmocka_unit_test(test_notice_before_the_right_ends),
	    cmocka_unit_test(test_backs_off_after_a_failure),
	    cmocka_unit_test(test_stop_at_any_moment),
	    cmocka_unit_test(test_grant_beside_the_stop),
	    cmocka_unit_test(test_rides_out_a_store),
	    cmocka_unit_test(test_says_each_minute_what_it_waits_for),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_one_term_of_a_lock),
	    cmocka_unit_test(test_close),
	    cmocka_unit_test(test_by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
