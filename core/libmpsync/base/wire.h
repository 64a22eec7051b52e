/* JSON that electors, their clients and the command line share. */
#ifndef MPSYNC_WIRE_H
#define MPSYNC_WIRE_H

#include "protocol/store.h"
#include "rfc3339.h"

#include <cjson/cJSON.h>

#define WIRE_API_VERSION "metaparticle.io/v1"

/*
 * The lock object. `wall_now_ms` turns the remaining time into a time for people. NULL without
 * memory.
 */
cJSON *wire_lock(const struct store_lock *lock, int64_t wall_now_ms);

/*
 * These give the item to the object or the list. Where any argument is NULL, for want of memory,
 * they free the item and return false: what is built is either whole or not sent. The key is not
 * copied, so it must be a constant.
 */
bool wire_add(cJSON *object, const char *key, cJSON *item);
bool wire_append(cJSON *list, cJSON *item);
bool wire_add_text(cJSON *object, const char *key, const char *text);
bool wire_add_number(cJSON *object, const char *key, double number);
/*
 * A token or another number of 64 bits, as decimal digits in a text: JSON's numbers are exact up to
 * 2^53 only.
 */
bool wire_add_decimal(cJSON *object, const char *key, uint64_t number);
/* Returns the object if it is whole; else frees it and returns NULL. */
cJSON *wire_whole(cJSON *object, bool whole);

/* A time in RFC 3339, UTC, with milliseconds. */
#define WIRE_TIME_SIZE RFC3339_SIZE
void wire_time(char text[WIRE_TIME_SIZE], int64_t unix_ms);

/* A token's decimal digits, without sign or leading zeros; false for anything else. */
bool wire_token_parse(const char *text, uint64_t *token);

#endif
