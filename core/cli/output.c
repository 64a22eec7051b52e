#include "output.h"

#include "base/text.h"
#include "elector/command_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void print_escaped(const char *text)
{
	const size_t size = 4 * strlen(text) + 1;
	char *escaped = malloc(size);

	if (!escaped)
		return;
	text_escape(escaped, size, text);
	fputs(escaped, stdout);
	free(escaped);
}

/* Outside of its texts JSON has none of these characters. */
static void print_json_text(FILE *out, const char *json)
{
	for (const unsigned char *c = (const unsigned char *)json; *c; c++) {
		if (*c == 0x7f)
			fputs("\\u007f", out);
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
			fprintf(out, "\\u%04x", *++c);
		else
			putc(*c, out);
	}
	putc('\n', out);
}

void print_json(FILE *out, cJSON *object)
{
	char *text = object ? cJSON_PrintUnformatted(object) : NULL;

	if (text)
		print_json_text(out, text);
	cJSON_free(text);
	cJSON_Delete(object);
}

bool output_has_colours(void)
{
	const char *unwanted = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) == 1 && !(unwanted && *unwanted) && terminal &&
	       strcmp(terminal, "dumb") != 0;
}

void print_verdict(const char *verdict)
{
	const char *colour = strcmp(verdict, "ok") == 0 ? "\033[32m" : "\033[31m";
	const bool coloured = output_has_colours();

	printf("%s%-4s%s  ", coloured ? colour : "", verdict, coloured ? "\033[0m" : "");
}

int finish_output(int code)
{
	const bool failed = ferror(stdout) != 0;

	if (fflush(stdout) == 0 && !failed)
		return code;
	return complain(
	    EXIT_USAGE, "cannot write to standard output: %s", strerror(errno ? errno : EIO));
}
