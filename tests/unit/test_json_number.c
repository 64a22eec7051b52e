/* Numbers in JSON that others send: any double may stand there. */
#include "unit.h"

#include "base/json_number.h"

#include <math.h>

static uint64_t saturated(const char *text, uint64_t most)
{
	cJSON *item = cJSON_Parse(text);
	const uint64_t number = json_number(item, most);

	cJSON_Delete(item);
	return number;
}

/* Goal: whatever the double is, the number lies in its bounds. */
static void test_numbers_saturate(void **state)
{
	(void)state;
	assert_int_equal(saturated("0", UINT32_MAX), 0);
	assert_int_equal(saturated("7", UINT32_MAX), 7);
	assert_int_equal(saturated("7.9", UINT32_MAX), 7);
	assert_int_equal(saturated("-1", UINT32_MAX), 0);
	assert_int_equal(saturated("-1e999", UINT32_MAX), 0);
	assert_int_equal(saturated("1e999", UINT32_MAX), UINT32_MAX);
	assert_int_equal(saturated("2.1e60", INT32_MAX), INT32_MAX);
	assert_int_equal(saturated("4294967295", UINT32_MAX), UINT32_MAX);
	assert_int_equal(saturated("4294967296", UINT32_MAX), UINT32_MAX);
	assert_int_equal(saturated("18446744073709549568", UINT64_MAX), 18446744073709549568u);
	assert_int_equal(saturated("18446744073709551616", UINT64_MAX), UINT64_MAX);
	assert_int_equal(saturated("1e999", UINT64_MAX), UINT64_MAX);
	assert_int_equal(saturated("\"7\"", UINT32_MAX), 0);
	assert_int_equal(saturated("nothing", UINT32_MAX), 0);
	assert_int_equal(json_number(&(cJSON){.type = cJSON_Number, .valuedouble = NAN}, 9), 0);
}

static bool read_as(const char *text, uint64_t most, uint64_t expected)
{
	cJSON *item = cJSON_Parse(text);
	uint64_t number = 12345;
	const bool good = json_number_read(item, most, &number);

	cJSON_Delete(item);
	assert_int_equal(number, good ? expected : 12345);
	return good;
}

/* Goal: where a field is checked, only a whole number in range is one. */
static void test_numbers_are_checked(void **state)
{
	(void)state;
	assert_true(read_as("0", 9, 0));
	assert_true(read_as("9", 9, 9));
	assert_false(read_as("10", 9, 0));
	assert_false(read_as("1.5", 9, 0));
	assert_false(read_as("-1", 9, 0));
	assert_false(read_as("1e999", UINT64_MAX, 0));
	assert_false(read_as("-1e999", UINT64_MAX, 0));
	assert_false(read_as("true", 9, 0));
	assert_false(read_as("nothing", 9, 0));
	assert_false(json_number_read(&(cJSON){.type = cJSON_Number, .valuedouble = NAN}, 9, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers_saturate),
	    cmocka_unit_test(test_numbers_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
