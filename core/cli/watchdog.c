#include "watchdog.h"

#include "base/clock.h"
#include "cli.h"
#include "tree.h"

#include <signal.h>
#include <sys/timerfd.h>

void watchdog_say(const struct watchdog *watchdog, const char *what)
{
	complain(0, "%s: the keeper, process %d, %s; what it started is stopped in its place",
	    watchdog->name, atomic_load(&watchdog->link->board->keeper), what);
}

/* The keeper is alive, but has neither renewed its times nor acted on them: it may be stopped. */
static void act_for_keeper(const struct watchdog *watchdog, bool with_force)
{
	struct board *board = watchdog->link->board;
	const struct tree tree = {
	    .root = atomic_load(&board->keeper), .cgroup = &watchdog->link->cgroup};

	if (!atomic_exchange(&board->keeper_replaced, true))
		watchdog_say(watchdog, "does not run");
	if (with_force) {
		tree_kill(&tree, false);
		return;
	}
	tree_signal(&tree, SIGTERM, TREE_ALL);
	tree_signal(&tree, SIGCONT, TREE_ALL);
}

static uint64_t part_of(const struct watchdog *watchdog, uint64_t ms)
{
	return ms * (uint64_t)watchdog->patience / 4;
}

uint64_t watchdog_look(struct watchdog *watchdog)
{
	struct board *board = watchdog->link->board;
	const uint64_t stop_at_ms = atomic_load(&board->stop_at_ms);
	const uint64_t kill_at_ms = atomic_load(&board->kill_at_ms);
	const uint64_t told_at_ms = stop_at_ms + part_of(watchdog, kill_at_ms - stop_at_ms);
	const uint64_t killed_at_ms = kill_at_ms + part_of(watchdog, atomic_load(&board->margin_ms));
	const uint64_t now_ms = clock_boot_ms();

	if (kill_at_ms == 0 || now_ms < told_at_ms) {
		watchdog->told_to_end = false;
		watchdog->killed = false;
		return kill_at_ms == 0 ? WATCHDOG_NEVER : told_at_ms;
	}
	if (now_ms < killed_at_ms) {
		if (!watchdog->told_to_end && !atomic_load(&board->stopping))
			act_for_keeper(watchdog, false);
		watchdog->told_to_end = true;
		return killed_at_ms;
	}
	if (!watchdog->killed)
		act_for_keeper(watchdog, true);
	watchdog->killed = true;
	return WATCHDOG_NEVER;
}

void watchdog_arm(int timer, uint64_t at_ms)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	if (at_ms != WATCHDOG_NEVER) {
		when.it_value.tv_sec = (time_t)(at_ms / 1000);
		when.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000 + 1;
	}
	timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}
