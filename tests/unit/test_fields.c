/*
 * Goal: a body that says what nobody may say is refused, with words that name the field; nothing of
 * it is taken for something else.
 */
#include "unit.h"

#include "elector/http/fields.h"

#include <string.h>

#define CLAIM    "\"claim\":\"00112233445566778899aabbccddeeff\""
#define SESSION  "0123456789abcdef0123456789abcdef"
#define CONTENDS "\"holder\":\"h\"," CLAIM

struct refusal {
	const char *body;
	const char *problem; /* a part of it */
	const char *session;
};

static const struct store seconds_only = {.shortest_ttl_ms = 3000, .ttl_step_ms = 1000};

static const struct refusal refused_puts[] = {
    {"{" CONTENDS ",\"color\":1}", "there is no field \"color\"", NULL},
    {"{" CONTENDS ",\"holder\":\"i\"}", "the field \"holder\" stands twice", NULL},
    {"{\"holder\":7," CLAIM "}", "holder: it has to be a string", NULL},
    {"{\"holder\":\"\"," CLAIM "}", "holder: ", NULL},
    {"{\"holder\":\"h\",\"claim\":\"xyz\"}", "claim: it has to be 32", NULL},
    {"{\"holder\":\"h\",\"claim\":\"00000000000000000000000000000000\"}", "claim: it has to be 32",
        NULL},
    {"{" CONTENDS ",\"token\":\"07\"}", "token: it has to be decimal digits", NULL},
    {"{" CONTENDS ",\"type\":\"mutex\"}", "type: it has to be \"lock\" or", NULL},
    {"{" CONTENDS ",\"name\":\"m\"}", "name: it stands in the path already", NULL},
    {"{" CONTENDS ",\"ttl\":15}", "ttl is not a duration", NULL},
    {"{" CONTENDS ",\"ttl\":\"1s\"}", "ttl: it is out of this store's range", NULL},
    {"{" CONTENDS ",\"ttl\":\"9000000h\"}", "ttl", NULL},
    {"{" CONTENDS ",\"ttl\":\"3500ms\"}", "whole seconds only", NULL},
    {"{" CONTENDS ",\"wait\":\"soon\"}", "wait is not a duration", NULL},
    {"{" CONTENDS ",\"ttl\":\"1001h\"}", "ttl is too long", NULL},
    {"{" CONTENDS ",\"wait\":\"6m\"}", "wait: the most is 5m", NULL},
    {"{" CONTENDS ",\"order\":0}", "order: it has to be a number above 0", NULL},
    {"{" CONTENDS ",\"stream\":\"1\"}", "stream: it has to be the number", NULL},
    {"{" CONTENDS ",\"queue\":\"yes\"}", "queue: it has to be true or false", NULL},
    {"{" CLAIM "}", "holder is missing", NULL},
    {"{\"holder\":\"h\"}", "claim is missing", NULL},
    {"{" CONTENDS ",\"token\":\"7\",\"wait\":\"1s\"}", "token excludes wait and queue", NULL},
    {"{" CONTENDS ",\"token\":\"7\",\"queue\":true}", "token excludes wait and queue", SESSION},
    {"{" CONTENDS ",\"order\":1}", "order needs value, token", NULL},
    {"{" CONTENDS ",\"order\":1,\"token\":\"7\"}", "order needs value", SESSION},
    {"{" CONTENDS ",\"order\":1,\"token\":\"7\",\"value\":\"v\"}", "order needs value", SESSION},
    {"{" CONTENDS ",\"order\":1,\"token\":\"7\",\"value\":\"v\",\"stream\":2}", "order needs value",
        NULL},
    {"{" CONTENDS ",\"queue\":true,\"wait\":\"1s\"}", "queue excludes wait", SESSION},
    {"{" CONTENDS ",\"queue\":true}", "queue needs the header Mpsync-Session", NULL},
    {"{" CONTENDS "}", "Mpsync-Session has to be 32 lower-case", "0123456789ABCDEF"},
};

static const struct refusal refused_beats[] = {
    {"{}", "a heartbeat needs the header", NULL},
    {"{}", "a heartbeat needs the header", "00000000000000000000000000000000"},
    {"{\"sen\":\"1\"}", "there is no field \"sen\"", SESSION},
    {"{\"seen\":1}", "seen: it has to be decimal digits", SESSION},
    {"{\"fence\":\"none\"}", "fence: it has to be \"time\" or", SESSION},
    {"{\"grants\":-1}", "grants: it has to be how many", SESSION},
    {"{\"stream\":0.5}", "stream: it has to be the number", SESSION},
    {"{\"low\":1}", "low: it has to be true or false", SESSION},
};

static void test_puts_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused_puts / sizeof *refused_puts; i++) {
		cJSON *object = cJSON_Parse(refused_puts[i].body);
		char problem[FIELDS_PROBLEM_SIZE] = "";
		struct put put = {.name = "n"};

		assert_non_null(object);
		assert_false(put_parse(&put, object, refused_puts[i].session, &seconds_only, problem));
		if (!strstr(problem, refused_puts[i].problem))
			fail_msg("%s: %s", refused_puts[i].body, problem);
		cJSON_Delete(object);
	}
}

/* Without a name in the path the body has to say one. */
static void test_name_of_the_body(void **state)
{
	char problem[FIELDS_PROBLEM_SIZE];
	cJSON *object = cJSON_Parse("{" CONTENDS "}");
	struct put put = {0};

	(void)state;
	assert_false(put_parse(&put, object, NULL, &seconds_only, problem));
	assert_string_equal(problem, "name is missing");
	cJSON_AddStringToObject(object, "name", "");
	put = (struct put){0};
	assert_false(put_parse(&put, object, NULL, &seconds_only, problem));
	cJSON_ReplaceItemInObject(object, "name", cJSON_CreateString("m"));
	put = (struct put){0};
	assert_true(put_parse(&put, object, NULL, &seconds_only, problem));
	assert_string_equal(put.name, "m");
	assert_int_equal(put.ttl_ms, 15000);
	cJSON_Delete(object);
}

static void test_heartbeats_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused_beats / sizeof *refused_beats; i++) {
		cJSON *object = cJSON_Parse(refused_beats[i].body);
		char problem[FIELDS_PROBLEM_SIZE] = "";
		struct heartbeat beat = {.holder = "h"};

		assert_false(heartbeat_parse(&beat, object, refused_beats[i].session, problem));
		if (!strstr(problem, refused_beats[i].problem))
			fail_msg("%s: %s", refused_beats[i].body, problem);
		cJSON_Delete(object);
	}
}

/* Who fences by a stream and does not say by which fences by none that there is, not by time. */
static void test_fence_without_its_stream(void **state)
{
	cJSON *object = cJSON_Parse("{\"fence\":\"stream\"}");
	char problem[FIELDS_PROBLEM_SIZE];
	struct heartbeat beat = {.holder = "h"};

	(void)state;
	assert_true(heartbeat_parse(&beat, object, SESSION, problem));
	assert_true(beat.stream == UINT64_MAX);
	cJSON_Delete(object);
}

static void test_force(void **state)
{
	static const char *const wrong[] = {
	    "{\"force\":true,\"now\":\"yes\"}", "{\"force\":true,\"then\":true}"};
	char problem[FIELDS_PROBLEM_SIZE];
	bool now = true;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		cJSON *object = cJSON_Parse(wrong[i]);

		assert_false(force_parse(&now, object, problem));
		cJSON_Delete(object);
	}
	assert_false(now);
}

/* Bytes that are no JSON object alone. */
static void test_bodies_that_are_none(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum body is;
	} bodies[] = {{"", 0, BODY_EMPTY}, {" \n", 2, BODY_EMPTY}, {"{} \t", 4, BODY_OBJECT},
	    {"{} x", 4, BODY_BAD}, {"{}\0", 3, BODY_BAD}, {"{\"a\":\"\xff\"}", 9, BODY_BAD},
	    {"[]", 2, BODY_BAD}, {"{", 1, BODY_BAD}};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		char problem[FIELDS_PROBLEM_SIZE];
		cJSON *object = NULL;

		assert_int_equal(
		    body_parse(bodies[i].bytes, bodies[i].size, &object, problem), bodies[i].is);
		cJSON_Delete(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_puts_are_refused),
	    cmocka_unit_test(test_name_of_the_body),
	    cmocka_unit_test(test_heartbeats_are_refused),
	    cmocka_unit_test(test_fence_without_its_stream),
	    cmocka_unit_test(test_force),
	    cmocka_unit_test(test_bodies_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
