/* mpsync: a table of commands. */
#include "cli.h"

#include "elector/configuration.h"
#include "elector/elector.h"
#include "flags.h"
#include "help.h"

#include <stdlib.h>
#include <string.h>

static int command_version(const struct arguments *arguments)
{
	printf(arguments->json ? "{\"version\":\"%s\"}\n" : "mpsync %s\n", mpsync_version());
	return EXIT_SUCCESS;
}

static const struct command {
	struct command_shape shape;
	int (*run)(const struct arguments *arguments);
} commands[] = {
    {{"lock", FOR_LOCK, 1, true}, command_lock},
    {{"elect", FOR_ELECT, 1, true}, command_elect},
    {{"ls", FOR_LS, 0, false}, command_ls},
    {{"watch", FOR_WATCH, 1, false}, command_watch},
    {{"status", FOR_STATUS, 1, false}, command_status},
    {{"release", FOR_RELEASE, 1, false}, command_release},
    {{"doctor", FOR_DOCTOR, 0, false}, command_doctor},
    {{"version", FOR_VERSION, 0, false}, command_version},
};

static int check_shape(const struct command_shape *shape, const struct arguments *arguments)
{
	const char *usage = help_usage(shape->name);

	if (arguments->positional_count < shape->names)
		return complain(EXIT_USAGE, "missing NAME; usage: mpsync %s", usage);
	if (arguments->positional_count > shape->names)
		return complain(EXIT_USAGE, "\"%s\" is one argument too many; usage: mpsync %s",
		    arguments->positional[shape->names], usage);
	if (shape->executes && (!arguments->command || !*arguments->command))
		return complain(EXIT_USAGE, "no command given; usage: mpsync %s", usage);
	if (!shape->executes && arguments->command)
		return complain(EXIT_USAGE, "%s takes no command; usage: mpsync %s", shape->name, usage);
	return 0;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct arguments arguments;
	int code = arguments_parse(&arguments, argc, argv, &command->shape);

	if (code == 0 && arguments.help)
		help_print(&command->shape);
	else if (code == 0 && arguments.version)
		command_version(&arguments);
	else if (code == 0)
		code = check_shape(&command->shape, &arguments);
	if (code == 0 && !arguments.help && !arguments.version)
		code = command->run(&arguments);
	arguments_clear(&arguments);
	return finish_output(code);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(name, commands[i].shape.name) == 0)
			return &commands[i];
	return NULL;
}

static int help(const char *name)
{
	const struct command *command = name ? find(name) : NULL;

	if (name && strcmp(name, "elector") == 0)
		configuration_help();
	else if (command)
		help_print(&command->shape);
	else
		help_print_commands(stdout);
	return finish_output(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (find(name))
		return run(find(name), argc - 1, argv + 1);
	if (strcmp(name, "elector") == 0)
		return finish_output(elector_main(argc - 1, argv + 1));
	if (strcmp(name, "help") == 0)
		return help(argc > 2 ? argv[2] : NULL);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help(NULL);
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		return finish_output(command_version(&(struct arguments){0}));
	if (*name)
		return complain(EXIT_USAGE, "there is no command \"%s\"; mpsync --help lists them", name);
	help_print_commands(stderr);
	return EXIT_USAGE;
}
