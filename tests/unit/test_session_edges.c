/* Timers that ring early, requests whose client has gone, and claims that are on their way out. */
#include "sessions_world.h"

#include "base/duration.h"

#include "elector/protocol/session.h"

#include <stdlib.h>

#define MOST_EVENTS 100000

static const struct sessions_counters *counters(void)
{
	return sessions_counters(world.sessions);
}

static struct ticket *ticket_of(const struct put *put)
{
	struct ticket *ticket = ticket_find(world.sessions, &put->claim);

	assert_non_null(ticket);
	return ticket;
}

static const char *spec_of_answer(const char *field)
{
	const cJSON *spec = cJSON_GetObjectItem(world.body, "spec");

	return cJSON_GetStringValue(cJSON_GetObjectItem(spec, field));
}

/* Goal: what is due earlier than all that was due before wakes earlier. */
static void test_the_earliest_timer_wakes(void **state)
{
	const struct put a = put_of(1);
	struct put b = put_of(2);
	static struct sessions_request request;

	(void)state;
	assert_int_equal(ask(&a), 200);
	assert_true(world.sessions_wake_ms > world.now_ms + 1000);
	b.wait_ms = 1000;
	sessions_put(world.sessions, &b, &request);
	assert_int_equal(world.sessions_wake_ms, world.now_ms + 1000);
	world.now_ms += 1000;
	world.status = 0;
	sessions_run(world.sessions);
	assert_int_equal(world.status, 409);
}

/* Goal: a timer that rang too early is set once more. */
static void test_an_early_timer_is_set_again(void **state)
{
	const struct put a = put_of(1);
	uint64_t due_ms;

	(void)state;
	assert_int_equal(ask(&a), 200);
	due_ms = world.sessions_wake_ms;
	world.sessions_wake_ms = 0;
	sessions_run(world.sessions);
	assert_int_equal(world.sessions_wake_ms, due_ms);
}

/* Goal: what its client gives back already is not taken from it by the end of its process. */
static void test_a_release_under_way_is_no_takeover(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	struct session_stream *stream = open_stream(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	beat(1, 1);
	world.withdrawals = 0;
	sessions_delete(world.sessions, &a, &request);
	assert_int_equal(counters()->takeovers_goodbye, 1);
	sessions_stream_closed(world.sessions, stream, true, true);
	assert_int_equal(counters()->takeovers_proof, 0);
}

/* Goal: what is being adopted when its client's process has ended is free as soon as it was. */
static void test_an_end_while_it_is_adopted(void **state)
{
	static struct sessions_request request;
	struct session_stream *stream;
	struct put a = put_of(1);
	const struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	a.token = (uint64_t)strtoull(spec_of_answer("token"), NULL, 10);
	restart_elector();
	stream = open_stream(1);
	beat(1, 1);
	world.late_ops = true;
	sessions_put(world.sessions, &a, &request);
	sessions_stream_closed(world.sessions, stream, true, true);
	assert_int_equal(world.status, 503);
	answer_late();
	assert_int_equal(ask(&b), 200);
}

/* Goal: a value that is being stored when its grant is given back is not said to be stored. */
static void test_a_value_beside_a_release(void **state)
{
	static struct sessions_request request;
	struct session_stream *stream = open_stream(1);
	struct put a = put_of(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	a.token = (uint64_t)strtoull(spec_of_answer("token"), NULL, 10);
	a.has_value = true;
	a.value = "v";
	beat(1, 1);
	world.forbidden = "n";
	world.status = 0;
	sessions_put(world.sessions, &a, &request);
	assert_int_equal(world.status, 0);
	sessions_stream_closed(world.sessions, stream, true, true);
	assert_int_equal(world.status, 503);
}

/* Goal: a heartbeat neither counts nor renews what its client gives back. */
static void test_a_beat_does_not_renew_what_is_released(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	uint64_t told_until_ms;

	(void)state;
	assert_int_equal(ask(&a), 200);
	beat(1, 0);
	assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(world.body, "grants")) == 1);
	world.withdrawals = 0;
	sessions_delete(world.sessions, &a, &request);
	told_until_ms = ticket_of(&a)->told_until_ms;
	world.now_ms += 1000;
	beat(1, 0);
	assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(world.body, "grants")) == 0);
	assert_int_equal(ticket_of(&a)->told_until_ms, told_until_ms);
}

/* Goal: an answer that was waited for says how long ago it was asked: nothing is left, and its
 * client asks once more before it believes (rule 5). */
static void test_what_was_waited_for_has_to_be_confirmed(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	struct put b = put_of(2);
	uint64_t remaining_ms = 1;

	(void)state;
	wait_behind(&a, &b, &request);
	release(&a);
	assert_true(duration_parse(spec_of_answer("remaining"), &remaining_ms));
	assert_int_equal(remaining_ms, 0);
	b.read_ms = world.now_ms;
	assert_int_equal(ask(&b), 200);
	assert_true(duration_parse(spec_of_answer("remaining"), &remaining_ms));
	assert_true(remaining_ms > 0);
}

/* Goal: whoever asks for its grant when less than half of the ttl is left has it renewed at once.
 */
static void test_asking_when_little_is_left_renews(void **state)
{
	struct put a = put_of(1);

	(void)state;
	a.session = (struct id){{0}};
	assert_int_equal(ask(&a), 200);
	world.now_ms += 1000;
	assert_int_equal(ask(&a), 200);
	assert_int_equal(world.renewals, 0);
	world.now_ms += 6000;
	assert_int_equal(ask(&a), 200);
	assert_int_equal(world.renewals, 1);
}

/* Goal: nobody is answered whose connection has gone, whatever happens to the claim. */
static void test_an_abandoned_request_is_not_answered(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	struct put b = put_of(2);

	(void)state;
	wait_behind(&a, &b, &request);
	sessions_abandon(world.sessions, &request);
	assert_null(request.ticket);
	assert_null(ticket_of(&b)->request);
	world.status = 0;
	pass(5000);
	assert_int_equal(world.status, 0);
	release(&a);
	assert_int_equal(counters()->waiters, 0);
}

/* Goal: who waited on a connection, and then queues by its session, is granted by an event. */
static void test_a_wait_goes_on_in_the_queue(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	struct put b = put_of(2);
	struct session_stream *stream = open_stream(2);

	(void)state;
	wait_behind(&a, &b, &request);
	b.queue = true;
	b.wait_ms = 0;
	assert_int_equal(ask(&b), 202);
	assert_null(request.ticket);
	world.told = NULL;
	release(&a);
	assert_ptr_equal(world.told, &world);
	assert_int_equal(counters()->held, 1);
	sessions_stream_closed(world.sessions, stream, false, false);
}

/* Goal: a client for which events were dropped confirms each of its grants by itself. */
static void test_who_missed_events_is_unknown(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	const struct heartbeat heartbeat = {
	    .holder = "h", .session = a.session, .read_ms = world.now_ms};
	struct session_stream *stream = open_stream(1);
	struct session *session = session_find(world.sessions, &a.session);

	(void)state;
	sessions_stream_closed(world.sessions, stream, false, false);
	for (int i = 0; i < MOST_EVENTS; i++)
		session_post(session, "e", cJSON_CreateObject());
	beat(1, 0);
	session_post(session, "one too many", cJSON_CreateObject());
	assert_null(session->events);
	sessions_heartbeat(world.sessions, &heartbeat, &request);
	assert_int_equal(world.status, 404);
	stream = open_stream(1);
	beat(1, 0);
	sessions_stream_closed(world.sessions, stream, false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_the_earliest_timer_wakes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_an_early_timer_is_set_again, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_release_under_way_is_no_takeover, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_beat_does_not_renew_what_is_released, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_an_end_while_it_is_adopted, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_value_beside_a_release, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_what_was_waited_for_has_to_be_confirmed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_asking_when_little_is_left_renews, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_an_abandoned_request_is_not_answered, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_wait_goes_on_in_the_queue, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_who_missed_events_is_unknown, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
