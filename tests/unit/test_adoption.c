/* What an elector does with the grants of a former one. */
#include "sessions_world.h"

#include "base/wire.h"

/* The grant of a claim, as its client presents it to another elector. */
static struct put confirmation_of(const struct put *put)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(world.body, "spec");
	struct put confirmation = *put;

	confirmation.read_ms = world.now_ms;
	assert_true(
	    wire_token_parse(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(spec, "token")),
	        &confirmation.token));
	return confirmation;
}

/* Goal: a restart costs nothing: the token is known, and the grant goes on under it. */
static void test_restarted_elector_adopts(void **state)
{
	const struct put a = put_of(1);
	struct put confirmation;

	(void)state;
	assert_int_equal(ask(&a), 200);
	confirmation = confirmation_of(&a);
	restart_elector();
	assert_int_equal(ask(&confirmation), 200);
	assert_int_equal(sessions_counters(world.sessions)->held, 1);
}

/* Goal: an adopted grant whose client is gone is given on when nobody can believe in it, and not
 * before, though nobody asks for it again. */
static void test_adopted_grant_of_a_dead_client_is_given_on(void **state)
{
	const struct put a = put_of(1);
	struct put b = put_of(2);
	struct put confirmation;

	(void)state;
	assert_int_equal(ask(&a), 200);
	confirmation = confirmation_of(&a);
	restart_elector();
	assert_int_equal(ask(&confirmation), 200);
	pass(12000);
	b.read_ms = world.now_ms;
	assert_int_equal(ask(&b), 409);
	pass(800);
	b.read_ms = world.now_ms;
	b.claim = (struct id){{3}};
	assert_int_equal(ask(&b), 200);
}

/* Goal: also if its client went away before it was answered. */
static void test_adopted_grant_that_was_told_to_nobody_is_given_on(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	struct put b = put_of(2);
	struct put confirmation;

	(void)state;
	assert_int_equal(ask(&a), 200);
	confirmation = confirmation_of(&a);
	restart_elector();
	world.late_ops = true;
	request.ticket = NULL;
	sessions_put(world.sessions, &confirmation, &request);
	assert_non_null(request.ticket);
	sessions_abandon(world.sessions, &request);
	answer_late();
	assert_int_equal(sessions_counters(world.sessions)->held, 1);
	pass(12000);
	b.read_ms = world.now_ms;
	assert_int_equal(ask(&b), 409);
	pass(800);
	b.read_ms = world.now_ms;
	b.claim = (struct id){{3}};
	assert_int_equal(ask(&b), 200);
}

/* Goal: `released` means released, also for a grant that only the store knows of. */
static void test_release_right_after_a_restart(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct put confirmation;

	(void)state;
	assert_int_equal(ask(&a), 200);
	confirmation = confirmation_of(&a);
	restart_elector();
	world.status = 0;
	sessions_delete(world.sessions, &confirmation, &request);
	assert_int_equal(world.status, 200);
	assert_int_equal(sessions_counters(world.sessions)->held, 0);
	assert_int_equal(ask(&b), 200);
}

/* Goal: nor is it released for a token that is not the grant's. */
static void test_release_with_a_wrong_token_after_a_restart(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct put confirmation;

	(void)state;
	assert_int_equal(ask(&a), 200);
	confirmation = confirmation_of(&a);
	confirmation.token++;
	restart_elector();
	world.status = 0;
	sessions_delete(world.sessions, &confirmation, &request);
	assert_int_equal(world.status, 409);
	assert_int_equal(ask(&b), 409);
}

/* Goal: a wait that an adoption ends, and whose client goes away too, keeps no timer that rings on.
 */
static void test_abandoned_adoption_of_what_waits_comes_to_rest(void **state)
{
	static struct sessions_request request;
	struct put waiting = put_of(1);
	struct put adopting = put_of(1);

	(void)state;
	world.late_ops = true;
	waiting.wait_ms = 5000;
	sessions_put(world.sessions, &waiting, &request);
	adopting.token = 5;
	sessions_put(world.sessions, &adopting, &request);
	assert_non_null(request.ticket);
	sessions_abandon(world.sessions, &request);
	pass(10000);
	assert_int_equal(sessions_counters(world.sessions)->held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_restarted_elector_adopts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_adopted_grant_of_a_dead_client_is_given_on, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_adopted_grant_that_was_told_to_nobody_is_given_on, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_release_right_after_a_restart, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_release_with_a_wrong_token_after_a_restart, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_abandoned_adoption_of_what_waits_comes_to_rest, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
