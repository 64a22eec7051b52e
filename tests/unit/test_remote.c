/* A client behind electors that change, streams that break, and events and answers that overtake
 * each other. */
#include "remote_world.h"

#include <stdio.h>
#include <string.h>

#define RECONNECT_MS 5000 /* at most, between two streams */

static const char *const granted_7 =
    "{\"elector\":\"%s\",\"spec\":{\"token\":\"7\",\"remaining\":\"12s\"}}";

static void answer_beat(const char *elector, unsigned generation, const char *further)
{
	answer(expect("PUT", "/holders/h"), 200,
	    "{\"kind\":\"Session\",\"elector\":\"%s\",\"stream\":%u,"
	    "\"remaining\":[{\"ttl\":\"15s\",\"remaining\":\"11s\"}]%s}",
	    elector, generation, further);
}

/* Goal: a grant that nobody here knows of is given back by its own token, which a later grant does
 * not have. */
static void test_an_unknown_grant_is_given_back(void **state)
{
	static const char unknown[] = "12345678123456781234567812345678";
	struct store_claim *claim = hold();
	const struct http_call *given_back;

	(void)state;
	renew(claim);
	answer_beat(ELECTOR_A, 1,
	    ",\"claims\":[{\"name\":\"m\",\"claim\":\"12345678123456781234567812345678\",\"token\":"
	    "\"9\"}]");
	assert_int_equal(store_world.told.event, CLAIM_RENEWED);
	given_back = expect("DELETE", "/locks/m");
	assert_string_equal(text_in(given_back, "claim"), unknown);
	assert_string_equal(text_in(given_back, "token"), "9");
	assert_string_equal(text_in(given_back, "holder"), "h");
	drop_claim(claim);
}

/* Goal: what is lost while it is being confirmed is not held by the answer to that. */
static void test_a_loss_overtakes_the_confirmation(void **state)
{
	struct store_claim *claim = queue_up();
	unsigned told;

	(void)state;
	tell(1, "granted", "{\"name\":\"n\",\"claim\":\"%s\",\"token\":\"7\"}", secret_of_claim());
	assert_string_equal(text_in(expect("PUT", "/locks/n"), "token"), "7");
	tell(2, "lost", "{\"name\":\"n\",\"claim\":\"%s\",\"token\":\"7\"}", secret_of_claim());
	told = store_world.told_count;
	answer(expect("PUT", "/locks/n"), 200, granted_7, ELECTOR_A);
	assert_int_equal(store_world.told_count, told);
	answer(expect("PUT", "/locks/n"), 409, "{\"code\":\"lost\"}");
	assert_int_equal(store_world.told.event, CLAIM_BUSY);
	drop_claim(claim);
}

/* Goal: the loss of an earlier grant of the claim, told late, ends nothing. */
static void test_a_late_loss_of_an_earlier_grant(void **state)
{
	struct store_claim *claim = queue_up();

	(void)state;
	tell(1, "granted", "{\"name\":\"n\",\"claim\":\"%s\",\"token\":\"7\"}", secret_of_claim());
	tell(2, "lost", "{\"name\":\"n\",\"claim\":\"%s\",\"token\":\"6\"}", secret_of_claim());
	answer(expect("PUT", "/locks/n"), 200, granted_7, ELECTOR_A);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	drop_claim(claim);
}

/* Goal: an event that comes a second time says nothing new. */
static void test_an_event_counts_once(void **state)
{
	struct store_claim *claim = queue_up();
	unsigned told;

	(void)state;
	tell(3, "refused", "{\"name\":\"n\",\"claim\":\"%s\",\"code\":\"store_unreachable\"}",
	    secret_of_claim());
	assert_int_equal(store_world.told.event, CLAIM_REFUSED);
	attempt(claim);
	answer(expect("PUT", "/locks/n"), 202, "{\"elector\":\"%s\"}", ELECTOR_A);
	told = store_world.told_count;
	tell(3, "refused", "{\"name\":\"n\",\"claim\":\"%s\",\"code\":\"store_unreachable\"}",
	    secret_of_claim());
	assert_int_equal(store_world.told_count, told);
	drop_claim(claim);
}

static void reconnect(const char *elector, unsigned generation)
{
	end_stream(200);
	pass_until(store_world.now_ms + RECONNECT_MS);
	hello(elector, generation, false);
}

/* Goal: what an elector confirmed before its client was with another one has to be confirmed anew,
 * by itself. */
static void test_confirmations_end_with_the_elector(void **state)
{
	struct store_claim *claim = hold();
	unsigned told;

	(void)state;
	reconnect(ELECTOR_B, 1);
	reconnect(ELECTOR_A, 2);
	told = store_world.told_count;
	renew(claim);
	answer_beat(ELECTOR_A, 2, "");
	assert_int_equal(store_world.told_count, told);
	assert_string_equal(text_in(expect("PUT", "/locks/n"), "token"), "7");
	answer(expect("PUT", "/locks/n"), 200, granted_7, ELECTOR_A);
	assert_int_equal(store_world.told.event, CLAIM_RENEWED);
	drop_claim(claim);
}

/* Goal: what was asked before the present stream was opened is asked once more: the elector may
 * have seen the end of the former one in between. */
static void test_an_answer_from_before_the_stream(void **state)
{
	struct store_claim *claim = new_claim("n");
	unsigned told;

	(void)state;
	attempt(claim);
	hello(ELECTOR_A, 1, false);
	reconnect(ELECTOR_A, 2);
	told = store_world.told_count;
	answer(expect("PUT", "/locks/n"), 200, granted_7, ELECTOR_A);
	assert_int_equal(store_world.told_count, told);
	answer(expect("PUT", "/locks/n"), 200, granted_7, ELECTOR_A);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	drop_claim(claim);
}

/* Goal: nobody queues while no stream could tell of the grant. */
static void test_a_claim_waits_for_the_stream(void **state)
{
	struct store_claim *claim = hold();
	struct store_claim *second = new_claim("m");

	(void)state;
	end_stream(200);
	attempt(second);
	assert_null(asked("PUT", "/locks/m"));
	hello(ELECTOR_A, 2, false);
	assert_non_null(asked("PUT", "/locks/m"));
	drop_claim(second);
	drop_claim(claim);
}

/* Goal: however often a stream breaks, the next attempt is a few seconds away at most. */
static void test_a_stream_comes_back_in_time(void **state)
{
	struct store_claim *claim = hold();

	(void)state;
	for (int i = 0; i < 12; i++) {
		end_stream(i == 0 ? 200 : 0);
		assert_true(store_world.wake_ms <= store_world.now_ms + RECONNECT_MS);
		pass_until(store_world.now_ms + RECONNECT_MS);
	}
	drop_claim(claim);
}

/* Goal: a grant of which the elector has nothing left is asked for by itself. */
static void test_a_beat_without_a_ttl_renews_nothing(void **state)
{
	struct store_claim *claim = hold();
	const unsigned told = store_world.told_count;

	(void)state;
	renew(claim);
	answer(expect("PUT", "/holders/h"), 200, "{\"elector\":\"%s\",\"stream\":1,\"remaining\":[]}",
	    ELECTOR_A);
	assert_int_equal(store_world.told_count, told);
	assert_string_equal(text_in(expect("PUT", "/locks/n"), "token"), "7");
	drop_claim(claim);
}

/* Goal: another elector's events are of another list: they neither count nor hide what follows. */
static void test_events_of_another_elector(void **state)
{
	struct store_claim *claim = hold();
	char events[300];

	(void)state;
	renew(claim);
	snprintf(events, sizeof events,
	    ",\"events\":[{\"id\":\"99\",\"event\":\"lost\",\"data\":"
	    "{\"name\":\"n\",\"claim\":\"%s\",\"token\":\"7\",\"reason\":\"expired\"}}]",
	    secret_of_claim());
	answer_beat(ELECTOR_B, 5, events);
	assert_int_not_equal(store_world.told.event, CLAIM_GONE);
	hello(ELECTOR_A, 2, true);
	tell(2, "lost", "{\"name\":\"n\",\"claim\":\"%s\",\"token\":\"7\",\"reason\":\"revoked\"}",
	    secret_of_claim());
	assert_int_equal(store_world.told.event, CLAIM_GONE);
	assert_int_equal(store_world.told.answer.reason, MPSYNC_REASON_REVOKED);
	drop_claim(claim);
}

/* Goal: a value that is not stored yet goes with the next renewal, which is its grant's own. */
static void test_a_new_value_is_sent(void **state)
{
	struct store_claim *claim = hold();

	(void)state;
	claim->value = (char *)(uintptr_t) "v";
	claim->value_version++;
	renew(claim);
	assert_null(asked("PUT", "/holders/"));
	assert_string_equal(text_in(expect("PUT", "/locks/n"), "value"), "v");
	drop_claim(claim);
}

/* Goal: where an elector knows no order of values, an answer that shows another value stored none.
 */
static void test_an_answer_that_shows_another_value(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	attempt(claim);
	tell(
	    0, "hello", "{\"elector\":\"%s\",\"stream\":1,\"peer\":\"\",\"resumed\":false}", ELECTOR_A);
	answer(expect("PUT", "/locks/n"), 200,
	    "{\"elector\":\"%s\",\"spec\":{\"token\":\"7\",\"remaining\":\"12s\"}}", ELECTOR_A);
	claim->value = (char *)(uintptr_t) "v";
	claim->value_version++;
	renew(claim);
	answer(expect("PUT", "/locks/n"), 200,
	    "{\"elector\":\"%s\",\"spec\":{\"token\":\"7\",\"remaining\":\"12s\",\"value\":\"w\"}}",
	    ELECTOR_A);
	assert_int_equal(store_world.told.event, CLAIM_RENEWED);
	assert_int_not_equal(claim->value_stored, claim->value_version);
	drop_claim(claim);
}

#define behind_an_elector(test) cmocka_unit_test_setup_teardown(test, open_remote, close_remote)

/* Goal: an elector that says a right of hours is not believed beyond what the ttl gives. */
static void test_a_right_is_no_longer_than_its_ttl_gives(void **state)
{
	struct store_claim *claim = hold();

	(void)state;
	renew(claim);
	answer(expect("PUT", "/holders/h"), 200,
	    "{\"kind\":\"Session\",\"elector\":\"%s\",\"stream\":1,"
	    "\"remaining\":[{\"ttl\":\"15s\",\"remaining\":\"12900s\"}]}",
	    ELECTOR_A);
	assert_int_equal(store_world.told.event, CLAIM_RENEWED);
	assert_int_equal(store_world.told.answer.right_ms, claim_right_ms(claim->ttl_ms));
	assert_true(store_world.told.answer.renew_in_ms < claim->ttl_ms / 2);
	drop_claim(claim);
}

/* Goal: where no elector has ever answered a try ends, and who waits goes on waiting. */
static void test_an_elector_that_is_not_there_yet_is_awaited(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	attempt(claim);
	answer_as_nobody(expect("GET", "/holders/h"), 0);
	assert_int_equal(store_world.told.event, CLAIM_REFUSED);
	claim->awaits_store = true;
	attempt(claim);
	answer_as_nobody(expect("GET", "/holders/h"), 0);
	assert_int_equal(store_world.told.event, CLAIM_UNKNOWN);
	assert_int_equal(store_world.told.answer.status, MPSYNC_E_UNREACHABLE);
	drop_claim(claim);
}

/* Nobody queues without one. */
static bool stream_stands(void)
{
	struct store_claim *claim = new_claim("m");
	bool stands;

	attempt(claim);
	stands = asked("PUT", "/locks/m");
	drop_claim(claim);
	return stands;
}

/* Goal: who waits and hears nothing for half of its ttl asks, over further connections as well,
 * whether its stream stands, and keeps one that does. */
static void test_silence_is_asked_about(void **state)
{
	struct store_claim *claim = queue_up();
	const uint64_t begun_ms = store_world.now_ms;

	(void)state;
	pass_until(begun_ms + claim->ttl_ms / 2 - 1);
	assert_null(asked("PUT", "/holders/h"));
	pass_until(begun_ms + claim->ttl_ms / 2);
	assert_int_equal(expect("PUT", "/holders/h")->request.further_ms, claim->ttl_ms / 6);
	assert_int_equal(expect("PUT", "/holders/h")->request.whole_ms, claim->ttl_ms / 2);
	answer_beat(ELECTOR_A, 1, "");
	assert_true(stream_stands());
	pass_until(begun_ms + claim->ttl_ms);
	expect("PUT", "/holders/h");
	drop_claim(claim);
}

/* Goal: a stream is replaced if nobody answers for it, or if an answer tells what it did not. */
static void test_a_silent_stream_is_replaced(void **state)
{
	struct store_claim *claim = queue_up();

	(void)state;
	pass_until(store_world.now_ms + claim->ttl_ms / 2);
	answer_as_nobody(expect("PUT", "/holders/h"), 0);
	assert_false(stream_stands());
	pass_until(store_world.now_ms + RECONNECT_MS);
	hello(ELECTOR_A, 2, true);
	assert_true(stream_stands());
	pass_until(store_world.now_ms + claim->ttl_ms / 2);
	answer_beat(ELECTOR_A, 2, ",\"events\":[{\"id\":\"3\",\"event\":\"granted\",\"data\":{}}]");
	assert_false(stream_stands());
	drop_claim(claim);
}

/* Goal: a stream that never says hello is asked for again. */
static void test_a_stream_that_says_nothing_is_asked_for_again(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	attempt(claim);
	strcpy(expect("GET", "/holders/h")->text, "the first");
	pass_until(store_world.now_ms + claim->ttl_ms / 2);
	assert_string_equal(expect("GET", "/holders/h")->text, "");
	drop_claim(claim);
}

/* Goal: no answer to what was asked before the present stream counts, so it is asked again at
 * once. */
static void test_a_renewal_is_sent_again_with_the_stream(void **state)
{
	struct store_claim *claim = hold();

	(void)state;
	renew(claim);
	reconnect(ELECTOR_A, 2);
	answer_beat(ELECTOR_A, 2, "");
	assert_int_equal(store_world.told.event, CLAIM_RENEWED);
	renew(claim);
	answer(expect("PUT", "/holders/h"), 404, "{\"code\":\"unknown_session\"}");
	expect("PUT", "/locks/n");
	pass_until(store_world.now_ms + RECONNECT_MS);
	hello(ELECTOR_B, 1, false);
	answer(expect("PUT", "/locks/n"), 200, granted_7, ELECTOR_B);
	assert_int_equal(store_world.told.event, CLAIM_RENEWED);
	drop_claim(claim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    behind_an_elector(test_an_elector_that_is_not_there_yet_is_awaited),
	    behind_an_elector(test_an_unknown_grant_is_given_back),
	    behind_an_elector(test_a_loss_overtakes_the_confirmation),
	    behind_an_elector(test_a_late_loss_of_an_earlier_grant),
	    behind_an_elector(test_an_event_counts_once),
	    behind_an_elector(test_confirmations_end_with_the_elector),
	    behind_an_elector(test_an_answer_from_before_the_stream),
	    behind_an_elector(test_a_claim_waits_for_the_stream),
	    behind_an_elector(test_a_stream_comes_back_in_time),
	    behind_an_elector(test_a_beat_without_a_ttl_renews_nothing),
	    behind_an_elector(test_events_of_another_elector),
	    behind_an_elector(test_a_new_value_is_sent),
	    behind_an_elector(test_an_answer_that_shows_another_value),
	    behind_an_elector(test_a_right_is_no_longer_than_its_ttl_gives),
	    behind_an_elector(test_silence_is_asked_about),
	    behind_an_elector(test_a_silent_stream_is_replaced),
	    behind_an_elector(test_a_stream_that_says_nothing_is_asked_for_again),
	    behind_an_elector(test_a_renewal_is_sent_again_with_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
