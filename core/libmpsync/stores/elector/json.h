/* Reads answers and events of an elector out of their JSON. */
#ifndef MPSYNC_STORES_ELECTOR_JSON_H
#define MPSYNC_STORES_ELECTOR_JSON_H

#include "base/json_fields.h"
#include "protocol/store.h"

#include <cjson/cJSON.h>

/* The instance of the elector that answers; none when the object does not name one. */
struct id json_elector(const cJSON *object);

/* Texts are borrowed from the object. */
struct store_lock json_lock(const cJSON *object);

enum mpsync_reason json_reason(const cJSON *object);

/* The status that an unsuccessful answer means for a claim. */
enum mpsync_status json_status(long http_status, const char *code);

#endif
