#include "requests.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/wire.h"

#include <stddef.h>
#include <stdlib.h>

/* False: the request was answered. */
static bool read_fields(
    struct request *request, const cJSON *object, const char *name, struct put *put)
{
	char problem[FIELDS_PROBLEM_SIZE];

	*put = (struct put){.name = name, .read_ms = request->read_ms};
	if (put_parse(
	        put, object, request_session(request), engine_store(request->server->engine), problem))
		return true;
	reply_error(request, 400, "invalid", problem);
	return false;
}

static void put_new_wire(struct request *request, const cJSON *object, const char *name)
{
	struct put put;

	if (!read_fields(request, object, name, &put) || !request_set_name(request, put.name))
		return;
	if (put.wait_ms && connections_are_full(request->server->connections))
		reply_error(request, 503, "too_many", "too many wait; raise --max-connections");
	else
		sessions_put(request->server->sessions, &put, &request->base);
}

static void put_old_wire(
    struct request *request, const cJSON *object, const char *name, bool create)
{
	const char *problem = legacy_parse(&name, object);

	if (problem) {
		reply_error(request, 400, "invalid", problem);
		return;
	}
	request->legacy = true;
	if (!request_set_name(request, name))
		return;
	sessions_put_anonymous(
	    request->server->sessions, name, create, request->read_ms, &request->base);
}

void requests_put_lock(struct request *request, const char *name, bool create)
{
	enum body kind;
	cJSON *object;

	if (!request_read_body(request, &kind, &object))
		return;
	if (cJSON_GetObjectItemCaseSensitive(object, "holder") && !create)
		put_new_wire(request, object, name);
	else
		put_old_wire(request, object, name, create);
	cJSON_Delete(object);
}

static void on_forced(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = CONTAINER_OF(query, struct request, query);
	cJSON *body;

	request->querying = false;
	if (status == MPSYNC_E_NOT_HELD) {
		reply_error(request, 404, "free", "nobody holds it");
	} else if (status != MPSYNC_OK) {
		reply_error(request, 503, "store_unreachable", message ? message : "no answer");
	} else {
		body = cJSON_CreateObject();
		cJSON_AddStringToObject(body, "kind", "Released");
		cJSON_AddStringToObject(cJSON_AddObjectToObject(body, "metadata"), "name", request->name);
		reply_json(request, 200, body);
	}
}

static void force_release(struct request *request, const cJSON *object, const char *name)
{
	const bool local = request->listener->socket_path || request->listener->tls;
	char problem[FIELDS_PROBLEM_SIZE];
	bool now;

	if (!force_parse(&now, object, problem)) {
		reply_error(request, 400, "invalid", problem);
		return;
	}
	if (!local && !request->server->allow_force) {
		reply_error(request, 403, "forbidden",
		    "force is not allowed over TCP; use the Unix socket, TLS, or --allow-force");
		return;
	}
	if (!request_set_name(request, name))
		return;
	request_query(request, &(struct store_query){
	                           .kind = STORE_FORCE,
	                           .now = now,
	                           .done = on_forced,
	                       });
}

void requests_delete_lock(struct request *request, const char *name)
{
	struct put put;
	enum body kind;
	cJSON *object;

	if (!request_read_body(request, &kind, &object))
		return;
	if (kind == BODY_EMPTY) {
		reply_error(request, 400, "invalid", "DELETE needs a body with holder and claim");
		return;
	}
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "force")) && name) {
		force_release(request, object, name);
	} else if (read_fields(request, object, name, &put) && request_set_name(request, put.name)) {
		sessions_delete(request->server->sessions, &put, &request->base);
	}
	cJSON_Delete(object);
}

static void on_got(struct store_query *query, const struct store_lock *lock)
{
	struct request *request = CONTAINER_OF(query, struct request, query);

	request->pending.body = wire_lock(lock, clock_wall_ms());
}

static void on_get_done(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = CONTAINER_OF(query, struct request, query);
	cJSON *body = request->pending.body;

	request->querying = false;
	request->pending.body = NULL;
	if (body) {
		add_queue(request, request->name, body);
		reply_json(request, 200, body);
	} else if (status == MPSYNC_E_NOT_HELD || status == MPSYNC_OK) {
		reply_error(request, 404, "free", "nobody holds it");
	} else {
		/*
		 * Old clients ask by GET too, and do not know 503: they are told that nobody is known to
		 * hold it.
		 */
		const struct store_lock unknown = {.name = request->name};

		body = wire_lock(&unknown, clock_wall_ms());
		cJSON_AddStringToObject(body, "message", message ? message : "the store is silent");
		cJSON_AddStringToObject(body, "code", "store_unreachable");
		reply_json(request, 200, body);
	}
}

void requests_get_lock(struct request *request, const char *name)
{
	if (request_set_name(request, name))
		request_query(request,
		    &(struct store_query){.kind = STORE_GET, .found = on_got, .done = on_get_done});
}
