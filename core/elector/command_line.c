#include "command_line.h"

#include "base/text.h"

#include <mpsync.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer lines are cut. */
#define LONGEST_LINE 8192

/* The column in which the meaning of a flag begins. */
#define HELP_COLUMN 26

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

/* One write for the whole line, so that lines of several processes do not mix. */
int complain(int code, const char *format, ...)
{
	static const char prefix[] = "mpsync: ";
	char text[LONGEST_LINE / 4];
	char line[LONGEST_LINE];
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	memcpy(line, prefix, sizeof prefix);
	text_escape(line + strlen(prefix), sizeof line - strlen(prefix) - 1, text);
	length = strlen(line);
	line[length++] = '\n';
	fflush(stderr);
	(void)!write(STDERR_FILENO, line, length);
	return code;
}

void flags_to_options(const struct flag *flags, size_t count, struct option *options)
{
	for (size_t i = 0; i < count; i++)
		options[i] = (struct option){
		    flags[i].name, flags[i].value ? required_argument : no_argument, NULL, flags[i].id};
	options[count] = (struct option){0};
}

/* getopt sets optopt to the flag's letter or id; 0: it knows no such flag. */
static void complain_of_flag(char **argv, int problem, const char *command)
{
	const char *word = argv[optind - 1];

	if (problem == ':')
		complain(0, "%s needs a value; see mpsync %s --help", word, command);
	else if (optopt == 0)
		complain(0, "%s has no option \"%s\"; mpsync %s --help lists those it has", command, word,
		    command);
	else if (strncmp(word, "--", 2) == 0)
		complain(0, "%s: the option takes no value; see mpsync %s --help", word, command);
	else
		complain(0, "%s has no option \"-%c\"; mpsync %s --help lists those it has", command,
		    optopt, command);
}

int flags_next(int argc, char **argv, const struct option *options, const char *command)
{
	int id;

	opterr = 0;
	id = getopt_long(argc, argv, "+:hV", options, NULL);
	if (id != '?' && id != ':')
		return id;
	complain_of_flag(argv, id, command);
	return FLAG_WRONG;
}

void flags_print(const struct flag *flags, size_t count, unsigned commands)
{
	for (size_t i = 0; i < count; i++) {
		const char *letter = flags[i].id == FLAG_HELP      ? "-h, "
		                     : flags[i].id == FLAG_VERSION ? "-V, "
		                                                   : "";
		int used;

		if (!(flags[i].commands & commands))
			continue;
		used = printf("  %s--%s%s%s", letter, flags[i].name, flags[i].value ? " " : "",
		    flags[i].value ? flags[i].value : "");
		if (used >= HELP_COLUMN) {
			putchar('\n');
			used = 0;
		}
		printf("%*s", HELP_COLUMN - used, "");
		for (const char *c = flags[i].meaning; *c; c++) {
			putchar(*c);
			if (*c == '\n')
				printf("%*s", HELP_COLUMN, "");
		}
		putchar('\n');
	}
}
