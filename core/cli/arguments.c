#include "cli.h"

#include "base/duration.h"
#include "flags.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_duration(const char *name, const char *text, int64_t *ms)
{
	uint64_t value;

	/* A 0 without a unit is accepted, since cron jobs use it for "skip if busy". */
	if (strcmp(text, "0") == 0) {
		*ms = 0;
		return 0;
	}
	if (duration_is_too_long(text))
		return complain(EXIT_USAGE, "--%s: %s is too long; give 1000h at most", name, text);
	if (!duration_parse(text, &value))
		return complain(
		    EXIT_USAGE, "--%s: \"%s\" is not a duration; write 15s, 250ms or 1.5m", name, text);
	*ms = (int64_t)value;
	return 0;
}

static int set_option(struct arguments *arguments, enum setting option, const char *value)
{
	mpsync_error error;

	if (mpsync_options_set(arguments->options, option_name(option), value, &error) == MPSYNC_OK)
		return 0;
	return complain(EXIT_USAGE, "%s", error.message);
}

static bool *switch_of(struct arguments *arguments, int id)
{
	switch (id) {
	case OWN_JSON:
		return &arguments->json;
	case OWN_WATCH:
		return &arguments->watch;
	case OWN_ONCE:
		return &arguments->once;
	case OWN_FORCE:
		return &arguments->force;
	case OWN_NOW:
		return &arguments->now;
	case OWN_QUIET:
		return &arguments->quiet;
	case OWN_WAIT_ALL:
		return &arguments->wait_all;
	case OWN_KILL_ALL:
		return &arguments->kill_all;
	case FLAG_HELP:
		return &arguments->help;
	case FLAG_VERSION:
		return &arguments->version;
	default:
		return NULL;
	}
}

static int take(struct arguments *arguments, int id)
{
	bool *on = switch_of(arguments, id);

	if (id < OPTION_COUNT)
		return set_option(arguments, (enum setting)id, optarg);
	if (on)
		*on = true;
	else if (id == OWN_WAIT)
		return parse_duration("wait", optarg, &arguments->wait_ms);
	else if (id == OWN_GRACE)
		return parse_duration("grace", optarg, &arguments->grace_ms);
	else if (id == OWN_VERBOSE)
		return set_option(arguments, OPTION_LOG, "info");
	else if (id == OWN_PREFIX)
		arguments->prefix = optarg;
	else if (id == OWN_VALUE)
		arguments->value = optarg;
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

/*
 * Without --, the command begins after the name. A flag of mpsync in it is ambiguous, and refused.
 */
static int take_command(
    struct arguments *arguments, char **words, const struct command_shape *shape)
{
	arguments->command = words;
	for (char **word = words; *word; word++)
		if (flag_is_written(*word, shape->flags))
			return complain(EXIT_USAGE,
			    "\"%s\" may be meant for mpsync or for %s: put mpsync's options before NAME, and "
			    "-- "
			    "before %s",
			    *word, *words, *words);
	return 0;
}

static int take_flags(struct arguments *arguments, int argc, char **argv,
    const struct option *options, const struct command_shape *shape)
{
	int id;
	int code = 0;

	while (code == 0 && !arguments->help &&
	       (id = flags_next(argc, argv, options, shape->name)) != FLAG_NONE) {
		if (id == FLAG_WRONG)
			code = EXIT_USAGE;
		else if (!(flag_of(id)->commands & shape->flags))
			code =
			    complain(EXIT_USAGE, "%s has no option --%s; mpsync %s --help lists those it has",
			        shape->name, flag_of(id)->name, shape->name);
		else
			code = take(arguments, id);
	}
	return code;
}

/* Flags may stand before the name and after it. */
static int take_words(struct arguments *arguments, int argc, char **argv,
    const struct option *options, const struct command_shape *shape)
{
	int code;

	arguments->positional = &argv[1];
	while ((code = take_flags(arguments, argc, argv, options, shape)) == 0 && !arguments->help &&
	       optind < argc) {
		if (shape->executes && !arguments->command && arguments->positional_count == shape->names)
			return take_command(arguments, &argv[optind], shape);
		argv[1 + arguments->positional_count++] = argv[optind++];
	}
	return code;
}

int arguments_parse(
    struct arguments *arguments, int argc, char **argv, const struct command_shape *shape)
{
	struct option options[FLAG_COUNT + 1];

	*arguments = (struct arguments){.wait_ms = WAIT_AS_SET, .grace_ms = -1, .prefix = ""};
	arguments->options = mpsync_options_new(NULL);
	if (!arguments->options)
		return complain(EXIT_USAGE, "out of memory");
	flags_to_options(flag_table, FLAG_COUNT, options);
	optind = 0;
	return take_words(arguments, cut_command(arguments, argc, argv), argv, options, shape);
}

void arguments_clear(struct arguments *arguments)
{
	mpsync_options_free(arguments->options);
}

mpsync_client *open_client(const struct arguments *arguments, mpsync_queue *queue, int *code)
{
	mpsync_error error;
	mpsync_client *client = mpsync_client_open(NULL, arguments->options, queue, &error);

	if (!client)
		*code = complain(exit_code_of(error.status), "%s", error.message);
	else
		log_say(client, LOG_INFO, "locks live in %s", mpsync_client_url(client));
	return client;
}
