#include "notices.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/text.h"
#include "base/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void notices_init(struct notices *notices, const struct arguments *arguments, pid_t mpsync)
{
	*notices = (struct notices){
	    .arguments = arguments, .mpsync = mpsync, .terminal = isatty(STDERR_FILENO) == 1};
}

/* A job in the background does not write into the line that a person is typing. */
static bool in_foreground(const struct notices *notices)
{
	struct process_stat stat;

	return notices->terminal &&
	       (!process_read(notices->mpsync, &stat) || stat.foreground_group == stat.group ||
	           stat.foreground_group == -1);
}

void notices_clear_line(struct notices *notices)
{
	if (notices->shown)
		fputs("\r\033[K", stderr);
	notices->shown = false;
}

static void show_line(struct notices *notices, const mpsync_event *event)
{
	char name[TEXT_ESCAPED_SIZE];
	char holder[TEXT_ESCAPED_SIZE];

	text_escape(name, sizeof name, notices->arguments->positional[0]);
	text_escape(holder, sizeof holder, event->holder ? event->holder : "another");
	notices_clear_line(notices);
	fprintf(stderr, "mpsync: %s is held by %s, unchanged for %" PRId64 " s; waiting", name, holder,
	    event->unchanged_ms / 1000);
	if (event->position > 0)
		fprintf(stderr, " as number %u", event->position);
	notices->shown = true;
	fflush(stderr);
}

static void print_object(const struct notices *notices, const mpsync_event *event)
{
	cJSON *object = cJSON_CreateObject();

	print_json(
	    stdout, wire_whole(object,
	                wire_add_text(object, "event", "waiting") &&
	                    wire_add_text(object, "name", notices->arguments->positional[0]) &&
	                    wire_add_text(object, "holder", event->holder ? event->holder : "") &&
	                    wire_add_number(object, "position", event->position) &&
	                    wire_add_number(object, "unchanged_ms", (double)event->unchanged_ms)));
	fflush(stdout);
}

void notices_repeat(struct notices *notices, uint64_t now_ms)
{
	if (notices->unchanged_since_ms == 0 || now_ms < notices->again_ms)
		return;
	notices->again_ms = now_ms + NOTICES_EVERY_MS;
	complain(0, "%s is held by %s, unchanged for %" PRIu64 " s; waiting",
	    notices->arguments->positional[0], notices->holder,
	    (now_ms - notices->unchanged_since_ms) / 1000);
}

uint64_t notices_wake_ms(const struct notices *notices)
{
	return notices->unchanged_since_ms == 0 ? NOTICES_NEVER : notices->again_ms;
}

void notices_forget(struct notices *notices)
{
	notices->unchanged_since_ms = 0;
	notices->again_ms = 0;
}

void notices_show_waiting(struct notices *notices, const mpsync_event *event, uint64_t now_ms)
{
	if (notices->arguments->quiet)
		return;
	if (notices->arguments->json) {
		print_object(notices, event);
	} else if (!notices->terminal) {
		snprintf(notices->holder, sizeof notices->holder, "%s",
		    event->holder ? event->holder : "another");
		notices->unchanged_since_ms = now_ms - (uint64_t)event->unchanged_ms;
		notices_repeat(notices, now_ms);
	} else if (in_foreground(notices)) {
		show_line(notices, event);
	}
}

void notices_say_lost(const struct notices *notices, const mpsync_event *event)
{
	char since[WIRE_TIME_SIZE];

	wire_time(since, clock_wall_ms());
	complain(0, "%s is lost since %s: %s; the command is stopped",
	    notices->arguments->positional[0], since, mpsync_reason_text(event->reason));
}
