/*
 * Goal: of a process only that is believed which the kernel says in full: who it is, whether it
 * lives, which signals wait for it. The linker leads what is read of /proc through here.
 */
#include "unit.h"

#include "base/process.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *shown;      /* instead of this file… */
static const char *shown_text; /* …stands this; NULL: it cannot be read */
static bool no_namespaces;

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __real_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status);

FILE *__wrap_fopen(const char *path, const char *mode)
{
	const size_t length = shown ? strlen(shown) : 0;

	if (!shown || strlen(path) < length || strcmp(path + strlen(path) - length, shown) != 0)
		return __real_fopen(path, mode);
	return shown_text ? fmemopen((char *)shown_text, strlen(shown_text), "r") : NULL;
}

int __wrap_stat(const char *path, struct stat *status)
{
	return no_namespaces && strstr(path, "/ns/pid") ? -1 : __real_stat(path, status);
}

static void show(const char *file, const char *text)
{
	shown = file;
	shown_text = text;
}

static void test_fields_are_counted_behind_the_name(void **state)
{
	struct process_stat stat;

	(void)state;
	show("/stat", "12 (a) b (c)) T 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 777 0");
	assert_true(process_read(12, &stat));
	assert_int_equal(stat.state, 'T');
	assert_int_equal(stat.parent, 3);
	assert_int_equal(stat.group, 4);
	assert_int_equal(stat.session, 5);
	assert_int_equal(stat.foreground_group, -1);
	assert_int_equal(stat.start, 777);
	show("/stat", "12 a T 3");
	assert_false(process_read(12, &stat));
	show("/stat", "12 (a) T 3 4 5");
	assert_false(process_read(12, &stat));
	show("/stat", NULL);
	assert_false(process_read(12, &stat));
	show(NULL, NULL);
}

static void test_pending_signals_of_the_thread_and_the_process(void **state)
{
	(void)state;
	show(
	    "/status", "Name:\tx\nSigPnd:\t0000000000000200\nShdPnd:\t0000000000004000\nSigBlk:\tff\n");
	assert_int_equal(process_pending(12), signal_bit(10) | signal_bit(15));
	show("/status", NULL);
	assert_int_equal(process_pending(12), 0);
	show(NULL, NULL);
}

/* Goal: a process that cannot say which one it is, on which kernel, claims nothing of the kind. */
static void test_who_this_is(void **state)
{
	struct record_host self;

	(void)state;
	assert_true(process_self(&self));
	assert_int_equal(self.pid, getpid());
	show("/boot_id", NULL);
	assert_false(process_self(&self));
	show("/boot_id", "\n");
	assert_false(process_self(&self));
	show("/stat", NULL);
	assert_false(process_self(&self));
	show(NULL, NULL);
	no_namespaces = true;
	assert_false(process_self(&self));
	no_namespaces = false;
}

/* Goal: dead is who is proven so: gone, or its number another's; else nothing is known. */
static void test_who_is_dead(void **state)
{
	struct record_host host;
	bool dead = true;
	int descriptor;
	const pid_t child = fork();

	(void)state;
	if (child == 0)
		for (;;)
			pause();
	assert_true(process_self(&host));
	descriptor = process_watch(&host, &dead);
	assert_true(descriptor >= 0);
	assert_false(dead);
	close(descriptor);
	host.pid_start++;
	assert_int_equal(process_watch(&host, &dead), -1);
	assert_true(dead);
	show("/stat", NULL);
	assert_int_equal(process_watch(&host, &dead), -1);
	assert_false(dead);
	show(NULL, NULL);
	host.pid = child;
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(process_watch(&host, &dead), -1);
	assert_true(dead);
	host.pid = -1; /* no number at all */
	assert_int_equal(process_watch(&host, &dead), -1);
	assert_false(dead);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields_are_counted_behind_the_name),
	    cmocka_unit_test(test_pending_signals_of_the_thread_and_the_process),
	    cmocka_unit_test(test_who_this_is),
	    cmocka_unit_test(test_who_is_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
