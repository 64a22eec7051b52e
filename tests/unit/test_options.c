#include "unit.h"

#include "base/duration.h"
#include "base/options.h"

#include <stdlib.h>
#include <string.h>

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {{"15s", 15000}, {"250ms", 250}, {"1.5s", 1500}, {"2m", 120000}, {"1h", 3600000},
	    {"0.001s", 1}, {"1000h", 3600000000}};
	static const char *const bad[] = {"", "15", "s", "1.s", ".5s", "1.2345s", "-1s", "1 s", "1d",
	    "99999999999999h", "1001h", "1s "};
	char text[DURATION_TEXT_SIZE];
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(duration_parse(good[i].text, &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(duration_parse(bad[i], &ms));
	duration_format(text, 11900);
	assert_string_equal(text, "11.900s");
}

static void expect_refused(const char *name, const char *value, const char *word)
{
	mpsync_options *options = mpsync_options_new(NULL);
	mpsync_error error;

	assert_int_equal(mpsync_options_set(options, name, value, &error), MPSYNC_E_INVALID);
	assert_non_null(strstr(error.message, word));
	mpsync_options_free(options);
}

/* Goal: what is wrong is named, with what would be right. */
static void test_wrong_values_are_refused(void **state)
{
	(void)state;
	expect_refused("tll", "15s", "tll");
	expect_refused("ttl", "soon", "duration");
	expect_refused("ttl", "1001h", "too long");
	expect_refused("ttl", "49ms", "range");
	expect_refused("ttl", "25h", "range");
	expect_refused("fence", "maybe", "auto|time");
	expect_refused("fence", "", "auto|time");
	expect_refused("identity", "a\nb", "control");
	expect_refused("prefix", "locks", "/");
}

/* Goal: a file that its owner could not use, or that would be a program, is none for locks. */
static void test_modes_of_files(void **state)
{
	static const char *const bad[] = {
	    "", "x", "600x", "-600", "0400", "0200", "0700", "0666666", "0661"};
	static const char *const good[] = {"600", "0600", "0660", "0666"};
	mpsync_options *options = mpsync_options_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect_refused("mode", bad[i], "0600 or 0660");
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(mpsync_options_set(options, "mode", good[i], NULL), MPSYNC_OK);
	assert_int_equal(mpsync_options_set(options, "prefix", "", NULL), MPSYNC_OK);
	assert_int_equal(mpsync_options_set(options, NULL, "x", NULL), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_options_set(options, "ttl", NULL, NULL), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_options_set(NULL, "ttl", "5s", NULL), MPSYNC_E_INVALID);
	mpsync_options_free(options);
}

static void test_environment_is_farther_than_the_call(void **state)
{
	struct mpsync_options options = {{0}};

	(void)state;
	setenv("MPSYNC_TTL", "7s", 1);
	setenv("MPSYNC_IDENTITY", "env", 1);
	setenv("MPSYNC_NOT_OURS", "x", 1);
	assert_int_equal(mpsync_options_set(&options, "ttl", "3s", NULL), MPSYNC_OK);
	assert_int_equal(options_from_environment(&options, NULL), MPSYNC_OK);
	assert_int_equal(options_ms(&options, OPTION_TTL), 3000);
	assert_string_equal(options_text(&options, OPTION_IDENTITY), "env");
	options_clear(&options);
	setenv("MPSYNC_TTL", "x", 1);
	assert_int_equal(options_from_environment(&options, NULL), MPSYNC_E_INVALID);
	unsetenv("MPSYNC_TTL");
	unsetenv("MPSYNC_IDENTITY");
	options_clear(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_wrong_values_are_refused),
	    cmocka_unit_test(test_modes_of_files),
	    cmocka_unit_test(test_environment_is_farther_than_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
