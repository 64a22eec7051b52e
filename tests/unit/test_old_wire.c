/* Callers of the old wire: how long each of their requests counts, and what a restart leaves them.
 */
#include "sessions_world.h"

static struct sessions_request requests[4];

static int put_as(size_t caller, bool create)
{
	world.status = 0;
	sessions_put_anonymous(world.sessions, "n", create, world.now_ms, &requests[caller]);
	return world.status;
}

static int put_old(void)
{
	return put_as(0, false);
}

/* A contender of the new wire: 200 when it is given the name, and then it is released. */
static int other(void)
{
	struct put put = put_of(9);
	const int status = ask(&put);

	if (status == 200)
		sessions_delete(world.sessions, &put, &requests[3]);
	return status;
}

/* Goal: 30 s after the one request it is held still, and free when its ttl of 38 s is over. */
static void test_one_request_counts_for_30_s(void **state)
{
	(void)state;
	assert_int_equal(put_old(), 200);
	pass(30000);
	assert_int_equal(other(), 409);
	pass(8000);
	assert_int_equal(other(), 200);
}

/* Goal: who asks each 26 s never loses it. */
static void test_each_26_s(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(put_old(), 200);
		pass(26000);
		world.status = 0;
	}
	pass(3900);
	assert_int_equal(
	    ask(&(struct put){
	        .name = "n", .holder = "h", .claim = {{7}}, .ttl_ms = 15000, .read_ms = world.now_ms}),
	    409);
}

/* Goal: the expiry that is told is 30 s ahead, also where the store's right was renewed before. */
static void test_what_is_told(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const cJSON *spec;

		assert_int_equal(put_old(), 200);
		spec = cJSON_GetObjectItem(world.body, "spec");
		assert_string_equal(
		    cJSON_GetStringValue(cJSON_GetObjectItem(spec, "remaining")), "30.000s");
		assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(spec, "ttl")), "38.000s");
		pass(7000);
	}
}

/* Goal: a later elector of this identity goes on with it, again and again; to others it is held. */
static void test_restarts(void **state)
{
	(void)state;
	assert_int_equal(put_old(), 200);
	for (int i = 0; i < 3; i++) {
		restart_elector();
		assert_int_equal(other(), 409);
		assert_int_equal(put_old(), 200);
		pass(20000);
	}
}

/* Goal: after a restart a POST is refused as well, and takes nothing away from who has it. */
static void test_a_post_after_a_restart(void **state)
{
	(void)state;
	assert_int_equal(put_as(0, true), 200);
	restart_elector();
	assert_int_equal(put_as(1, true), 409);
	assert_int_equal(put_old(), 200);
	assert_int_equal(put_as(1, true), 409);
}

/* Goal: nobody asks any more after the restart: it is free after its ttl. */
static void test_nobody_comes_back(void **state)
{
	(void)state;
	assert_int_equal(put_old(), 200);
	restart_elector();
	pass(39000);
	assert_int_equal(other(), 200);
}

/* Goal: those who ask while the store has not answered yet are all told the same. */
static void test_two_at_once(void **state)
{
	(void)state;
	assert_int_equal(put_old(), 200);
	restart_elector();
	world.late_ops = true;
	assert_int_equal(put_as(0, false), 0);
	assert_int_equal(put_as(1, false), 0);
	assert_int_equal(put_as(2, true), 409);
	answer_late();
	assert_int_equal(world.status, 200);
	assert_null(requests[0].ticket);
	assert_null(requests[1].ticket);
}

/* Goal: who goes away while what it had is regained loses nothing by that. */
static void test_gone_while_it_is_regained(void **state)
{
	(void)state;
	assert_int_equal(put_old(), 200);
	restart_elector();
	world.late_ops = true;
	assert_int_equal(put_old(), 0);
	sessions_abandon(world.sessions, &requests[0]);
	answer_late();
	pass(20000);
	assert_int_equal(other(), 409);
	assert_int_equal(put_old(), 200);
}

/* Goal: where others wait here, what was had before the restart goes before them. */
static void test_regained_before_those_who_wait(void **state)
{
	struct put put = put_of(1);
	static struct sessions_request waiter;

	(void)state;
	assert_int_equal(put_old(), 200);
	restart_elector();
	put.wait_ms = 60000;
	sessions_put(world.sessions, &put, &waiter);
	assert_int_equal(put_old(), 200);
	sessions_abandon(world.sessions, &waiter);
}

/* Goal: who comes back while its grant is being given back does not hold it: 200 is all that it
 * reads. */
static void test_asked_while_it_is_given_back(void **state)
{
	(void)state;
	assert_int_equal(put_old(), 200);
	world.withdrawals = 0;
	pass(35000);
	put_old();
	withdraw_late();
	assert_int_equal(world.status, 409);
	assert_null(requests[0].ticket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_one_request_counts_for_30_s, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_each_26_s, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_what_is_told, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_restarts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_post_after_a_restart, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_nobody_comes_back, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_two_at_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_gone_while_it_is_regained, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_asked_while_it_is_given_back, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_regained_before_those_who_wait, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
