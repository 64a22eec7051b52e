/* What the commands print: nothing that comes from outside may do things to a terminal. */
#ifndef MPSYNC_CLI_OUTPUT_H
#define MPSYNC_CLI_OUTPUT_H

#include <stdint.h>

/* Prints "mpsync: …" and returns `code`. Control characters are escaped. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* To standard output, escaped. */
void print_escaped(const char *text);

/* A line of JSON; in JSON, DEL and C1 may stand as they are: here they are escaped as well. */
void print_json_text(const char *json);

/* `code`, unless standard output did not take all that was written. */
int finish_output(int code);

#endif
