/* The times in the order of waiters follow the server's speed, between a floor and a ceiling. */
#include "unit.h"
#include <setjmp.h>

#include "stores/records/pace.h"

static struct pace paced(uint64_t round_ms)
{
	struct pace pace = {0};

	for (int i = 0; i < 50; i++)
		pace_answered(&pace, round_ms);
	return pace;
}

static void test_unmeasured(void **state)
{
	const struct pace pace = {0};

	(void)state;
	assert_int_equal(pace_place_ms(&pace), 50);
	assert_int_equal(pace_round_ms(&pace), 1);
}

static void test_a_place_lasts_four_rounds(void **state)
{
	struct pace pace = paced(17);

	(void)state;
	assert_in_range(pace_place_ms(&pace), 65, 69);
	pace = paced(70);
	assert_in_range(pace_place_ms(&pace), 277, 281);
}

static void test_floor_and_ceiling(void **state)
{
	struct pace pace = paced(0);

	(void)state;
	assert_int_equal(pace_place_ms(&pace), 10);
	pace = paced(60000);
	assert_in_range(pace_round_ms(&pace), 1000, 1001);
	assert_int_equal(pace_place_ms(&pace), 2000);
}

/* A client that connected while the machine was busy waits no longer than the others need. */
static void test_others_show_that_it_is_quicker(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_answered(&pace, 900);
	for (int i = 0; i < PACE_OTHERS - 1; i++)
		pace_outrun(&pace, 10);
	assert_in_range(pace_round_ms(&pace), 225, 226);
	pace_outrun(&pace, 1);
	assert_int_equal(pace_round_ms(&pace), 10);
	for (int i = 0; i < PACE_OTHERS; i++)
		pace_outrun(&pace, 500);
	assert_in_range(pace_round_ms(&pace), 225, 226);
}

/* The first request waits for the connection, too. */
static void test_connecting_is_no_round(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_answered(&pace, 40);
	assert_in_range(pace_round_ms(&pace), 10, 11);
	pace_answered(&pace, 30);
	assert_in_range(pace_round_ms(&pace), 30, 31);
}

/* Whoever is told late is as blind as one who is answered late. */
static void test_the_slower_of_answer_and_event_counts(void **state)
{
	struct pace pace = paced(2);

	(void)state;
	pace_echoed(&pace, 3);
	assert_in_range(pace_round_ms(&pace), 3, 4);
	/* But not what kept a busy machine from telling. */
	for (int i = 0; i < 50; i++)
		pace_echoed(&pace, 30);
	assert_in_range(pace_round_ms(&pace), 4, 5);
}

static void test_nobody_else_no_delay(void **state)
{
	const struct pace pace = paced(70);
	const struct rivals rivals = {0};

	(void)state;
	assert_int_equal(rivals_window_ms(&rivals, &pace), 0);
}

/* A lost race is evidence of others, silence of nobody. */
static void test_rivals_are_learnt_and_forgotten(void **state)
{
	const struct pace pace = paced(70);
	struct rivals rivals = {0};

	(void)state;
	for (int i = 0; i < 10; i++)
		rivals_met(&rivals);
	assert_in_range(rivals_window_ms(&rivals, &pace), 4900, 5000);
	for (int i = 0; i < 30; i++)
		rivals_silent(&rivals, &pace, 1000, 1);
	assert_true(rivals_window_ms(&rivals, &pace) < 140);
}

/* One contender that knows of no other writes at once: that it is quick is no evidence of more. */
static void test_a_quick_write_is_no_crowd(void **state)
{
	const struct pace pace = paced(70);
	struct rivals rivals = {0};

	(void)state;
	for (int i = 0; i < 100; i++)
		rivals_seen(&rivals, &pace, 0, 1);
	assert_int_equal(rivals_window_ms(&rivals, &pace), 0);
}

/* Whoever wins each time, and hears of nobody, soon writes at once. */
static void test_nobody_met_no_delay(void **state)
{
	const struct pace pace = paced(70);
	struct rivals rivals = {0};

	(void)state;
	rivals_crowd(&rivals);
	for (int i = 0; i < 3; i++)
		rivals_unmet(&rivals);
	assert_true(rivals_window_ms(&rivals, &pace) > 1000);
	for (int i = 0; i < 5; i++)
		rivals_unmet(&rivals);
	assert_int_equal(rivals_window_ms(&rivals, &pace), 0);
}

/* What each began with is no advantage for long. */
static void test_estimates_come_together(void **state)
{
	const struct pace pace = paced(4);
	struct rivals few = {0};
	struct rivals many = {0};

	(void)state;
	for (int i = 0; i < 9; i++)
		rivals_met(&many);
	for (int i = 0; i < 400; i++) {
		rivals_seen(&few, &pace, i % 2 ? 1 : 12, 1);
		rivals_seen(&many, &pace, i % 2 ? 1 : 12, 1);
		/* A window that is so much shorter loses so many more races. */
		if (i % 20 == 0)
			rivals_met(&few);
	}
	assert_true(many.count < 4 * few.count + 64);
}

static void test_full_places_tell_of_a_crowd(void **state)
{
	const struct pace pace = paced(10);
	struct rivals rivals = {0};

	(void)state;
	rivals_crowd(&rivals);
	assert_in_range(rivals_window_ms(&rivals, &pace), 155, 161);
	/* The more places are taken, the longer may it take. */
	assert_true(
	    rivals_reserve_window_ms(&rivals, &pace, 7) > rivals_reserve_window_ms(&rivals, &pace, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unmeasured),
	    cmocka_unit_test(test_a_place_lasts_four_rounds),
	    cmocka_unit_test(test_floor_and_ceiling),
	    cmocka_unit_test(test_others_show_that_it_is_quicker),
	    cmocka_unit_test(test_connecting_is_no_round),
	    cmocka_unit_test(test_the_slower_of_answer_and_event_counts),
	    cmocka_unit_test(test_nobody_else_no_delay),
	    cmocka_unit_test(test_rivals_are_learnt_and_forgotten),
	    cmocka_unit_test(test_a_quick_write_is_no_crowd),
	    cmocka_unit_test(test_nobody_met_no_delay),
	    cmocka_unit_test(test_estimates_come_together),
	    cmocka_unit_test(test_full_places_tell_of_a_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
