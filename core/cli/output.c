#include "output.h"

#include "base/text.h"
#include "exit_codes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer ones are cut. */
#define LONGEST_LINE 8192

/* By one write, so that lines of several processes do not mix. */
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
	if (write(STDERR_FILENO, line, length) < 0)
		return code;
	return code;
}

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

/* Outside of its strings JSON has none of these characters. */
void print_json_text(const char *json)
{
	for (const unsigned char *c = (const unsigned char *)json; *c; c++) {
		if (*c == 0x7f)
			fputs("\\u007f", stdout);
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
			printf("\\u%04x", *++c);
		else
			putchar(*c);
	}
	putchar('\n');
}

int finish_output(int code)
{
	const bool failed = ferror(stdout) != 0;

	if (fflush(stdout) == 0 && !failed)
		return code;
	return complain(
	    EXIT_USAGE, "cannot write to standard output: %s", strerror(errno ? errno : EIO));
}
