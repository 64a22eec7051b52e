#include "term.h"

#include "base/clock.h"
#include "base/process.h"
#include "ownership.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* How often within a ttl the guard is told how long the right lasts. */
#define LOOKS_PER_TTL 10

static const char *name_of(const struct term *term)
{
	return term->arguments->positional[0];
}

/* ---- Time ---- */

/* Needs no answer from the store: only this machine's clock and the end of the right. */
static void look_at_right(struct term *term, uint64_t now_ms)
{
	const int64_t left_ms = right_remaining_ms(term->right) - term->right->kill_margin_ms;

	term->kill_at_ms = now_ms + (uint64_t)(left_ms > 0 ? left_ms : 0);
	term->stop_at_ms = term->kill_at_ms - (uint64_t)term->right->grace_ms;
	link_publish(
	    term->link, term->stop_at_ms, term->kill_at_ms, (uint64_t)term->right->kill_margin_ms);
}

/* ---- The beginning ---- */

static bool mpsync_is_stopped(const struct term *term)
{
	struct process_stat stat;

	return process_read(term->mpsync, &stat) && (stat.state == 'T' || stat.state == 't');
}

static pid_t start_command(struct term *term)
{
	struct ownership ownership;
	struct command command = {
	    .arguments = term->arguments->command,
	    .origin = term->origin,
	    .link = term->link,
	    .stopped = mpsync_is_stopped(term),
	};
	pid_t pid = -1;

	if (ownership_make(&ownership, term->right, name_of(term)))
		command.environment = environment_with(ownership.variables, OWNERSHIP_COUNT);
	if (!command.environment)
		errno = ENOMEM;
	else
		pid = command_start(&command, &term->gate);
	if (pid < 0)
		complain(0, "cannot start %s: %s", command.arguments[0], strerror(errno));
	free(command.environment);
	ownership_clear(&ownership);
	return pid;
}

bool term_begin(struct term *term)
{
	look_at_right(term, clock_boot_ms());
	term->command = start_command(term);
	if (term->command < 0)
		return false;
	term->stage = TERM_RUNNING;
	term->why = WHY_ENDED;
	return true;
}

void term_run_command(const struct term *term)
{
	command_begin(term->gate);
}

/* ---- The end ---- */

static void say_who_cannot_be_stopped(struct term *term, struct tree_count count)
{
	if (count.refused == 0 || term->said_who)
		return;
	term->said_who = true;
	complain(0,
	    "process %ld belongs to another user and cannot be stopped: it may act on \"%s\" beside "
	    "the next "
	    "holder; let what it acts on compare MPSYNC_TOKEN",
	    (long)count.example, name_of(term));
}

static void tell_all_to_end(struct term *term, enum term_why why)
{
	term->stage = TERM_STOPPING;
	term->why = why;
	atomic_store(&term->link->board->stopping, true);
	say_who_cannot_be_stopped(term, tree_signal(&term->tree, SIGTERM, TREE_ALL));
	tree_signal(&term->tree, SIGCONT, TREE_ALL);
}

void term_stop(struct term *term, enum term_why why)
{
	const uint64_t limit_ms = clock_boot_ms() + (uint64_t)term->right->grace_ms;

	if (why == WHY_LOST)
		term->why = why;
	if (term->stage != TERM_RUNNING)
		return;
	if (limit_ms < term->kill_at_ms)
		term->kill_at_ms = limit_ms;
	tell_all_to_end(term, why);
}

static void kill_all(struct term *term)
{
	say_who_cannot_be_stopped(term, tree_kill(&term->tree, true));
	term->command = 0;
	term->stage = TERM_OVER;
}

bool term_close(struct term *term)
{
	struct board *board = term->link->board;

	if (atomic_load(&board->keeper_replaced) && term->why == WHY_ENDED)
		term->why = WHY_LOST;
	link_publish(term->link, 0, 0, 0);
	atomic_store(&board->stopping, false);
	atomic_store(&board->keeper_replaced, false);
	term->stage = TERM_NONE;
	return term->why != WHY_LOST;
}

/* ---- Children ---- */

static void on_command_ended(struct term *term, int status)
{
	term->command = 0;
	term->exit_code = WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	term->end_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (term->stage != TERM_RUNNING || term->arguments->wait_all)
		return;
	if (term->arguments->kill_all)
		term_stop(term, WHY_ENDED);
	else
		term->stage = TERM_OVER;
}

/* A shell that waits for `mpsync` must see it stop and continue with its command. */
static void follow(const struct term *term, bool stopped)
{
	if (stopped != mpsync_is_stopped(term))
		kill(term->mpsync, stopped ? SIGSTOP : SIGCONT);
}

/* Only this thread's children: the library's thread waits for those that it has started. */
void term_on_children(struct term *term)
{
	int status = 0;
	pid_t pid = 0;

	while (term->stage != TERM_OVER &&
	       (pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD)) > 0) {
		if (pid != term->command)
			continue;
		if (WIFSTOPPED(status) || WIFCONTINUED(status))
			follow(term, WIFSTOPPED(status));
		else
			on_command_ended(term, status);
	}
	if (pid < 0 && errno == ECHILD && term->stage != TERM_NONE)
		term->stage = TERM_OVER;
}

void term_pass_on(const struct term *term, int number)
{
	tree_signal(&term->tree, number, TREE_GROUP);
}

/* ---- Looks ---- */

void term_give_up(struct term *term)
{
	char silence[600];

	if (term->stage != TERM_RUNNING)
		return;
	look_at_right(term, clock_boot_ms());
	right_describe_silence(term->right, silence, sizeof silence);
	complain(0, "%s is being lost: %s; the command is stopped", name_of(term), silence);
	tell_all_to_end(term, WHY_LOST);
}

uint64_t term_check_time(struct term *term)
{
	const uint64_t now_ms = clock_boot_ms();
	const uint64_t next_look_ms = now_ms + (uint64_t)term->right->ttl_ms / LOOKS_PER_TTL;

	if (term->stage == TERM_RUNNING) {
		look_at_right(term, now_ms);
		if (now_ms < term->stop_at_ms)
			return term->stop_at_ms < next_look_ms ? term->stop_at_ms : next_look_ms;
		term_give_up(term);
	}
	if (term->stage == TERM_STOPPING && now_ms >= term->kill_at_ms)
		kill_all(term);
	return term->kill_at_ms;
}
