#include "unit.h"

#include "base/wire.h"
#include "stores/elector/json.h"

#include <string.h>

static void test_tokens_are_exact(void **state)
{
	static const char *const bad[] = {
	    "", "0", "01", "-1", "1.0", "1e3", " 1", "18446744073709551616"};
	uint64_t token;

	(void)state;
	assert_true(wire_token_parse("18446744073709551615", &token));
	assert_true(token == UINT64_MAX);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(wire_token_parse(bad[i], &token));
}

static void test_lock_object(void **state)
{
	const struct store_lock lock = {.name = "orders/42",
	    .holder = "w",
	    .token = UINT64_MAX,
	    .ttl_ms = 15000,
	    .since_ms = 1767225600000,
	    .expires_in_ms = 15000};
	cJSON *object = wire_lock(&lock, 1767225600000);
	char *text = cJSON_PrintUnformatted(object);

	(void)state;
	assert_non_null(strstr(text, "\"token\":\"18446744073709551615\""));
	assert_non_null(strstr(text, "\"expiry\":\"2026-01-01T00:00:15.000Z\""));
	assert_non_null(strstr(text, "\"value\":null"));
	assert_null(strstr(text, "remaining"));
	cJSON_free(text);
	cJSON_Delete(object);
}

static struct store_lock read_lock(const char *text)
{
	cJSON *object = cJSON_Parse(text);
	const struct store_lock lock = json_lock(object);

	assert_non_null(object);
	cJSON_Delete(object);
	return lock;
}

/* Goal: whatever an elector says of its waiters is a number of ours. */
static void test_waiters_of_a_lock_object(void **state)
{
	(void)state;
	assert_int_equal(read_lock("{\"status\":{\"waiters\":7}}").waiters, 7);
	assert_int_equal(read_lock("{\"status\":{\"waiters\":-1e999}}").waiters, 0);
	assert_int_equal(read_lock("{\"status\":{\"waiters\":1e999}}").waiters, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tokens_are_exact),
	    cmocka_unit_test(test_lock_object),
	    cmocka_unit_test(test_waiters_of_a_lock_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
