/* What an elector's answers say, whatever stands in them. */
#include "unit.h"

#include "stores/elector/json.h"

/* Goal: each reason comes back, and one that a newer elector may know is an end all the same. */
static void test_reasons(void **state)
{
	(void)state;
	for (int32_t reason = MPSYNC_REASON_EXPIRED; reason <= MPSYNC_REASON_OTHER_ELECTOR; reason++) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddStringToObject(object, "reason", mpsync_reason_text(reason));
		assert_int_equal(json_reason(object), reason);
		cJSON_Delete(object);
	}
	assert_int_equal(json_reason(NULL), MPSYNC_REASON_EXPIRED);
}

/* Goal: only a refusal that can never succeed is told as one. */
static void test_statuses(void **state)
{
	(void)state;
	assert_int_equal(json_status(401, ""), MPSYNC_E_UNAUTHENTICATED);
	assert_int_equal(json_status(403, "forbidden"), MPSYNC_E_FORBIDDEN);
	assert_int_equal(json_status(404, "free"), MPSYNC_E_NOT_HELD);
	assert_int_equal(json_status(409, "held"), MPSYNC_E_HELD);
	assert_int_equal(json_status(409, "lost"), MPSYNC_E_LOST);
	assert_int_equal(json_status(0, ""), MPSYNC_E_UNREACHABLE);
	assert_int_equal(json_status(500, "internal"), MPSYNC_E_UNREACHABLE);
	assert_int_equal(json_status(503, "store_unreachable"), MPSYNC_E_UNREACHABLE);
	assert_int_equal(json_status(400, "invalid"), MPSYNC_E_INVALID);
}

static void test_who_answers(void **state)
{
	cJSON *good = cJSON_Parse("{\"elector\":\"9b1f000000000000000000000000000a\"}");
	cJSON *bad = cJSON_Parse("{\"elector\":\"9b1f\"}");
	const struct id elector = json_elector(good);
	const struct id none = json_elector(bad);

	(void)state;
	assert_false(id_is_none(&elector));
	assert_true(id_is_none(&none));
	cJSON_Delete(good);
	cJSON_Delete(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_statuses),
	    cmocka_unit_test(test_who_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
