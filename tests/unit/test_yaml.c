/*
 * Goal: YAML becomes JSON as Kubernetes reads it, merges included; what would be read in another
 * way is refused, and without memory nothing is left out.
 */
#include "unit.h"

#include "failing.h"
#include "stores/kubernetes/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char problem[200];

static cJSON *parse(const char *text)
{
	return yaml_parse(text, strlen(text), problem, sizeof problem);
}

static const struct {
	const char *yaml;
	const char *json;
} read[] = {
    {"", "{}"},
    {"a: text\nb: 'y'\nc: y\nd: Off\ne: ~\nf:\ng: \"\"\n",
        "{\"a\":\"text\",\"b\":\"y\",\"c\":true,\"d\":false,\"e\":null,\"f\":null,\"g\":\"\"}"},
    {"- 1\n- [a, {b: c}]\n", "[\"1\",[\"a\",{\"b\":\"c\"}]]"},
    {"a: b\na: c\n", "{\"a\":\"c\"}"},
    {"x: &x {a: b}\ny: *x\n", "{\"x\":{\"a\":\"b\"},\"y\":{\"a\":\"b\"}}"},
    /* A merge, of one mapping or of several, the first of which counts most. */
    {"<<: {a: b, c: d}\nc: e\n", "{\"a\":\"b\",\"c\":\"e\"}"},
    {"<<: [{a: first}, {a: second, b: c}]\n", "{\"b\":\"c\",\"a\":\"first\"}"},
    {"\"<<\": a\n", "{\"<<\":\"a\"}"},
};

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof read / sizeof *read; i++) {
		cJSON *value = parse(read[i].yaml);
		char *text = cJSON_PrintUnformatted(value);

		if (!value || strcmp(text, read[i].json) != 0)
			fail_msg("%s: %s (%s)", read[i].yaml, text ? text : "-", problem);
		free(text);
		cJSON_Delete(value);
	}
}

static void is_refused(const char *text, const char *words)
{
	cJSON *value = parse(text);

	if (value || !strstr(problem, words))
		fail_msg("%.40s: %s", text, problem);
}

static void test_refused(void **state)
{
	char deep[400] = "";

	(void)state;
	is_refused("a: b\nc: [d\n", "line 3: ");
	is_refused("a: \"\\q\"\n", "line 1: ");
	is_refused("[a, b]: c\n", "keys that are no text");
	is_refused("<<: text\n", "keys that are no text");
	is_refused("<<: [text]\n", "keys that are no text");
	is_refused("a: [{[b]: c}]\n", "keys that are no text");
	memset(deep, '[', 150);
	memset(deep + 150, ']', 150);
	is_refused(deep, "nested too deeply");
}

/* Ten lists, each of which has the one before it ten times. */
static void test_a_small_text_that_grows(void **state)
{
	char text[1000] = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n";

	(void)state;
	for (int i = 1; i < 10; i++) {
		const size_t length = strlen(text);

		snprintf(text + length, sizeof text - length, "l%d: &l%d [*l%d", i, i, i - 1);
		for (int k = 1; k < 10; k++)
			sprintf(text + strlen(text), ", *l%d", i - 1);
		strcat(text, "]\n");
	}
	is_refused(text, "too large");
}

static void test_all_of_it_or_nothing(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		cJSON *value;
		char *text;

		failing_from(nth, 1);
		value = parse("<<: [{a: b}]\nc: [d, y, ~, {e: f}]\n");
		failed = failing_end();
		if (failed && !value)
			continue;
		text = cJSON_PrintUnformatted(value);
		assert_string_equal(text, "{\"a\":\"b\",\"c\":[\"d\",true,null,{\"e\":\"f\"}]}");
		free(text);
		cJSON_Delete(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_a_small_text_that_grows),
	    cmocka_unit_test(test_all_of_it_or_nothing),
	};

	failing_install(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
