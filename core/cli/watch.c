#include "watch.h"

#include "base/clock.h"
#include "cli.h"
#include "tree.h"

#include <signal.h>
#include <sys/timerfd.h>

void watch_say(const struct watch *watch, const char *what)
{
	complain(0, "%s: the keeper, process %d, %s; what it started is stopped in its place",
	    watch->name, atomic_load(&watch->link->board->keeper), what);
}

/* The keeper is alive, but has neither renewed its times nor acted on them: it may be stopped. */
static void act_for_keeper(const struct watch *watch, bool with_force)
{
	struct board *board = watch->link->board;
	const struct tree tree = {.root = atomic_load(&board->keeper), .cgroup = &watch->link->cgroup};

	if (!atomic_exchange(&board->keeper_replaced, true))
		watch_say(watch, "does not run");
	if (with_force) {
		tree_kill(&tree, false);
		return;
	}
	tree_signal(&tree, SIGTERM, TREE_ALL);
	tree_signal(&tree, SIGCONT, TREE_ALL);
}

static uint64_t part_of(const struct watch *watch, uint64_t ms)
{
	return ms * (uint64_t)watch->patience / 4;
}

uint64_t watch_look(struct watch *watch)
{
	struct board *board = watch->link->board;
	const uint64_t stop_at_ms = atomic_load(&board->stop_at_ms);
	const uint64_t kill_at_ms = atomic_load(&board->kill_at_ms);
	const uint64_t told_at_ms = stop_at_ms + part_of(watch, kill_at_ms - stop_at_ms);
	const uint64_t killed_at_ms = kill_at_ms + part_of(watch, atomic_load(&board->margin_ms));
	const uint64_t now_ms = clock_boot_ms();

	if (kill_at_ms == 0 || now_ms < told_at_ms) {
		watch->told_to_end = false;
		watch->killed = false;
		return kill_at_ms == 0 ? WATCH_NEVER : told_at_ms;
	}
	if (now_ms < killed_at_ms) {
		if (!watch->told_to_end && !atomic_load(&board->stopping))
			act_for_keeper(watch, false);
		watch->told_to_end = true;
		return killed_at_ms;
	}
	if (!watch->killed)
		act_for_keeper(watch, true);
	watch->killed = true;
	return WATCH_NEVER;
}

void watch_arm(int timer, uint64_t at_ms)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	if (at_ms != WATCH_NEVER) {
		when.it_value.tv_sec = (time_t)(at_ms / 1000);
		when.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000 + 1;
	}
	timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}
