#include "keeper.h"

#include "arrivals.h"
#include "base/clock.h"
#include "base/process.h"
#include "log.h"
#include "notices.h"
#include "ownership.h"
#include "term.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct keeper {
	const struct keeper_start *start;
	const struct arguments *arguments;
	struct right right;
	struct term term;
	struct notices notices;
	struct arrivals arrivals;
	int signals; /* a signalfd */
	int timer;   /* on boot time, which goes on while the machine sleeps */
	bool asked_to_end;
	bool has_terminal;
	bool done;
	int exit_code;
	int end_signal;
};

static const char *name_of(const struct keeper *keeper)
{
	return keeper->arguments->positional[0];
}

static bool is_waiting(const struct keeper *keeper)
{
	return keeper->term.stage == TERM_NONE;
}

static void end(struct keeper *keeper, int exit_code)
{
	keeper->exit_code = exit_code;
	keeper->done = true;
}

static void ask(struct keeper *keeper)
{
	const int code = right_ask(&keeper->right, keeper->arguments->value);

	if (code != 0)
		end(keeper, code);
}

/* Nothing that was started under the right runs any more. */
static void end_term(struct keeper *keeper)
{
	const bool kept = term_close(&keeper->term);

	const bool again =
	    !kept && keeper->start->election && !keeper->arguments->once && !keeper->asked_to_end;

	if (again)
		right_hand_over(&keeper->right);
	else
		right_release(&keeper->right);
	log_say(keeper->right.client, LOG_INFO, "%s is not held any more", name_of(keeper));
	keeper->arrivals = (struct arrivals){0};
	if (again)
		return;
	if (keeper->term.why == WHY_ENDED) {
		keeper->end_signal = keeper->term.end_signal;
		end(keeper, keeper->term.exit_code);
	} else {
		end(keeper, EXIT_LOST);
	}
}

/* ---- Signals ---- */

static bool means_end(int number)
{
	return number == SIGINT || number == SIGTERM || number == SIGQUIT;
}

/*
 * SIGHUP tells daemons to read their configuration again, so it does not end a candidate that has
 * no terminal.
 */
static bool ends_waiting(const struct keeper *keeper, int number)
{
	return means_end(number) || number == SIGABRT ||
	       (number == SIGHUP && (!keeper->start->election || keeper->has_terminal));
}

static void on_signal(struct keeper *keeper, int number, enum arrived_at at)
{
	keeper->asked_to_end |= means_end(number);
	if (!is_waiting(keeper)) {
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
			term_on_children(&keeper->term);
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

/* The pending signals are read first: a signal that `mpsync` takes after that, it has reported. */
static void pass_signals_on(struct keeper *keeper)
{
	const uint64_t now_ms = clock_boot_ms();
	uint64_t on_their_way;
	int number;

	if (arrivals_wake_ms(&keeper->arrivals) > now_ms)
		return;
	on_their_way = process_pending(keeper->start->mpsync);
	on_their_way |= atomic_load(&keeper->start->link->board->taking);
	take_signals(keeper);
	arrivals_await(&keeper->arrivals, on_their_way, now_ms);
	while ((number = arrivals_due(&keeper->arrivals, now_ms)) != 0)
		term_pass_on(&keeper->term, number);
}

/* ---- Events ---- */

static void on_held(struct keeper *keeper, const mpsync_event *event)
{
	notices_clear_line(&keeper->notices);
	notices_forget(&keeper->notices);
	right_begin(&keeper->right, event);
	log_say(keeper->right.client, LOG_INFO, "%s is held with token %" PRIu64, name_of(keeper),
	    keeper->right.token);
	if (!term_begin(&keeper->term)) {
		end(keeper, EXIT_USAGE);
		return;
	}
	/*
	 * Signals that came before the command existed did not reach it with the rest of its group.
	 * Those that did reach it are pending at it, as long as it has not begun.
	 */
	take_signals(keeper);
	arrivals_precede_command(&keeper->arrivals, process_pending(keeper->term.command));
	term_run_command(&keeper->term);
	/*
	 * A program at the other end of the command's pipes must see them close when the command closes
	 * them.
	 */
	if (!keeper->start->election)
		link_close_standard();
}

static void on_lost(struct keeper *keeper, const mpsync_event *event)
{
	notices_clear_line(&keeper->notices);
	if (keeper->term.stage == TERM_RUNNING)
		notices_say_lost(&keeper->notices, event);
	keeper->right.grant = 0;
	term_stop(&keeper->term, WHY_LOST);
}

static void on_waiting(struct keeper *keeper, const mpsync_event *event)
{
	if (!ownership_is_own(&keeper->right, name_of(keeper), event->holder)) {
		notices_show_waiting(&keeper->notices, event, clock_boot_ms());
		return;
	}
	notices_clear_line(&keeper->notices);
	end(keeper,
	    complain(EXIT_NOT_ACQUIRED,
	        "%s is held by yourself: this command already runs under it (MPSYNC_HELD), so it would "
	        "wait for ever",
	        name_of(keeper)));
}

static void on_failed(struct keeper *keeper, const mpsync_event *event)
{
	const char *why = event->message ? event->message : mpsync_status_text(event->status);

	notices_clear_line(&keeper->notices);
	notices_forget(&keeper->notices);
	end(keeper, complain(exit_code_of(event->status), "%s", why));
}

/* A waiter also waits for a store that is not up yet, and says so at once and each minute. */
static void on_trouble(struct keeper *keeper, const mpsync_event *event)
{
	notices_clear_line(&keeper->notices);
	notices_forget(&keeper->notices);
	if (!keeper->arguments->quiet)
		complain(0, "%s; waiting for it", event->message);
}

/* Either the right will end unless it is renewed, or it has. */
static void on_ending(struct keeper *keeper, const mpsync_event *event)
{
	if (event->reason > MPSYNC_REASON_OTHER_ELECTOR)
		return; /* the keeper itself has ended the term */
	if (event->left_ms > 0)
		term_give_up(&keeper->term);
	else
		on_lost(keeper, event);
}

static void on_log(struct keeper *keeper, const mpsync_event *event)
{
	if (event->op_id == RIGHT_RUN) {
		on_trouble(keeper, event);
		return;
	}
	notices_clear_line(&keeper->notices);
	log_say(keeper->right.client, LOG_WARN, "%s", event->message);
}

static void on_event(struct keeper *keeper, const mpsync_event *event)
{
	switch (event->type) {
	case MPSYNC_EVENT_TERM:
		on_held(keeper, event);
		return;
	case MPSYNC_EVENT_WAITING:
		on_waiting(keeper, event);
		return;
	case MPSYNC_EVENT_LOG:
		on_log(keeper, event);
		return;
	case MPSYNC_EVENT_ENDING:
		on_ending(keeper, event);
		return;
	case MPSYNC_EVENT_BUSY:
		notices_clear_line(&keeper->notices);
		if (!keeper->arguments->quiet)
			complain(
			    0, "%s is held by %s", name_of(keeper), event->holder ? event->holder : "another");
		end(keeper, EXIT_NOT_ACQUIRED);
		return;
	case MPSYNC_EVENT_FAILED:
		on_failed(keeper, event);
		return;
	default:
		return;
	}
}

/* `mpsync` or the guard was killed: if the keeper were killed too, nobody would end the command. */
static void on_orphaned(struct keeper *keeper, const char *who)
{
	notices_clear_line(&keeper->notices);
	if (is_waiting(keeper)) {
		end(keeper, EXIT_USAGE);
		return;
	}
	if (keeper->term.stage == TERM_RUNNING)
		complain(
		    0, "%s was killed; the command is stopped, and %s is released", who, name_of(keeper));
	keeper->asked_to_end = true;
	term_stop(&keeper->term, WHY_ORPHANED);
}

static void take_events(struct keeper *keeper)
{
	mpsync_event *event;

	while (!keeper->done && (event = mpsync_queue_next(keeper->right.queue))) {
		on_event(keeper, event);
		mpsync_event_free(event);
	}
}

static void arm(const struct keeper *keeper, uint64_t at_ms)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	when.it_value.tv_sec = (time_t)(at_ms / 1000);
	when.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000 + 1;
	timerfd_settime(keeper->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void check_wait(struct keeper *keeper)
{
	const uint64_t now_ms = clock_boot_ms();
	uint64_t wake_ms;

	notices_repeat(&keeper->notices, now_ms);
	wake_ms = notices_wake_ms(&keeper->notices);
	if (wake_ms != NOTICES_NEVER)
		arm(keeper, wake_ms);
}

static void check_term(struct keeper *keeper)
{
	uint64_t wake_ms;

	pass_signals_on(keeper);
	wake_ms = term_check_time(&keeper->term);
	if (keeper->term.stage == TERM_OVER)
		end_term(keeper);
	else
		arm(keeper, sooner(wake_ms, arrivals_wake_ms(&keeper->arrivals)));
}

enum { POLL_SIGNALS, POLL_TOLD, POLL_GUARD, POLL_TIMER, POLL_EVENTS, POLL_COUNT };

/* A pipe is closed when the process at its other end has ended. */
static bool has_ended(struct pollfd *poller)
{
	if (!(poller->revents & POLLHUP))
		return false;
	poller->fd = -1;
	return true;
}

static void step(struct keeper *keeper, struct pollfd *pollers)
{
	uint64_t expirations;

	if (poll(pollers, POLL_COUNT, -1) < 0)
		return;
	if (pollers[POLL_TIMER].revents && read(keeper->timer, &expirations, sizeof expirations) < 0)
		expirations = 0;
	take_signals(keeper);
	if (has_ended(&pollers[POLL_TOLD]) && !keeper->done)
		on_orphaned(keeper, "mpsync");
	if (has_ended(&pollers[POLL_GUARD]) && !keeper->done)
		on_orphaned(keeper, "its guard");
	take_events(keeper);
	if (!keeper->done && is_waiting(keeper))
		check_wait(keeper);
	else if (!keeper->done)
		check_term(keeper);
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
	    .exit_code = EXIT_USAGE,
	};
	int code = 0;

	keeper.term = (struct term){.arguments = start->arguments,
	    .origin = start->origin,
	    .link = start->link,
	    .right = &keeper.right,
	    .tree = {.root = getpid(), .cgroup = &start->link->cgroup},
	    .mpsync = start->mpsync};
	if (prepare(&keeper))
		code = right_open(&keeper.right, start->arguments, start->election);
	if (code != 0)
		end(&keeper, code);
	if (!keeper.done)
		ask(&keeper);
	if (!keeper.done)
		serve(&keeper);
	notices_clear_line(&keeper.notices);
	right_close(&keeper.right);
	atomic_store(&board->exit_code, keeper.exit_code);
	atomic_store(&board->end_signal, keeper.end_signal);
	atomic_store(&board->finished, true);
}
