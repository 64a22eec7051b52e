#include "stores/elector_json.h"
#include "wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = strndup((const char *)bytes, size);
	cJSON *object = text ? cJSON_Parse(text) : NULL;
	const struct store_lock lock = json_lock(object);
	uint64_t token;

	if (text)
		wire_token_parse(text, &token);
	cJSON_Delete(wire_lock(&lock, 0));
	json_reason(object);
	cJSON_Delete(object);
	free(text);
	return 0;
}
