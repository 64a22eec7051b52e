#include "openapi.h"
#include "requests.h"

#include "base/container.h"
#include "base/text.h"
#include "base/wire.h"

#include <event2/keyvalq_struct.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- What is read only ---- */

static void reply_health(struct request *request, const char *word)
{
	cJSON *body = cJSON_CreateObject();

	reply_json(request, 200,
	    wire_whole(body, wire_add_text(body, "status", word) &&
	                         wire_add(body, "features", sessions_features())));
}

static void on_checked(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = CONTAINER_OF(query, struct request, query);

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
		if (request_duration(parameters, "for", &for_ms) &&
		    request_duration(parameters, "ping", &ping_ms))
			stream_watch(request, name, for_ms, ping_ms);
		else
			reply_error(request, 400, "invalid", "for and ping have to be durations, as 1s");
	} else if (is_get(command) && name) {
		requests_get_lock(request, name);
	} else if (is_get(command)) {
		requests_list_locks(request, parameters);
	} else if (command == EVHTTP_REQ_PUT) {
		requests_put_lock(request, name, false);
	} else if (command == EVHTTP_REQ_POST) {
		requests_put_lock(request, name, true);
	} else if (command == EVHTTP_REQ_DELETE) {
		requests_delete_lock(request, name);
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
		requests_heartbeat(request, holder);
	else if (command == EVHTTP_REQ_GET)
		requests_open_stream(request, holder, parameters);
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

/* Percent-decoded, owned by the caller; NULL if there is a NUL in it. */
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
