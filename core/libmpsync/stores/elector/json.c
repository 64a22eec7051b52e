#include "json.h"

#include "base/clock.h"
#include "base/json_fields.h"
#include "base/rfc3339.h"

#include <string.h>

static int64_t unix_ms(const char *text)
{
	int64_t us;

	return rfc3339_read(text, &us) ? us / 1000 : 0;
}

struct store_lock json_lock(const cJSON *object)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(object, "status");
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(spec, "value");
	const char *owner = json_text(spec, "owner");
	const int64_t expires = unix_ms(json_text(spec, "expiry"));
	const int64_t now = clock_wall_ms();

	return (struct store_lock){
	    .name = json_text(cJSON_GetObjectItemCaseSensitive(object, "metadata"), "name"),
	    .holder = *owner ? owner : NULL,
	    .value = cJSON_IsString(value) ? value->valuestring : NULL,
	    .token = json_token(spec, "token"),
	    .ttl_ms = json_duration_ms(spec, "ttl"),
	    .since_ms = unix_ms(json_text(spec, "since")),
	    .expires_in_ms = expires > now ? (uint64_t)(expires - now) : 0,
	    .waiters = json_count(status, "waiters"),
	    .election = strcmp(json_text(spec, "type"), "election") == 0,
	};
}

enum mpsync_reason json_reason(const cJSON *object)
{
	const char *text = json_text(object, "reason");

	for (int32_t i = MPSYNC_REASON_EXPIRED; i <= MPSYNC_REASON_OTHER_ELECTOR; i++)
		if (strcmp(text, mpsync_reason_text(i)) == 0)
			return (enum mpsync_reason)i;
	return MPSYNC_REASON_EXPIRED;
}

enum mpsync_status json_status(long http_status, const char *code)
{
	switch (http_status) {
	case 401:
		return MPSYNC_E_UNAUTHENTICATED;
	case 403:
		return MPSYNC_E_FORBIDDEN;
	case 404:
		return MPSYNC_E_NOT_HELD;
	case 409:
		return strcmp(code, "held") == 0 ? MPSYNC_E_HELD : MPSYNC_E_LOST;
	case 0:
	case 500:
	case 503:
		return MPSYNC_E_UNREACHABLE;
	default:
		return MPSYNC_E_INVALID;
	}
}

struct id json_elector(const cJSON *object)
{
	struct id elector = {{0}};

	if (!id_from_hex(&elector, json_text(object, "elector")))
		elector = (struct id){{0}};
	return elector;
}
