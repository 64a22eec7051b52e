/* A grant that goes over from one elector to another on an etcd, as both of them do it. */
#include "etcd_world.h"

#include <stdio.h>
#include <string.h>

#define INTERVAL_MS 2500 /* of a lease of 15 s: a sixth */

/* A place that a former elector made, with the token 5. */
static const struct etcd_key former_place = {
    .key = "n/1", .value = "", .create_revision = 5, .mod_revision = 20, .lease = 7};

static const struct etcd_key former_facts = {.key = "facts",
    .value = "{\"holder\":\"h\",\"claim\":\"00000000000000000000000000000000\",\"type\":\"lock\","
             "\"ttl_ms\":15000,\"since_ms\":1000000}",
    .create_revision = 5,
    .lease = 7};

static void answer_with(
    bool succeeded, int64_t revision, const struct etcd_key *first, const struct etcd_key *second)
{
	struct etcd_answer answer = {.succeeded = succeeded, .revision = revision, .term = TERM};

	answer.found[0] = (struct etcd_found){first, first != NULL};
	answer.found[1] = (struct etcd_found){second, second != NULL};
	answer_call(expect_call(ETCD_TXN), &answer);
}

/* A claim that adopts that grant: the place has been found, and is written as it is. */
static struct store_claim *adopt_from(const struct etcd_key *place)
{
	struct store_claim *claim = new_claim("n");

	claim->adopt = true;
	claim->token = 5;
	attempt(claim);
	open_session(15);
	answer_with(true, 30, place, NULL);
	return claim;
}

static void expect_compare(
    const struct etcd_call *call, size_t i, enum etcd_compare_kind kind, int64_t revision)
{
	assert_in_range(i + 1, 1, call->compare_count);
	assert_int_equal(call->compares[i].kind, kind);
	assert_int_equal(call->compares[i].revision, revision);
}

/* Goal: who adopts a place writes it first as it is, if it is as it was seen, has facts, and is the
 * first one; and asks for it only as it has been written so. */
static void test_an_adoption_is_announced(void **state)
{
	struct store_claim *claim = adopt_from(&former_place);
	const struct etcd_call *call = expect_call(ETCD_TXN)->call;

	(void)state;
	expect_compare(call, 0, ETCD_WRITTEN_AT, former_place.mod_revision);
	expect_compare(call, 1, ETCD_THERE, 0);
	expect_compare(call, 2, ETCD_NONE_BEFORE, former_place.create_revision);
	assert_int_equal(call->then[1].kind, ETCD_TOUCH);
	assert_string_equal(call->then[1].key, former_place.key);
	answer_with(true, 31, &former_facts, NULL);
	call = expect_call(ETCD_TXN)->call;
	assert_int_equal(call->then[0].kind, ETCD_PUT);
	expect_compare(call, 0, ETCD_WRITTEN_AT, 31);
	drop_claim(claim);
}

/* Goal: an adoption that was announced long after the keep-alive is not asked for: the lease might
 * end before what the holder believes. */
static void test_an_adoption_that_was_announced_late_is_not_asked_for(void **state)
{
	struct store_claim *claim = adopt_from(&former_place);

	(void)state;
	store_world.now_ms += 1600;
	answer_with(true, 31, &former_facts, NULL);
	assert_null(calling(ETCD_TXN));
	assert_int_equal(store_world.told.event, CLAIM_UNKNOWN);
	drop_claim(claim);
}

/* Goal: a place that is not the first, or has no facts, is no grant, and is not adopted. */
static void test_a_place_that_is_no_grant_is_not_adopted(void **state)
{
	struct store_claim *claim = adopt_from(&former_place);

	(void)state;
	answer_with(false, 31, &former_facts, &former_place);
	assert_null(calling(ETCD_TXN));
	assert_int_equal(store_world.told.event, CLAIM_GONE);
	drop_claim(claim);
}

/* Goal: a place that another elector adopts between the looks at it and at its facts is not gone:
 * it is looked at again. */
static void test_two_adopt_at_once(void **state)
{
	struct etcd_key place = former_place;
	struct store_claim *claim = adopt_from(&place);

	(void)state;
	place.lease = 8;
	place.mod_revision = 29;
	answer_with(false, 30, NULL, &place);
	assert_int_equal(expect_call(ETCD_TXN)->call->then[0].kind, ETCD_GET_ALL);
	drop_claim(claim);
}

/* Goal: an adopted grant is told after a keep-alive that was sent when the place was ours, never on
 * the strength of an earlier one (rule 9, a restart loses nothing and invents nothing). */
static void test_an_adopted_grant_counts_from_a_keep_alive_of_its_own(void **state)
{
	struct store_claim *claim = adopt_from(&former_place);

	(void)state;
	answer_with(true, 30, &former_facts, NULL);
	store_world.now_ms += 100;
	answer_with(true, 31, NULL, NULL);
	assert_int_equal(store_world.told_count, 0);
	assert_non_null(calling(ETCD_KEEP_ALIVE));
	drop_claim(claim);
}

/* ---- The elector that holds ---- */

static struct etcd_key held_place; /* of the claim that asks for one */

/* A claim on n asks for a place on a lease of 15 s, which is to be created at revision 11. */
static struct store_claim *ask_for_a_place(void)
{
	static char key[200];
	struct store_claim *claim = new_claim("n");

	attempt(claim);
	open_session(15);
	snprintf(key, sizeof key, "%s", expect_call(ETCD_TXN)->key);
	held_place = (struct etcd_key){.key = key,
	    .value = "",
	    .create_revision = 11,
	    .mod_revision = 11,
	    .lease = expect_call(ETCD_TXN)->call->then[0].lease};
	return claim;
}

static struct store_claim *hold_a_place(void)
{
	struct store_claim *claim = ask_for_a_place();

	give_place(11, true);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	store_world.told_count = 0;
	return claim;
}

/* The place was written at that revision, which the comparison shows. */
static void show_written(int64_t revision)
{
	const struct etcd_key own = {.key = expect_call(ETCD_TXN)->key, .value = ""};
	struct etcd_answer answer = {.revision = 100, .term = TERM};

	held_place.mod_revision = revision;
	answer.found[0] = (struct etcd_found){&own, 1};
	answer.further = (struct etcd_found){&held_place, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
}

/* The place is being written as it is, over that revision; and was, or was not. */
static void expect_written_over(int64_t revision)
{
	const struct etcd_call *call = expect_call(ETCD_TXN)->call;

	assert_int_equal(store_world.told_count, 0);
	expect_compare(call, 0, ETCD_WRITTEN_AT, revision);
	assert_int_equal(call->then[0].kind, ETCD_TOUCH);
	assert_string_equal(call->then[0].key, held_place.key);
}

/* Goal: who finds that another elector has announced an adoption of what it holds writes the place
 * once more before it gives a right, which counts from then; the next comparison is with that. */
static void test_an_announced_adoption_is_written_over(void **state)
{
	struct store_claim *claim = hold_a_place();
	uint64_t written_ms;

	(void)state;
	store_world.now_ms += INTERVAL_MS;
	renew(claim);
	keep_alive();
	store_world.now_ms += 100;
	show_written(40);
	written_ms = store_world.now_ms;
	expect_written_over(40);
	store_world.now_ms += 100;
	answer_with(true, 41, NULL, NULL);
	assert_int_equal(store_world.told.event, CLAIM_RENEWED);
	assert_in_range(store_world.told.answer.sent_at_ms, written_ms - 100, written_ms);
	store_world.now_ms += INTERVAL_MS;
	renew(claim);
	keep_alive();
	assert_int_equal(expect_call(ETCD_TXN)->call->further[0].revision, 41);
	drop_claim(claim);
}

/* Goal: where another one writes it again meanwhile nothing is renewed, and the claim asks again.
 */
static void test_a_place_that_cannot_be_written_is_not_renewed(void **state)
{
	struct store_claim *claim = hold_a_place();

	(void)state;
	store_world.now_ms += INTERVAL_MS;
	renew(claim);
	keep_alive();
	show_written(40);
	expect_written_over(40);
	answer_with(false, 42, NULL, NULL);
	assert_int_equal(store_world.told.event, CLAIM_UNKNOWN);
	drop_claim(claim);
}

/* Goal: a comparison that was made for another claim, or for none, and shows an announced adoption
 * gives no right either, and the next one shows it again. */
static void test_an_announced_adoption_is_no_sight_of_the_place(void **state)
{
	struct store_claim *claim = hold_a_place();

	(void)state;
	pass_until(store_world.wake_ms);
	keep_alive();
	show_written(40);
	renew(claim);
	assert_int_equal(store_world.told_count, 0);
	assert_int_equal(expect_call(ETCD_TXN)->call->further[0].revision, 11);
	show_written(40);
	expect_written_over(40);
	drop_claim(claim);
}

/* Goal: a place whose adoption was announced before it was granted is written over as well, whether
 * it waited until it was the first or its own write got no answer. */
static void test_a_grant_is_written_over(void **state)
{
	struct store_claim *claim = ask_for_a_place();

	(void)state;
	give_place(11, false);
	held_place.mod_revision = 40;
	answer_with(true, 41, &held_place, &held_place);
	expect_written_over(40);
	answer_with(true, 42, NULL, NULL);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	assert_int_equal(store_world.told_count, 1);
	drop_claim(claim);
}

static void test_a_place_that_came_late_is_written_over(void **state)
{
	struct store_claim *claim = ask_for_a_place();
	struct etcd_answer answer = {.revision = 41, .term = TERM};

	(void)state;
	lose_call(ETCD_TXN);
	attempt(claim);
	store_world.told_count = 0;
	held_place.mod_revision = 40;
	answer.found[0] = answer.found[2] = (struct etcd_found){&held_place, 1};
	answer.found[1] = (struct etcd_found){&former_facts, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
	expect_written_over(40);
	answer_with(true, 42, NULL, NULL);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	drop_claim(claim);
}

#define over_etcd(test) cmocka_unit_test_setup_teardown(test, open_etcd, close_etcd)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    over_etcd(test_an_adoption_is_announced),
	    over_etcd(test_an_adoption_that_was_announced_late_is_not_asked_for),
	    over_etcd(test_a_place_that_is_no_grant_is_not_adopted),
	    over_etcd(test_two_adopt_at_once),
	    over_etcd(test_an_adopted_grant_counts_from_a_keep_alive_of_its_own),
	    over_etcd(test_an_announced_adoption_is_written_over),
	    over_etcd(test_a_place_that_cannot_be_written_is_not_renewed),
	    over_etcd(test_an_announced_adoption_is_no_sight_of_the_place),
	    over_etcd(test_a_grant_is_written_over),
	    over_etcd(test_a_place_that_came_late_is_written_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
