/* Fields of an object that came as JSON; what is absent or of another type is nothing. */
#ifndef MPSYNC_JSON_FIELDS_H
#define MPSYNC_JSON_FIELDS_H

#include <cjson/cJSON.h>
#include <stdint.h>

/* A field's text, "" when it is absent or no string. Borrowed from the object. */
const char *json_text(const cJSON *object, const char *name);
uint64_t json_token(const cJSON *object, const char *name);
uint64_t json_duration_ms(const cJSON *object, const char *name);
uint32_t json_count(const cJSON *object, const char *name);

#endif
