#include "requests.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/wire.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LIST 1000
/*
 * A page ends behind the lock with which its texts are this long: many may be asked for by readers
 * who take none of them, and each is kept until it has been read.
 */
#define MOST_LIST_BYTES (256 * 1024)

static size_t length(const char *text)
{
	return text ? strlen(text) : 0;
}

/* The texts of a lock and of those who wait for it, beside which the rest of its object is short.
 */
static size_t length_of_texts(const struct store_lock *lock, const cJSON *status)
{
	size_t sum = length(lock->name) + length(lock->holder) + length(lock->value);
	const cJSON *waiter;

	cJSON_ArrayForEach (waiter, cJSON_GetObjectItem(status, "queue"))
		sum += length(waiter->valuestring);
	return sum;
}

static void on_listed(struct store_query *query, const struct store_lock *lock)
{
	struct request *request = CONTAINER_OF(query, struct request, query);
	cJSON *item;

	if ((size_t)cJSON_GetArraySize(request->items) >= request->limit ||
	    request->listed_bytes >= MOST_LIST_BYTES) {
		request->more = true;
		return;
	}
	item = wire_lock(lock, clock_wall_ms());
	request->listed_bytes += length_of_texts(lock, add_queue(request, lock->name, item));
	request->incomplete |= !wire_append(request->items, item);
	free(request->last_name);
	request->last_name = strdup(lock->name);
	request->incomplete |= !request->last_name;
}

static void on_list_done(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = CONTAINER_OF(query, struct request, query);
	cJSON *body;
	cJSON *items;
	bool whole;

	request->querying = false;
	if (status != MPSYNC_OK) {
		reply_error(request, 503, "store_unreachable", message ? message : "the store is silent");
		return;
	}
	body = cJSON_CreateObject();
	items = request->items;
	request->items = NULL;
	whole = wire_add_text(body, "apiVersion", WIRE_API_VERSION) &&
	        wire_add_text(body, "kind", "LockList");
	whole = wire_add(body, "items", items) && whole && !request->incomplete &&
	        (!request->more || wire_add_text(body, "continue", request->last_name));
	reply_json(request, 200, wire_whole(body, whole));
}

void requests_list_locks(struct request *request, const struct evkeyvalq *parameters)
{
	const char *limit = evhttp_find_header(parameters, "limit");
	const char *prefix = evhttp_find_header(parameters, "prefix");
	const char *after = evhttp_find_header(parameters, "continue");
	uint64_t most = MOST_LIST;

	if (limit && (!wire_token_parse(limit, &most) || most > MOST_LIST)) {
		reply_error(request, 400, "invalid", "limit has to be 1 to 1000");
		return;
	}
	if (!request_set_name(request, prefix ? prefix : ""))
		return;
	request->items = cJSON_CreateArray();
	request->limit = (size_t)most;
	request_query(request, &(struct store_query){.kind = STORE_LIST,
	                           .after = after,
	                           .limit = (size_t)most + 1,
	                           .found = on_listed,
	                           .done = on_list_done});
}
