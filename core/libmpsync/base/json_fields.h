/*
 * Fields of a JSON object. A field that is absent counts as empty, and so does one of another type.
 */
#ifndef MPSYNC_JSON_FIELDS_H
#define MPSYNC_JSON_FIELDS_H

#include <cjson/cJSON.h>
#include <stdint.h>

/* The text of a field; "" when the field is absent or not a text. Borrowed from the object. */
const char *json_text(const cJSON *object, const char *name);
uint64_t json_token(const cJSON *object, const char *name);
uint64_t json_duration_ms(const cJSON *object, const char *name);
uint32_t json_count(const cJSON *object, const char *name);

#endif
