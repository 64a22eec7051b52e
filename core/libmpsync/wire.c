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

static void add_spec(cJSON *spec, const struct store_lock *lock, int64_t wall_now_ms)
{
	char text[DURATION_TEXT_SIZE];
	char time[WIRE_TIME_SIZE];

	cJSON_AddStringToObject(spec, "owner", lock->holder ? lock->holder : "");
	wire_time(time, wall_now_ms + (int64_t)lock->expires_in_ms);
	cJSON_AddStringToObject(spec, "expiry", time);
	snprintf(text, sizeof text, "%" PRIu64, lock->token);
	cJSON_AddStringToObject(spec, "token", text);
	duration_format(text, lock->ttl_ms);
	cJSON_AddStringToObject(spec, "ttl", text);
	cJSON_AddStringToObject(spec, "type", lock->election ? "election" : "lock");
	wire_time(time, lock->since_ms);
	cJSON_AddStringToObject(spec, "since", time);
	if (lock->value)
		cJSON_AddStringToObject(spec, "value", lock->value);
	else
		cJSON_AddNullToObject(spec, "value");
}

cJSON *wire_lock(const struct store_lock *lock, int64_t wall_now_ms)
{
	cJSON *object = cJSON_CreateObject();
	cJSON *metadata;
	cJSON *spec;
	cJSON *status;

	cJSON_AddStringToObject(object, "apiVersion", WIRE_API_VERSION);
	cJSON_AddStringToObject(object, "kind", "Lock");
	metadata = cJSON_AddObjectToObject(object, "metadata");
	spec = cJSON_AddObjectToObject(object, "spec");
	status = cJSON_AddObjectToObject(object, "status");
	if (!metadata || !spec || !status) {
		cJSON_Delete(object);
		return NULL;
	}
	cJSON_AddStringToObject(metadata, "name", lock->name);
	add_spec(spec, lock, wall_now_ms);
	cJSON_AddNumberToObject(status, "waiters", lock->waiters);
	return object;
}
