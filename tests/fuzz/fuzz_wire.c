#include "base/wire.h"
#include "elector/http/fields.h"
#include "stores/elector/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* As a request's body. */
static void read_body(const uint8_t *bytes, size_t size)
{
	const char *session = "00112233445566778899aabbccddeeff";
	struct put put = {.name = "name"};
	struct heartbeat beat = {.holder = "holder"};
	char problem[FIELDS_PROBLEM_SIZE];
	cJSON *object;

	const enum body body = body_parse((const char *)bytes, size, &object, problem);

	if (body == BODY_OBJECT)
		put_parse(&put, object, session, &(struct store){.shortest_ttl_ms = 50}, problem);
	if (body != BODY_BAD)
		heartbeat_parse(&beat, object, session, problem);
	cJSON_Delete(object);
}

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
	read_body(bytes, size);
	cJSON_Delete(object);
	free(text);
	return 0;
}
