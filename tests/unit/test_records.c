#include "unit.h"

#include "stores/records/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TTL  15000
#define HOUR 3600000u

/* A backend that only notes what is asked of it, and a clock that only the test moves. */
struct fixture {
	struct record_backend backend;
	struct store *store;
	uint64_t now_ms;
	uint64_t wake_at_ms;
	char removed[64];
	uint64_t removed_version;
	const struct record *there; /* what a read finds */
	unsigned writes;
	bool grants;                      /* writes succeed */
	bool conflicts;                   /* the next write finds another version */
	struct record_request *held_back; /* `silent`: the last write */
	struct record_request written;    /* the last write that succeeded, without its strings */
	char value[32];                   /* what it wrote */
	bool silent;                      /* writes are not answered */
	enum claim_event event;           /* the last answer's */
	enum mpsync_status status;
	uint64_t retry_in_ms;
};

static bool no_memory;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return no_memory ? NULL : __real_calloc(count, size);
}

static struct fixture *of(struct record_backend *backend)
{
	return (struct fixture *)backend;
}

static void backend_read(struct record_backend *backend, struct record_request *request)
{
	const struct record *there = of(backend)->there;

	request->done(request, there ? RECORD_OK : RECORD_ABSENT, there, MPSYNC_OK, NULL, 0);
}

static void backend_write(struct record_backend *backend, struct record_request *request)
{
	struct record written = request->record;

	written.version = ++of(backend)->writes;
	of(backend)->held_back = request;
	if (of(backend)->conflicts) {
		of(backend)->conflicts = false;
		request->done(request, RECORD_CONFLICT, NULL, MPSYNC_OK, NULL, 0);
		return;
	}
	if (of(backend)->grants) {
		of(backend)->written = *request;
		snprintf(of(backend)->value, sizeof of(backend)->value, "%s",
		    request->record.value ? request->record.value : "");
	}
	if (of(backend)->grants)
		request->done(request, RECORD_OK, &written, MPSYNC_OK, NULL, 0);
	else if (!of(backend)->silent)
		request->done(request, RECORD_UNKNOWN, NULL, MPSYNC_E_UNREACHABLE, "not here", 0);
}

static void backend_remove(struct record_backend *backend, struct record_request *request)
{
	strcpy(of(backend)->removed, request->name);
	of(backend)->removed_version = request->version;
	request->done(request, RECORD_OK, NULL, MPSYNC_OK, NULL, 0);
}

static void backend_cancel(struct record_backend *backend, struct record_request *request)
{
	(void)backend, (void)request;
}

static void backend_batch(struct record_backend *backend)
{
	(void)backend;
}

static void backend_order(struct record_backend *backend, const struct store_claim *claim)
{
	(void)backend, (void)claim;
}

static void backend_watch(struct record_backend *backend, const char *name, bool on)
{
	(void)backend, (void)name, (void)on;
}

static void backend_query(struct record_backend *backend, struct store_query *query)
{
	(void)backend, (void)query;
}

static const struct record_backend_ops ops = {
    .read = backend_read,
    .write = backend_write,
    .remove = backend_remove,
    .cancel = backend_cancel,
    .batch_begin = backend_batch,
    .batch_end = backend_batch,
    .enqueue = backend_order,
    .dequeue = backend_order,
    .watch = backend_watch,
    .query = backend_query,
    .close = backend_batch,
};

static uint64_t boot_ms(void *context)
{
	return ((struct fixture *)context)->now_ms;
}

static int64_t wall_ms(void *context)
{
	return (int64_t)((struct fixture *)context)->now_ms;
}

static uint32_t no_random(void *context)
{
	(void)context;
	return 0;
}

static void wake_at(void *engine, uint64_t at_ms)
{
	((struct fixture *)engine)->wake_at_ms = at_ms;
}

static void note_answer(void *engine, struct store_claim *claim, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct fixture *fixture = engine;

	(void)word;
	if (event == CLAIM_CHANGED) {
		fixture->store->ops->attempt(fixture->store, claim);
		return;
	}
	fixture->event = event;
	fixture->status = answer->status;
	fixture->retry_in_ms = answer->retry_in_ms;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	struct store_clock clock = {boot_ms, wall_ms, no_random, fixture};

	fixture->backend.ops = &ops;
	fixture->backend.sees_all = true;
	fixture->backend.late_grants = true;
	fixture->now_ms = 1000;
	fixture->store = records_new(&fixture->backend, &clock);
	fixture->store->sink =
	    (struct store_sink){.answer = note_answer, .wake_at = wake_at, .engine = fixture};
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	fixture->store->ops->close(fixture->store);
	free(fixture);
	return 0;
}

static struct record left_behind(uint64_t version, bool election)
{
	return (struct record){.version = version,
	    .uid = {{1}},
	    .claim = {{2}},
	    .holder = "crashed",
	    .ttl_ms = TTL,
	    .renewed_us = version,
	    .election = election};
}

/* Lets time pass as the store asks to be woken. */
static void pass(struct fixture *fixture, uint64_t ms)
{
	const uint64_t end = fixture->now_ms + ms;

	while (fixture->wake_at_ms <= end) {
		fixture->now_ms = fixture->wake_at_ms;
		fixture->store->ops->run(fixture->store);
	}
	fixture->now_ms = end;
}

/* Goal: the record of a lock whose holder crashed is removed in the end, in the version seen (rule
 * 26). */
static void test_litter_of_a_lock_is_removed(void **state)
{
	struct fixture *fixture = *state;
	const struct record record = left_behind(7, false);

	records_changed(fixture->backend.records, "x", true, &record);
	pass(fixture, HOUR);
	assert_string_equal(fixture->removed, "");
	pass(fixture, HOUR);
	assert_string_equal(fixture->removed, "x");
	assert_int_equal(fixture->removed_version, 7);
}

static void test_what_is_renewed_is_no_litter(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t version = 7; version < 100; version++) {
		const struct record record = left_behind(version, false);

		records_changed(fixture->backend.records, "x", true, &record);
		pass(fixture, HOUR / 10);
	}
	assert_string_equal(fixture->removed, "");
}

static void test_records_of_elections_and_of_others_stay(void **state)
{
	struct fixture *fixture = *state;
	const struct record record = left_behind(7, true);

	records_changed(fixture->backend.records, "x", true, &record);
	pass(fixture, 5 * (uint64_t)HOUR);
	assert_string_equal(fixture->removed, "");
}

/* Goal: a free record whose deletion was lost is litter as well. */
static void test_free_record_of_a_lock_is_removed(void **state)
{
	struct fixture *fixture = *state;
	struct record record = left_behind(7, false);

	record.holder = NULL;
	record.claim = (struct id){{0}};
	records_changed(fixture->backend.records, "x", true, &record);
	pass(fixture, 2 * HOUR);
	assert_string_equal(fixture->removed, "x");
}

static void becomes(struct fixture *fixture, const struct record *record)
{
	fixture->there = record;
	records_changed(fixture->backend.records, "x", true, record);
}

/* With room for what the store keeps of it. */
struct kept_claim {
	struct store_claim claim;
	uint64_t kept[16];
};

/*
 * Goal: a place counts from the moment that nobody holds the name any more, each time anew: who was
 * second, and is first now, does not wait for what is left of its second place (rule 49).
 */
static void test_a_place_counts_from_each_release(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim claim = {
	    .claim = {.name = "x", .digest = {{3}}, .ttl_ms = TTL, .holder = "me"}};
	struct record held = left_behind(7, false);
	struct record free = {.version = 8, .uid = {{1}}, .ttl_ms = TTL};
	char next[RECORD_NEXT_SIZE];

	fixture->backend.reserves = true;
	record_next_add(NULL, &(struct id){{4}}, next);
	record_next_add(next, &claim.claim.digest, next);
	held.next = free.next = next;
	fixture->there = &held;
	fixture->store->ops->attempt(fixture->store, &claim.claim);
	becomes(fixture, &free);
	assert_int_equal(fixture->retry_in_ms, 50);
	fixture->now_ms += 5;
	held.version = 9;
	record_next_behind(next, &(struct id){{4}}, next);
	becomes(fixture, &held);
	fixture->now_ms += 5;
	free.version = 10;
	assert_int_equal(fixture->writes, 0);
	becomes(fixture, &free);
	assert_int_equal(fixture->writes, 1);
	fixture->store->ops->forget(fixture->store, &claim.claim);
}

/* Goal: a waiter that others have passed has no place any more, and takes one again behind them. */
static void test_a_waiter_that_was_passed_takes_a_place_again(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim claim = {
	    .claim = {.name = "x", .digest = {{3}}, .ttl_ms = TTL, .holder = "me"}};
	struct record held = left_behind(7, false);
	char next[RECORD_NEXT_SIZE];

	fixture->backend.reserves = true;
	record_next_add(NULL, &claim.claim.digest, next);
	held.next = next;
	fixture->there = &held;
	fixture->store->ops->attempt(fixture->store, &claim.claim);
	assert_int_equal(fixture->writes, 0);
	record_next_add(NULL, &(struct id){{4}}, next);
	held.version = 8;
	becomes(fixture, &held);
	assert_int_equal(fixture->writes, 1);
	fixture->store->ops->forget(fixture->store, &claim.claim);
}

/*
 * Goal: a renewal for which there is no memory is answered as one that went unanswered, and is made
 * when it is asked for again. What one claim needs at a time is kept.
 */
static void test_renewals_without_memory(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim one = {
	    .claim = {.name = "x", .digest = {{3}}, .ttl_ms = TTL, .holder = "me"}};
	struct kept_claim other = {
	    .claim = {.name = "y", .digest = {{4}}, .ttl_ms = TTL, .holder = "me"}};
	struct store_claim *both[] = {&one.claim, &other.claim};

	assert_true(fixture->store->claim_size <= sizeof one.kept);
	fixture->grants = true;
	fixture->store->ops->attempt(fixture->store, &one.claim);
	fixture->store->ops->attempt(fixture->store, &other.claim);
	assert_int_equal(fixture->event, CLAIM_GRANTED);
	fixture->grants = false;
	fixture->silent = true;
	no_memory = true;
	fixture->store->ops->renew(fixture->store, both, 2);
	no_memory = false;
	assert_int_equal(fixture->writes, 3);
	assert_int_equal(fixture->event, CLAIM_UNKNOWN);
	assert_int_equal(fixture->status, MPSYNC_E_NO_MEMORY);
	fixture->grants = true;
	fixture->store->ops->renew(fixture->store, &both[1], 1);
	assert_int_equal(fixture->event, CLAIM_RENEWED);
	fixture->store->ops->forget(fixture->store, &one.claim);
	fixture->store->ops->forget(fixture->store, &other.claim);
}

static struct kept_claim claim_with_value(void)
{
	return (struct kept_claim){
	    .claim = {.name = "x", .digest = {{3}}, .ttl_ms = TTL, .holder = "me", .value = "old"}};
}

static void set_value(struct store_claim *claim, const char *value)
{
	claim->value = (char *)value;
	claim->value_version++;
}

static void renew(struct fixture *fixture, struct store_claim *claim)
{
	fixture->store->ops->renew(fixture->store, &claim, 1);
}

/*
 * Goal: a value whose write went unanswered is written again, and is not said to be stored by a
 * renewal that left it out.
 */
static void test_a_value_without_an_answer_is_written_again(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim one = claim_with_value();

	fixture->grants = true;
	fixture->store->ops->attempt(fixture->store, &one.claim);
	set_value(&one.claim, "new");
	fixture->grants = false;
	renew(fixture, &one.claim);
	assert_int_equal(fixture->event, CLAIM_UNKNOWN);
	assert_int_not_equal(one.claim.value_stored, one.claim.value_version);
	fixture->grants = true;
	renew(fixture, &one.claim);
	assert_int_equal(fixture->event, CLAIM_RENEWED);
	assert_int_equal(one.claim.value_stored, one.claim.value_version);
	assert_string_equal(fixture->value, "new");
	assert_false(fixture->written.renewal);
	assert_true(fixture->written.durable);
	renew(fixture, &one.claim);
	assert_true(fixture->written.renewal);
	fixture->store->ops->forget(fixture->store, &one.claim);
}

/* Goal: the same where somebody else wrote into the record in between. */
static void test_a_value_that_lost_a_race_is_written_again(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim one = claim_with_value();
	struct record record;

	fixture->grants = true;
	fixture->store->ops->attempt(fixture->store, &one.claim);
	record = fixture->written.record;
	record.version = 100;
	record.value = NULL;
	fixture->there = &record;
	set_value(&one.claim, "new");
	fixture->conflicts = true;
	renew(fixture, &one.claim);
	assert_int_equal(fixture->event, CLAIM_RENEWED);
	assert_false(fixture->written.renewal);
	assert_string_equal(fixture->value, "new");
	fixture->store->ops->forget(fixture->store, &one.claim);
}

/* Goal: the answer to a renewal that was sent before the value was set says nothing of the value.
 */
static void test_an_earlier_renewal_does_not_store_the_value(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim one = claim_with_value();
	struct record record;

	fixture->grants = true;
	fixture->store->ops->attempt(fixture->store, &one.claim);
	fixture->grants = false;
	fixture->silent = true;
	renew(fixture, &one.claim);
	set_value(&one.claim, "new");
	record = fixture->held_back->record;
	record.version = 100;
	fixture->held_back->done(fixture->held_back, RECORD_OK, &record, MPSYNC_OK, NULL, 0);
	assert_int_equal(fixture->event, CLAIM_RENEWED);
	assert_int_not_equal(one.claim.value_stored, one.claim.value_version);
	fixture->store->ops->forget(fixture->store, &one.claim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_litter_of_a_lock_is_removed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_what_is_renewed_is_no_litter, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_records_of_elections_and_of_others_stay, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_free_record_of_a_lock_is_removed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_place_counts_from_each_release, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_waiter_that_was_passed_takes_a_place_again, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_renewals_without_memory, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_value_without_an_answer_is_written_again, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_value_that_lost_a_race_is_written_again, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_an_earlier_renewal_does_not_store_the_value, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
