/* release --force: takes a name from its holder. */
#include "cli.h"

#include "lock_json.h"

#include <stdlib.h>

static int failure(const char *name, const mpsync_error *error)
{
	return complain(
	    error->status == MPSYNC_E_NOT_HELD ? EXIT_NOT_ACQUIRED : exit_code_of(error->status),
	    "%s: %s", name, error->message);
}

int command_release(const struct arguments *arguments)
{
	const char *name = arguments->positional[0];
	mpsync_client *client;
	mpsync_error error;
	int code = EXIT_SUCCESS;

	if (!arguments->force)
		return complain(EXIT_USAGE,
		    "release takes a name from a holder that may still run; say --force if you mean it");
	client = open_client(arguments, NULL, &code);
	if (!client)
		return code;
	mpsync_client_force_release(client, name, arguments->now, &error);
	mpsync_client_close(client);
	if (error.status != MPSYNC_OK)
		return failure(name, &error);
	if (arguments->json) {
		lock_json_print_free(name);
		return EXIT_SUCCESS;
	}
	print_escaped(name);
	puts(arguments->now ? " is free now; its former holder may still act"
	                    : " is revoked; the next holder waits until the former one's time is over");
	return EXIT_SUCCESS;
}
