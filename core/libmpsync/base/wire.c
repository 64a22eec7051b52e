#include "wire.h"

#include "duration.h"
#include "rfc3339.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wire_time(char text[WIRE_TIME_SIZE], int64_t unix_ms)
{
	rfc3339_write(text, unix_ms * 1000, 3);
}

bool wire_token_parse(const char *text, uint64_t *token)
{
	uint64_t value = 0;

	if (*text < '1' || *text > '9')
		return false;
	for (; *text; text++) {
		const uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9' || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*token = value;
	return true;
}

bool wire_add(cJSON *object, const char *key, cJSON *item)
{
	if (cJSON_AddItemToObjectCS(object, key, item))
		return true;
	cJSON_Delete(item);
	return false;
}

bool wire_append(cJSON *list, cJSON *item)
{
	if (cJSON_AddItemToArray(list, item))
		return true;
	cJSON_Delete(item);
	return false;
}

bool wire_add_text(cJSON *object, const char *key, const char *text)
{
	return wire_add(object, key, cJSON_CreateString(text));
}

bool wire_add_number(cJSON *object, const char *key, double number)
{
	return wire_add(object, key, cJSON_CreateNumber(number));
}

bool wire_add_decimal(cJSON *object, const char *key, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, number);
	return wire_add_text(object, key, text);
}

cJSON *wire_whole(cJSON *object, bool whole)
{
	if (whole)
		return object;
	cJSON_Delete(object);
	return NULL;
}

static cJSON *lock_spec(const struct store_lock *lock, int64_t wall_now_ms)
{
	cJSON *spec = cJSON_CreateObject();
	char ttl[DURATION_TEXT_SIZE];
	char expiry[WIRE_TIME_SIZE];
	char since[WIRE_TIME_SIZE];

	duration_format(ttl, lock->ttl_ms);
	wire_time(expiry, wall_now_ms + (int64_t)lock->expires_in_ms);
	wire_time(since, lock->since_ms);
	return wire_whole(
	    spec, wire_add_text(spec, "owner", lock->holder ? lock->holder : "") &&
	              wire_add_text(spec, "expiry", expiry) &&
	              wire_add_decimal(spec, "token", lock->token) && wire_add_text(spec, "ttl", ttl) &&
	              wire_add_text(spec, "type", lock->election ? "election" : "lock") &&
	              wire_add_text(spec, "since", since) &&
	              wire_add(spec, "value",
	                  lock->value ? cJSON_CreateString(lock->value) : cJSON_CreateNull()));
}

static cJSON *with_text(const char *key, const char *text)
{
	cJSON *object = cJSON_CreateObject();

	return wire_whole(object, wire_add_text(object, key, text));
}

static cJSON *with_number(const char *key, double number)
{
	cJSON *object = cJSON_CreateObject();

	return wire_whole(object, wire_add_number(object, key, number));
}

cJSON *wire_lock(const struct store_lock *lock, int64_t wall_now_ms)
{
	cJSON *object = cJSON_CreateObject();

	return wire_whole(
	    object, wire_add_text(object, "apiVersion", WIRE_API_VERSION) &&
	                wire_add_text(object, "kind", "Lock") &&
	                wire_add(object, "metadata", with_text("name", lock->name)) &&
	                wire_add(object, "spec", lock_spec(lock, wall_now_ms)) &&
	                wire_add(object, "status", with_number("waiters", lock->waiters)));
}
