/* What `mpsync lock` says while it waits, and how long it waits, at any time of a made-up clock. */
#include "unit.h"

#include "cli/notices.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct said {
	struct arguments arguments;
	struct notices notices;
	int reader;
	int standard_error;
};

static char *the_name[] = {"x"};

/* Standard error is a pipe, as where there is no terminal. */
static void begin(struct said *said, bool quiet)
{
	int ends[2];

	*said = (struct said){.arguments = {.positional = the_name, .quiet = quiet}};
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	said->reader = ends[0];
	said->standard_error = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	notices_init(&said->notices, &said->arguments, getpid());
}

static void end(struct said *said)
{
	dup2(said->standard_error, STDERR_FILENO);
	close(said->standard_error);
	close(said->reader);
}

static void tell(struct said *said, const char *holder, uint64_t now_ms)
{
	const mpsync_event event = {
	    .type = MPSYNC_EVENT_WAITING, .holder = holder, .unchanged_ms = 2000};

	notices_show_waiting(&said->notices, &event, now_ms);
}

static void assert_said(struct said *said, const char *expected)
{
	char text[4096];
	const ssize_t length = read(said->reader, text, sizeof text - 1);

	text[length > 0 ? length : 0] = '\0';
	assert_string_equal(text, expected);
}

static void test_it_is_said_once_and_each_minute(void **state)
{
	struct said said;

	(void)state;
	begin(&said, false);
	assert_int_equal(notices_wake_ms(&said.notices), NOTICES_NEVER);
	tell(&said, "a", 100000);
	assert_said(&said, "mpsync: x is held by a, unchanged for 2 s; waiting\n");
	tell(&said, "b", 130000);
	notices_repeat(&said.notices, 159999);
	assert_said(&said, "");
	assert_int_equal(notices_wake_ms(&said.notices), 160000);
	notices_repeat(&said.notices, 160000);
	assert_said(&said, "mpsync: x is held by b, unchanged for 32 s; waiting\n");
	notices_repeat(&said.notices, 160001);
	assert_said(&said, "");
	notices_forget(&said.notices);
	notices_repeat(&said.notices, 900000);
	assert_said(&said, "");
	end(&said);
}

static void test_quiet_is_quiet(void **state)
{
	struct said said;

	(void)state;
	begin(&said, true);
	tell(&said, "a", 100000);
	notices_repeat(&said.notices, 900000);
	assert_said(&said, "");
	end(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_it_is_said_once_and_each_minute),
	    cmocka_unit_test(test_quiet_is_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
