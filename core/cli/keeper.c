#include "keeper.h"

#include "arrivals.h"
#include "clock.h"
#include "notices.h"
#include "ownership.h"
#include "process.h"
#include "right.h"
#include "tree.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* So often within a ttl the guard is told how long the right lasts. */
#define LOOKS_PER_TTL 10

enum stage {
	WAITING, /* for the lock, or to lead */
	RUNNING, /* the command, or what it left behind */
	STOPPING /* all were sent SIGTERM, and will be sent SIGKILL */
};

enum why {
	WHY_NONE,
	WHY_LOST,     /* the right ends, or has ended */
	WHY_ORPHANED, /* `mpsync` or the guard was killed */
	WHY_LEFT      /* the command has ended by itself; its descendants have not */
};

struct keeper {
	const struct keeper_start *start;
	const struct arguments *arguments;
	struct right right;
	struct notices notices;
	struct arrivals arrivals;
	struct tree tree;
	enum stage stage;
	enum why why;
	pid_t command;       /* 0: it has ended */
	uint64_t stop_at_ms; /* by the right as it is known now */
	uint64_t kill_at_ms;
	int signals; /* a signalfd */
	int timer;   /* boot time: it also counts while the machine sleeps */
	bool asked_to_end;
	bool has_terminal;
	bool said_who; /* cannot be stopped */
	bool done;
	int exit_code;
	int end_signal;
};

static const char *name_of(const struct keeper *keeper)
{
	return keeper->arguments->positional[0];
}

static void end(struct keeper *keeper, int exit_code)
{
	keeper->exit_code = exit_code;
	keeper->done = true;
}

/* ---- The command ---- */

static bool mpsync_is_stopped(const struct keeper *keeper)
{
	struct process_stat stat;

	return process_read(keeper->start->mpsync, &stat) && (stat.state == 'T' || stat.state == 't');
}

static void take_signals(struct keeper *keeper);

static void start_command(struct keeper *keeper)
{
	struct ownership ownership;
	struct command command = {
	    .arguments = keeper->arguments->command,
	    .origin = keeper->start->origin,
	    .link = keeper->start->link,
	    .mpsync = keeper->start->mpsync,
	    .stopped = mpsync_is_stopped(keeper),
	};

	notices_clear_line(&keeper->notices);
	if (ownership_make(&ownership, &keeper->right, name_of(keeper)))
		command.environment = environment_with(ownership.variables, OWNERSHIP_COUNT);
	keeper->command = command.environment ? command_start(&command) : -1;
	if (keeper->command < 0) {
		keeper->command = 0;
		end(keeper, complain(EXIT_USAGE, "cannot start %s: %s", command.arguments[0],
		                command.environment ? strerror(errno) : "out of memory"));
	}
	free(command.environment);
	ownership_clear(&ownership);
	if (keeper->done)
		return;
	keeper->stage = RUNNING;
	keeper->why = WHY_NONE;
	/* What came before the command was there did not reach it with the rest of its group. */
	take_signals(keeper);
	arrivals_precede_command(&keeper->arrivals);
	/* Whoever writes to the command, or reads from it, shall notice when the command lets go. */
	if (!keeper->start->election)
		link_close_standard();
}

static void say_who_cannot_be_stopped(struct keeper *keeper, struct tree_count count)
{
	if (count.refused == 0 || keeper->said_who)
		return;
	keeper->said_who = true;
	complain(0,
	    "process %ld belongs to another user and cannot be stopped: it may act on \"%s\" beside "
	    "the "
	    "next holder; let what it acts on compare MPSYNC_TOKEN",
	    (long)count.example, name_of(keeper));
}

static void stop(struct keeper *keeper, enum why why)
{
	if (keeper->stage != RUNNING)
		return;
	keeper->stage = STOPPING;
	keeper->why = why;
	atomic_store(&keeper->start->link->board->stopping, true);
	say_who_cannot_be_stopped(keeper, tree_signal(&keeper->tree, SIGTERM, TREE_ALL));
	tree_signal(&keeper->tree, SIGCONT, TREE_ALL);
}

/* In the background, with its grace, whatever becomes of the right until then. */
static void stop_within_grace(struct keeper *keeper, enum why why)
{
	const uint64_t limit_ms = clock_boot_ms() + (uint64_t)keeper->right.grace_ms;

	if (keeper->stage != RUNNING)
		return;
	if (limit_ms < keeper->kill_at_ms)
		keeper->kill_at_ms = limit_ms;
	stop(keeper, why);
}

static void ask_again(struct keeper *keeper)
{
	const int code = right_ask(&keeper->right, keeper->arguments);

	keeper->stage = WAITING;
	keeper->why = WHY_NONE;
	keeper->arrivals = (struct arrivals){0};
	if (code != 0)
		end(keeper, code);
}

/* Nothing runs any more that was started under the right. */
static void finish(struct keeper *keeper)
{
	struct board *board = keeper->start->link->board;
	const bool acted = atomic_load(&board->guard_acted);
	const bool lost = keeper->why == WHY_LOST || acted;

	link_publish(keeper->start->link, 0, 0, 0);
	atomic_store(&board->stopping, false);
	atomic_store(&board->guard_acted, false);
	right_release(&keeper->right);
	if (lost && keeper->start->election && !keeper->arguments->once && !keeper->asked_to_end) {
		ask_again(keeper);
		return;
	}
	if (lost || keeper->why == WHY_ORPHANED) {
		keeper->end_signal = 0;
		keeper->exit_code = EXIT_LOST;
	}
	keeper->done = true;
}

static void kill_all(struct keeper *keeper)
{
	say_who_cannot_be_stopped(keeper, tree_kill(&keeper->tree, true));
	keeper->command = 0;
	finish(keeper);
}

static void on_command_ended(struct keeper *keeper, int status)
{
	keeper->command = 0;
	keeper->exit_code = WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	keeper->end_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (keeper->stage != RUNNING || keeper->arguments->wait_all)
		return;
	if (keeper->arguments->kill_all)
		stop_within_grace(keeper, WHY_LEFT);
	else
		finish(keeper);
}

/* As a shell that waits for `mpsync` must see it: it stops and goes on with its command. */
static void follow(const struct keeper *keeper, bool stopped)
{
	if (stopped != mpsync_is_stopped(keeper))
		kill(keeper->start->mpsync, stopped ? SIGSTOP : SIGCONT);
}

static void on_children(struct keeper *keeper)
{
	int status = 0;
	pid_t pid = 0;

	while (!keeper->done && (pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		if (pid != keeper->command)
			continue;
		if (WIFSTOPPED(status) || WIFCONTINUED(status))
			follow(keeper, WIFSTOPPED(status));
		else
			on_command_ended(keeper, status);
	}
	if (!keeper->done && keeper->stage != WAITING && pid < 0 && errno == ECHILD)
		finish(keeper);
}

/* ---- Time ---- */

static void arm(const struct keeper *keeper, uint64_t at_ms)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	if (at_ms != ARRIVALS_NEVER) {
		when.it_value.tv_sec = (time_t)(at_ms / 1000);
		when.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000 + 1;
	}
	timerfd_settime(keeper->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Needs no answer from anyone: only our own clock and the end of our own right. */
static void look_at_right(struct keeper *keeper, uint64_t now_ms)
{
	const int64_t left_ms = right_remaining_ms(&keeper->right) - keeper->right.kill_margin_ms;

	keeper->kill_at_ms = now_ms + (uint64_t)(left_ms > 0 ? left_ms : 0);
	keeper->stop_at_ms = keeper->kill_at_ms - (uint64_t)keeper->right.grace_ms;
	link_publish(keeper->start->link, keeper->stop_at_ms, keeper->kill_at_ms,
	    (uint64_t)keeper->right.kill_margin_ms);
}

static void check_time(struct keeper *keeper)
{
	const uint64_t now_ms = clock_boot_ms();
	uint64_t wake_ms = now_ms + (uint64_t)keeper->right.ttl_ms / LOOKS_PER_TTL;

	if (keeper->stage == RUNNING)
		look_at_right(keeper, now_ms);
	if (keeper->stage == RUNNING && now_ms >= keeper->stop_at_ms) {
		char silence[300];

		right_describe_silence(&keeper->right, silence, sizeof silence);
		complain(0, "%s is being lost: %s; the command is stopped", name_of(keeper), silence);
		stop(keeper, WHY_LOST);
	}
	if (keeper->stage == STOPPING) {
		if (now_ms >= keeper->kill_at_ms) {
			kill_all(keeper);
			return;
		}
		wake_ms = keeper->kill_at_ms;
	}
	if (keeper->stage == RUNNING && keeper->stop_at_ms < wake_ms)
		wake_ms = keeper->stop_at_ms;
	if (arrivals_wake_ms(&keeper->arrivals) < wake_ms)
		wake_ms = arrivals_wake_ms(&keeper->arrivals);
	arm(keeper, keeper->stage == WAITING ? ARRIVALS_NEVER : wake_ms);
}

/* ---- Events ---- */

static void on_held(struct keeper *keeper, const mpsync_event *event)
{
	right_begin(&keeper->right, event);
	look_at_right(keeper, clock_boot_ms());
	start_command(keeper);
}

static void on_lost(struct keeper *keeper, const mpsync_event *event)
{
	if (event->grant != keeper->right.grant)
		return; /* it was given back at the same time */
	notices_clear_line(&keeper->notices);
	if (keeper->stage == RUNNING)
		notices_say_lost(&keeper->notices, event);
	keeper->right.grant = 0;
	keeper->why = WHY_LOST;
	stop_within_grace(keeper, WHY_LOST);
}

static void on_event(struct keeper *keeper, const mpsync_event *event)
{
	switch (event->type) {
	case MPSYNC_EVENT_HELD:
		on_held(keeper, event);
		return;
	case MPSYNC_EVENT_WAITING:
		if (ownership_is_own(&keeper->right, name_of(keeper), event->holder)) {
			notices_clear_line(&keeper->notices);
			end(keeper,
			    complain(EXIT_NOT_ACQUIRED,
			        "%s is held by yourself: this command runs under it (MPSYNC_NAME), so it "
			        "would wait for ever",
			        name_of(keeper)));
			return;
		}
		notices_show_waiting(&keeper->notices, event);
		return;
	case MPSYNC_EVENT_LOG:
		notices_clear_line(&keeper->notices);
		complain(0, "%s", event->message);
		return;
	case MPSYNC_EVENT_LOST:
		on_lost(keeper, event);
		return;
	case MPSYNC_EVENT_BUSY:
		notices_clear_line(&keeper->notices);
		if (!keeper->arguments->quiet)
			complain(
			    0, "%s is held by %s", name_of(keeper), event->holder ? event->holder : "another");
		end(keeper, EXIT_NOT_ACQUIRED);
		return;
	case MPSYNC_EVENT_FAILED:
		notices_clear_line(&keeper->notices);
		end(keeper, complain(exit_code_of(event->status), "%s",
		                event->message ? event->message : mpsync_status_text(event->status)));
		return;
	default:
		return;
	}
}

/* ---- Signals ---- */

static bool means_end(int number)
{
	return number == SIGINT || number == SIGTERM || number == SIGQUIT;
}

/* A candidate without a terminal takes SIGHUP for "read your configuration again", as daemons do.
 */
static bool ends_waiting(const struct keeper *keeper, int number)
{
	return means_end(number) || number == SIGABRT ||
	       (number == SIGHUP && (!keeper->start->election || keeper->has_terminal));
}

static void on_signal(struct keeper *keeper, int number, enum arrived_at at)
{
	keeper->asked_to_end |= means_end(number);
	if (keeper->stage != WAITING) {
		arrivals_note(&keeper->arrivals, number, at, clock_boot_ms());
	} else if (ends_waiting(keeper, number)) {
		keeper->end_signal = number;
		end(keeper, EXIT_SIGNAL + number);
	}
}

static void take_own_signals(struct keeper *keeper)
{
	struct signalfd_siginfo info;

	while (!keeper->done && read(keeper->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			on_children(keeper);
		else
			on_signal(keeper, (int)info.ssi_signo, AT_KEEPER);
	}
}

static void take_told_signals(struct keeper *keeper)
{
	unsigned char number;

	while (!keeper->done &&
	       read(keeper->start->link->signals[0], &number, sizeof number) == (ssize_t)sizeof number)
		if (number < NSIG)
			on_signal(keeper, number, AT_MPSYNC);
}

static void take_signals(struct keeper *keeper)
{
	take_told_signals(keeper);
	take_own_signals(keeper);
}

static void pass_signals_on(struct keeper *keeper)
{
	int number;

	while ((number = arrivals_due(&keeper->arrivals, clock_boot_ms())) != 0)
		if (keeper->stage != WAITING)
			tree_signal(&keeper->tree, number, TREE_GROUP);
}

/* `mpsync` or the guard has been killed: nobody would end the command if we were killed as well. */
static void on_orphaned(struct keeper *keeper, const char *who)
{
	notices_clear_line(&keeper->notices);
	if (keeper->stage == WAITING) {
		end(keeper, EXIT_USAGE);
		return;
	}
	if (keeper->stage == RUNNING)
		complain(
		    0, "%s was killed; the command is stopped, and %s is released", who, name_of(keeper));
	keeper->asked_to_end = true;
	stop_within_grace(keeper, WHY_ORPHANED);
}

static void take_events(struct keeper *keeper)
{
	mpsync_event *event;

	while (!keeper->done && (event = mpsync_queue_next(keeper->right.queue))) {
		on_event(keeper, event);
		mpsync_event_free(event);
	}
}

enum { POLL_SIGNALS, POLL_TOLD, POLL_GUARD, POLL_TIMER, POLL_EVENTS, POLL_COUNT };

static void step(struct keeper *keeper, struct pollfd *pollers)
{
	uint64_t expirations;

	if (poll(pollers, POLL_COUNT, -1) < 0)
		return;
	if (pollers[POLL_TIMER].revents && read(keeper->timer, &expirations, sizeof expirations) < 0)
		expirations = 0;
	take_signals(keeper);
	if (pollers[POLL_TOLD].revents & POLLHUP) {
		pollers[POLL_TOLD].fd = -1;
		if (!keeper->done)
			on_orphaned(keeper, "mpsync");
	}
	if (pollers[POLL_GUARD].revents & POLLHUP) {
		pollers[POLL_GUARD].fd = -1;
		if (!keeper->done)
			on_orphaned(keeper, "its guard");
	}
	take_events(keeper);
	if (keeper->done)
		return;
	pass_signals_on(keeper);
	if (keeper->stage != WAITING)
		check_time(keeper);
}

/* ---- Beginning and end ---- */

static bool prepare(struct keeper *keeper)
{
	struct process_stat stat;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	keeper->signals = signalfd(-1, &keeper->start->watched, SFD_CLOEXEC | SFD_NONBLOCK);
	keeper->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	keeper->has_terminal =
	    process_read(keeper->start->mpsync, &stat) && stat.foreground_group != -1;
	notices_init(&keeper->notices, keeper->arguments, keeper->start->mpsync);
	if (keeper->signals >= 0 && keeper->timer >= 0)
		return true;
	end(keeper, complain(EXIT_USAGE, "no descriptors: %s", strerror(errno)));
	return false;
}

static void serve(struct keeper *keeper)
{
	struct pollfd pollers[POLL_COUNT] = {
	    [POLL_SIGNALS] = {.fd = keeper->signals, .events = POLLIN},
	    [POLL_TOLD] = {.fd = keeper->start->link->signals[0], .events = POLLIN},
	    [POLL_GUARD] = {.fd = keeper->start->link->guard[0], .events = POLLIN},
	    [POLL_TIMER] = {.fd = keeper->timer, .events = POLLIN},
	    [POLL_EVENTS] = {.fd = mpsync_queue_fd(keeper->right.queue), .events = POLLIN},
	};

	while (!keeper->done)
		step(keeper, pollers);
}

void keeper_run(const struct keeper_start *start)
{
	struct board *board = start->link->board;
	struct keeper keeper = {
	    .start = start,
	    .arguments = start->arguments,
	    .tree = {.root = getpid(), .cgroup = &start->link->cgroup},
	    .exit_code = EXIT_USAGE,
	};
	int code = 0;

	if (prepare(&keeper))
		code = right_open(&keeper.right, start->arguments, start->election);
	if (code == 0 && !keeper.done)
		code = right_ask(&keeper.right, start->arguments);
	if (code != 0)
		end(&keeper, code);
	if (!keeper.done)
		serve(&keeper);
	notices_clear_line(&keeper.notices);
	right_close(&keeper.right);
	atomic_store(&board->exit_code, keeper.exit_code);
	atomic_store(&board->end_signal, keeper.end_signal);
	atomic_store(&board->finished, true);
}
