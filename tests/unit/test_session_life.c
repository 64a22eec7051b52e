/* Sessions and their claims from beginning to end: what stays, what goes, and who hears of it. */
#include "sessions_world.h"

#include "base/wire.h"

#include "elector/protocol/session.h"

#include <stdio.h>

static const struct sessions_counters *counters(void)
{
	return sessions_counters(world.sessions);
}

static struct session *session_of(uint8_t claim)
{
	const struct put put = put_of(claim);

	return session_find(world.sessions, &put.session);
}

/* Goal: a session that nobody uses goes, with all that it had; one that beats stays. */
static void test_idle_session_goes(void **state)
{
	struct session_stream *idle = open_stream(1);
	struct session_stream *beating = open_stream(2);

	(void)state;
	sessions_stream_closed(world.sessions, idle, false, false);
	sessions_stream_closed(world.sessions, beating, false, false);
	assert_int_equal(counters()->sessions, 2);
	for (int i = 0; i < 20; i++) {
		pass(10000);
		beat(2, 0);
	}
	assert_int_equal(counters()->sessions, 1);
	assert_null(session_of(1));
	assert_int_equal(counters()->streams, 0);
}

/* Goal: an event that was never sent cannot have been seen. */
static void test_acknowledging_the_future(void **state)
{
	struct session *session;

	(void)state;
	open_stream(1);
	session = session_of(1);
	assert_true(session_acknowledge(session, session->event_id));
	assert_false(session_acknowledge(session, session->event_id + 1));
	sessions_stream_closed(world.sessions, session->stream, false, false);
}

/* Goal: a token that this grant never had releases nothing. */
static void test_another_token_releases_nothing(void **state)
{
	static struct sessions_request request;
	struct put a = put_of(1);
	const struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	a.token = 1;
	sessions_delete(world.sessions, &a, &request);
	assert_int_equal(world.status, 400);
	assert_int_equal(ask(&b), 409);
}

/* Goal: who stands in the queue by its session needs no connection of its own. */
static void test_queued_claim_outlives_a_connection(void **state)
{
	static struct sessions_request request;
	struct put a = put_of(1);
	struct put b = put_of(2);
	struct session_stream *stream = open_stream(2);

	(void)state;
	a.ttl_ms = 3600000;
	assert_int_equal(ask(&a), 200);
	b.queue = true;
	assert_int_equal(ask(&b), 202);
	b.queue = false;
	b.wait_ms = 600000;
	sessions_put(world.sessions, &b, &request);
	assert_non_null(request.ticket);
	sessions_abandon(world.sessions, &request);
	pass(10000);
	assert_int_equal(counters()->waiters, 1);
	sessions_stream_closed(world.sessions, stream, false, false);
}

/* Goal: a follower hears of what its holder gets, and of nobody else's. */
static void test_followers_hear_of_their_own(void **state)
{
	const struct put a = put_of(1);
	int ours;
	int others;

	(void)state;
	sessions_follow(world.sessions, "h", &ours);
	sessions_follow(world.sessions, "another", &others);
	assert_int_equal(ask(&a), 200);
	assert_ptr_equal(world.told, &ours);
	sessions_unfollow(world.sessions, &ours);
	sessions_unfollow(world.sessions, &others);
}

/* Goal: a claim that was cancelled while it waited does not come late (rule 12). */
static void test_cancelled_claim_does_not_come_late(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	struct put b = put_of(2);

	(void)state;
	wait_behind(&a, &b, &request);
	assert_int_equal(release(&b), 200);
	assert_int_equal(release(&a), 200);
	assert_int_equal(ask(&b), 409);
}

/* Goal: a place that is given on, for its client does not ask, and that the store does not take
 * back, rings no more when its time is over. */
static void test_place_that_is_given_on_comes_to_rest(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	struct put b = put_of(2);

	(void)state;
	wait_behind(&a, &b, &request);
	sessions_abandon(world.sessions, &request);
	world.withdrawals = 1;
	assert_int_equal(release(&a), 200);
	assert_int_equal(counters()->waiters, 0);
	pass(10000);
	assert_int_equal(counters()->held, 0);
}

static const cJSON *spec_of_answer(const char *field)
{
	return cJSON_GetObjectItem(cJSON_GetObjectItem(world.body, "spec"), field);
}

static uint64_t stream_of(uint8_t claim)
{
	beat(claim, 0);
	return (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(world.body, "stream"));
}

static void set_value(struct put *put, const char *value, uint64_t order)
{
	put->value = value;
	put->order = order;
	put->read_ms = world.now_ms;
	assert_int_equal(ask(put), 200);
}

/* Goal: a value whose request was overtaken, by a newer one or by another stream of its client, is
 * not set, and its client can see that. */
static void test_late_value_is_not_set(void **state)
{
	struct put a = put_of(1);
	struct session_stream *former = open_stream(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	assert_true(wire_token_parse(cJSON_GetStringValue(spec_of_answer("token")), &a.token));
	a.has_value = true;
	a.stream = stream_of(1);
	set_value(&a, "second", 2);
	assert_int_equal((int)cJSON_GetNumberValue(spec_of_answer("order")), 2);
	set_value(&a, "first", 1);
	assert_string_equal(cJSON_GetStringValue(spec_of_answer("value")), "second");
	assert_int_equal((int)cJSON_GetNumberValue(spec_of_answer("order")), 2);
	open_stream(1);
	sessions_stream_closed(world.sessions, former, false, false);
	set_value(&a, "of the former stream", 3);
	assert_string_equal(cJSON_GetStringValue(spec_of_answer("value")), "second");
	a.stream = stream_of(1);
	set_value(&a, "fourth", 4);
	assert_string_equal(cJSON_GetStringValue(spec_of_answer("value")), "fourth");
	assert_int_equal((int)cJSON_GetNumberValue(spec_of_answer("order")), 4);
}

/* Goal: what a grant had is not overwritten by whoever has it adopted: which is the newer one? */
static void test_adoption_sets_no_ordered_value(void **state)
{
	struct put a = put_of(1);

	(void)state;
	a.value = "stored";
	assert_int_equal(ask(&a), 200);
	assert_true(wire_token_parse(cJSON_GetStringValue(spec_of_answer("token")), &a.token));
	restart_elector();
	open_stream(1);
	a.has_value = true;
	a.stream = stream_of(1);
	set_value(&a, "late", 1);
	assert_string_equal(cJSON_GetStringValue(spec_of_answer("value")), "stored");
	assert_null(spec_of_answer("order"));
	set_value(&a, "new", 2);
	assert_string_equal(cJSON_GetStringValue(spec_of_answer("value")), "new");
}

/* Goal: no more claims than there is room for. */
static void test_most_claims(void **state)
{
	(void)state;
	for (uint8_t claim = 1; claim <= 101; claim++) {
		struct put put = put_of(claim);
		char name[16];

		snprintf(name, sizeof name, "n%d", claim);
		put.name = name;
		assert_int_equal(ask(&put), claim <= 100 ? 200 : 503);
	}
}

/* Goal: a client whose stream broke, unnoticed at its end, sees it in the answer to its beat. */
static void test_beat_tells_of_no_stream(void **state)
{
	struct session_stream *stream = open_stream(1);
	const cJSON *told;

	(void)state;
	beat(1, 0);
	told = cJSON_GetObjectItem(world.body, "stream");
	assert_true(told->valuedouble > 0);
	sessions_stream_closed(world.sessions, stream, false, false);
	beat(1, 0);
	told = cJSON_GetObjectItem(world.body, "stream");
	assert_true(told->valuedouble == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_idle_session_goes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_acknowledging_the_future, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_another_token_releases_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_queued_claim_outlives_a_connection, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_followers_hear_of_their_own, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_cancelled_claim_does_not_come_late, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_place_that_is_given_on_comes_to_rest, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_late_value_is_not_set, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_adoption_sets_no_ordered_value, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_most_claims, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_beat_tells_of_no_stream, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
