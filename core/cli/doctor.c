/* doctor: does once everything that a user of locks does, on a name of its own. */
#include "cli.h"

#include "base/wire.h"

#include <inttypes.h>
#include <stdlib.h>

static void print_object(const char *about, const char *text, bool good)
{
	cJSON *object = cJSON_CreateObject();

	print_json(stdout, wire_whole(object, wire_add_text(object, about, text) &&
	                                          wire_add(object, "ok", cJSON_CreateBool(good))));
}

static void report(const struct arguments *arguments, bool good, const char *message)
{
	if (arguments->json) {
		print_object("message", message, good);
		return;
	}
	print_verdict(good ? "ok" : "FAIL");
	print_escaped(message);
	putchar('\n');
}

static void try_out(mpsync_client *client, const struct arguments *arguments, mpsync_error *error)
{
	char taken[80];
	mpsync_lock *lock = mpsync_lock_new(client, "mpsync-doctor", NULL, error);

	if (lock && mpsync_lock_acquire(lock, 5000, error) == MPSYNC_OK) {
		snprintf(taken, sizeof taken, "a lock can be taken, token %" PRIu64,
		    mpsync_lock_token(lock, mpsync_lock_grant(lock)));
		report(arguments, true, taken);
		if (mpsync_lock_release(lock, error) == MPSYNC_OK)
			report(arguments, true, "and released");
	}
	mpsync_lock_free(lock);
}

static void print_store(const mpsync_client *client, const struct arguments *arguments)
{
	if (arguments->json) {
		print_object("store", mpsync_client_url(client), true);
		return;
	}
	fputs("store ", stdout);
	print_escaped(mpsync_client_url(client));
	putchar('\n');
}

int command_doctor(const struct arguments *arguments)
{
	int code = EXIT_SUCCESS;
	mpsync_client *client = open_client(arguments, NULL, &code);
	mpsync_error error;

	if (!client)
		return code;
	print_store(client, arguments);
	if (mpsync_client_check(client, &error) == MPSYNC_OK) {
		report(arguments, true, "it answers");
		try_out(client, arguments, &error);
	}
	if (error.status != MPSYNC_OK)
		report(arguments, false, error.message);
	mpsync_client_close(client);
	return exit_code_of(error.status);
}
