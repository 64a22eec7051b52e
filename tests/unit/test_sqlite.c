/*
 * Goal: what a fencing token or an observer relies on is on the disk before it is told; what is
 * not, costs nothing. The linker leads what SQLite asks of the disk through here.
 */
#include "unit.h"

#include "sqlite_world.h"

#include <unistd.h>

static unsigned syncs;

int __real_fsync(int descriptor);
int __wrap_fsync(int descriptor);
int __real_fdatasync(int descriptor);
int __wrap_fdatasync(int descriptor);

int __wrap_fsync(int descriptor)
{
	syncs++;
	return __real_fsync(descriptor);
}

int __wrap_fdatasync(int descriptor)
{
	syncs++;
	return __real_fdatasync(descriptor);
}

static int begin(void **state)
{
	const int code = sqlite_world_begin(state);

	((struct sqlite_world *)*state)->counter = &syncs;
	return code;
}

/* How often the disk was asked before the answer. */
static unsigned syncs_of_taking(struct sqlite_world *world, struct kept_claim *claim)
{
	syncs = 0;
	take(world, claim);
	return world->counted;
}

static unsigned renew(struct sqlite_world *world, struct store_claim *const *claims, size_t count)
{
	syncs = 0;
	world->store->ops->renew(world->store, claims, count);
	assert_int_equal(world->event, CLAIM_RENEWED);
	return world->counted;
}

static void test_grants_values_and_releases_are_synced(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim one = claim_of("one", 1);
	struct store_claim *claims[] = {&one.claim};

	assert_true(syncs_of_taking(world, &one) > 0);
	assert_int_equal(renew(world, claims, 1), 0);
	one.claim.value = "a";
	one.claim.value_version++;
	assert_true(renew(world, claims, 1) > 0);
	assert_int_equal(one.claim.value_stored, one.claim.value_version);
	assert_int_equal(renew(world, claims, 1), 0);
	syncs = 0;
	world->store->ops->withdraw(world->store, &one.claim);
	assert_int_equal(world->event, CLAIM_FREED);
	assert_true(world->counted > 0);
	forget(world, &one);
}

static void test_a_value_that_comes_with_an_adoption_is_synced(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim former = claim_of("one", 1);
	struct kept_claim one = claim_of("one", 1);

	take(world, &former);
	one.claim.token = former.claim.token;
	one.claim.adopt = true;
	assert_int_equal(syncs_of_taking(world, &one), 0);
	forget(world, &one);
	one.claim.value = "a";
	assert_true(syncs_of_taking(world, &one) > 0);
	forget(world, &one);
	forget(world, &former);
}

/* What may be lost and what may not go into one transaction, in either order. */
static void test_a_value_among_renewals_is_synced(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim one = claim_of("one", 1);
	struct kept_claim two = claim_of("two", 2);
	struct kept_claim three = claim_of("three", 3);
	struct store_claim *claims[] = {&one.claim, &two.claim, &three.claim};

	take(world, &one);
	take(world, &two);
	take(world, &three);
	for (size_t i = 0; i < 3; i++) {
		claims[i]->value = "a";
		claims[i]->value_version++;
		assert_true(renew(world, claims, 3) > 0);
		assert_int_equal(renew(world, claims, 3), 0);
	}
	for (size_t i = 0; i < 3; i++)
		world->store->ops->forget(world->store, claims[i]);
}

/* The transaction is still open when the grant comes: another process has the file for a moment. */
static void test_a_grant_among_renewals_is_synced(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim one = claim_of("one", 1);
	struct kept_claim two = claim_of("two", 2);
	struct store_claim *claims[] = {&one.claim};
	struct record_backend *backend = backend_of(world);

	take(world, &one);
	world->event = CLAIM_TICK;
	syncs = 0;
	backend->ops->batch_begin(backend);
	world->store->ops->renew(world->store, claims, 1);
	world->store->ops->attempt(world->store, &two.claim);
	assert_int_equal(world->event, CLAIM_TICK);
	backend->ops->batch_end(backend);
	assert_int_equal(world->event, CLAIM_GRANTED);
	assert_true(world->counted > 0);
	forget(world, &one);
	forget(world, &two);
}

struct check {
	struct store_query query;
	bool done;
	enum mpsync_status status;
};

static void on_checked(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct check *check = (struct check *)query;

	(void)message;
	check->done = true;
	check->status = status;
}

static sqlite3 *lock_out(const struct sqlite_world *world)
{
	sqlite3 *other = sqlite_world_connect(world);

	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return other;
}

/* Another program writes the file just now: that is no reason to call it unreachable. */
static void test_a_check_waits_for_whoever_writes(void **state)
{
	struct sqlite_world *world = *state;
	struct check check = {.query = {.kind = STORE_CHECK, .done = on_checked}};
	sqlite3 *other = lock_out(world);

	world->store->ops->query(world->store, &check.query);
	let_pass(world, 20); /* it was tried again meanwhile */
	assert_false(check.done);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	while (!check.done)
		event_base_loop(world->loop.base, EVLOOP_ONCE);
	assert_int_equal(check.status, MPSYNC_OK);
}

/* Whoever asked may be gone by then, and what was its own freed. */
static void test_a_check_that_is_cancelled_tells_nobody(void **state)
{
	struct sqlite_world *world = *state;
	struct check cancelled = {.query = {.kind = STORE_CHECK, .done = on_checked}};
	struct check after = cancelled;
	sqlite3 *other = lock_out(world);

	world->store->ops->query(world->store, &cancelled.query);
	world->store->ops->query(world->store, &after.query);
	world->store->ops->query_cancel(world->store, &cancelled.query);
	sqlite3_close(other);
	while (!after.done)
		event_base_loop(world->loop.base, EVLOOP_ONCE);
	assert_false(cancelled.done);
}

/* An answer may end what waits for another one. */
struct ending_check {
	struct check check;
	struct sqlite_world *world;
	struct check *other;
};

static void end_other(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct ending_check *ending = (struct ending_check *)query;
	struct store *store = ending->world->store;

	on_checked(query, status, message);
	store->ops->query_cancel(store, &ending->other->query);
}

static void test_an_answer_may_cancel_the_next(void **state)
{
	struct sqlite_world *world = *state;
	struct check next = {.query = {.kind = STORE_CHECK, .done = on_checked}};
	struct ending_check first = {
	    .check.query = {.kind = STORE_CHECK, .done = end_other}, .world = world, .other = &next};
	sqlite3 *other = lock_out(world);

	world->store->ops->query(world->store, &first.check.query);
	world->store->ops->query(world->store, &next.query);
	sqlite3_close(other);
	while (!first.check.done)
		event_base_loop(world->loop.base, EVLOOP_ONCE);
	assert_false(next.done);
}

/* An answer may ask something that is answered at once, while others have not heard yet. */
struct asking_check {
	struct check check;
	struct sqlite_world *world;
	struct check *further;
};

static void ask_further(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct asking_check *asking = (struct asking_check *)query;
	struct store *store = asking->world->store;

	on_checked(query, status, message);
	store->ops->query(store, &asking->further->query);
}

static void test_an_answer_may_ask_again(void **state)
{
	struct sqlite_world *world = *state;
	struct check further = {.query = {.kind = STORE_CHECK, .done = on_checked}};
	struct check next = further;
	struct asking_check first = {.check.query = {.kind = STORE_CHECK, .done = ask_further},
	    .world = world,
	    .further = &further};
	sqlite3 *other = lock_out(world);

	world->store->ops->query(world->store, &first.check.query);
	world->store->ops->query(world->store, &next.query);
	sqlite3_close(other);
	while (!first.check.done)
		event_base_loop(world->loop.base, EVLOOP_ONCE);
	assert_true(next.done);
	assert_true(further.done);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, sqlite_world_end)
	const struct CMUnitTest tests[] = {
	    TEST(test_grants_values_and_releases_are_synced),
	    TEST(test_a_value_that_comes_with_an_adoption_is_synced),
	    TEST(test_a_value_among_renewals_is_synced),
	    TEST(test_a_grant_among_renewals_is_synced),
	    TEST(test_a_check_waits_for_whoever_writes),
	    TEST(test_a_check_that_is_cancelled_tells_nobody),
	    TEST(test_an_answer_may_cancel_the_next),
	    TEST(test_an_answer_may_ask_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
