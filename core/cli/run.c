/* lock and elect: `mpsync` itself, which only waits for its keeper and passes signals on. */
#include "cli.h"

#include "keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

static volatile sig_atomic_t keeper_pid;

static void pass_on(int signal_number)
{
	const int saved = errno;

	if (keeper_pid > 0)
		kill(keeper_pid, signal_number);
	errno = saved;
}

static void pass_signals_on(void)
{
	struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
		sigaction(passed_on[i], &action, NULL);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return complain(EXIT_USAGE, "cannot wait for the keeper: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return EXIT_SIGNAL + WTERMSIG(status);
	return WEXITSTATUS(status);
}

/*
 * The keeper is forked before there is any thread. When `mpsync` dies it hears SIGTERM, and ends
 * the command before it lets go of the lock (rule 42).
 */
static int run(const struct arguments *arguments, bool election)
{
	const pid_t self = getpid();
	sigset_t all;
	sigset_t before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid < 0)
		return complain(EXIT_USAGE, "cannot fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != self)
			_exit(EXIT_USAGE);
		exit(keeper_run(arguments, election));
	}
	keeper_pid = pid;
	pass_signals_on();
	sigprocmask(SIG_SETMASK, &before, NULL);
	return wait_for(pid);
}

int command_lock(const struct arguments *arguments)
{
	return run(arguments, false);
}

int command_elect(const struct arguments *arguments)
{
	return run(arguments, true);
}
