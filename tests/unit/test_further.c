#include "unit.h"

#include "net/further.h"

/* Goal: three are under way at most, and the place of one that ends is taken when its time comes.
 */
static void test_three_at_most(void **state)
{
	struct further further;

	(void)state;
	further_begin(&further, 0, 2500, 12000);
	assert_int_equal(further_next_ms(&further), 2500);
	assert_false(further_send(&further, 2499));
	assert_true(further_send(&further, 2500));
	assert_true(further_send(&further, 5000));
	assert_int_equal(further_next_ms(&further), FURTHER_NEVER);
	assert_false(further_send(&further, 7500));
	assert_false(further_failed(&further));
	assert_true(further_send(&further, 7500));
	assert_int_equal(further.sent, 4);
}

/* Goal: of those that are far apart one is sent shortly before the end, whatever hangs by then. */
static void test_a_last_one(void **state)
{
	struct further further;

	(void)state;
	further_begin(&further, 0, 6000, 25000);
	assert_true(further_send(&further, 6000));
	assert_int_equal(further_next_ms(&further), 22500);
	assert_false(further_send(&further, 12000));
	assert_true(further_send(&further, 22500));
	assert_int_equal(further.under_way, FURTHER_MOST);
	assert_int_equal(further_next_ms(&further), FURTHER_NEVER);
	further_begin(&further, 0, 6000, 8000);
	assert_int_equal(further_next_ms(&further), 6000);
}

/* Goal: the question is over when the last of them has failed. */
static void test_the_last_failure_ends_it(void **state)
{
	struct further further;

	(void)state;
	further_begin(&further, 0, 100, 1000);
	assert_true(further_send(&further, 100));
	assert_false(further_failed(&further));
	assert_true(further_failed(&further));
}

/* Goal: nothing is sent, and nothing lasts, when nobody wants the answer any more. */
static void test_none_beyond_its_end(void **state)
{
	struct further further;

	(void)state;
	further_begin(&further, 0, 100, 150);
	assert_true(further_send(&further, 100));
	assert_int_equal(further_next_ms(&further), FURTHER_NEVER);
	assert_false(further_send(&further, 200));
	assert_int_equal(further_lasts_ms(&further, 100, 500), 50);
	assert_int_equal(further_lasts_ms(&further, 900, 500), 1);
}

/* Goal: what must not be done twice is sent once. */
static void test_the_only_one(void **state)
{
	struct further further;

	(void)state;
	further_begin(&further, 0, 0, FURTHER_NEVER);
	assert_int_equal(further_next_ms(&further), FURTHER_NEVER);
	assert_false(further_send(&further, 100000));
	assert_true(further_failed(&further));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_three_at_most),
	    cmocka_unit_test(test_a_last_one),
	    cmocka_unit_test(test_the_last_failure_ends_it),
	    cmocka_unit_test(test_none_beyond_its_end),
	    cmocka_unit_test(test_the_only_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
