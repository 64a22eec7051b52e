#include "json_fields.h"

#include "duration.h"
#include "json_number.h"
#include "wire.h"

const char *json_text(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

uint64_t json_token(const cJSON *object, const char *name)
{
	uint64_t token = 0;

	return wire_token_parse(json_text(object, name), &token) ? token : 0;
}

uint64_t json_duration_ms(const cJSON *object, const char *name)
{
	uint64_t ms = 0;

	return duration_read(json_text(object, name), &ms) ? ms : 0;
}

uint32_t json_count(const cJSON *object, const char *name)
{
	return (uint32_t)json_number(cJSON_GetObjectItemCaseSensitive(object, name), UINT32_MAX);
}
