#include "command.h"

#include "base/clock.h"

#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool same_name(const char *a, const char *b)
{
	const size_t length = strcspn(a, "=");

	return strncmp(a, b, length + 1) == 0 && b[length] == '=';
}

static bool is_replaced(const char *entry, char *const *variables, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (variables[i] && same_name(variables[i], entry))
			return true;
	return false;
}

char **environment_with(char *const *variables, size_t count)
{
	size_t size = 0;
	size_t used = 0;
	char **made;

	while (environ && environ[size])
		size++;
	made = calloc(size + count + 1, sizeof *made);
	if (!made)
		return NULL;
	for (size_t i = 0; i < size; i++)
		if (!is_replaced(environ[i], variables, count))
			made[used++] = environ[i];
	for (size_t i = 0; i < count; i++)
		if (variables[i])
			made[used++] = variables[i];
	return made;
}

/*
 * Uses only what is safe between fork and exec, since the library's thread may have held any lock
 * at the fork.
 */
static void say_why_not(const char *program, int code)
{
	const char *const parts[] = {"mpsync: ", program, ": ", strerrordesc_np(code), "\n"};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0)
			return;
}

/* In the child, where all signals are still blocked. */
static void become(const struct command *command, pid_t keeper, int gate)
{
	eventfd_t opened;
	int code;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(EXIT_USAGE);
	/* If the keeper ends before it opens the gate, this process ends with it. */
	if (eventfd_read(gate, &opened) < 0)
		_exit(EXIT_USAGE);
	sigaction(SIGPIPE, &command->origin->on_pipe, NULL);
	sigaction(SIGCHLD, &command->origin->on_child, NULL);
	if (command->stopped)
		kill(getpid(), SIGSTOP);
	/* The right may have run out meanwhile, if the keeper was stopped before it forked. */
	if (clock_boot_ms() >= atomic_load(&command->link->board->kill_at_ms))
		_exit(EXIT_LOST);
	sigprocmask(SIG_SETMASK, &command->origin->mask, NULL);
	environ = command->environment; /* the same PATH as before */
	execvp(command->arguments[0], command->arguments);
	code = errno;
	say_why_not(command->arguments[0], code);
	_exit(code == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* A child that is in the cgroup from its first moment: moving it afterwards takes much longer. */
static pid_t fork_into(const struct cgroup *cgroup)
{
	struct clone_args arguments = {
	    .flags = CLONE_INTO_CGROUP,
	    .exit_signal = SIGCHLD,
	    .cgroup = (unsigned)cgroup->directory,
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

pid_t command_start(const struct command *command, int *gate)
{
	const pid_t keeper = getpid();
	pid_t pid = -1;

	*gate = eventfd(0, EFD_CLOEXEC);
	if (*gate < 0)
		return -1;
	if (cgroup_is(&command->link->cgroup))
		pid = fork_into(&command->link->cgroup);
	if (pid < 0)
		pid = fork();
	if (pid == 0)
		become(command, keeper, *gate);
	if (pid < 0)
		close(*gate);
	return pid;
}

void command_begin(int gate)
{
	eventfd_write(gate, 1);
	close(gate);
}
