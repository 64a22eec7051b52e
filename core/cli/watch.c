/* watch, and ls --watch: who holds a name now, and each change. */
#include "cli.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/wire.h"
#include "layout.h"
#include "lock_json.h"
#include "log.h"

#include <inttypes.h>

#define COLUMNS 5

/* Rows come one at a time, so the columns begin with the widths that most texts need. */
static void begin_columns(struct layout *layout)
{
	static const char *const usual[COLUMNS] = {
	    "", "scheduler/group-1", "worker-7f6d5c9b8d-x2x7q-1", "1700000000000000", ""};

	layout_init(layout, COLUMNS);
	layout_fit(layout, usual);
}

static void print_row(struct layout *layout, const mpsync_event *event)
{
	char time[WIRE_TIME_SIZE];
	char name[TEXT_ESCAPED_SIZE];
	char holder[TEXT_ESCAPED_SIZE];
	char value[TEXT_ESCAPED_SIZE];
	char token[24];
	const char *const cells[COLUMNS] = {time, name, holder, token, value};

	wire_time(time, clock_wall_ms());
	text_escape(name, sizeof name, event->name ? event->name : "");
	text_escape(holder, sizeof holder, event->holder ? event->holder : "");
	text_escape(value, sizeof value, event->value ? event->value : "");
	snprintf(token, sizeof token, "%" PRIu64, event->token);
	layout_fit(layout, cells);
	layout_print(layout, cells);
}

static void print_event(struct layout *layout, const mpsync_client *client,
    const struct arguments *arguments, const mpsync_event *event)
{
	if (event->type == MPSYNC_EVENT_LOG)
		log_say(client, LOG_WARN, "%s", event->message ? event->message : "");
	if (event->type != MPSYNC_EVENT_LEADER)
		return;
	if (arguments->json)
		lock_json_print_change(event);
	else
		print_row(layout, event);
}

/* Ends only when standard output has lost its reader. */
static void print_changes(
    mpsync_queue *queue, const mpsync_client *client, const struct arguments *arguments)
{
	struct layout layout;

	begin_columns(&layout);
	while (fflush(stdout) == 0 && !ferror(stdout)) {
		mpsync_event *event = mpsync_queue_wait(queue, -1);

		if (event)
			print_event(&layout, client, arguments, event);
		mpsync_event_free(event);
	}
	layout_clear(&layout);
}

int command_watch(const struct arguments *arguments)
{
	const char *name = arguments->positional_count ? arguments->positional[0] : NULL;
	mpsync_error error;
	mpsync_queue *queue = mpsync_queue_new(&error);
	mpsync_client *client;
	int code = EXIT_STORE;

	if (!queue)
		return complain(exit_code_of(error.status), "%s", error.message);
	client = open_client(arguments, queue, &code);
	if (client && mpsync_client_observe_start(client, 1, name, &error) == MPSYNC_OK)
		print_changes(queue, client, arguments);
	else if (client)
		code = complain(exit_code_of(error.status), "%s", error.message);
	mpsync_client_close(client);
	mpsync_queue_free(queue);
	return code;
}
