/* What the commands print: nothing that comes from outside may do things to a terminal. */
#ifndef MPSYNC_CLI_OUTPUT_H
#define MPSYNC_CLI_OUTPUT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

/* To standard output, escaped. */
void print_escaped(const char *text);

/*
 * A line of JSON, in which DEL and C1 may stand as they are: here they are escaped as well. Takes
 * the object over; NULL, for want of memory, prints nothing.
 */
void print_json(FILE *out, cJSON *object);

/* Whether standard output is a terminal that is to be coloured (NO_COLOR, TERM=dumb: not). */
bool output_has_colours(void);

/* "ok" in green, anything else in red, where there are colours. */
void print_verdict(const char *verdict);

/* `code`, unless standard output did not take all that was written. */
int finish_output(int code);

#endif
