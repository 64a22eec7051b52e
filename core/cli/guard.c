#include "guard.h"

#include "tree.h"
#include "watchdog.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* False: the keeper has ended. */
static bool runs(pid_t keeper)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		if (pid == keeper)
			return false;
	return true;
}

static int open_children(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

void guard_run(const struct link *link, pid_t keeper, const char *name)
{
	const struct tree orphans = {.root = getpid(), .cgroup = &link->cgroup};
	struct watchdog watchdog = {.link = link, .name = name, .patience = WATCHDOG_GUARD};
	struct pollfd pollers[] = {
	    {.fd = open_children(), .events = POLLIN},
	    {.fd = link->bells[BELL_GUARD][0], .events = POLLIN},
	    {.fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK), .events = POLLIN},
	};

	/* Without descriptors the guard would notice nothing: then it is better that nothing runs. */
	if (pollers[0].fd < 0 || pollers[2].fd < 0)
		kill(keeper, SIGKILL);
	while (runs(keeper)) {
		watchdog_arm(pollers[2].fd, watchdog_look(&watchdog));
		link_wait(pollers, 3, 3);
	}
	if (atomic_load(&link->board->finished))
		return;
	watchdog_say(&watchdog, "was killed");
	tree_kill(&orphans, true);
}
