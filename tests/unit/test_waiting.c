/* What `mpsync lock` says while it waits, and how long it waits, at any time of a made-up clock. */
#include "unit.h"

#include "base/process.h"
#include "cli/notices.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 60000

static struct process_stat shown; /* what is read of the process that writes */
static bool readable = true;

bool __wrap_process_read(int32_t pid, struct process_stat *stat);

bool __wrap_process_read(int32_t pid, struct process_stat *stat)
{
	(void)pid;
	*stat = shown;
	return readable;
}

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

/* ---- On a terminal ---- */

/* What comes to stand on the terminal, to which it may take a moment. */
static void shows(int master, const char *expected)
{
	struct pollfd poller = {.fd = master, .events = POLLIN};
	char text[4096];
	size_t length = 0;

	while (length < strlen(expected) && poll(&poller, 1, PATIENCE_MS) == 1) {
		const ssize_t size = read(master, text + length, sizeof text - 1 - length);

		length += size > 0 ? (size_t)size : 0;
	}
	text[length] = '\0';
	assert_string_equal(text, expected);
}

/* Goal: one line, which follows what changes, and is not written over what a person types into
 * another job. */
static void test_a_terminal_has_one_line(void **state)
{
	struct said said;
	const mpsync_event known = {.holder = "a\tb", .position = 2, .unchanged_ms = 3000};
	const mpsync_event unknown = {.unchanged_ms = 1000};
	int master;
	int terminal;

	(void)state;
	begin(&said, false);
	assert_int_equal(openpty(&master, &terminal, NULL, NULL, NULL), 0);
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	dup2(terminal, STDERR_FILENO);
	notices_init(&said.notices, &said.arguments, getpid());
	shown = (struct process_stat){.group = 5, .foreground_group = 5};
	notices_show_waiting(&said.notices, &known, 1000);
	shows(master, "mpsync: x is held by a\\x09b, unchanged for 3 s; waiting as number 2");
	shown.foreground_group = 6; /* another job has the terminal */
	notices_show_waiting(&said.notices, &unknown, 2000);
	shown.foreground_group = -1; /* it is nobody's */
	notices_show_waiting(&said.notices, &unknown, 2000);
	shows(master, "\r\033[Kmpsync: x is held by another, unchanged for 1 s; waiting");
	readable = false;
	notices_show_waiting(&said.notices, &unknown, 2000);
	shows(master, "\r\033[Kmpsync: x is held by another, unchanged for 1 s; waiting");
	readable = true;
	notices_clear_line(&said.notices);
	notices_clear_line(&said.notices);
	fflush(stderr);
	shows(master, "\r\033[K");
	end(&said);
	close(master);
	close(terminal);
}

/* ---- For programs ---- */

static void test_programs_get_an_object(void **state)
{
	struct said said;
	const int standard_output = dup(STDOUT_FILENO);
	const mpsync_event known = {.holder = "a\x7f\xc2\x85", .position = 2, .unchanged_ms = 3000};
	const mpsync_event unknown = {.unchanged_ms = 0};

	(void)state;
	begin(&said, false);
	said.arguments.json = true;
	fflush(stdout);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	notices_show_waiting(&said.notices, &known, 1000);
	notices_show_waiting(&said.notices, &unknown, 1000);
	dup2(standard_output, STDOUT_FILENO);
	close(standard_output);
	assert_said(&said, "{\"event\":\"waiting\",\"name\":\"x\",\"holder\":\"a\\u007f\\u0085\","
	                   "\"position\":2,\"unchanged_ms\":3000}\n"
	                   "{\"event\":\"waiting\",\"name\":\"x\",\"holder\":\"\",\"position\":0,"
	                   "\"unchanged_ms\":0}\n");
	end(&said);
}

static void test_who_holds_it_may_be_unknown(void **state)
{
	struct said said;

	(void)state;
	begin(&said, false);
	tell(&said, NULL, 100000);
	assert_said(&said, "mpsync: x is held by another, unchanged for 2 s; waiting\n");
	end(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_it_is_said_once_and_each_minute),
	    cmocka_unit_test(test_quiet_is_quiet),
	    cmocka_unit_test(test_a_terminal_has_one_line),
	    cmocka_unit_test(test_programs_get_an_object),
	    cmocka_unit_test(test_who_holds_it_may_be_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
