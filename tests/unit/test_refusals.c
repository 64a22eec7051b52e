/* What a client is told when the store refuses: as an answer, or as an event of its session. */
#include "sessions_world.h"

static const struct {
	enum mpsync_status status;
	int answered;
	const char *code;
	const char *event_code;
} refusals[] = {
    {MPSYNC_E_INVALID, 400, "invalid", "store_unreachable"},
    {MPSYNC_E_UNAUTHENTICATED, 401, "unauthenticated", "store_unreachable"},
    {MPSYNC_E_FORBIDDEN, 403, "forbidden", "forbidden"},
    {MPSYNC_E_INTERNAL, 503, "store_unreachable", "store_unreachable"},
};

#define COUNT (sizeof refusals / sizeof *refusals)

static void test_a_refusal_is_answered(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		const struct put a = put_of((uint8_t)(1 + i));

		world.refusal = refusals[i].status;
		assert_int_equal(ask(&a), refusals[i].answered);
		assert_string_equal(world.code, refusals[i].code);
	}
	assert_int_equal(sessions_counters(world.sessions)->waiters, 0);
}

/* Goal: whose turn comes and is refused, with no request to be answered, hears of it. */
static void test_a_refusal_of_a_queued_claim_is_an_event(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		struct put a = put_of((uint8_t)(1 + 2 * i));
		struct put b = put_of((uint8_t)(2 + 2 * i));
		struct session_stream *stream = open_stream((uint8_t)(2 + 2 * i));

		world.refusal = MPSYNC_OK;
		assert_int_equal(ask(&a), 200);
		b.queue = true;
		assert_int_equal(ask(&b), 202);
		world.refusal = refusals[i].status;
		release(&a);
		assert_string_equal(world.event, "refused");
		assert_string_equal(
		    cJSON_GetStringValue(cJSON_GetObjectItem(world.data, "code")), refusals[i].event_code);
		assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(world.data, "name")), "n");
		sessions_stream_closed(world.sessions, stream, false, false);
	}
	assert_int_equal(sessions_counters(world.sessions)->waiters, 0);
}

/* Goal: whether a former elector's grant lasts only the store knows: until it says so, nobody is
 * told that it is over. */
static void test_a_grant_that_is_given_back_is_in_doubt(void **state)
{
	static struct sessions_request request;
	struct put a = put_of(1);

	(void)state;
	a.token = 5;
	world.late_ops = true;
	sessions_delete(world.sessions, &a, &request);
	assert_int_equal(ask(&a), 503);
	assert_string_equal(world.code, "store_unreachable");
	answer_late();
	pass(200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_refusal_is_answered, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_refusal_of_a_queued_claim_is_an_event, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_a_grant_that_is_given_back_is_in_doubt, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
