/* ls and status: what the store shows now. */
#include "cli.h"

#include "api/client.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/wire.h"
#include "layout.h"
#include "lock_json.h"

#include <inttypes.h>
#include <stdlib.h>

#define COLUMNS 7

static const char *const titles[COLUMNS] = {
    "NAME", "TYPE", "HOLDER", "SINCE", "EXPIRES", "TOKEN", "WAITERS"};

struct row {
	char name[TEXT_ESCAPED_SIZE];
	char holder[TEXT_ESCAPED_SIZE];
	char since[WIRE_TIME_SIZE];
	char expires[WIRE_TIME_SIZE];
	char token[24];
	char waiters[12];
	const char *cells[COLUMNS];
};

/* People get an age; programs get a point in time, which is the same at each call. */
static void write_time(
    char text[WIRE_TIME_SIZE], bool for_person, int64_t unix_ms, int64_t distance_ms)
{
	const int64_t s = distance_ms / 1000;

	if (unix_ms <= 0 || (for_person && distance_ms <= 0))
		*text = '\0';
	else if (!for_person)
		wire_time(text, unix_ms);
	else if (s < 120)
		snprintf(text, WIRE_TIME_SIZE, "%" PRId64 ".%" PRId64 "s", s, distance_ms % 1000 / 100);
	else if (s < 7200)
		snprintf(text, WIRE_TIME_SIZE, "%" PRId64 "m", s / 60);
	else
		snprintf(text, WIRE_TIME_SIZE, "%" PRId64 "h", s / 3600);
}

static void fill(struct row *row, const mpsync_lock_info *info, int64_t now, bool for_person)
{
	text_escape(row->name, sizeof row->name, info->name);
	text_escape(row->holder, sizeof row->holder, info->holder);
	write_time(row->since, for_person, info->since_unix_ms, now - info->since_unix_ms);
	write_time(row->expires, for_person, info->expires_unix_ms, info->expires_unix_ms - now);
	snprintf(row->token, sizeof row->token, "%" PRIu64, info->token);
	snprintf(row->waiters, sizeof row->waiters, "%u", info->waiters);
	row->cells[0] = row->name;
	row->cells[1] = info->is_election ? "election" : "lock";
	row->cells[2] = row->holder;
	row->cells[3] = row->since;
	row->cells[4] = row->expires;
	row->cells[5] = row->token;
	row->cells[6] = row->waiters;
}

static void print_table(const mpsync_list *found)
{
	const int64_t now = clock_wall_ms();
	struct layout layout;

	layout_init(&layout, COLUMNS);
	layout_fit(&layout, titles);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < mpsync_list_count(found); i++) {
			struct row row;

			fill(&row, mpsync_list_at(found, i), now, layout.terminal);
			if (pass == 0)
				layout_fit(&layout, row.cells);
			else
				layout_print(&layout, row.cells);
		}
		if (pass == 0)
			layout_print_titles(&layout, titles);
	}
	layout_clear(&layout);
}

/* Finds all names that begin with a text, or the one name that is equal to it. */
typedef mpsync_list *finding(mpsync_client *client, const char *text, mpsync_error *error);

static mpsync_list *list(
    const struct arguments *arguments, finding *ask, const char *text, int *code)
{
	mpsync_client *client = open_client(arguments, NULL, code);
	mpsync_error error;
	mpsync_list *found = client ? ask(client, text, &error) : NULL;

	if (client && !found)
		*code = complain(exit_code_of(error.status), "%s", error.message);
	mpsync_client_close(client);
	return found;
}

int command_ls(const struct arguments *arguments)
{
	int code = EXIT_SUCCESS;
	mpsync_list *found;

	if (arguments->watch)
		return command_watch(arguments);
	found = list(arguments, mpsync_client_list, arguments->prefix, &code);
	if (found && !arguments->json)
		print_table(found);
	for (size_t i = 0; arguments->json && i < mpsync_list_count(found); i++)
		lock_json_print(mpsync_list_at(found, i));
	mpsync_list_free(found);
	return code;
}

static void print_free(const char *name)
{
	print_escaped(name);
	puts(" is free");
}

int command_status(const struct arguments *arguments)
{
	const char *name = arguments->positional[0];
	int code = EXIT_SUCCESS;
	mpsync_list *found = list(arguments, client_get, name, &code);
	const mpsync_lock_info *info = mpsync_list_at(found, 0);

	if (info && arguments->json)
		lock_json_print(info);
	else if (info)
		print_table(found);
	else if (found && arguments->json)
		lock_json_print_free(name);
	else if (found)
		print_free(name);
	mpsync_list_free(found);
	return found && !info ? EXIT_FREE : code;
}
