/* Which signals a command is told, of those that arrived at mpsync and at its keeper. */
#include "unit.h"

#include "cli/arrivals.h"

#define T      1000 /* the first arrival */
#define LATER  (T + 50)
#define NOBODY 0

static struct arrivals arrivals;

static int begin(void **state)
{
	(void)state;
	arrivals = (struct arrivals){0};
	return 0;
}

static void is_told_once(int number, uint64_t now_ms)
{
	assert_int_equal(arrivals_due(&arrivals, now_ms), number);
	assert_int_equal(arrivals_due(&arrivals, now_ms), 0);
	assert_int_equal(arrivals_wake_ms(&arrivals), ARRIVALS_NEVER);
}

static void is_told_nothing(uint64_t now_ms)
{
	assert_int_equal(arrivals_due(&arrivals, now_ms), 0);
	assert_int_equal(arrivals_wake_ms(&arrivals), ARRIVALS_NEVER);
}

static void test_what_reached_one_is_passed_on(void **state)
{
	(void)state;
	arrivals_note(&arrivals, SIGTERM, AT_MPSYNC, T);
	assert_int_equal(arrivals_wake_ms(&arrivals), LATER);
	assert_int_equal(arrivals_due(&arrivals, LATER - 1), 0);
	is_told_once(SIGTERM, LATER);
}

static void test_what_reached_both_is_not(void **state)
{
	(void)state;
	arrivals_note(&arrivals, SIGINT, AT_KEEPER, T);
	arrivals_note(&arrivals, SIGINT, AT_MPSYNC, T + 40);
	is_told_nothing(LATER);
}

static void test_what_is_on_its_way_is_waited_for(void **state)
{
	(void)state;
	arrivals_note(&arrivals, SIGINT, AT_KEEPER, T);
	arrivals_await(&arrivals, signal_bit(SIGINT), LATER);
	assert_int_equal(arrivals_due(&arrivals, LATER), 0);
	arrivals_note(&arrivals, SIGINT, AT_MPSYNC, LATER + 1);
	is_told_nothing(LATER + 50);
}

/* Goal: of what both of us have before the command begins, it is told what came before its process,
 * and nothing that has come to that, too, however late the keeper looks. */
static void test_what_came_before_the_command(void **state)
{
	(void)state;
	arrivals_note(&arrivals, SIGINT, AT_KEEPER, T);
	arrivals_note(&arrivals, SIGINT, AT_MPSYNC, T);
	arrivals_precede_command(&arrivals, NOBODY);
	is_told_once(SIGINT, LATER);
	arrivals_note(&arrivals, SIGINT, AT_KEEPER, T);
	arrivals_note(&arrivals, SIGINT, AT_MPSYNC, T);
	arrivals_precede_command(&arrivals, signal_bit(SIGINT));
	is_told_nothing(LATER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
	    TEST(test_what_reached_one_is_passed_on),
	    TEST(test_what_reached_both_is_not),
	    TEST(test_what_is_on_its_way_is_waited_for),
	    TEST(test_what_came_before_the_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
