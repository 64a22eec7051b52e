/* ls, watch, status, release, doctor: looking at the store, and into it. */
#include "cli.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_json(const mpsync_lock_info *info)
{
	const int64_t now = clock_wall_ms();
	const struct store_lock lock = {
	    .name = info->name,
	    .holder = info->holder,
	    .value = info->value,
	    .token = info->token,
	    .ttl_ms = (uint64_t)info->ttl_ms,
	    .since_ms = info->since_unix_ms,
	    .expires_in_ms = info->expires_unix_ms > now ? (uint64_t)(info->expires_unix_ms - now) : 0,
	    .waiters = info->waiters,
	    .election = info->is_election,
	};
	cJSON *object = wire_lock(&lock, now);
	char *text = object ? cJSON_PrintUnformatted(object) : NULL;

	if (text)
		print_json_text(text);
	cJSON_free(text);
	cJSON_Delete(object);
}

static void print_age(int64_t ms)
{
	const int64_t s = ms / 1000;

	if (ms <= 0)
		printf("%-10s", "-");
	else if (s < 120)
		printf("%3" PRId64 ".%" PRId64 "s    ", s, ms % 1000 / 100);
	else if (s < 7200)
		printf("%4" PRId64 "m     ", s / 60);
	else
		printf("%4" PRId64 "h     ", s / 3600);
}

static void print_row(const mpsync_lock_info *info)
{
	const int64_t now = clock_wall_ms();

	print_escaped(info->name);
	printf("\t%s\t", info->is_election ? "election" : "lock");
	print_escaped(info->holder);
	putchar('\t');
	print_age(now - info->since_unix_ms);
	putchar('\t');
	print_age(info->expires_unix_ms - now);
	printf("\t%" PRIu64 "\t%u\n", info->token, info->waiters);
}

static int list(mpsync_client *client, const struct arguments *arguments)
{
	mpsync_error error;
	mpsync_list *found = mpsync_client_list(client, arguments->prefix, &error);

	if (!found)
		return complain(exit_code_of(error.status), "%s", error.message);
	if (!arguments->json)
		puts("NAME\tTYPE\tHOLDER\tSINCE\tEXPIRES\tTOKEN\tWAITERS");
	for (size_t i = 0; i < mpsync_list_count(found); i++) {
		if (arguments->json)
			print_json(mpsync_list_at(found, i));
		else
			print_row(mpsync_list_at(found, i));
	}
	mpsync_list_free(found);
	return EXIT_SUCCESS;
}

static void print_change(const mpsync_event *event, bool json)
{
	char time[WIRE_TIME_SIZE];

	if (json) {
		print_json(&(mpsync_lock_info){.name = event->name,
		    .holder = event->holder,
		    .value = event->value,
		    .token = event->token});
		return;
	}
	wire_time(time, clock_wall_ms());
	printf("%s\t", time);
	print_escaped(event->name ? event->name : "");
	putchar('\t');
	print_escaped(event->holder ? event->holder : "-");
	printf("\t%" PRIu64 "\t", event->token);
	print_escaped(event->value ? event->value : "");
	putchar('\n');
}

static int follow(const struct arguments *arguments, const char *name)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = queue ? open_client(arguments, queue) : NULL;
	mpsync_error error = {0};
	int code = EXIT_STORE;

	if (client && mpsync_client_observe_start(client, 1, name, &error) == MPSYNC_OK) {
		while (fflush(stdout) == 0 && !ferror(stdout)) {
			mpsync_event *event = mpsync_queue_wait(queue, -1);

			if (event && event->type == MPSYNC_EVENT_LEADER)
				print_change(event, arguments->json);
			else if (event && event->type == MPSYNC_EVENT_LOG)
				complain(0, "%s", event->message ? event->message : "");
			mpsync_event_free(event);
		}
	}
	if (error.status != MPSYNC_OK)
		code = complain(exit_code_of(error.status), "%s", error.message);
	mpsync_client_close(client);
	mpsync_queue_free(queue);
	return code;
}

int command_ls(const struct arguments *arguments)
{
	mpsync_client *client;
	int code;

	if (arguments->watch)
		return follow(arguments, NULL);
	client = open_client(arguments, NULL);
	if (!client)
		return EXIT_STORE;
	code = list(client, arguments);
	mpsync_client_close(client);
	return code;
}

int command_watch(const struct arguments *arguments)
{
	return follow(arguments, arguments->positional[0]);
}

int command_status(const struct arguments *arguments)
{
	mpsync_client *client = open_client(arguments, NULL);
	const char *name = arguments->positional[0];
	mpsync_error error;
	mpsync_list *found;
	int code = EXIT_NOT_ACQUIRED;

	if (!client)
		return EXIT_STORE;
	found = mpsync_client_list(client, name, &error);
	if (!found)
		code = complain(exit_code_of(error.status), "%s", error.message);
	for (size_t i = 0; i < mpsync_list_count(found); i++) {
		const mpsync_lock_info *info = mpsync_list_at(found, i);

		if (strcmp(info->name, name) != 0)
			continue;
		code = EXIT_SUCCESS;
		if (arguments->json)
			print_json(info);
		else
			print_row(info);
	}
	if (code == EXIT_NOT_ACQUIRED) {
		print_escaped(name);
		puts(" is free");
	}
	mpsync_list_free(found);
	mpsync_client_close(client);
	return code == EXIT_NOT_ACQUIRED ? EXIT_SUCCESS : code;
}

int command_release(const struct arguments *arguments)
{
	mpsync_client *client;
	mpsync_error error;

	if (!arguments->force)
		return complain(EXIT_USAGE,
		    "release takes a name from a holder that may still run; say --force if you mean it");
	client = open_client(arguments, NULL);
	if (!client)
		return EXIT_STORE;
	mpsync_client_force_release(client, arguments->positional[0], arguments->now, &error);
	mpsync_client_close(client);
	if (error.status != MPSYNC_OK)
		return complain(
		    error.status == MPSYNC_E_NOT_HELD ? EXIT_NOT_ACQUIRED : exit_code_of(error.status),
		    "%s: %s", arguments->positional[0], error.message);
	print_escaped(arguments->positional[0]);
	puts(arguments->now ? " is free now; its former holder may still act"
	                    : " is revoked; the next holder waits until the former one's time is over");
	return EXIT_SUCCESS;
}

static void print_failure(const mpsync_error *error)
{
	fputs("FAIL  ", stdout);
	print_escaped(error->message);
	putchar('\n');
}

/* Everything that a user of locks does, once, on a name of our own. */
static int try_out(mpsync_client *client)
{
	mpsync_error error;
	mpsync_lock *lock = mpsync_lock_new(client, "mpsync-doctor", NULL, &error);

	if (lock && mpsync_lock_acquire(lock, 5000, &error) == MPSYNC_OK) {
		printf("ok    a lock can be taken, token %" PRIu64 "\n",
		    mpsync_lock_token(lock, mpsync_lock_grant(lock)));
		if (mpsync_lock_release(lock, &error) == MPSYNC_OK)
			puts("ok    and released");
	}
	mpsync_lock_free(lock);
	if (error.status == MPSYNC_OK)
		return EXIT_SUCCESS;
	print_failure(&error);
	return exit_code_of(error.status);
}

int command_doctor(const struct arguments *arguments)
{
	mpsync_client *client = open_client(arguments, NULL);
	mpsync_error error;
	int code;

	if (!client)
		return EXIT_STORE;
	fputs("store ", stdout);
	print_escaped(mpsync_client_url(client));
	putchar('\n');
	if (mpsync_client_check(client, &error) == MPSYNC_OK) {
		puts("ok    it answers");
		code = try_out(client);
	} else {
		print_failure(&error);
		code = exit_code_of(error.status);
	}
	mpsync_client_close(client);
	return code;
}
