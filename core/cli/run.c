/*
 * lock and elect: the process `mpsync` itself, which a shell or a supervisor sees. It passes
 * signals to its keeper, and ends as the keeper says. docs/processes.md shows the processes, and
 * why there are three.
 */
#include "cli.h"

#include "base/process.h"
#include "guard.h"
#include "keeper.h"
#include "tree.h"
#include "watchdog.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Signals that are not passed on: those of job control, which each process of the job gets, those
 * that a fault raises, and SIGPIPE. Every other signal is the command's.
 */
static const int not_passed_on[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS,
    SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPIPE};

/* A job is stopped as a whole: `mpsync` and its command stop, the guard and the keeper go on. */
static const int job_control[] = {SIGTSTP, SIGTTIN, SIGTTOU};

struct run {
	struct keeper_start start;
	struct link link;
	struct origin origin;
	pid_t *children; /* which this process had before it became mpsync */
	size_t child_count;
	pid_t guard;
	int signals; /* a signalfd, which is only waited for */
	int timer;   /* on boot time */
};

/* A signal that was ignored when `mpsync` was started stays ignored, as nohup wants it. */
static void choose_signals(sigset_t *watched)
{
	struct sigaction before;

	sigfillset(watched);
	for (size_t i = 0; i < sizeof not_passed_on / sizeof *not_passed_on; i++)
		sigdelset(watched, not_passed_on[i]);
	for (int number = 1; number < NSIG; number++)
		if (number != SIGCHLD && sigaction(number, NULL, &before) == 0 &&
		    before.sa_handler == SIG_IGN)
			sigdelset(watched, number);
}

static void let_job_be_stopped(const sigset_t *mask)
{
	sigset_t allowed;

	sigemptyset(&allowed);
	for (size_t i = 0; i < sizeof job_control / sizeof *job_control; i++)
		if (!sigismember(mask, job_control[i]))
			sigaddset(&allowed, job_control[i]);
	sigprocmask(SIG_UNBLOCK, &allowed, NULL);
}

/* Only the guard leaves the session, so that signals to the group or from the terminal miss it. */
static void become_guard(struct run *run)
{
	pid_t keeper;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	keeper = fork();
	if (keeper == 0) {
		link_become_keeper(&run->link);
		keeper_run(&run->start);
		return;
	}
	link_become_guard(&run->link);
	if (keeper < 0) {
		complain(0, "cannot fork: %s", strerror(errno));
		return;
	}
	atomic_store(&run->link.board->keeper, keeper);
	setsid();
	link_close_standard();
	/* `killall mpsync` must not find the guard. */
	prctl(PR_SET_NAME, "lock-guard");
	guard_run(&run->link, keeper, run->start.arguments->positional[0]);
	cgroup_remove(&run->link.cgroup);
}

static bool is_alive(pid_t pid)
{
	return pid > 0 && kill(pid, 0) == 0;
}

/*
 * When the guard was killed, this process is the nearest subreaper: the orphans are its children.
 */
static void end_orphans(struct run *run)
{
	const struct tree tree = {.root = getpid(),
	    .cgroup = &run->link.cgroup,
	    .spared = run->children,
	    .spared_count = run->child_count};

	tree_kill(&tree, true);
}

static void pass_on(const struct run *run, const siginfo_t *info)
{
	const unsigned char number = (unsigned char)info->si_signo;

	/* SIGCONT from the keeper itself: it continues `mpsync` together with its command. */
	if (info->si_pid == atomic_load(&run->link.board->keeper))
		return;
	if (write(run->link.signals[1], &number, sizeof number) < 0)
		return; /* the keeper has ended, or has thousands of bytes to read */
}

/* Also children that came by losing their parents, as process 1 of a container gets them. */
static void reap(struct run *run)
{
	const pid_t keeper = atomic_load(&run->link.board->keeper);
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid == run->guard)
			run->guard = 0;
		if (pid == keeper)
			atomic_store(&run->link.board->keeper, 0);
	}
}

/*
 * At every moment each signal that came is pending, is on the board, or has been told: so the
 * keeper knows what reached both of us, however long we have to wait for a processor.
 */
static void take_signals(struct run *run)
{
	const struct timespec no_time = {0, 0};
	sigset_t pending;
	siginfo_t info;
	uint64_t taken = 0;

	sigpending(&pending);
	sigandset(&pending, &pending, &run->start.watched);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&pending, number))
			taken |= signal_bit(number);
	atomic_store(&run->link.board->taking, taken);
	while (taken != 0 && sigtimedwait(&pending, &info, &no_time) > 0) {
		if (info.si_signo == SIGCHLD)
			reap(run);
		else
			pass_on(run, &info);
	}
	atomic_store(&run->link.board->taking, 0);
}

/* The guard has ended; if it was killed, the keeper has ended as well. */
static bool have_ended(const struct run *run)
{
	const struct board *board = run->link.board;

	return run->guard <= 0 &&
	       (atomic_load(&board->finished) || !is_alive(atomic_load(&board->keeper)));
}

static void wait_for_end(struct run *run)
{
	struct watchdog watchdog = {.link = &run->link,
	    .name = run->start.arguments->positional[0],
	    .patience = WATCHDOG_MPSYNC};
	struct pollfd pollers[] = {
	    {.fd = run->timer, .events = POLLIN},
	    {.fd = run->link.bells[BELL_MPSYNC][0], .events = POLLIN},
	    {.fd = run->signals, .events = POLLIN},
	};

	while (!have_ended(run)) {
		watchdog_arm(run->timer, watchdog_look(&watchdog));
		link_wait(pollers, 3, 2);
		take_signals(run);
	}
	if (!atomic_load(&run->link.board->finished))
		end_orphans(run);
	cgroup_remove(&run->link.cgroup);
}

/* Ctrl-C ends a shell's loop only if the shell sees that its child died of SIGINT. */
static void die_interrupted(void)
{
	sigset_t interrupt;

	signal(SIGINT, SIG_DFL);
	kill(getpid(), SIGINT);
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_UNBLOCK, &interrupt, NULL);
}

static int last_word(const struct board *board)
{
	if (!atomic_load(&board->finished))
		return atomic_load(&board->kill_at_ms) != 0 ? EXIT_LOST : EXIT_USAGE;
	if (atomic_load(&board->end_signal) == SIGINT)
		die_interrupted();
	return atomic_load(&board->exit_code);
}

static bool prepare(struct run *run)
{
	sigset_t all;

	choose_signals(&run->start.watched);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &run->origin.mask);
	sigaction(SIGPIPE, NULL, &run->origin.on_pipe);
	sigaction(SIGCHLD, NULL, &run->origin.on_child);
	signal(SIGCHLD, SIG_DFL);
	run->children = tree_children(getpid(), &run->child_count);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	run->signals = signalfd(-1, &run->start.watched, SFD_CLOEXEC | SFD_NONBLOCK);
	run->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (run->signals < 0 || run->timer < 0 || !link_new(&run->link))
		return false;
	cgroup_new(&run->link.cgroup);
	return true;
}

/* All three processes are forked before there is any thread. */
static int run(const struct arguments *arguments, bool election)
{
	struct run run = {.signals = -1};
	int code;

	run.start = (struct keeper_start){.arguments = arguments,
	    .election = election,
	    .link = &run.link,
	    .origin = &run.origin,
	    .mpsync = getpid()};
	if (!prepare(&run))
		return complain(EXIT_USAGE, "no descriptors or memory: %s", strerror(errno));
	run.guard = fork();
	if (run.guard == 0) {
		become_guard(&run);
		free(run.children);
		return EXIT_SUCCESS;
	}
	if (run.guard < 0) {
		cgroup_remove(&run.link.cgroup);
		return complain(EXIT_USAGE, "cannot fork: %s", strerror(errno));
	}
	let_job_be_stopped(&run.origin.mask);
	link_become_mpsync(&run.link);
	link_close_standard();
	wait_for_end(&run);
	code = last_word(run.link.board);
	free(run.children);
	return code;
}

int command_lock(const struct arguments *arguments)
{
	return run(arguments, false);
}

int command_elect(const struct arguments *arguments)
{
	return run(arguments, true);
}
