/* What an elector may give away, and when. */
#include "sessions_world.h"

#include "base/duration.h"

/* Goal: nobody gets what another was told he has, until that time is over (rule 1). */
static void test_nothing_is_given_away_before_told_until(void **state)
{
	const struct put a = put_of(1);
	struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	pass(12000);
	b.read_ms = world.now_ms;
	assert_int_equal(ask(&b), 409);
	pass(800);
	b.read_ms = world.now_ms;
	b.claim = (struct id){{3}};
	assert_int_equal(ask(&b), 200);
}

/* Goal: the same claim again is a retry; another claim of the same holder is another (rule 11). */
static void test_claim_is_what_counts(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	assert_int_equal(ask(&a), 200);
	assert_int_equal(ask(&b), 409);
}

/* Goal: a stream's end alone proves nothing: not unless its client declared it its fence. */
static void test_stream_end_without_declaration(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct session_stream *stream = open_stream(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	sessions_stream_closed(world.sessions, stream, true, true);
	assert_int_equal(ask(&b), 409);
}

static void test_declared_clean_end_hands_over(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct session_stream *stream = open_stream(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	beat(1, 1);
	sessions_stream_closed(world.sessions, stream, true, false);
	assert_int_equal(ask(&b), 200);
}

/* Goal: a reset, a proxy's end or our own end of a declared stream is no proof. */
static void test_unclean_end_proves_nothing(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct session_stream *stream = open_stream(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	beat(1, 1);
	sessions_stream_closed(world.sessions, stream, false, false);
	assert_int_equal(ask(&b), 409);
}

/* Goal: only the newest stream counts (rule 2). */
static void test_older_generation_is_ignored(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct session_stream *first = open_stream(1);
	struct session_stream *second;

	(void)state;
	assert_int_equal(ask(&a), 200);
	beat(1, 1);
	second = open_stream(1);
	sessions_stream_closed(world.sessions, first, true, true);
	assert_int_equal(ask(&b), 409);
	sessions_stream_closed(world.sessions, second, true, true);
	assert_int_equal(ask(&b), 409);
}

/* Goal: a cancel that overtakes its PUT still wins (rule 12). */
static void test_tombstone(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);

	(void)state;
	sessions_delete(world.sessions, &a, &request);
	assert_int_equal(world.status, 200);
	assert_int_equal(ask(&a), 409);
}

static void test_wrong_token_and_ttl(void **state)
{
	struct put a = put_of(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	a.token = 1;
	assert_int_equal(ask(&a), 400);
	a.token = 0;
	a.ttl_given = true;
	a.ttl_ms = 5000;
	assert_int_equal(ask(&a), 400);
}

/* Goal: a heartbeat keeps what the session holds, for as long as it beats. */
static void test_heartbeats_keep(void **state)
{
	const struct put a = put_of(1);
	struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	for (int i = 0; i < 10; i++) {
		pass(4000);
		beat(1, 0);
	}
	b.read_ms = world.now_ms;
	assert_int_equal(ask(&b), 409);
}

static uint64_t ms_of(const cJSON *object, const char *name)
{
	uint64_t ms = 0;

	assert_true(
	    duration_parse(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name)), &ms));
	return ms;
}

static uint64_t told_remaining_ms(void)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(world.body, "remaining");

	assert_int_equal(cJSON_GetArraySize(list), 1);
	return ms_of(cJSON_GetArrayItem(list, 0), "remaining");
}

/* Two grants of one session, of which the store renews one alone; nearly all of a right has passed.
 */
static void hold_two_of_which_one_is_forbidden(void)
{
	struct put put = put_of(1);

	assert_int_equal(ask(&put), 200);
	put.name = "forbidden";
	put.claim = (struct id){{2}};
	assert_int_equal(ask(&put), 200);
	world.forbidden = "forbidden";
	for (int i = 0; i < 10; i++) {
		pass(1000);
		beat(1, 0);
	}
}

/* Goal: one grant that the store does not renew takes no other with it. */
static void test_low_grant_is_told_of_by_itself(void **state)
{
	const cJSON *low;

	(void)state;
	hold_two_of_which_one_is_forbidden();
	beat_as(1, 0, true);
	assert_true(told_remaining_ms() > 15000 / 3);
	assert_int_equal(cJSON_GetObjectItemCaseSensitive(world.body, "grants")->valueint, 2);
	low = cJSON_GetObjectItemCaseSensitive(world.body, "low");
	assert_int_equal(cJSON_GetArraySize(low), 1);
	low = cJSON_GetArrayItem(low, 0);
	assert_string_equal(
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(low, "name")), "forbidden");
	assert_true(ms_of(low, "remaining") < 15000 / 4);
}

/* Goal: a client that knows no `low` is told what the least of its grants has left. */
static void test_former_client_is_told_the_least(void **state)
{
	(void)state;
	hold_two_of_which_one_is_forbidden();
	beat(1, 0);
	assert_true(told_remaining_ms() < 15000 / 4);
	assert_null(cJSON_GetObjectItemCaseSensitive(world.body, "low"));
}

/* Goal: what others were told does not count for a low grant: it is given away in its own time. */
static void test_low_grant_is_given_away_in_its_own_time(void **state)
{
	struct put other = put_of(3);

	(void)state;
	hold_two_of_which_one_is_forbidden();
	beat_as(1, 0, true);
	pass(5000);
	other.name = "forbidden";
	other.read_ms = world.now_ms;
	assert_int_equal(ask(&other), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
	        test_nothing_is_given_away_before_told_until, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_claim_is_what_counts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_stream_end_without_declaration, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_declared_clean_end_hands_over, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_unclean_end_proves_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_older_generation_is_ignored, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_tombstone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_wrong_token_and_ttl, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_heartbeats_keep, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_low_grant_is_told_of_by_itself, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_former_client_is_told_the_least, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_low_grant_is_given_away_in_its_own_time, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
