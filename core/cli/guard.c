#include "guard.h"

#include "cli.h"
#include "clock.h"
#include "tree.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The keeper kills at the time on the board, the guard a little later, but before the right ends:
 * half of the keeper's own margin.
 */
#define LATER_PER_TIME 2

struct guard {
	const struct link *link;
	struct board *board;
	const char *name;
	pid_t keeper;
	int children; /* a signalfd */
	int timer;    /* boot time */
	bool killed;  /* what stood under the present times */
	bool told_to_end;
};

static void arm(const struct guard *guard, uint64_t at_ms)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	when.it_value.tv_sec = (time_t)(at_ms / 1000);
	when.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000;
	timerfd_settime(guard->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void say(const struct guard *guard, const char *what)
{
	complain(0, "%s: the keeper, process %ld, %s; what it started is stopped in its place",
	    guard->name, (long)guard->keeper, what);
}

/* The keeper lives, but has neither renewed these times nor acted on them. */
static void act_for_keeper(struct guard *guard, bool with_force)
{
	const struct tree tree = {.root = guard->keeper, .cgroup = &guard->link->cgroup};

	if (!atomic_exchange(&guard->board->guard_acted, true))
		say(guard, "does not run");
	if (with_force) {
		tree_kill(&tree, false);
		guard->killed = true;
		return;
	}
	guard->told_to_end = true;
	tree_signal(&tree, SIGTERM, TREE_ALL);
	tree_signal(&tree, SIGCONT, TREE_ALL);
}

/* Disarmed while nothing runs: the keeper rings when something does. */
static void check_time(struct guard *guard)
{
	const uint64_t stop_at_ms = atomic_load(&guard->board->stop_at_ms);
	const uint64_t kill_at_ms = atomic_load(&guard->board->kill_at_ms);
	const uint64_t margin_ms = atomic_load(&guard->board->margin_ms);
	const uint64_t end_at_ms = stop_at_ms + (kill_at_ms - stop_at_ms) / LATER_PER_TIME;
	const uint64_t now_ms = clock_boot_ms();

	if (kill_at_ms == 0) {
		guard->killed = false;
		guard->told_to_end = false;
		arm(guard, 0);
		return;
	}
	if (now_ms >= kill_at_ms + margin_ms / LATER_PER_TIME) {
		if (!guard->killed)
			act_for_keeper(guard, true);
		arm(guard, 0);
		return;
	}
	guard->killed = false;
	if (now_ms >= end_at_ms && !guard->told_to_end && !atomic_load(&guard->board->stopping))
		act_for_keeper(guard, false);
	arm(guard, now_ms < end_at_ms ? end_at_ms : kill_at_ms + margin_ms / LATER_PER_TIME);
}

/* False: it has ended. */
static bool keeper_runs(const struct guard *guard)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		if (pid == guard->keeper)
			return false;
	return true;
}

static void watch(struct guard *guard)
{
	struct pollfd pollers[] = {
	    {.fd = guard->children, .events = POLLIN},
	    {.fd = guard->link->bell[0], .events = POLLIN},
	    {.fd = guard->timer, .events = POLLIN},
	};
	char buffer[512];

	while (keeper_runs(guard)) {
		check_time(guard);
		if (poll(pollers, sizeof pollers / sizeof *pollers, -1) < 0)
			continue;
		for (size_t i = 0; i < sizeof pollers / sizeof *pollers; i++)
			if (pollers[i].revents & POLLHUP)
				pollers[i].fd = -1;
			else if (pollers[i].revents && read(pollers[i].fd, buffer, sizeof buffer) < 0 &&
			         errno != EAGAIN)
				pollers[i].fd = -1;
	}
}

void guard_run(const struct link *link, pid_t keeper, const char *name)
{
	const struct tree orphans = {.root = getpid(), .cgroup = &link->cgroup};
	struct guard guard = {.link = link, .board = link->board, .name = name, .keeper = keeper};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	guard.children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	guard.timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (guard.children < 0 || guard.timer < 0) {
		complain(0, "the guard has no descriptors; the keeper is killed");
		kill(keeper, SIGKILL);
	}
	watch(&guard);
	if (atomic_load(&guard.board->finished))
		return;
	say(&guard, "was killed");
	tree_kill(&orphans, true);
}
