/* Prints results, so that nothing that came from outside can steer a terminal. */
#ifndef MPSYNC_CLI_OUTPUT_H
#define MPSYNC_CLI_OUTPUT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

/* Print to standard output, with control characters escaped. */
void print_escaped(const char *text);

/*
 * Print a line of JSON. JSON lets DEL and C1 stand as they are; here they are escaped as well.
 * Takes the object over; NULL, for want of memory, prints nothing.
 */
void print_json(FILE *out, cJSON *object);

/* Is standard output a terminal with colours? Not with NO_COLOR or TERM=dumb. */
bool output_has_colours(void);

/* "ok" in green, anything else in red, where there are colours. */
void print_verdict(const char *verdict);

/*
 * Returns `code`, or an error's code if standard output did not take everything that was written.
 */
int finish_output(int code);

#endif
