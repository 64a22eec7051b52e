/* mpsync: a table of commands. */
#include "cli.h"

#include "elector/elector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int command_version(const struct arguments *arguments)
{
	(void)arguments;
	printf("mpsync %s\n", mpsync_version());
	return EXIT_SUCCESS;
}

static const struct {
	const char *name;
	int (*run)(const struct arguments *arguments);
	int names;     /* positional arguments */
	bool executes; /* needs -- COMMAND */
	const char *usage;
	const char *help;
} commands[] = {
    {"lock", command_lock, 1, true, "lock NAME -- COMMAND…", "run COMMAND while holding the lock"},
    {"elect", command_elect, 1, true, "elect NAME -- COMMAND…", "run COMMAND while leading"},
    {"ls", command_ls, 0, false, "ls [--json] [--watch]", "list what is held, by whom, since when"},
    {"watch", command_watch, 1, false, "watch NAME [--json]", "tell each change of one name"},
    {"status", command_status, 1, false, "status NAME [--json]", "show who has one name"},
    {"release", command_release, 1, false, "release --force NAME [--now]",
        "take a name from its holder"},
    {"doctor", command_doctor, 0, false, "doctor", "check the store, and what is missing"},
    {"version", command_version, 0, false, "version", "print the version"},
};

static void print_usage(FILE *out)
{
	fputs("usage: mpsync COMMAND [OPTION…]\n\n", out);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(out, "  %-30s %s\n", commands[i].usage, commands[i].help);
	fprintf(out, "  %-30s %s\n", "elector [OPTION…]", "serve locks to programs next to it");
	fputs("\noptions: --url URL (or MPSYNC_URL), --ttl 15s, --wait 30s, --identity NAME, --grace "
	      "3s,\n"
	      "  --wait-all, --kill-all, --once, --value TEXT, --json, --quiet, --log LEVEL; see man "
	      "mpsync\n",
	    out);
}

static int check_shape(size_t i, const struct arguments *arguments)
{
	if (arguments->positional_count != commands[i].names)
		return complain(EXIT_USAGE, "%s NAME; usage: mpsync %s",
		    arguments->positional_count < commands[i].names ? "missing" : "more than one",
		    commands[i].usage);
	if (commands[i].executes && (!arguments->command || !*arguments->command))
		return complain(EXIT_USAGE, "no command given; usage: mpsync %s", commands[i].usage);
	if (!commands[i].executes && arguments->command)
		return complain(EXIT_USAGE, "%s takes no command; usage: mpsync %s", commands[i].name,
		    commands[i].usage);
	return 0;
}

static int run(size_t i, int argc, char **argv)
{
	struct arguments arguments;
	int code = arguments_parse(&arguments, argc, argv);

	if (code == 0)
		code = check_shape(i, &arguments);
	if (code == 0)
		code = finish_output(commands[i].run(&arguments));
	arguments_clear(&arguments);
	return code;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "elector") == 0)
		return elector_main(argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(name, commands[i].name) == 0)
			return run(i, argc - 1, argv + 1);
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0) {
		print_usage(stdout);
		return finish_output(EXIT_SUCCESS);
	}
	if (strcmp(name, "--version") == 0)
		return finish_output(command_version(NULL));
	print_usage(stderr);
	return *name ? complain(EXIT_USAGE, "there is no command \"%s\"", name) : EXIT_USAGE;
}
