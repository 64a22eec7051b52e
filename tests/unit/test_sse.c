#include "unit.h"

#include "net/sse.h"

#include <stdio.h>
#include <string.h>

static char told[200];

static void on_event(void *context, const char *id, const char *event, const char *data)
{
	(void)context;
	snprintf(
	    told + strlen(told), sizeof told - strlen(told), "[%s|%s|%s]", id ? id : "-", event, data);
}

/* Goal: however the bytes are cut, the events are the same. */
static void test_any_cut(void **state)
{
	static const char stream[] =
	    "event: hello\ndata: {}\n\n: ping\n\nid: 7\nevent: granted\ndata: {\"a\":1}\n\n";

	(void)state;
	for (size_t step = 1; step < sizeof stream; step++) {
		struct sse sse = {.event = on_event};

		told[0] = '\0';
		for (size_t at = 0; at < sizeof stream - 1; at += step) {
			const size_t left = sizeof stream - 1 - at;

			assert_true(sse_feed(&sse, stream + at, left < step ? left : step));
		}
		assert_string_equal(told, "[-|hello|{}][7|granted|{\"a\":1}]");
		sse_clear(&sse);
	}
}

static void test_endless_event_is_refused(void **state)
{
	struct sse sse = {.event = on_event};
	static char block[65536];
	bool good = true;

	(void)state;
	memset(block, 'x', sizeof block);
	for (int i = 0; i < 100 && good; i++)
		good = sse_feed(&sse, block, sizeof block);
	assert_false(good);
	sse_clear(&sse);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_cut),
	    cmocka_unit_test(test_endless_event_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
