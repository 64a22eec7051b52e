/* What an elector's answers and events say, taken out of their JSON. */
#ifndef MPSYNC_STORES_ELECTOR_JSON_H
#define MPSYNC_STORES_ELECTOR_JSON_H

#include "base/json_fields.h"
#include "protocol/store.h"

#include <cjson/cJSON.h>

/* The instance that answers; none when it does not say. */
struct id json_elector(const cJSON *object);

/* Strings are borrowed from the object. */
struct store_lock json_lock(const cJSON *object);

enum mpsync_reason json_reason(const cJSON *object);

/* What an answer that is no success means to a claim. */
enum mpsync_status json_status(long http_status, const char *code);

#endif
