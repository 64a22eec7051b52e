/*
 * Goal: what a fencing token or an observer relies on is on the disk before it is told; what is
 * not, costs nothing. The linker leads what SQLite asks of the disk through here.
 */
#include "unit.h"

#include "base/clock.h"
#include "stores/records/store.h"
#include "stores/sqlite/sqlite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TTL 15000

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

struct fixture {
	struct loop loop;
	struct store *store;
	struct mpsync_options options;
	char folder[64];
	enum claim_event event; /* the last answer's */
	uint64_t token;
	unsigned syncs; /* until it */
};

/* With room for what the store keeps of it. */
struct kept_claim {
	struct store_claim claim;
	uint64_t kept[16];
};

static void note_answer(void *engine, struct store_claim *claim, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct fixture *fixture = engine;

	(void)claim, (void)word;
	fixture->event = event;
	fixture->syncs = syncs;
	fixture->token = answer ? answer->token : 0;
}

static void no_wake(void *engine, uint64_t at_ms)
{
	(void)engine, (void)at_ms;
}

static void no_timer(void *context)
{
	(void)context;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	const struct store_clock clock = clock_real(NULL);
	char path[96];

	strcpy(fixture->folder, "/tmp/mpsync-sqlite-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(path, sizeof path, "%s/locks.db", fixture->folder);
	assert_true(loop_init(&fixture->loop, false, no_timer, fixture));
	fixture->store = sqlite_open(path, &fixture->options, true, &fixture->loop, &clock, NULL);
	assert_non_null(fixture->store);
	fixture->store->sink =
	    (struct store_sink){.answer = note_answer, .wake_at = no_wake, .engine = fixture};
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[96];

	fixture->store->ops->close(fixture->store);
	loop_clear(&fixture->loop);
	snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
	assert_int_equal(system(command), 0);
	free(fixture);
	return 0;
}

static struct kept_claim claim_of(char *name, unsigned char digest)
{
	return (struct kept_claim){
	    .claim = {.name = name, .digest = {{digest}}, .ttl_ms = TTL, .holder = "me"}};
}

/* How often the disk was asked before the answer, which is to be this one. */
static unsigned take(struct fixture *fixture, struct kept_claim *claim)
{
	syncs = 0;
	fixture->store->ops->attempt(fixture->store, &claim->claim);
	assert_int_equal(fixture->event, CLAIM_GRANTED);
	claim->claim.token = fixture->token;
	return fixture->syncs;
}

static unsigned renew(struct fixture *fixture, struct store_claim *const *claims, size_t count)
{
	syncs = 0;
	fixture->store->ops->renew(fixture->store, claims, count);
	assert_int_equal(fixture->event, CLAIM_RENEWED);
	return fixture->syncs;
}

static void test_grants_values_and_releases_are_synced(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim one = claim_of("one", 1);
	struct store_claim *claims[] = {&one.claim};

	assert_true(take(fixture, &one) > 0);
	assert_int_equal(renew(fixture, claims, 1), 0);
	one.claim.value = "a";
	one.claim.value_version++;
	assert_true(renew(fixture, claims, 1) > 0);
	assert_int_equal(one.claim.value_stored, one.claim.value_version);
	assert_int_equal(renew(fixture, claims, 1), 0);
	syncs = 0;
	fixture->store->ops->withdraw(fixture->store, &one.claim);
	assert_int_equal(fixture->event, CLAIM_FREED);
	assert_true(fixture->syncs > 0);
	fixture->store->ops->forget(fixture->store, &one.claim);
}

static void test_a_value_that_comes_with_an_adoption_is_synced(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim former = claim_of("one", 1);
	struct kept_claim one = claim_of("one", 1);

	take(fixture, &former);
	one.claim.token = former.claim.token;
	one.claim.adopt = true;
	assert_int_equal(take(fixture, &one), 0);
	fixture->store->ops->forget(fixture->store, &one.claim);
	one.claim.value = "a";
	assert_true(take(fixture, &one) > 0);
	fixture->store->ops->forget(fixture->store, &one.claim);
	fixture->store->ops->forget(fixture->store, &former.claim);
}

/* What may be lost and what may not go into one transaction, in either order. */
static void test_a_value_among_renewals_is_synced(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim one = claim_of("one", 1);
	struct kept_claim two = claim_of("two", 2);
	struct kept_claim three = claim_of("three", 3);
	struct store_claim *claims[] = {&one.claim, &two.claim, &three.claim};

	take(fixture, &one);
	take(fixture, &two);
	take(fixture, &three);
	for (size_t i = 0; i < 3; i++) {
		claims[i]->value = "a";
		claims[i]->value_version++;
		assert_true(renew(fixture, claims, 3) > 0);
		assert_int_equal(renew(fixture, claims, 3), 0);
	}
	for (size_t i = 0; i < 3; i++)
		fixture->store->ops->forget(fixture->store, claims[i]);
}

/* The transaction is still open when the grant comes: another process has the file for a moment. */
static void test_a_grant_among_renewals_is_synced(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim one = claim_of("one", 1);
	struct kept_claim two = claim_of("two", 2);
	struct store_claim *claims[] = {&one.claim};
	const struct records *records = (const struct records *)fixture->store;
	struct record_backend *backend = records->backend;

	take(fixture, &one);
	fixture->event = CLAIM_TICK;
	syncs = 0;
	backend->ops->batch_begin(backend);
	fixture->store->ops->renew(fixture->store, claims, 1);
	fixture->store->ops->attempt(fixture->store, &two.claim);
	assert_int_equal(fixture->event, CLAIM_TICK);
	backend->ops->batch_end(backend);
	assert_int_equal(fixture->event, CLAIM_GRANTED);
	assert_true(fixture->syncs > 0);
	fixture->store->ops->forget(fixture->store, &one.claim);
	fixture->store->ops->forget(fixture->store, &two.claim);
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

static sqlite3 *lock_out(const struct fixture *fixture)
{
	char path[96];
	sqlite3 *other;

	snprintf(path, sizeof path, "%s/locks.db", fixture->folder);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return other;
}

/* Another program writes the file just now: that is no reason to call it unreachable. */
static void test_a_check_waits_for_whoever_writes(void **state)
{
	struct fixture *fixture = *state;
	struct check check = {.query = {.kind = STORE_CHECK, .done = on_checked}};
	sqlite3 *other = lock_out(fixture);

	fixture->store->ops->query(fixture->store, &check.query);
	event_base_loop(fixture->loop.base, EVLOOP_NONBLOCK);
	assert_false(check.done);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	while (!check.done)
		event_base_loop(fixture->loop.base, EVLOOP_ONCE);
	assert_int_equal(check.status, MPSYNC_OK);
}

/* Whoever asked may be gone by then, and what was its own freed. */
static void test_a_check_that_is_cancelled_tells_nobody(void **state)
{
	struct fixture *fixture = *state;
	struct check cancelled = {.query = {.kind = STORE_CHECK, .done = on_checked}};
	struct check after = cancelled;
	sqlite3 *other = lock_out(fixture);

	fixture->store->ops->query(fixture->store, &cancelled.query);
	fixture->store->ops->query(fixture->store, &after.query);
	fixture->store->ops->query_cancel(fixture->store, &cancelled.query);
	sqlite3_close(other);
	while (!after.done)
		event_base_loop(fixture->loop.base, EVLOOP_ONCE);
	assert_false(cancelled.done);
}

/* An answer may end what waits for another one. */
struct ending_check {
	struct check check;
	struct fixture *fixture;
	struct check *other;
};

static void end_other(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct ending_check *ending = (struct ending_check *)query;
	struct store *store = ending->fixture->store;

	on_checked(query, status, message);
	store->ops->query_cancel(store, &ending->other->query);
}

static void test_an_answer_may_cancel_the_next(void **state)
{
	struct fixture *fixture = *state;
	struct check next = {.query = {.kind = STORE_CHECK, .done = on_checked}};
	struct ending_check first = {.check.query = {.kind = STORE_CHECK, .done = end_other},
	    .fixture = fixture,
	    .other = &next};
	sqlite3 *other = lock_out(fixture);

	fixture->store->ops->query(fixture->store, &first.check.query);
	fixture->store->ops->query(fixture->store, &next.query);
	sqlite3_close(other);
	while (!first.check.done)
		event_base_loop(fixture->loop.base, EVLOOP_ONCE);
	assert_false(next.done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
	        test_grants_values_and_releases_are_synced, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_value_that_comes_with_an_adoption_is_synced, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_check_waits_for_whoever_writes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_check_that_is_cancelled_tells_nobody, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_an_answer_may_cancel_the_next, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_value_among_renewals_is_synced, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_grant_among_renewals_is_synced, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
