#include "records_world.h"

#include <stdlib.h>

static bool no_memory;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return no_memory ? NULL : __real_calloc(count, size);
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
	/* Not at once: a holder that lets go at once would not know of it. */
	fixture->now_ms += fixture->retry_in_ms;
	fixture->store->ops->attempt(fixture->store, &claim.claim);
	assert_int_equal(fixture->writes, 1);
	fixture->store->ops->forget(fixture->store, &claim.claim);
}

static uint64_t token_beside_a_place(struct fixture *fixture, struct record held)
{
	struct kept_claim claim = {
	    .claim = {.name = "x", .digest = {{3}}, .ttl_ms = TTL, .holder = "me"}};

	fixture->backend.reserves = true;
	fixture->grants = true;
	fixture->there = &held;
	fixture->writes = 0;
	fixture->store->ops->attempt(fixture->store, &claim.claim);
	while (fixture->writes == 0) {
		fixture->now_ms += fixture->retry_in_ms;
		fixture->store->ops->attempt(fixture->store, &claim.claim);
	}
	fixture->store->ops->forget(fixture->store, &claim.claim);
	assert_true(fixture->written.reserve);
	return fixture->written.record.token;
}

/*
 * Goal: the token of a grant that was not renewed yet is its version (rule 10). A place beside it
 * makes a newer version, so the token is stored with the place; one that is stored stays.
 */
static void test_a_place_keeps_the_token_of_a_new_grant(void **state)
{
	struct record held = left_behind(7, false);

	assert_int_equal(token_beside_a_place(*state, held), 7);
	held.version = 9;
	held.token = 7;
	assert_int_equal(token_beside_a_place(*state, held), 7);
}

/* Goal: who holds by another program, as client-go's, has no token of ours. */
static void test_a_place_gives_others_no_token(void **state)
{
	struct record held = left_behind(7, true);

	held.claim = (struct id){{0}};
	assert_int_equal(token_beside_a_place(*state, held), 0);
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
	    cmocka_unit_test_setup_teardown(
	        test_a_place_keeps_the_token_of_a_new_grant, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_place_gives_others_no_token, set_up, tear_down),
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
