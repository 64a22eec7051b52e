/*
 * Goal: a command begins under a living keeper and a right that lasts, or not at all; and it is
 * told to end in whatever state it is. The linker leads its first step through here.
 */
#include "unit.h"

#include "base/clock.h"
#include "base/process.h"
#include "child.h"
#include "cli/command.h"
#include "cli/watchdog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR_MS 3600000

static struct link joint;
static struct origin origin;

static int set_up(void **state)
{
	(void)state;
	alarm(120);
	sigprocmask(SIG_SETMASK, NULL, &origin.mask);
	sigaction(SIGPIPE, NULL, &origin.on_pipe);
	sigaction(SIGCHLD, NULL, &origin.on_child);
	if (!link_new(&joint))
		return -1;
	atomic_store(&joint.board->kill_at_ms, clock_boot_ms() + HOUR_MS);
	return 0;
}

/* Its process, which waits at the gate. */
static pid_t prepare(char **arguments, int *gate)
{
	const struct command command = {
	    .arguments = arguments, .environment = environ, .origin = &origin, .link = &joint};

	return command_start(&command, gate);
}

static pid_t start_program(char **arguments)
{
	int gate;
	const pid_t pid = prepare(arguments, &gate);

	command_begin(gate);
	return pid;
}

static pid_t start(char *script)
{
	char *arguments[] = {(char *)"sh", (char *)"-c", script, NULL};

	return start_program(arguments);
}

static int exit_code(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- The keeper ---- */

static int gate[2] = {-1, -1}; /* a command that is to begin waits until its other end is closed */

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);

int __wrap_prctl(int option, ...)
{
	va_list arguments;
	unsigned long argument;

	va_start(arguments, option);
	argument = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (gate[0] >= 0) {
		close(gate[1]);
		if (read(gate[0], &(char){0}, 1) < 0)
			leave_child(1);
	}
	return __real_prctl(option, argument);
}

/* Goal: one whose keeper was killed before the kernel knew of it does not begin. */
static void test_no_command_begins_after_its_keeper_has_ended(void **state)
{
	char text[16];
	int output[2];
	pid_t keeper;

	(void)state;
	assert_int_equal(pipe(gate), 0);
	assert_int_equal(pipe(output), 0);
	keeper = fork();
	if (keeper == 0) {
		dup2(output[1], STDOUT_FILENO);
		leave_child(start((char *)"echo ran") > 0 ? 0 : 1);
	}
	assert_int_equal(exit_code(keeper), 0);
	close(gate[1]);
	close(output[1]);
	assert_int_equal(read(output[0], text, sizeof text), 0);
	close(gate[0]);
	close(output[0]);
	gate[0] = -1;
}

/* Goal: nor one whose keeper was killed while it waited at the gate. */
static void test_no_command_begins_without_its_keeper(void **state)
{
	char *arguments[] = {(char *)"echo", (char *)"ran", NULL};
	char text[16];
	int output[2];
	int closed;
	pid_t keeper;

	(void)state;
	assert_int_equal(pipe(output), 0);
	keeper = fork();
	if (keeper == 0) {
		dup2(output[1], STDOUT_FILENO);
		leave_child(prepare(arguments, &closed) > 0 ? 0 : 1);
	}
	assert_int_equal(exit_code(keeper), 0);
	close(output[1]);
	assert_int_equal(read(output[0], text, sizeof text), 0);
	close(output[0]);
}

/* ---- Signals ---- */

/* Goal: what comes before the command has begun is seen to be there, and waits for it. */
static void test_signals_wait_until_it_begins(void **state)
{
	char *arguments[] = {(char *)"sh", (char *)"-c", (char *)"exit 7", NULL};
	sigset_t all;
	int closed;
	int status;
	pid_t pid;

	(void)state;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL); /* as in the keeper */
	pid = prepare(arguments, &closed);
	sigprocmask(SIG_SETMASK, &origin.mask, NULL);
	kill(pid, SIGUSR1);
	assert_int_equal(process_pending(pid), signal_bit(SIGUSR1));
	command_begin(closed);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGUSR1);
}

/* ---- The right ---- */

static void test_no_command_begins_after_its_right_has_ended(void **state)
{
	(void)state;
	assert_int_equal(exit_code(start((char *)"exit 7")), 7);
	atomic_store(&joint.board->kill_at_ms, clock_boot_ms());
	assert_int_equal(exit_code(start((char *)"exit 7")), EXIT_LOST);
	atomic_store(&joint.board->kill_at_ms, clock_boot_ms() + HOUR_MS);
}

/* ---- The program ---- */

static int exit_code_of_program(char *program)
{
	char *arguments[] = {program, NULL};

	return exit_code(start_program(arguments));
}

static void test_a_program_that_cannot_be_run_ends_as_in_a_shell(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of_program((char *)"/no/such/program"), 127);
	assert_int_equal(exit_code_of_program((char *)"/etc/passwd"), 126);
}

static void test_variables_replace_those_of_the_same_name_alone(void **state)
{
	char *given[] = {(char *)"A=1", (char *)"AB=2", NULL};
	char *more[] = {(char *)"A=3", NULL};
	char **const before = environ;
	char **made;

	(void)state;
	environ = given;
	made = environment_with(more, 2);
	environ = before;
	assert_string_equal(made[0], "AB=2");
	assert_string_equal(made[1], "A=3");
	assert_null(made[2]);
	free(made);
}

/* ---- Its end ---- */

/* This process is the keeper that does not run; whoever watches it acts in its place. */
static void test_a_stopped_command_is_told_to_end_too(void **state)
{
	struct watchdog watchdog = {.link = &joint, .name = "x", .patience = WATCHDOG_GUARD};
	struct board *board = joint.board;
	const pid_t command = start((char *)"kill -STOP $$");
	int status = 0;

	(void)state;
	assert_int_equal(waitpid(command, &status, WUNTRACED), command);
	assert_true(WIFSTOPPED(status));
	atomic_store(&board->keeper, getpid());
	atomic_store(&board->stop_at_ms, 1);
	atomic_store(&board->kill_at_ms, clock_boot_ms());
	atomic_store(&board->margin_ms, HOUR_MS);
	assert_true(watchdog_look(&watchdog) > clock_boot_ms());
	assert_int_equal(waitpid(command, &status, 0), command);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_true(atomic_load(&board->keeper_replaced));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_command_begins_after_its_keeper_has_ended),
	    cmocka_unit_test(test_no_command_begins_without_its_keeper),
	    cmocka_unit_test(test_signals_wait_until_it_begins),
	    cmocka_unit_test(test_no_command_begins_after_its_right_has_ended),
	    cmocka_unit_test(test_a_program_that_cannot_be_run_ends_as_in_a_shell),
	    cmocka_unit_test(test_variables_replace_those_of_the_same_name_alone),
	    cmocka_unit_test(test_a_stopped_command_is_told_to_end_too),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
