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

/* Without memory the object, or the item, is NULL. */
static cJSON *add(cJSON *object, const char *key, cJSON *item)
{
	if (cJSON_AddItemToObjectCS(object, key, item))
		return item;
	cJSON_Delete(item);
	return NULL;
}

void wire_add_text(cJSON *object, const char *key, const char *text)
{
	add(object, key, cJSON_CreateString(text));
}

void wire_add_decimal(cJSON *object, const char *key, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, number);
	wire_add_text(object, key, text);
}

static void add_spec(cJSON *spec, const struct store_lock *lock, int64_t wall_now_ms)
{
	char text[DURATION_TEXT_SIZE];
	char time[WIRE_TIME_SIZE];

	wire_add_text(spec, "owner", lock->holder ? lock->holder : "");
	wire_time(time, wall_now_ms + (int64_t)lock->expires_in_ms);
	wire_add_text(spec, "expiry", time);
	wire_add_decimal(spec, "token", lock->token);
	duration_format(text, lock->ttl_ms);
	wire_add_text(spec, "ttl", text);
	wire_add_text(spec, "type", lock->election ? "election" : "lock");
	wire_time(time, lock->since_ms);
	wire_add_text(spec, "since", time);
	if (lock->value)
		wire_add_text(spec, "value", lock->value);
	else
		add(spec, "value", cJSON_CreateNull());
}

cJSON *wire_lock(const struct store_lock *lock, int64_t wall_now_ms)
{
	cJSON *object = cJSON_CreateObject();
	cJSON *metadata;
	cJSON *spec;
	cJSON *status;

	wire_add_text(object, "apiVersion", WIRE_API_VERSION);
	wire_add_text(object, "kind", "Lock");
	metadata = add(object, "metadata", cJSON_CreateObject());
	spec = add(object, "spec", cJSON_CreateObject());
	status = add(object, "status", cJSON_CreateObject());
	if (!metadata || !spec || !status) {
		cJSON_Delete(object);
		return NULL;
	}
	wire_add_text(metadata, "name", lock->name);
	add_spec(spec, lock, wall_now_ms);
	add(status, "waiters", cJSON_CreateNumber(lock->waiters));
	return object;
}
