/* Checks on text that comes from outside, and text that many have. */
#ifndef MPSYNC_TEXT_H
#define MPSYNC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MOST   1024
#define HOLDER_MOST 256
#define VALUE_MOST  (16 * 1024)

bool text_is_utf8(const char *text, size_t length);

/* NULL is the same as NULL alone. */
bool text_same(const char *a, const char *b);

/* Of two texts, for tsearch. */
int text_compare(const void *a, const void *b);

/* NULL, or what is wrong with it. */
const char *name_problem(const char *name);
const char *holder_problem(const char *holder);
const char *value_problem(const char *value);

/* Of the longest name, every byte of it escaped. */
#define TEXT_ESCAPED_SIZE (4 * NAME_MOST + 1)

/*
 * For a terminal or a log: control characters (C0, DEL, C1) and what is not UTF-8 become \xHH. Cut
 * to fit.
 */
void text_escape(char *out, size_t size, const char *text);

/*
 * One copy for many, on one thread or under one lock: most claims of a client have the same holder.
 * Nobody writes into it; to be freed once for each call. `latest` is what the next call may find:
 * NULL at first, and freed as well in the end. NULL without memory.
 */
char *shared_text_of(char **latest, const char *text);
void shared_text_free(char *text);

#endif
