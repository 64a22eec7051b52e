/* Grants of a former elector: what of them stays when an adoption comes to nothing. */
#include "records_world.h"

#define TOKEN 5

static struct record grant_of(uint8_t claim, uint64_t token)
{
	return (struct record){.version = 7,
	    .uid = {{1}},
	    .claim = {{claim}},
	    .holder = "me",
	    .ttl_ms = TTL,
	    .renewed_us = 7,
	    .token = token};
}

/*
 * Goal: what was to be adopted, and then vanished under a hand, is not free: its holder believes in
 * it until its ttl has passed, also where a watch of all names would have told nothing of it.
 */
static void test_what_was_to_be_adopted_and_vanished_is_not_free(void **state)
{
	struct fixture *fixture = *state;
	struct kept_claim former = {.claim = {.name = "x",
	                                .digest = {{3}},
	                                .ttl_ms = TTL,
	                                .holder = "me",
	                                .adopt = true,
	                                .token = TOKEN}};
	struct kept_claim next = {
	    .claim = {.name = "x", .digest = {{4}}, .ttl_ms = TTL, .holder = "you"}};
	struct record held = grant_of(3, TOKEN);

	fixture->backend.sees_all = false;
	fixture->there = &held;
	fixture->vanishes = true;
	fixture->store->ops->attempt(fixture->store, &former.claim);
	assert_null(fixture->there);
	fixture->store->ops->forget(fixture->store, &former.claim);
	fixture->grants = true;
	fixture->writes = 0;
	fixture->store->ops->attempt(fixture->store, &next.claim);
	assert_int_equal(fixture->event, CLAIM_BUSY);
	assert_int_equal(fixture->writes, 0);
	fixture->store->ops->forget(fixture->store, &next.claim);
}

/*
 * The claim asked for a grant of its own, without an answer; then it adopted, without an answer as
 * well, and its request ended. Its record, as it is seen later, has this token.
 */
static void adopted_in_vain(struct fixture *fixture, uint64_t token)
{
	struct kept_claim claim = {
	    .claim = {.name = "x", .digest = {{3}}, .ttl_ms = TTL, .holder = "me"}};
	struct record held = grant_of(3, TOKEN);
	struct record seen;

	fixture->store->ops->attempt(fixture->store, &claim.claim);
	claim.claim.adopt = true;
	claim.claim.token = TOKEN;
	fixture->there = &held;
	fixture->store->ops->attempt(fixture->store, &claim.claim);
	assert_int_equal(fixture->event, CLAIM_UNKNOWN);
	seen = fixture->held_back->record;
	fixture->store->ops->forget(fixture->store, &claim.claim);
	seen.version = 8;
	seen.token = token;
	becomes(fixture, &seen);
}

/* Goal: its holder may believe in what the former elector granted: it runs out. */
static void test_what_was_adopted_for_nobody_runs_out(void **state)
{
	struct fixture *fixture = *state;

	adopted_in_vain(fixture, TOKEN);
	assert_string_equal(fixture->removed, "");
}

/* Goal: nobody was told of a grant that came late: its record goes at once. */
static void test_a_late_grant_of_its_own_is_removed(void **state)
{
	struct fixture *fixture = *state;

	adopted_in_vain(fixture, TOKEN + 1);
	assert_string_equal(fixture->removed, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
	        test_what_was_to_be_adopted_and_vanished_is_not_free, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_what_was_adopted_for_nobody_runs_out, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_late_grant_of_its_own_is_removed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
