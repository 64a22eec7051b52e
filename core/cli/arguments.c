#include "cli.h"

#include "base/duration.h"
#include "base/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int exit_code_of(int32_t status)
{
	switch (status) {
	case MPSYNC_OK:
		return EXIT_SUCCESS;
	case MPSYNC_E_LOST:
		return EXIT_LOST;
	case MPSYNC_E_HELD:
	case MPSYNC_E_TIMEOUT:
		return EXIT_NOT_ACQUIRED;
	case MPSYNC_E_UNREACHABLE:
	case MPSYNC_E_FORBIDDEN:
	case MPSYNC_E_UNAUTHENTICATED:
	case MPSYNC_E_CORRUPT:
		return EXIT_STORE;
	default:
		return EXIT_USAGE;
	}
}

/* The options that are ours; every option of the library is one too, with dashes. */
enum own {
	OWN_WAIT = 1000,
	OWN_GRACE,
	OWN_PREFIX,
	OWN_VALUE,
	OWN_JSON,
	OWN_WATCH,
	OWN_ONCE,
	OWN_FORCE,
	OWN_NOW,
	OWN_QUIET,
	OWN_WAIT_ALL,
	OWN_KILL_ALL
};

static const struct option own_options[] = {
    {"wait", required_argument, NULL, OWN_WAIT},
    {"grace", required_argument, NULL, OWN_GRACE},
    {"name-prefix", required_argument, NULL, OWN_PREFIX},
    {"value", required_argument, NULL, OWN_VALUE},
    {"json", no_argument, NULL, OWN_JSON},
    {"watch", no_argument, NULL, OWN_WATCH},
    {"once", no_argument, NULL, OWN_ONCE},
    {"force", no_argument, NULL, OWN_FORCE},
    {"now", no_argument, NULL, OWN_NOW},
    {"quiet", no_argument, NULL, OWN_QUIET},
    {"wait-all", no_argument, NULL, OWN_WAIT_ALL},
    {"kill-all", no_argument, NULL, OWN_KILL_ALL},
};

#define OWN_COUNT (sizeof own_options / sizeof *own_options)

/* As the URL or the environment says, else for ever. */
#define WAIT_AS_SET (-2)

struct option_table {
	struct option options[OWN_COUNT + OPTION_COUNT + 1];
	char names[OPTION_COUNT][32];
};

static void fill_table(struct option_table *table)
{
	size_t n = OWN_COUNT;

	memset(table, 0, sizeof *table);
	memcpy(table->options, own_options, sizeof own_options);
	for (int i = 0; i < OPTION_COUNT; i++) {
		if (i == OPTION_WAIT)
			continue;
		snprintf(table->names[i], sizeof table->names[i], "%s", option_name((enum setting)i));
		for (char *c = table->names[i]; *c; c++)
			if (*c == '_')
				*c = '-';
		table->options[n++] = (struct option){table->names[i], required_argument, NULL, i};
	}
}

static int parse_duration(const char *name, const char *text, int64_t *ms)
{
	uint64_t value;

	/* A bare 0 is how cron jobs ask for "skip if busy". */
	if (strcmp(text, "0") == 0) {
		*ms = 0;
		return 0;
	}
	if (!duration_parse(text, &value))
		return complain(
		    EXIT_USAGE, "--%s: \"%s\" is not a duration; write 15s, 250ms or 1.5m", name, text);
	*ms = (int64_t)value;
	return 0;
}

static int take_own(struct arguments *arguments, int option)
{
	switch (option) {
	case OWN_WAIT:
		return parse_duration("wait", optarg, &arguments->wait_ms);
	case OWN_GRACE:
		return parse_duration("grace", optarg, &arguments->grace_ms);
	case OWN_PREFIX:
		arguments->prefix = optarg;
		return 0;
	case OWN_VALUE:
		arguments->value = optarg;
		return 0;
	case OWN_JSON:
		arguments->json = true;
		return 0;
	case OWN_WATCH:
		arguments->watch = true;
		return 0;
	case OWN_ONCE:
		arguments->once = true;
		return 0;
	case OWN_FORCE:
		arguments->force = true;
		return 0;
	case OWN_NOW:
		arguments->now = true;
		return 0;
	case OWN_QUIET:
		arguments->quiet = true;
		return 0;
	case OWN_WAIT_ALL:
		arguments->wait_all = true;
		return 0;
	case OWN_KILL_ALL:
		arguments->kill_all = true;
		return 0;
	default:
		return EXIT_USAGE; /* getopt has said what is wrong */
	}
}

static int take(struct arguments *arguments, int option)
{
	mpsync_error error;

	if (option < 0 || option >= OPTION_COUNT)
		return take_own(arguments, option);
	if (mpsync_options_set(arguments->options, option_name((enum setting)option), optarg, &error) !=
	    MPSYNC_OK)
		return complain(EXIT_USAGE, "%s", error.message);
	return 0;
}

/* Everything behind -- is the command, whatever it looks like. */
static int cut_command(struct arguments *arguments, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") != 0)
			continue;
		arguments->command = &argv[i + 1];
		argv[i] = NULL;
		return i;
	}
	return argc;
}

int arguments_parse(struct arguments *arguments, int argc, char **argv)
{
	struct option_table table;
	int code = 0;
	int option;

	*arguments = (struct arguments){.wait_ms = WAIT_AS_SET, .grace_ms = -1, .prefix = ""};
	arguments->options = mpsync_options_new(NULL);
	if (!arguments->options)
		return complain(EXIT_USAGE, "out of memory");
	fill_table(&table);
	argc = cut_command(arguments, argc, argv);
	optind = 0;
	while (code == 0 && (option = getopt_long(argc, argv, "", table.options, NULL)) != -1)
		code = take(arguments, option);
	arguments->positional = &argv[optind];
	arguments->positional_count = argc - optind;
	return code;
}

void arguments_clear(struct arguments *arguments)
{
	mpsync_options_free(arguments->options);
}

mpsync_client *open_client(const struct arguments *arguments, mpsync_queue *queue)
{
	mpsync_error error;
	mpsync_client *client = mpsync_client_open(NULL, arguments->options, queue, &error);

	if (!client)
		complain(exit_code_of(error.status), "%s", error.message);
	return client;
}
