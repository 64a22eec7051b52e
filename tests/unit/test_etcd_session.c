/* One lease of an etcd and the claims on it: what they are told when calls fail, are late, or show
 * that it has gone. */
#include "etcd_world.h"

#include "failing.h"
#include "stores/etcd/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MS 2500 /* of a lease of 15 s: a sixth */

/* Until the session does something by itself. */
static void pass_interval(void)
{
	assert_true(store_world.wake_ms <= store_world.now_ms + 2 * (uint64_t)INTERVAL_MS);
	pass_until(store_world.wake_ms);
}

static struct store_claim *waiting; /* asks again when another is told of its loss */
static enum claim_event told_then;

static void remember(struct store_claim *claim, enum claim_event event)
{
	(void)claim;
	told_then = event;
}

static void ask_again_without_memory(struct store_claim *claim, enum claim_event event)
{
	(void)claim;
	assert_int_equal(event, CLAIM_GONE);
	store_world.on_told = remember;
	failing_from(1, 1);
	attempt(waiting);
	assert_true(failing_end());
}

static void show_no_key(void)
{
	answer_call(expect_call(ETCD_TXN),
	    &(struct etcd_answer){.succeeded = true, .revision = 100, .term = TERM});
}

/* Goal: where a lease is gone, and in the middle of telling so there is no memory for the next one,
 * each is told its own: who held that it is over, who asks that there is no memory. */
static void test_each_is_told_its_own(void **state)
{
	struct store_claim *a = hold_in_etcd();
	struct store_claim *b = new_claim("b");

	(void)state;
	attempt(b);
	give_place(12, true);
	waiting = new_claim("c");
	attempt(waiting);
	give_place(13, false);
	show_who_has_it();
	pass_interval();
	keep_alive();
	store_world.told_count = 0;
	store_world.on_told = ask_again_without_memory;
	show_no_key();
	assert_int_equal(store_world.told_count, 3);
	assert_int_equal(told_then, CLAIM_GONE);
	assert_int_equal(store_world.told.event, CLAIM_REFUSED);
	assert_ptr_equal(store_world.told.claim, waiting);
	drop_claim(waiting);
	drop_claim(a);
	drop_claim(b);
}

static void renew_once_more(struct store_claim *claim, enum claim_event event)
{
	assert_int_equal(event, CLAIM_RENEWED);
	renew(claim);
}

/* Goal: a confirmation that took longer than the lease lasts counts for nobody: who wants a place
 * waits for the next lease to be there. */
static void test_nothing_is_written_on_a_lease_that_is_not_there(void **state)
{
	struct store_claim *a = hold_in_etcd();
	struct store_claim *b = new_claim("b");

	(void)state;
	store_world.now_ms += 8000;
	renew(a);
	attempt(b);
	keep_alive();
	store_world.now_ms += 40000;
	store_world.on_told = renew_once_more;
	confirm();
	assert_int_equal(store_world.told.event, CLAIM_GONE);
	assert_non_null(calling(ETCD_GRANT));
	assert_null(calling(ETCD_TXN));
	open_session(15);
	give_place(20, true);
	assert_ptr_equal(store_world.told.claim, b);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	drop_claim(a);
	drop_claim(b);
}

/* Goal: the lease of those who wait is kept alive long before it ends. */
static void test_a_waiter_keeps_its_lease(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	attempt(claim);
	open_session(15);
	give_place(11, false);
	pass_until(store_world.now_ms + 15000 / 2);
	assert_non_null(calling(ETCD_KEEP_ALIVE));
	drop_claim(claim);
}

/* Goal: who holds something tries again and again while the lease runs on. */
static void test_a_holder_tries_again_soon(void **state)
{
	struct store_claim *claim = hold_in_etcd();

	(void)state;
	pass_interval();
	for (int i = 0; i < 8; i++) {
		lose_call(ETCD_KEEP_ALIVE);
		assert_true(store_world.wake_ms <= store_world.now_ms + 500);
		pass_until(store_world.wake_ms);
	}
	drop_claim(claim);
}

/* Goal: a member that does not answer is left for another one. */
static void test_another_member_is_asked(void **state)
{
	struct store_claim *claim = hold_in_etcd();

	(void)state;
	pass_interval();
	assert_int_equal(etcd_world.next_members, 0);
	lose_call(ETCD_KEEP_ALIVE);
	assert_int_equal(etcd_world.next_members, 1);
	drop_claim(claim);
}

/* Goal: the place that a lost request asked about is asked about by the next. */
static void test_a_place_is_asked_about_again(void **state)
{
	struct store_claim *claim = hold_in_etcd();
	char key[200];

	(void)state;
	pass_interval();
	keep_alive();
	snprintf(key, sizeof key, "%s", expect_call(ETCD_TXN)->compared);
	assert_non_null(strstr(key, "n/"));
	lose_call(ETCD_TXN);
	pass_until(store_world.wake_ms);
	keep_alive();
	assert_string_equal(expect_call(ETCD_TXN)->compared, key);
	drop_claim(claim);
}

/* Goal: a right counts from before its keep-alive was sent, however late that is answered. */
static void test_a_right_counts_from_the_request(void **state)
{
	struct store_claim *claim = hold_in_etcd();
	uint64_t sent_ms;

	(void)state;
	store_world.now_ms += INTERVAL_MS;
	renew(claim);
	sent_ms = store_world.now_ms;
	store_world.now_ms += 1000;
	keep_alive();
	store_world.now_ms += 1000;
	confirm();
	assert_int_equal(store_world.told.event, CLAIM_RENEWED);
	assert_int_equal(store_world.told.answer.sent_at_ms, sent_ms);
	drop_claim(claim);
}

/* Goal: what went wrong before all was well slows nothing down after it. */
static void test_one_failure_is_forgotten(void **state)
{
	struct store_claim *claim = hold_in_etcd();

	(void)state;
	pass_interval();
	lose_call(ETCD_KEEP_ALIVE);
	assert_int_equal(store_world.wake_ms, store_world.now_ms + 50);
	pass_until(store_world.wake_ms);
	lose_call(ETCD_KEEP_ALIVE);
	assert_int_equal(store_world.wake_ms, store_world.now_ms + 100);
	pass_until(store_world.wake_ms);
	keep_alive();
	confirm();
	pass_interval();
	lose_call(ETCD_KEEP_ALIVE);
	assert_int_equal(store_world.wake_ms, store_world.now_ms + 50);
	drop_claim(claim);
}

/* Goal: a right is no longer than the lease that the server gave. */
static void test_a_shorter_lease_is_a_shorter_right(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	attempt(claim);
	open_session(10);
	give_place(11, true);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	assert_in_range(store_world.told.answer.right_ms, 1, 10000);
	drop_claim(claim);
}

/* Goal: a ttl between two seconds is a lease of the longer one. */
static void test_a_lease_is_as_long_as_the_ttl(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	claim->ttl_ms = 1001;
	attempt(claim);
	assert_int_equal(expect_call(ETCD_GRANT)->call->ttl_s, 2);
	drop_claim(claim);
}

/* Goal: a session whose key has gone has ended, and what stood on it. */
static void test_a_key_that_is_gone_ends_the_session(void **state)
{
	struct store_claim *claim = hold_in_etcd();

	(void)state;
	pass_interval();
	keep_alive();
	show_no_key();
	assert_int_equal(store_world.told.event, CLAIM_GONE);
	assert_int_equal(store_world.told.answer.reason, MPSYNC_REASON_EXPIRED);
	drop_claim(claim);
}

/* Goal: that a lease is gone counts when a read shows it, which is asked for at once. */
static void test_a_lease_that_is_gone_is_looked_for(void **state)
{
	struct store_claim *claim = hold_in_etcd();
	const unsigned told = store_world.told_count;

	(void)state;
	pass_interval();
	answer_call(expect_call(ETCD_KEEP_ALIVE), &(struct etcd_answer){.result = ETCD_NO_LEASE});
	assert_int_equal(store_world.told_count, told);
	show_no_key();
	assert_int_equal(store_world.told.event, CLAIM_GONE);
	drop_claim(claim);
}

/* Goal: a lease on which nobody stands any more is left to end. */
static void test_a_lease_that_nobody_needs_ends(void **state)
{
	struct store_claim *claim = hold_in_etcd();

	(void)state;
	withdraw(claim);
	answer_call(expect_call(ETCD_TXN),
	    &(struct etcd_answer){.succeeded = true, .revision = 12, .term = TERM});
	assert_int_equal(store_world.told.event, CLAIM_FREED);
	drop_claim(claim);
	pass_until(store_world.now_ms + 60000);
	assert_null(calling(ETCD_KEEP_ALIVE));
}

static uint64_t time_given(void)
{
	return expect_call(ETCD_TXN)->call->timeout_ms;
}

/* Goal: an etcd that answers, but later than within a sixth of the ttl, is waited for. */
static void test_a_slow_member_is_waited_for(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	attempt(claim);
	open_session(15);
	assert_int_equal(time_given(), 2500);
	store_world.now_ms += 2500;
	lose_call(ETCD_TXN);
	attempt(claim);
	assert_int_equal(time_given(), 5000);
	store_world.now_ms += 3000;
	give_place(11, true);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	withdraw(claim);
	assert_int_equal(time_given(), 5000);
	answer_call(expect_call(ETCD_TXN),
	    &(struct etcd_answer){.succeeded = true, .revision = 12, .term = TERM});
	attempt(claim);
	assert_int_equal(time_given(), 2500);
	drop_claim(claim);
}

/* Goal: a member that is not there is no slow one: nothing is waited for any longer. */
static void test_a_member_that_refuses_gets_no_more_time(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	attempt(claim);
	open_session(15);
	lose_call(ETCD_TXN);
	attempt(claim);
	assert_int_equal(time_given(), 2500);
	drop_claim(claim);
}

static int install(void **state)
{
	(void)state;
	failing_install(false);
	return 0;
}

#define over_etcd(test) cmocka_unit_test_setup_teardown(test, open_etcd, close_etcd)

/*
 * Goal: a place that came late, and whose facts a hand took, does not stay for ever: who leaves it
 * writes facts again, which end it when nobody may believe in it any more.
 */
static void test_a_place_without_facts_gets_some_when_it_is_left(void **state)
{
	struct store_claim *claim = new_claim("n");
	struct etcd_answer answer = {.succeeded = true, .revision = 30, .term = TERM};
	struct etcd_key own = {.value = "", .create_revision = 20, .mod_revision = 20};
	char key[200];

	(void)state;
	attempt(claim);
	open_session(15);
	snprintf(key, sizeof key, "%s", expect_call(ETCD_TXN)->key);
	own.key = key;
	own.lease = expect_call(ETCD_TXN)->call->then[0].lease;
	lose_call(ETCD_TXN);
	withdraw(claim);
	answer.found[0] = (struct etcd_found){&own, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
	assert_int_equal(expect_call(ETCD_TXN)->call->then[0].kind, ETCD_PUT);
	assert_int_equal(expect_call(ETCD_TXN)->call->then[0].lease, own.lease);
	assert_string_not_equal(expect_call(ETCD_TXN)->key, key);
	answer_call(expect_call(ETCD_TXN), &(struct etcd_answer){.succeeded = true, .term = TERM});
	assert_int_equal(store_world.told.event, CLAIM_FREED);
	drop_claim(claim);
}

/* Goal: a place whose facts a hand took is deleted only as it was seen: one that another elector
 * has adopted meanwhile, which writes it, stays (rule 3, write only on top of your own write). */
static void test_a_place_without_facts_is_left_as_it_was_seen(void **state)
{
	struct store_claim *claim = new_claim("n");
	struct etcd_key own = {.value = "", .create_revision = 11, .mod_revision = 17};
	struct etcd_answer answer = {.revision = 30, .term = TERM};
	const struct etcd_call *call;
	char key[200];

	(void)state;
	attempt(claim);
	open_session(15);
	own.lease = expect_call(ETCD_TXN)->call->then[0].lease;
	give_place(11, true);
	withdraw(claim);
	snprintf(key, sizeof key, "%s", expect_call(ETCD_TXN)->key);
	own.key = key;
	answer.found[0] = (struct etcd_found){&own, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
	call = expect_call(ETCD_TXN)->call;
	assert_int_equal(call->then[0].kind, ETCD_DELETE);
	assert_int_equal(call->compares[0].kind, ETCD_WRITTEN_AT);
	assert_int_equal(call->compares[0].revision, own.mod_revision);
	drop_claim(claim);
}

/* Goal: a place that was released by force stays until nobody believes in it. Whoever takes its
 * facts meanwhile does not make it forgotten: it is given up, and does not bar the queue for ever.
 */
static void test_a_revoked_place_without_facts_is_given_up(void **state)
{
	struct store_claim *claim = new_claim("n");
	struct etcd_watch *watch;
	char *value = etcd_facts_write(&(struct etcd_facts){
	    .holder = "h", .claim = claim->digest, .ttl_ms = 15000, .revoked = true});
	char key[200];

	(void)state;
	attempt(claim);
	open_session(15);
	watch = etcd_world.watch;
	snprintf(key, sizeof key, "%s", expect_call(ETCD_TXN)->call->then[1].key);
	give_place(11, true);
	watch->put(watch,
	    &(struct etcd_key){.key = key, .value = value, .create_revision = 11, .mod_revision = 12});
	assert_int_equal(store_world.told.event, CLAIM_GONE);
	watch->gone(watch, key, 13);
	withdraw(claim);
	assert_int_equal(expect_call(ETCD_TXN)->call->then[0].kind, ETCD_DELETE);
	drop_claim(claim);
	free(value);
}

/* Goal: the same of an adopted place, where the name is only tried and nobody ever waits for it. */
static void test_a_place_without_facts_gets_some_from_a_try(void **state)
{
	struct store_claim *claim = new_claim("n");
	struct etcd_key other = {.key = "n/1", .value = "", .create_revision = 5, .mod_revision = 20};
	struct etcd_answer answer = {.revision = 30, .term = TERM};

	(void)state;
	claim->once = true;
	attempt(claim);
	open_session(15);
	other.lease = expect_call(ETCD_TXN)->call->then[0].lease;
	answer.found[2] = (struct etcd_found){&other, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
	answer = (struct etcd_answer){.succeeded = true, .revision = 30, .term = TERM};
	answer.found[0] = (struct etcd_found){&other, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
	assert_int_equal(expect_call(ETCD_TXN)->call->then[0].kind, ETCD_PUT);
	assert_int_equal(expect_call(ETCD_TXN)->call->then[0].lease, other.lease);
	answer_call(expect_call(ETCD_TXN), &(struct etcd_answer){.succeeded = true, .term = TERM});
	answer.found[1] = (struct etcd_found){&(struct etcd_key){.key = "facts", .value = ""}, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
	assert_int_equal(store_world.told.event, CLAIM_BUSY);
	drop_claim(claim);
}

/* Goal: whom another elector adopts while a try asks who has the name is asked for once more, by
 * the facts that stand then. */
static void test_a_try_sees_an_adoption(void **state)
{
	struct store_claim *claim = new_claim("n");
	struct etcd_key other = {
	    .key = "n/1", .value = "", .create_revision = 5, .mod_revision = 20, .lease = 7};
	struct etcd_answer answer = {.revision = 30, .term = TERM};
	const struct etcd_call *call;
	char before[200];

	(void)state;
	claim->once = true;
	attempt(claim);
	open_session(15);
	answer.found[2] = (struct etcd_found){&other, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
	snprintf(before, sizeof before, "%s", expect_call(ETCD_TXN)->call->then[1].key);
	other.lease = 8;
	other.mod_revision = 29;
	answer = (struct etcd_answer){.succeeded = true, .revision = 30, .term = TERM};
	answer.found[0] = (struct etcd_found){&other, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
	call = expect_call(ETCD_TXN)->call;
	assert_int_equal(call->then[1].kind, ETCD_GET);
	assert_string_not_equal(call->then[1].key, before);
	drop_claim(claim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    over_etcd(test_each_is_told_its_own),
	    over_etcd(test_nothing_is_written_on_a_lease_that_is_not_there),
	    over_etcd(test_a_waiter_keeps_its_lease),
	    over_etcd(test_a_holder_tries_again_soon),
	    over_etcd(test_another_member_is_asked),
	    over_etcd(test_a_place_is_asked_about_again),
	    over_etcd(test_a_right_counts_from_the_request),
	    over_etcd(test_one_failure_is_forgotten),
	    over_etcd(test_a_shorter_lease_is_a_shorter_right),
	    over_etcd(test_a_lease_is_as_long_as_the_ttl),
	    over_etcd(test_a_key_that_is_gone_ends_the_session),
	    over_etcd(test_a_lease_that_is_gone_is_looked_for),
	    over_etcd(test_a_lease_that_nobody_needs_ends),
	    over_etcd(test_a_place_without_facts_gets_some_when_it_is_left),
	    over_etcd(test_a_place_without_facts_gets_some_from_a_try),
	    over_etcd(test_a_place_without_facts_is_left_as_it_was_seen),
	    over_etcd(test_a_revoked_place_without_facts_is_given_up),
	    over_etcd(test_a_try_sees_an_adoption),
	    over_etcd(test_a_slow_member_is_waited_for),
	    over_etcd(test_a_member_that_refuses_gets_no_more_time),
	};

	return cmocka_run_group_tests(tests, install, NULL);
}
