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
	assert_int_equal(pace_place_ms(&pace), 20);
	pace = paced(60000);
	assert_in_range(pace_round_ms(&pace), 1000, 1001);
	assert_int_equal(pace_place_ms(&pace), 2000);
}

/* What one long wait made of it is forgotten by what others do. */
static void test_others_show_that_it_is_quicker(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_answered(&pace, 900);
	for (int i = 0; i < 1000; i++)
		pace_outrun(&pace, 10);
	assert_in_range(pace_round_ms(&pace), 10, 20);
	for (int i = 0; i < 1000; i++)
		pace_outrun(&pace, 500);
	assert_in_range(pace_round_ms(&pace), 10, 20);
}

/* Whoever is told late is as blind as one who is answered late. */
static void test_the_slower_of_answer_and_event_counts(void **state)
{
	struct pace pace = paced(2);

	(void)state;
	pace_echoed(&pace, 30);
	assert_in_range(pace_round_ms(&pace), 30, 31);
	pace_echoed(&pace, 1);
	assert_true(pace_round_ms(&pace) < 30);
}

static void test_nobody_else_no_delay(void **state)
{
	const struct pace pace = paced(70);
	const struct rivals rivals = {0};

	(void)state;
	assert_int_equal(rivals_window_ms(&rivals, &pace), 0);
}

/* Each sees how soon the first of the others wrote, and spreads by that. */
static void test_rivals_are_learnt_and_forgotten(void **state)
{
	const struct pace pace = paced(70);
	struct rivals rivals = {0};
	uint64_t most_ms;

	(void)state;
	for (int i = 0; i < 100; i++)
		rivals_seen(&rivals, &pace, 0, 1);
	most_ms = rivals_window_ms(&rivals, &pace);
	assert_in_range(most_ms, 4900, 5000);
	for (int i = 0; i < 100; i++)
		rivals_seen(&rivals, &pace, 1000, 1);
	assert_true(rivals_window_ms(&rivals, &pace) < 140);
}

/* What each began with is no advantage for long. */
static void test_estimates_come_together(void **state)
{
	const struct pace pace = paced(4);
	struct rivals few = {0};
	struct rivals many = {0};

	(void)state;
	for (int i = 0; i < 40; i++)
		rivals_seen(&many, &pace, 0, 1);
	for (int i = 0; i < 400; i++) {
		rivals_seen(&few, &pace, i % 2 ? 1 : 12, 1);
		rivals_seen(&many, &pace, i % 2 ? 1 : 12, 1);
	}
	assert_in_range(few.count, many.count * 9 / 10, many.count * 11 / 10);
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
	    cmocka_unit_test(test_the_slower_of_answer_and_event_counts),
	    cmocka_unit_test(test_nobody_else_no_delay),
	    cmocka_unit_test(test_rivals_are_learnt_and_forgotten),
	    cmocka_unit_test(test_estimates_come_together),
	    cmocka_unit_test(test_full_places_tell_of_a_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
