#include "keeper.h"

#include "duration.h"
#include "identity.h"
#include "options.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* SIGKILL is sent so long before the right ends that the command is surely gone by then. */
#define LONGEST_KILL_MARGIN_MS 200

enum stage {
	WAITING, /* for the lock, or to lead */
	RUNNING,
	STOPPING, /* SIGTERM was sent */
	KILLING   /* SIGKILL was sent */
};

struct keeper {
	const struct arguments *arguments;
	bool election;
	mpsync_queue *queue;
	mpsync_client *client;
	mpsync_election *election_handle; /* a lock is used as one: the same calls serve both */
	mpsync_lock *lock_handle;
	enum stage stage;
	uint64_t grant;
	uint64_t token;
	pid_t command;
	int signals; /* a signalfd */
	int timer;   /* boot time: it also counts while the machine sleeps */
	int64_t grace_ms;
	int64_t kill_margin_ms;
	int64_t kill_after_ms; /* once asked to stop, whatever the right says */
	bool terminal;
	bool shown; /* a line about waiting stands on the terminal */
	bool lost;
	bool asked_to_end; /* by a signal */
	int exit_code;
	int end_signal;
	sigset_t command_signals;
};

/* ---- One set of calls for locks and elections ---- */

static mpsync_status ask(struct keeper *keeper, mpsync_error *error)
{
	const struct arguments *arguments = keeper->arguments;

	if (keeper->election)
		return mpsync_election_campaign_start(
		    keeper->election_handle, 1, arguments->value, arguments->wait_ms, error);
	return mpsync_lock_acquire_start(keeper->lock_handle, 1, arguments->wait_ms, error);
}

static int64_t remaining_ms(const struct keeper *keeper)
{
	if (keeper->election)
		return mpsync_election_remaining_ms(keeper->election_handle, keeper->grant);
	return mpsync_lock_remaining_ms(keeper->lock_handle, keeper->grant);
}

static void release(struct keeper *keeper)
{
	if (keeper->grant == 0)
		return;
	if (keeper->election)
		mpsync_election_resign(keeper->election_handle, NULL);
	else
		mpsync_lock_release(keeper->lock_handle, NULL);
	keeper->grant = 0;
}

/* ---- What a person sees ---- */

static void clear_line(struct keeper *keeper)
{
	if (keeper->shown)
		fputs("\r\033[K", stderr);
	keeper->shown = false;
}

static void show_waiting(struct keeper *keeper, const mpsync_event *event)
{
	const char *name = keeper->arguments->positional[0];
	const char *holder = event->holder ? event->holder : "another";

	if (keeper->arguments->quiet)
		return;
	if (keeper->arguments->json) {
		printf("{\"event\":\"waiting\",\"position\":%u,\"unchanged_ms\":%" PRId64 "}\n",
		    event->position, event->unchanged_ms);
		fflush(stdout);
	} else if (keeper->terminal) {
		clear_line(keeper);
		fprintf(stderr, "mpsync: %s is held by %s, unchanged for %" PRId64 " s; waiting", name,
		    holder, event->unchanged_ms / 1000);
		if (event->position > 0)
			fprintf(stderr, " as number %u", event->position);
		keeper->shown = true;
		fflush(stderr);
	}
}

/* ---- The command ---- */

static void set_variables(const struct keeper *keeper)
{
	char token[32];

	snprintf(token, sizeof token, "%" PRIu64, keeper->token);
	setenv("MPSYNC_TOKEN", token, 1);
	setenv("MPSYNC_NAME", keeper->arguments->positional[0], 1);
	setenv("MPSYNC_URL", mpsync_client_url(keeper->client), 1);
	setenv("MPSYNC_HOLDER", options_text(keeper->arguments->options, OPTION_IDENTITY), 1);
}

/* In the child; all signals are blocked until the command is itself. */
static void become_command(const struct keeper *keeper, pid_t keeper_pid)
{
	char **command = keeper->arguments->command;
	int code;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper_pid)
		_exit(EXIT_USAGE);
	setpgid(0, 0);
	if (keeper->terminal && isatty(STDIN_FILENO))
		tcsetpgrp(STDIN_FILENO, getpid());
	set_variables(keeper);
	signal(SIGTTOU, SIG_DFL);
	signal(SIGTTIN, SIG_DFL);
	signal(SIGTSTP, SIG_DFL);
	sigprocmask(SIG_SETMASK, &keeper->command_signals, NULL);
	execvp(command[0], command);
	code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	complain(code, "%s: %s", command[0], strerror(errno));
	_exit(code);
}

static void give_terminal_to(const struct keeper *keeper, pid_t group)
{
	if (keeper->terminal && isatty(STDIN_FILENO))
		tcsetpgrp(STDIN_FILENO, group);
}

static bool start_command(struct keeper *keeper)
{
	const pid_t self = getpid();

	clear_line(keeper);
	keeper->command = fork();
	if (keeper->command == 0)
		become_command(keeper, self);
	if (keeper->command < 0) {
		keeper->exit_code = complain(EXIT_USAGE, "cannot fork: %s", strerror(errno));
		return false;
	}
	setpgid(keeper->command, keeper->command);
	give_terminal_to(keeper, keeper->command);
	keeper->stage = RUNNING;
	return true;
}

static void signal_command(const struct keeper *keeper, int signal_number)
{
	if (keeper->command > 0)
		kill(-keeper->command, signal_number);
}

/* The group, and what left it: orphans come to us, for we are their subreaper. */
static void kill_descendants(void)
{
	char path[64];
	FILE *file;
	long pid;

	snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
	file = fopen(path, "re");
	if (!file)
		return;
	while (fscanf(file, "%ld", &pid) == 1)
		kill((pid_t)pid, SIGKILL);
	fclose(file);
}

static void kill_all(struct keeper *keeper)
{
	signal_command(keeper, SIGKILL);
	do
		kill_descendants();
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
	keeper->command = 0;
}

/* ---- Time ---- */

static void arm(const struct keeper *keeper, int64_t after_ms)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	if (after_ms >= 0) {
		when.it_value.tv_sec = after_ms / 1000;
		when.it_value.tv_nsec = after_ms % 1000 * 1000000 + 1;
	}
	timerfd_settime(keeper->timer, 0, &when, NULL);
}

static void stop_command(struct keeper *keeper)
{
	if (keeper->stage != RUNNING)
		return;
	keeper->stage = STOPPING;
	signal_command(keeper, SIGCONT);
	signal_command(keeper, SIGTERM);
}

/* Needs no answer from anyone: only our own clock and the end of our own right. */
static void check_time(struct keeper *keeper)
{
	const int64_t left = remaining_ms(keeper) - keeper->kill_margin_ms;

	if (keeper->stage == RUNNING && left <= keeper->grace_ms) {
		keeper->lost = true;
		stop_command(keeper);
	}
	if (keeper->stage == STOPPING && (left <= 0 || keeper->kill_after_ms == 0)) {
		keeper->stage = KILLING;
		signal_command(keeper, SIGKILL);
		kill_descendants();
	}
	if (keeper->stage == RUNNING)
		arm(keeper, left - keeper->grace_ms);
	else if (keeper->stage == STOPPING)
		arm(keeper, keeper->kill_after_ms > 0 && keeper->kill_after_ms < left
		                ? keeper->kill_after_ms
		                : left);
	else
		arm(keeper, -1);
}

/* ---- Events ---- */

static bool ask_again(struct keeper *keeper)
{
	mpsync_error error;

	keeper->stage = WAITING;
	keeper->lost = false;
	keeper->kill_after_ms = -1;
	if (ask(keeper, &error) == MPSYNC_OK)
		return true;
	keeper->exit_code = complain(exit_code_of(error.status), "%s", error.message);
	return false;
}

/* From the right as it was given: the ttl may come from the URL or the environment. */
static void set_times(struct keeper *keeper)
{
	const int64_t ttl_ms = remaining_ms(keeper) * 5 / 4;
	const int64_t most = ttl_ms / 5 < 5000 ? ttl_ms / 5 : 5000;

	keeper->grace_ms = keeper->arguments->grace_ms >= 0 ? keeper->arguments->grace_ms : most;
	keeper->kill_margin_ms =
	    ttl_ms / 20 < LONGEST_KILL_MARGIN_MS ? ttl_ms / 20 : LONGEST_KILL_MARGIN_MS;
}

static bool on_event(struct keeper *keeper, const mpsync_event *event)
{
	switch (event->type) {
	case MPSYNC_EVENT_HELD:
		keeper->grant = event->grant;
		keeper->token = event->token;
		set_times(keeper);
		return start_command(keeper);
	case MPSYNC_EVENT_WAITING:
		show_waiting(keeper, event);
		return true;
	case MPSYNC_EVENT_LOG:
		clear_line(keeper);
		complain(0, "%s", event->message);
		return true;
	case MPSYNC_EVENT_LOST:
		clear_line(keeper);
		complain(0, "%s was lost: %s", keeper->arguments->positional[0],
		    mpsync_reason_text(event->reason));
		keeper->grant = 0;
		keeper->lost = true;
		keeper->kill_after_ms = keeper->grace_ms;
		stop_command(keeper);
		return keeper->command > 0;
	case MPSYNC_EVENT_BUSY:
		clear_line(keeper);
		keeper->exit_code = EXIT_NOT_ACQUIRED;
		if (!keeper->arguments->quiet)
			complain(0, "%s is held by %s", keeper->arguments->positional[0],
			    event->holder ? event->holder : "another");
		return false;
	case MPSYNC_EVENT_FAILED:
		clear_line(keeper);
		keeper->exit_code = complain(exit_code_of(event->status), "%s",
		    event->message ? event->message : mpsync_status_text(event->status));
		return false;
	default:
		return true;
	}
}

static bool on_command_ended(struct keeper *keeper, int status)
{
	keeper->command = 0;
	give_terminal_to(keeper, getpgrp());
	keeper->exit_code = WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	if (!keeper->lost)
		return false;
	kill_all(keeper);
	release(keeper);
	keeper->exit_code = EXIT_LOST;
	return keeper->election && !keeper->arguments->once && !keeper->asked_to_end &&
	       ask_again(keeper);
}

/* The command was stopped from its terminal: the shell behind `mpsync` shall see that too. */
static void on_command_stopped(const struct keeper *keeper)
{
	give_terminal_to(keeper, getpgrp());
	kill(getppid(), SIGSTOP);
}

static bool on_child(struct keeper *keeper)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != keeper->command)
			continue;
		if (WIFSTOPPED(status))
			on_command_stopped(keeper);
		else
			return on_command_ended(keeper, status);
	}
	return true;
}

static bool on_signal(struct keeper *keeper, const struct signalfd_siginfo *info)
{
	const int number = (int)info->ssi_signo;

	if (number == SIGCHLD)
		return on_child(keeper);
	if (number == SIGCONT) {
		if (keeper->command > 0) {
			give_terminal_to(keeper, keeper->command);
			signal_command(keeper, SIGCONT);
		}
		return true;
	}
	if (keeper->command <= 0) {
		if (number == SIGWINCH)
			return true;
		keeper->end_signal = number;
		return false;
	}
	/* Our own death sentence: the command first, then the right. */
	if (number == SIGTERM && getppid() == 1)
		return false;
	keeper->asked_to_end |= number != SIGWINCH;
	signal_command(keeper, number);
	return true;
}

static bool step(struct keeper *keeper)
{
	struct pollfd pollers[] = {
	    {.fd = keeper->signals, .events = POLLIN},
	    {.fd = mpsync_queue_fd(keeper->queue), .events = POLLIN},
	    {.fd = keeper->timer, .events = POLLIN},
	};
	struct signalfd_siginfo info;
	mpsync_event *event;
	uint64_t expirations;
	bool go_on = true;

	if (poll(pollers, 3, -1) < 0)
		return errno == EINTR;
	if (pollers[2].revents && read(keeper->timer, &expirations, sizeof expirations) > 0 &&
	    keeper->stage == STOPPING)
		keeper->kill_after_ms = 0;
	if (pollers[0].revents && read(keeper->signals, &info, sizeof info) == (ssize_t)sizeof info)
		go_on = on_signal(keeper, &info);
	while (go_on && (event = mpsync_queue_next(keeper->queue))) {
		go_on = on_event(keeper, event);
		mpsync_event_free(event);
	}
	if (go_on && keeper->command > 0)
		check_time(keeper);
	return go_on;
}

/* ---- Beginning and end ---- */

/* Said once, before there is a command, which is told of it and has another process id. */
static void set_identity(mpsync_options *options)
{
	const char *variable = getenv("MPSYNC_IDENTITY");
	char own[HOLDER_MOST + 1];

	if (options_text(options, OPTION_IDENTITY))
		return;
	identity_default(own, sizeof own);
	mpsync_options_set(options, "identity", variable && *variable ? variable : own, NULL);
}

static bool open_handles(struct keeper *keeper)
{
	const struct arguments *arguments = keeper->arguments;
	const char *name = arguments->positional[0];
	mpsync_error error;

	/* The command may outlive us for a moment: our death is no proof of its end. */
	mpsync_options_set(arguments->options, "fence", "time", NULL);
	set_identity(arguments->options);
	keeper->queue = mpsync_queue_new(&error);
	keeper->client = keeper->queue ? open_client(arguments, keeper->queue) : NULL;
	if (!keeper->client) {
		keeper->exit_code = EXIT_STORE;
		return false;
	}
	if (keeper->election)
		keeper->election_handle = mpsync_election_new(keeper->client, name, NULL, &error);
	else
		keeper->lock_handle = mpsync_lock_new(keeper->client, name, NULL, &error);
	if (keeper->election_handle || keeper->lock_handle)
		return true;
	keeper->exit_code = complain(exit_code_of(error.status), "%s", error.message);
	return false;
}

static bool prepare_process(struct keeper *keeper)
{
	sigset_t watched;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTSTP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&keeper->command_signals);
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGHUP);
	sigaddset(&watched, SIGQUIT);
	sigaddset(&watched, SIGUSR1);
	sigaddset(&watched, SIGUSR2);
	sigaddset(&watched, SIGCONT);
	sigaddset(&watched, SIGWINCH);
	sigprocmask(SIG_SETMASK, &watched, NULL);
	keeper->signals = signalfd(-1, &watched, SFD_CLOEXEC);
	keeper->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	keeper->terminal = isatty(STDERR_FILENO) && !getenv("NO_TERMINAL");
	return keeper->signals >= 0 && keeper->timer >= 0;
}

static void clean_up(struct keeper *keeper)
{
	clear_line(keeper);
	if (keeper->command > 0)
		kill_all(keeper);
	release(keeper);
	mpsync_election_free(keeper->election_handle);
	mpsync_lock_free(keeper->lock_handle);
	mpsync_client_close(keeper->client);
	mpsync_queue_free(keeper->queue);
}

int keeper_run(const struct arguments *arguments, bool election)
{
	struct keeper keeper = {.arguments = arguments, .election = election, .exit_code = EXIT_USAGE};
	mpsync_error error;

	if (!prepare_process(&keeper))
		return complain(EXIT_USAGE, "no descriptors: %s", strerror(errno));
	keeper.kill_after_ms = -1;
	if (open_handles(&keeper)) {
		if (ask(&keeper, &error) == MPSYNC_OK)
			while (step(&keeper))
				;
		else
			keeper.exit_code = complain(exit_code_of(error.status), "%s", error.message);
	}
	clean_up(&keeper);
	if (keeper.end_signal)
		return EXIT_SIGNAL + keeper.end_signal;
	return keeper.exit_code;
}
