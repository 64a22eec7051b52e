#include "lock_json.h"

#include "base/clock.h"
#include "base/wire.h"
#include "output.h"

void lock_json_print(const mpsync_lock_info *info)
{
	const int64_t now = clock_wall_ms();
	const struct store_lock lock = {
	    .name = info->name,
	    .holder = info->holder,
	    .value = info->value,
	    .token = info->token,
	    .ttl_ms = (uint64_t)info->ttl_ms,
	    .since_ms = info->since_unix_ms,
	    .expires_in_ms = info->expires_unix_ms > now ? (uint64_t)(info->expires_unix_ms - now) : 0,
	    .waiters = info->waiters,
	    .election = info->is_election,
	};
	cJSON *object = wire_lock(&lock, now);

	cJSON_AddTrueToObject(cJSON_GetObjectItemCaseSensitive(object, "status"), "held");
	print_json(stdout, object);
}

/* A lock object without times. The owner of a free name is "", as on the elector's wire. */
static cJSON *new_object(const char *name, const char *holder)
{
	cJSON *object = cJSON_CreateObject();

	wire_add_text(object, "apiVersion", WIRE_API_VERSION);
	wire_add_text(object, "kind", "Lock");
	wire_add_text(cJSON_AddObjectToObject(object, "metadata"), "name", name);
	wire_add_text(cJSON_AddObjectToObject(object, "spec"), "owner", holder ? holder : "");
	cJSON_AddBoolToObject(cJSON_AddObjectToObject(object, "status"), "held", holder != NULL);
	return object;
}

void lock_json_print_free(const char *name)
{
	print_json(stdout, new_object(name, NULL));
}

void lock_json_print_change(const mpsync_event *event)
{
	cJSON *object = new_object(event->name ? event->name : "", event->holder);
	cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");

	if (event->holder) {
		wire_add_decimal(spec, "token", event->token);
		if (event->value)
			wire_add_text(spec, "value", event->value);
	}
	print_json(stdout, object);
}
