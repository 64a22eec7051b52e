#include "unit.h"

#include "base/identity.h"
#include "protocol/engine.h"

#include <stdlib.h>
#include <string.h>

#define MOST 8

/* Whoever asks, and what was told. */
struct asker {
	struct engine_claim *claim;
	enum mpsync_event_type told[MOST];
	size_t count;
	enum mpsync_status stored; /* what DONE said of the value */
	uint32_t position;
	bool ended;
	struct engine *again; /* which is asked for "x" again then */
	bool refused;
};

/* A store that does nothing by itself: the tests answer for it. */
struct fixture {
	struct store store;
	struct engine *engine;
	uint64_t now_ms;
	struct store_claim *attempted[MOST]; /* in order */
	size_t attempts;
	struct store_claim *withdrawn[MOST];
	size_t withdrawals;
	size_t renewals;
	bool clean;                /* what was kept of each claim was zero at first */
	struct asker askers[MOST]; /* as long as there are claims */
};

static uint64_t boot_ms(void *context)
{
	return ((const struct fixture *)context)->now_ms;
}

static int64_t wall_ms(void *context)
{
	return (int64_t)((const struct fixture *)context)->now_ms;
}

static uint32_t no_random(void *context)
{
	(void)context;
	return 0;
}

static void no_wake(void *context, uint64_t at_ms)
{
	(void)context, (void)at_ms;
}

static void on_event(void *owner, const struct engine_event *event)
{
	struct asker *asker = owner;

	assert_true(asker->count < MOST);
	asker->told[asker->count++] = event->type;
	if (event->type == MPSYNC_EVENT_WAITING)
		asker->position = event->position;
	if (event->type == MPSYNC_EVENT_DONE)
		asker->stored = event->status;
}

static void on_ended(void *owner)
{
	struct asker *asker = owner;
	const struct engine_wish wish = {.name = "x", .holder = "me", .ttl_ms = 1000, .owner = asker};

	asker->ended = true;
	if (asker->again)
		asker->refused = !engine_acquire(asker->again, &wish, &asker->claim);
}

static void attempt(struct store *store, struct store_claim *claim)
{
	struct fixture *fixture = (struct fixture *)store;
	uint64_t *kept = store_claim_data(claim);

	fixture->clean &= kept[0] == 0 && kept[1] == 0;
	kept[0] = kept[1] = UINT64_MAX;
	fixture->attempted[fixture->attempts++] = claim;
}

static void renew(struct store *store, struct store_claim *const *claims, size_t count)
{
	(void)claims;
	((struct fixture *)store)->renewals += count;
}

static void withdraw(struct store *store, struct store_claim *claim)
{
	struct fixture *fixture = (struct fixture *)store;

	fixture->withdrawn[fixture->withdrawals++] = claim;
	store->sink.answer(store->sink.engine, claim, CLAIM_FREED, NULL, NULL);
}

static void forget(struct store *store, struct store_claim *claim)
{
	(void)store, (void)claim;
}

static void close_store(struct store *store)
{
	(void)store;
}

static int set_up(void **state)
{
	static const struct store_ops ops = {.attempt = attempt,
	    .renew = renew,
	    .withdraw = withdraw,
	    .forget = forget,
	    .close = close_store};
	static const struct engine_owner owner = {.event = on_event, .ended = on_ended};
	struct fixture *fixture = calloc(1, sizeof *fixture);
	const struct engine_host host = {.random_id = id_random,
	    .digest_id = id_digest,
	    .clock = {boot_ms, wall_ms, no_random, fixture},
	    .owner = &owner,
	    .wake_at = no_wake};

	fixture->store.ops = &ops;
	fixture->store.kind = "counting";
	fixture->store.claim_size = 2 * sizeof(uint64_t);
	fixture->now_ms = 1000;
	fixture->clean = true;
	fixture->engine = engine_new(&host, &fixture->store);
	*state = fixture;
	return fixture->engine ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	engine_free(fixture->engine);
	free(fixture);
	return 0;
}

static void ask(struct fixture *fixture, struct asker *asker, const char *name, uint64_t wait_ms,
    uint64_t adopt_token)
{
	const struct engine_wish wish = {.name = name,
	    .holder = "me",
	    .ttl_ms = 1000,
	    .wait_ms = wait_ms,
	    .adopt_token = adopt_token,
	    .owner = asker};

	*asker = (struct asker){.count = 0};
	assert_true(engine_acquire(fixture->engine, &wish, &asker->claim));
}

static void answer(struct fixture *fixture, size_t attempt, enum claim_event event)
{
	const struct claim_answer particulars = {.token = 7 + attempt,
	    .sent_at_ms = fixture->now_ms,
	    .right_ms = 800,
	    .retry_in_ms = CLAIM_NEVER};

	fixture->store.sink.answer(
	    fixture->engine, fixture->attempted[attempt], event, &particulars, NULL);
}

/*
 * Goal: the claims for one name contend one after the other, in the order in which they came; who
 * leaves from the middle or from the end leaves the others their order. A holder waits no more.
 */
static void test_one_name_is_a_queue(void **state)
{
	struct fixture *fixture = *state;
	struct asker *askers = fixture->askers;

	for (int i = 0; i < 5; i++)
		ask(fixture, &askers[i], "one", CLAIM_NEVER, 0);
	assert_int_equal(fixture->attempts, 1);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(engine_claim_position(askers[i].claim), i + 1);
	engine_cancel(askers[1].claim);
	engine_cancel(askers[4].claim);
	assert_true(askers[1].ended && askers[4].ended);
	assert_int_equal(engine_claim_position(askers[3].claim), 3);
	ask(fixture, &askers[4], "one", CLAIM_NEVER, 0);
	assert_int_equal(askers[4].position, 4);
	answer(fixture, 0, CLAIM_GRANTED);
	assert_int_equal(engine_claim_position(askers[2].claim), 1);
	assert_int_equal(engine_claim_position(askers[4].claim), 3);
	assert_int_equal(fixture->attempts, 1);
	engine_release(askers[0].claim);
	assert_int_equal(fixture->attempts, 2);
	assert_ptr_equal(fixture->attempted[1], engine_claim_stored(askers[2].claim));
	engine_cancel(askers[2].claim);
	answer(fixture, 1, CLAIM_BUSY);
	engine_cancel(askers[3].claim);
	answer(fixture, 2, CLAIM_BUSY);
	assert_int_equal(fixture->attempts, 4);
	assert_ptr_equal(fixture->attempted[3], engine_claim_stored(askers[4].claim));
	assert_true(fixture->clean);
}

/* Goal: each name has its own queue, and one that was empty begins anew. */
static void test_names_do_not_wait_for_each_other(void **state)
{
	struct fixture *fixture = *state;
	struct asker *one = &fixture->askers[0];
	struct asker *other = &fixture->askers[1];

	ask(fixture, one, "one", CLAIM_NEVER, 0);
	ask(fixture, other, "other", CLAIM_NEVER, 0);
	assert_int_equal(fixture->attempts, 2);
	assert_string_equal(engine_claim_stored(one->claim)->name, "one");
	assert_string_equal(engine_claim_stored(other->claim)->name, "other");
	engine_cancel(one->claim);
	answer(fixture, 0, CLAIM_BUSY);
	assert_int_equal(engine_claims(fixture->engine), 1);
	ask(fixture, one, "one", CLAIM_NEVER, 0);
	assert_int_equal(fixture->attempts, 3);
}

/* Goal: a try behind another is told so at once and asks the store for nothing. */
static void test_a_try_does_not_queue(void **state)
{
	struct fixture *fixture = *state;
	struct asker *first = &fixture->askers[0];
	struct asker *try = &fixture->askers[1];

	ask(fixture, first, "one", CLAIM_NEVER, 0);
	ask(fixture, try, "one", 0, 0);
	assert_null(try->claim);
	assert_true(try->ended);
	assert_int_equal(try->told[0], MPSYNC_EVENT_BUSY);
	assert_int_equal(fixture->attempts, 1);
	assert_int_equal(engine_claim_position(first->claim), 1);
}

/* Goal: what the store shows as this claim's already waits for nobody here (rule 9). */
static void test_an_adopted_grant_goes_first(void **state)
{
	struct fixture *fixture = *state;
	struct asker *waiting = &fixture->askers[0];
	struct asker *adopting = &fixture->askers[1];
	struct asker *last = &fixture->askers[2];

	ask(fixture, waiting, "one", CLAIM_NEVER, 0);
	ask(fixture, adopting, "one", CLAIM_NEVER, 5);
	ask(fixture, last, "one", CLAIM_NEVER, 0);
	assert_int_equal(fixture->attempts, 2);
	assert_true(fixture->attempted[1]->adopt);
	assert_int_equal(engine_claim_position(adopting->claim), 1);
	assert_int_equal(engine_claim_position(waiting->claim), 2);
	assert_int_equal(engine_claim_position(last->claim), 3);
	answer(fixture, 1, CLAIM_GONE);
	assert_true(adopting->ended);
	assert_int_equal(engine_claim_position(waiting->claim), 1);
}

/*
 * Goal: stopping releases what is held and cancels what waits, and gives nobody a turn that is
 * taken away at once.
 */
static void test_stopping_ends_everything(void **state)
{
	struct fixture *fixture = *state;
	struct asker *askers = fixture->askers;

	for (int i = 0; i < 3; i++)
		ask(fixture, &askers[i], "one", CLAIM_NEVER, 0);
	ask(fixture, &askers[3], "other", CLAIM_NEVER, 0);
	answer(fixture, 0, CLAIM_GRANTED);
	engine_stop(fixture->engine);
	answer(fixture, 1, CLAIM_BUSY); /* its attempt was under way */
	for (int i = 0; i < 4; i++)
		assert_true(askers[i].ended);
	assert_int_equal(askers[0].told[askers[0].count - 1], MPSYNC_EVENT_RELEASED);
	assert_int_equal(askers[2].told[askers[2].count - 1], MPSYNC_EVENT_CANCELLED);
	assert_int_equal(fixture->attempts, 2);
	assert_int_equal(fixture->withdrawals, 2);
	assert_int_equal(engine_claims(fixture->engine), 0);
}

/* Goal: renewals that are due within a quarter of the interval are sent with the one that is. */
static void test_renewals_join(void **state)
{
	struct fixture *fixture = *state;
	struct asker *askers = fixture->askers;
	static const char *const names[] = {"one", "two", "three"};

	for (size_t i = 0; i < 3; i++) {
		ask(fixture, &askers[i], names[i], CLAIM_NEVER, 0);
		answer(fixture, i, CLAIM_GRANTED);
		fixture->now_ms += 40;
	}
	fixture->now_ms = 1000 + 334;
	engine_run(fixture->engine);
	assert_int_equal(fixture->renewals, 3);
}

/* Goal: an owner that asks again when its claim has ended is refused while the engine is freed. */
static void test_who_asks_again_as_it_is_freed_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct asker *asker = &fixture->askers[0];

	ask(fixture, asker, "x", 0, 0);
	asker->again = fixture->engine;
	engine_free(fixture->engine);
	fixture->engine = NULL;
	assert_true(asker->refused);
}

/* Goal: ending with claims that hold, wait and ask tells each that it has ended. */
static void test_freed_with_claims(void **state)
{
	struct fixture *fixture = *state;
	struct asker *askers = fixture->askers;

	for (int i = 0; i < 3; i++)
		ask(fixture, &askers[i], i < 2 ? "one" : "other", CLAIM_NEVER, 0);
	answer(fixture, 0, CLAIM_GRANTED);
	engine_free(fixture->engine);
	fixture->engine = NULL;
	for (int i = 0; i < 3; i++)
		assert_true(askers[i].ended);
}

/* The store has written the value as it was `version` changes after the grant. */
static void answer_renewal(struct fixture *fixture, uint32_t version)
{
	const struct claim_answer particulars = {.sent_at_ms = fixture->now_ms, .right_ms = 800};
	struct store_claim *claim = fixture->attempted[0];

	claim->value_stored = version;
	fixture->store.sink.answer(fixture->engine, claim, CLAIM_RENEWED, &particulars, NULL);
}

/*
 * Goal: a value is said to be stored by the answer to a write that had it, not by one that was
 * under way when it was set.
 */
static void test_a_value_is_stored_by_its_own_write(void **state)
{
	struct fixture *fixture = *state;
	struct asker *asker = &fixture->askers[0];

	ask(fixture, asker, "x", 0, 0);
	answer(fixture, 0, CLAIM_GRANTED);
	assert_true(engine_set_value(asker->claim, "first"));
	assert_int_equal(fixture->renewals, 1);
	assert_true(engine_set_value(asker->claim, "second"));
	assert_int_equal(fixture->renewals, 1);
	answer_renewal(fixture, 1);
	assert_int_equal(asker->count, 1);
	assert_int_equal(fixture->renewals, 2);
	answer_renewal(fixture, 2);
	assert_int_equal(asker->count, 2);
	assert_int_equal(asker->told[1], MPSYNC_EVENT_DONE);
	assert_int_equal(asker->stored, MPSYNC_OK);
}

/* Goal: a value that is under way when the grant ends is answered, once, before its end is told. */
static void test_a_value_is_answered_when_the_grant_ends(void **state)
{
	struct fixture *fixture = *state;
	struct asker *asker = &fixture->askers[0];

	ask(fixture, asker, "x", 0, 0);
	answer(fixture, 0, CLAIM_GRANTED);
	assert_true(engine_set_value(asker->claim, "late"));
	fixture->now_ms += 800;
	engine_run(fixture->engine);
	assert_int_equal(asker->count, 3);
	assert_int_equal(asker->told[1], MPSYNC_EVENT_DONE);
	assert_int_equal(asker->stored, MPSYNC_E_LOST);
	assert_int_equal(asker->told[2], MPSYNC_EVENT_LOST);
	/* The write is still under way, and the record is not withdrawn yet. */
	assert_false(asker->ended);
	assert_true(engine_set_value(asker->claim, "later"));
	assert_int_equal(asker->count, 4);
	assert_int_equal(asker->told[3], MPSYNC_EVENT_DONE);
	assert_int_equal(asker->stored, MPSYNC_E_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_one_name_is_a_queue, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_names_do_not_wait_for_each_other, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_try_does_not_queue, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_an_adopted_grant_goes_first, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_stopping_ends_everything, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_renewals_join, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_who_asks_again_as_it_is_freed_is_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_freed_with_claims, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_value_is_stored_by_its_own_write, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_value_is_answered_when_the_grant_ends, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
