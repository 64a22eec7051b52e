#include "server.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/status.h"
#include "base/text.h"
#include "base/wire.h"
#include "fields.h"
#include "openapi.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LIST 1000

/* ---- Bodies ---- */

/* False: it was answered. */
static bool read_body(struct request *request, enum body *kind, cJSON **object)
{
	struct evbuffer *buffer = evhttp_request_get_input_buffer(request->http);
	const size_t size = evbuffer_get_length(buffer);
	const char *bytes = size ? (const char *)evbuffer_pullup(buffer, -1) : "";
	char problem[FIELDS_PROBLEM_SIZE];

	*kind = body_parse(bytes, size, object, problem);
	if (*kind == BODY_BAD)
		reply_error(request, 400, "invalid", problem);
	return *kind != BODY_BAD;
}

static const char *session_header(const struct request *request)
{
	return evhttp_find_header(evhttp_request_get_input_headers(request->http), "Mpsync-Session");
}

/* False: it was answered. */
static bool read_fields(
    struct request *request, const cJSON *object, const char *name, struct put *put)
{
	char problem[FIELDS_PROBLEM_SIZE];

	*put = (struct put){.name = name, .read_ms = request->read_ms};
	if (put_parse(
	        put, object, session_header(request), engine_store(request->server->engine), problem))
		return true;
	reply_error(request, 400, "invalid", problem);
	return false;
}

/* ---- Locks ---- */

static bool set_name(struct request *request, const char *name)
{
	request->name = strdup(name);
	if (!request->name)
		reply_error(request, 503, "too_many", "out of memory; try again later");
	return request->name;
}

static void put_new_wire(struct request *request, const cJSON *object, const char *name)
{
	struct put put;

	if (!read_fields(request, object, name, &put) || !set_name(request, put.name))
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
	if (!set_name(request, name))
		return;
	sessions_put_anonymous(
	    request->server->sessions, name, create, request->read_ms, &request->base);
}

static void put_lock(struct request *request, const char *name, bool create)
{
	enum body kind;
	cJSON *object;

	if (!read_body(request, &kind, &object))
		return;
	if (cJSON_GetObjectItemCaseSensitive(object, "holder") && !create)
		put_new_wire(request, object, name);
	else
		put_old_wire(request, object, name, create);
	cJSON_Delete(object);
}

static void on_forced(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = (struct request *)((char *)query - offsetof(struct request, query));
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
	if (!set_name(request, name))
		return;
	request_query(request, &(struct store_query){
	                           .kind = STORE_FORCE,
	                           .now = now,
	                           .done = on_forced,
	                       });
}

static void delete_lock(struct request *request, const char *name)
{
	struct put put;
	enum body kind;
	cJSON *object;

	if (!read_body(request, &kind, &object))
		return;
	if (kind == BODY_EMPTY) {
		reply_error(request, 400, "invalid", "DELETE needs a body with holder and claim");
		return;
	}
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "force")) && name) {
		force_release(request, object, name);
	} else if (read_fields(request, object, name, &put) && set_name(request, put.name)) {
		sessions_delete(request->server->sessions, &put, &request->base);
	}
	cJSON_Delete(object);
}

static void on_got(struct store_query *query, const struct store_lock *lock)
{
	struct request *request = (struct request *)((char *)query - offsetof(struct request, query));

	request->pending.body = wire_lock(lock, clock_wall_ms());
}

static void on_get_done(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = (struct request *)((char *)query - offsetof(struct request, query));
	cJSON *body = request->pending.body;

	request->querying = false;
	request->pending.body = NULL;
	if (body) {
		add_queue(request, request->name, body);
		reply_json(request, 200, body);
	} else if (status == MPSYNC_E_NOT_HELD || status == MPSYNC_OK) {
		reply_error(request, 404, "free", "nobody holds it");
	} else {
		/* Old clients ask with GET too, and know no 503: nothing is known of the owner. */
		const struct store_lock unknown = {.name = request->name};

		body = wire_lock(&unknown, clock_wall_ms());
		cJSON_AddStringToObject(body, "message", message ? message : "the store is silent");
		cJSON_AddStringToObject(body, "code", "store_unreachable");
		reply_json(request, 200, body);
	}
}

static void get_lock(struct request *request, const char *name)
{
	if (set_name(request, name))
		request_query(request,
		    &(struct store_query){.kind = STORE_GET, .found = on_got, .done = on_get_done});
}

/* ---- Lists ---- */

static void on_listed(struct store_query *query, const struct store_lock *lock)
{
	struct request *request = (struct request *)((char *)query - offsetof(struct request, query));
	cJSON *item;

	if ((size_t)cJSON_GetArraySize(request->items) >= request->limit) {
		request->more = true;
		return;
	}
	item = wire_lock(lock, clock_wall_ms());
	add_queue(request, lock->name, item);
	cJSON_AddItemToArray(request->items, item);
	free(request->last_name);
	request->last_name = strdup(lock->name);
}

static void on_list_done(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = (struct request *)((char *)query - offsetof(struct request, query));
	cJSON *body;

	request->querying = false;
	if (status != MPSYNC_OK) {
		reply_error(request, 503, "store_unreachable", message ? message : "the store is silent");
		return;
	}
	body = cJSON_CreateObject();
	cJSON_AddStringToObject(body, "apiVersion", WIRE_API_VERSION);
	cJSON_AddStringToObject(body, "kind", "LockList");
	cJSON_AddItemToObject(body, "items", request->items);
	request->items = NULL;
	if (request->more && request->last_name)
		cJSON_AddStringToObject(body, "continue", request->last_name);
	reply_json(request, 200, body);
}

static void list_locks(struct request *request, const struct evkeyvalq *parameters)
{
	const char *limit = evhttp_find_header(parameters, "limit");
	const char *prefix = evhttp_find_header(parameters, "prefix");
	const char *after = evhttp_find_header(parameters, "continue");
	uint64_t most = MOST_LIST;

	if (limit && (!wire_token_parse(limit, &most) || most > MOST_LIST)) {
		reply_error(request, 400, "invalid", "limit has to be 1 to 1000");
		return;
	}
	if (!set_name(request, prefix ? prefix : ""))
		return;
	request->items = cJSON_CreateArray();
	request->limit = (size_t)most;
	request_query(request, &(struct store_query){.kind = STORE_LIST,
	                           .after = after,
	                           .limit = (size_t)most + 1,
	                           .found = on_listed,
	                           .done = on_list_done});
}

/* ---- Holders ---- */

static void heartbeat(struct request *request, const char *holder)
{
	struct heartbeat beat = {.holder = holder, .read_ms = request->read_ms};
	char problem[FIELDS_PROBLEM_SIZE];
	enum body kind;
	cJSON *object;
	bool right;

	if (!read_body(request, &kind, &object))
		return;
	right = heartbeat_parse(&beat, object, session_header(request), problem);
	cJSON_Delete(object);
	if (right)
		sessions_heartbeat(request->server->sessions, &beat, &request->base);
	else
		reply_error(request, 400, "invalid", problem);
}

static bool stream_duration(const struct evkeyvalq *parameters, const char *name, uint64_t *ms)
{
	const char *text = evhttp_find_header(parameters, name);

	*ms = 0;
	return !text || (duration_parse(text, ms) && *ms > 0);
}

static void open_stream(
    struct request *request, const char *holder, const struct evkeyvalq *parameters)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request->http);
	const char *last = evhttp_find_header(headers, "Last-Event-ID");
	struct id session = {{0}};
	uint64_t last_event = 0;
	uint64_t for_ms;
	uint64_t ping_ms;

	if (!stream_duration(parameters, "for", &for_ms) ||
	    !stream_duration(parameters, "ping", &ping_ms)) {
		reply_error(request, 400, "invalid", "for and ping have to be durations, as 1s");
	} else if (!session_parse(session_header(request), &session)) {
		reply_error(request, 400, "invalid", "Mpsync-Session has to be 32 lower-case hex digits");
	} else if (id_is_none(&session)) {
		stream_follow(request, holder, for_ms, ping_ms);
	} else {
		if (last && strcmp(last, "0") != 0 && !wire_token_parse(last, &last_event))
			last_event = 0;
		stream_session(request, holder, &session, last_event, for_ms, ping_ms);
	}
}

/* ---- What is read only ---- */

static void reply_health(struct request *request, const char *word)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddStringToObject(body, "status", word);
	cJSON_AddItemToObject(body, "features", sessions_features());
	reply_json(request, 200, body);
}

static void on_checked(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = (struct request *)((char *)query - offsetof(struct request, query));

	request->querying = false;
	if (status == MPSYNC_OK)
		reply_health(request, "ready");
	else
		reply_error(request, 503, "store_unreachable", message ? message : "the store is silent");
}

static void reply_ready(struct request *request)
{
	request_query(request, &(struct store_query){.kind = STORE_CHECK, .done = on_checked});
}

static void reply_metrics(struct request *request)
{
	size_t size;
	char *text = metrics_text(request->server, &size);

	reply_text(request, 200, "text/plain; version=0.0.4", text, text ? size : 0);
	free(text);
}

static void reply_options(struct request *request, const char *allowed)
{
	evhttp_add_header(evhttp_request_get_output_headers(request->http), "Allow", allowed);
	reply_text(request, 204, NULL, NULL, 0);
}

static void reply_method(struct request *request, const char *allowed)
{
	evhttp_add_header(evhttp_request_get_output_headers(request->http), "Allow", allowed);
	reply_error(request, 405, "method", "this path does not know that method; see Allow");
}

/* ---- The table ---- */

static bool is_get(enum evhttp_cmd_type command)
{
	return command == EVHTTP_REQ_GET || command == EVHTTP_REQ_HEAD;
}

static void route_lock(struct request *request, enum evhttp_cmd_type command, const char *name,
    const struct evkeyvalq *parameters)
{
	static const char allowed[] = "GET, HEAD, PUT, POST, DELETE, OPTIONS";
	uint64_t for_ms;
	uint64_t ping_ms;

	if (name && name_problem(name)) {
		reply_error(request, 400, "invalid", name_problem(name));
	} else if (command == EVHTTP_REQ_OPTIONS) {
		reply_options(request, allowed);
	} else if (command == EVHTTP_REQ_HEAD && evhttp_find_header(parameters, "watch")) {
		reply_text(request, 200, "text/event-stream", NULL, 0);
	} else if (is_get(command) && evhttp_find_header(parameters, "watch")) {
		if (stream_duration(parameters, "for", &for_ms) &&
		    stream_duration(parameters, "ping", &ping_ms))
			stream_watch(request, name, for_ms, ping_ms);
		else
			reply_error(request, 400, "invalid", "for and ping have to be durations, as 1s");
	} else if (is_get(command) && name) {
		get_lock(request, name);
	} else if (is_get(command)) {
		list_locks(request, parameters);
	} else if (command == EVHTTP_REQ_PUT) {
		put_lock(request, name, false);
	} else if (command == EVHTTP_REQ_POST) {
		put_lock(request, name, true);
	} else if (command == EVHTTP_REQ_DELETE) {
		delete_lock(request, name);
	} else {
		reply_method(request, allowed);
	}
}

static void route_holder(struct request *request, enum evhttp_cmd_type command, const char *holder,
    const struct evkeyvalq *parameters)
{
	static const char allowed[] = "GET, PUT, OPTIONS";

	if (holder_problem(holder))
		reply_error(request, 400, "invalid", holder_problem(holder));
	else if (command == EVHTTP_REQ_OPTIONS)
		reply_options(request, allowed);
	else if (command == EVHTTP_REQ_PUT)
		heartbeat(request, holder);
	else if (command == EVHTTP_REQ_GET)
		open_stream(request, holder, parameters);
	else
		reply_method(request, allowed);
}

static void route_fixed(struct request *request, enum evhttp_cmd_type command, const char *path)
{
	static const struct {
		const char *path;
		bool status;
	} known[] = {
	    {"/healthz", true}, {"/readyz", true}, {"/metrics", true}, {"/openapi.yaml", false}};
	size_t i = 0;

	while (i < 4 && strcmp(path, known[i].path) != 0)
		i++;
	if (i == 4 || (request->listener->status_only && !known[i].status))
		reply_error(request, 404, "no_such_path", "there is no such path; see /openapi.yaml");
	else if (command == EVHTTP_REQ_OPTIONS)
		reply_options(request, "GET, HEAD, OPTIONS");
	else if (!is_get(command))
		reply_method(request, "GET, HEAD, OPTIONS");
	else if (i == 0)
		reply_health(request, "ok");
	else if (i == 1)
		reply_ready(request);
	else if (i == 2)
		reply_metrics(request);
	else
		reply_text(request, 200, "application/yaml", openapi_text, openapi_size());
}

/* Owned by the caller; NULL if it holds a NUL. */
static char *decode(const char *text)
{
	size_t size = 0;
	char *decoded = evhttp_uridecode(text, 0, &size);

	if (decoded && strlen(decoded) != size) {
		free(decoded);
		return NULL;
	}
	return decoded;
}

static bool percents_are_right(const char *text)
{
	for (const char *c = strchr(text, '%'); c; c = strchr(c + 1, '%'))
		if (strspn(c + 1, "0123456789abcdefABCDEF") < 2)
			return false;
	return true;
}

static void dispatch(struct request *request, const char *path, const struct evkeyvalq *parameters)
{
	const enum evhttp_cmd_type command = evhttp_request_get_command(request->http);
	const bool status_only = request->listener->status_only;
	char *rest = NULL;

	if (!status_only && strcmp(path, "/locks") == 0) {
		route_lock(request, command, NULL, parameters);
	} else if (!status_only && strncmp(path, "/locks/", 7) == 0) {
		rest = percents_are_right(path) ? decode(path + 7) : NULL;
		route_lock(request, command, rest ? rest : "", parameters);
	} else if (!status_only && strncmp(path, "/holders/", 9) == 0) {
		rest = percents_are_right(path) ? decode(path + 9) : NULL;
		route_holder(request, command, rest ? rest : "", parameters);
	} else {
		route_fixed(request, command, path);
	}
	free(rest);
}

void route(struct evhttp_request *http, void *context)
{
	struct request *request = request_new(context, http);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
	struct evkeyvalq parameters;
	bool answered = false;

	if (!request) {
		evhttp_send_reply(http, 503, NULL, NULL);
		return;
	}
	if (!check_size(request) || !check_caller(request))
		return;
	if (!path || *path != '/' || evhttp_parse_query_str(query ? query : "", &parameters) != 0) {
		reply_error(request, 400, "invalid", "the path or the query is malformed");
		return;
	}
	request->answered = &answered;
	dispatch(request, path, &parameters);
	if (!answered)
		request_hold_back(request);
	evhttp_clear_headers(&parameters);
}
