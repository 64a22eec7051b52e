/* Checks on text from outside, and text that is shared. */
#ifndef MPSYNC_TEXT_H
#define MPSYNC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MOST   1024
#define HOLDER_MOST 256
#define VALUE_MOST  (16 * 1024)

bool text_is_utf8(const char *text, size_t length);

/* Are the texts equal? NULL equals NULL alone. */
bool text_same(const char *a, const char *b);

/* Owned by the caller. NULL of NULL, and without memory. */
char *text_copy(const char *text);

/* Compares two texts, for tsearch. */
int text_compare(const void *a, const void *b);

/* NULL, or a sentence that says what is wrong with the text. */
const char *name_problem(const char *name);
const char *holder_problem(const char *holder);
const char *value_problem(const char *value);

/* Room for the longest name with every byte escaped. */
#define TEXT_ESCAPED_SIZE (4 * NAME_MOST + 1)

/*
 * For a terminal or a log: control characters (C0, DEL, C1) and bytes that are not UTF-8 become
 * \xHH, so that a name cannot steer a terminal. Cut to fit.
 */
void text_escape(char *out, size_t size, const char *text);

/*
 * One copy of a text for many owners, since most claims of a client have the same holder. For one
 * thread, or under one lock. Nobody may write into the text, and each owner frees it once. `latest`
 * is where the next call looks for the copy: NULL at first, and to be freed as well in the end.
 * NULL without memory.
 */
char *shared_text_of(char **latest, const char *text);
void shared_text_free(char *text);

#endif
