/* The JSON that electors, their clients and the command line share. */
#ifndef MPSYNC_WIRE_H
#define MPSYNC_WIRE_H

#include "protocol/store.h"
#include "rfc3339.h"

#include <cjson/cJSON.h>

#define WIRE_API_VERSION "metaparticle.io/v1"

/* The lock object. `wall_now_ms` turns what remains into a time for people. NULL without memory. */
cJSON *wire_lock(const struct store_lock *lock, int64_t wall_now_ms);

/*
 * These give the item to the object or the list; without memory, where any of them is NULL, they
 * free the item and say so. What is built so is either whole or not sent. A key is never freed: it
 * is not copied.
 */
bool wire_add(cJSON *object, const char *key, cJSON *item);
bool wire_append(cJSON *list, cJSON *item);
bool wire_add_text(cJSON *object, const char *key, const char *text);
bool wire_add_number(cJSON *object, const char *key, double number);
/* A token or another number of 64 bits, as its decimal digits. */
bool wire_add_decimal(cJSON *object, const char *key, uint64_t number);
/* The object, or, where it is not whole, nothing: it is freed then. */
cJSON *wire_whole(cJSON *object, bool whole);

/* RFC 3339, UTC, milliseconds. */
#define WIRE_TIME_SIZE RFC3339_SIZE
void wire_time(char text[WIRE_TIME_SIZE], int64_t unix_ms);

/* Decimal digits of a token, without sign or leading zeros; false for anything else. */
bool wire_token_parse(const char *text, uint64_t *token);

#endif
