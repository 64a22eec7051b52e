/* What an elector has told, and for how long it stands by it; what a session's events and places
 * live through. */
#include "sessions_world.h"

#include "elector/protocol/session.h"

static struct ticket *ticket_of(const struct put *put)
{
	struct ticket *ticket = ticket_find(world.sessions, &put->claim);

	assert_non_null(ticket);
	return ticket;
}

static struct session *session_of(const struct put *put)
{
	struct session *session = session_find(world.sessions, &put->session);

	assert_non_null(session);
	return session;
}

/* Goal: the client's clock may be slower by a twentieth, and so it believes for that much longer.
 */
static void test_a_promise_allows_for_a_slow_clock(void **state)
{
	const struct put a = put_of(1);
	uint64_t told_ms;

	(void)state;
	assert_int_equal(ask(&a), 200);
	told_ms = ticket_remaining_ms(ticket_of(&a), world.now_ms, world.now_ms);
	assert_true(told_ms > 0);
	assert_true(ticket_of(&a)->told_until_ms >= world.now_ms + told_ms + told_ms / 20);
}

/* Goal: a request that was long on its way is told of less, and the longer promise stands. */
static void test_a_promise_is_never_shortened(void **state)
{
	struct put a = put_of(1);
	uint64_t until_ms;

	(void)state;
	assert_int_equal(ask(&a), 200);
	until_ms = ticket_of(&a)->told_until_ms;
	a.read_ms -= 8000;
	assert_int_equal(ask(&a), 200);
	assert_true(ticket_of(&a)->told_until_ms >= until_ms);
}

static void test_what_is_over_is_over(void **state)
{
	const struct put a = put_of(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	assert_int_equal(ticket_remaining_ms(ticket_of(&a), world.now_ms - a.ttl_ms, world.now_ms), 0);
}

/* Goal: who was granted by an event believes it from then on. */
static void test_an_event_is_a_promise(void **state)
{
	const struct put a = put_of(1);
	struct put b = put_of(2);
	struct session_stream *stream = open_stream(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	b.queue = true;
	assert_int_equal(ask(&b), 202);
	release(&a);
	assert_ptr_equal(world.told, &world);
	assert_true(ticket_of(&b)->told_until_ms > world.now_ms);
	sessions_stream_closed(world.sessions, stream, false, false);
}

/* Goal: a waiter that asks again is heard where it asks now, and the former request is answered. */
static void test_the_latest_request_waits(void **state)
{
	static struct sessions_request first;
	static struct sessions_request second;
	const struct put a = put_of(1);
	struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	b.wait_ms = 60000;
	world.status = 0;
	sessions_put(world.sessions, &b, &first);
	assert_int_equal(world.status, 0);
	sessions_put(world.sessions, &b, &second);
	assert_int_equal(world.status, 409);
	assert_null(first.ticket);
	assert_non_null(second.ticket);
	sessions_abandon(world.sessions, &second);
}

/* Goal: a claim is for one name. */
static void test_a_claim_answers_for_no_other_name(void **state)
{
	struct put a = put_of(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	a.name = "another";
	assert_int_equal(ask(&a), 400);
}

/* Goal: what was acknowledged is gone, and what follows is kept as before. */
static void test_events_are_kept_until_they_are_acknowledged(void **state)
{
	const struct put a = put_of(1);
	struct session_stream *stream = open_stream(1);
	struct session *session = session_of(&a);

	(void)state;
	session_post(session, "one", cJSON_CreateObject());
	session_post(session, "two", cJSON_CreateObject());
	assert_true(session_acknowledge(session, session->event_id));
	assert_null(session->events);
	session_post(session, "three", cJSON_CreateObject());
	assert_non_null(session->events);
	assert_ptr_equal(session->events, session->last_event);
	assert_true(session_acknowledge(session, session->event_id));
	sessions_stream_closed(world.sessions, stream, false, false);
}

/* Goal: whoever asks uses its session, and a new stream tells all there is from then on. */
static void test_a_session_that_is_used_begins_anew(void **state)
{
	const struct put a = put_of(1);
	struct session_stream *stream = open_stream(1);
	struct session *session = session_of(&a);

	(void)state;
	sessions_stream_closed(world.sessions, stream, false, false);
	world.now_ms += 5000;
	assert_ptr_equal(session_use(world.sessions, &a.session, "h"), session);
	assert_int_equal(session->used_ms, world.now_ms);
	session->forgot = true;
	stream = open_stream(1);
	assert_false(session->forgot);
	sessions_stream_closed(world.sessions, stream, false, false);
}

/* Goal: a request that waits on a connection of its own does not end with its session's stream. */
static void test_a_wait_outlives_the_stream(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	struct put b = put_of(2);
	struct session_stream *stream = open_stream(2);

	(void)state;
	wait_behind(&a, &b, &request);
	sessions_stream_closed(world.sessions, stream, false, false);
	world.status = 0;
	pass(4000);
	assert_int_equal(world.status, 0);
	assert_non_null(request.ticket);
	sessions_abandon(world.sessions, &request);
}

static void test_stopping_is_told(void **state)
{
	struct session_stream *stream = open_stream(1);

	(void)state;
	world.told = NULL;
	sessions_stop(world.sessions);
	assert_ptr_equal(world.told, &world);
	sessions_stream_closed(world.sessions, stream, false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_promise_allows_for_a_slow_clock, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_promise_is_never_shortened, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_what_is_over_is_over, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_an_event_is_a_promise, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_the_latest_request_waits, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_claim_answers_for_no_other_name, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_events_are_kept_until_they_are_acknowledged, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_session_that_is_used_begins_anew, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_wait_outlives_the_stream, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_stopping_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
