#include "server.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/json_number.h"
#include "base/wire.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER "1"
/* How much a client may send ahead while its request is held back. */
#define READ_AHEAD 65536
/* Most bodies fit, so that printing them does not have to grow the buffer. */
#define USUAL_BODY 768

static void on_connection_closed(struct evhttp_connection *connection, void *context)
{
	struct request *request = context;

	server_mark_busy(request->server, connection, false);
	/* libevent leaves the request of a client that went away to us. */
	if (!evhttp_request_get_connection(request->http))
		evhttp_request_free(request->http);
	request->http = NULL;
	sessions_abandon(request->server->sessions, &request->base);
	if (!request->querying && request->base.ticket == NULL)
		request_free(request);
}

struct request *request_new(struct listener *listener, struct evhttp_request *http)
{
	struct request *request = calloc(1, sizeof *request);

	if (!request)
		return NULL;
	request->server = listener->server;
	request->listener = listener;
	request->http = http;
	request->read_ms = clock_boot_ms();
	if (listener->socket_path)
		connections_used(listener->server->connections,
		    bufferevent_getfd(
		        evhttp_connection_get_bufferevent(evhttp_request_get_connection(http))));
	return request;
}

void request_free(struct request *request)
{
	if (request->answered)
		*request->answered = true;
	if (request->held_back) {
		request->server->held_back--;
		if (request->http)
			evhttp_connection_set_closecb(evhttp_request_get_connection(request->http), NULL, NULL);
	}
	cJSON_Delete(request->items);
	free(request->after);
	free(request->last_name);
	free(request->name);
	free(request);
}

void request_hold_back(struct request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request->http);
	struct bufferevent *buffer = evhttp_connection_get_bufferevent(connection);
	bufferevent_data_cb on_write;
	bufferevent_event_cb on_event;
	void *context;

	request->answered = NULL;
	request->held_back = true;
	request->server->held_back++;
	server_mark_busy(request->server, connection, true);
	evhttp_connection_set_closecb(connection, on_connection_closed, request);
	bufferevent_getcb(buffer, NULL, &on_write, &on_event, &context);
	bufferevent_setcb(buffer, NULL, on_write, on_event, context);
	bufferevent_setwatermark(buffer, EV_READ, 0, READ_AHEAD);
	bufferevent_enable(buffer, EV_READ);
}

static void stop_holding_back(struct request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request->http);

	if (!request->held_back)
		return;
	request->held_back = false;
	request->server->held_back--;
	server_mark_busy(request->server, connection, false);
	evhttp_connection_set_closecb(connection, NULL, NULL);
	bufferevent_setwatermark(evhttp_connection_get_bufferevent(connection), EV_READ, 0, 0);
}

/* The length of the body that GET would get. evhttp would send a body in answer to HEAD as well. */
static void add_length(struct evkeyvalq *headers, struct evbuffer *body)
{
	char text[24];

	if (!body || evbuffer_get_length(body) == 0)
		return;
	snprintf(text, sizeof text, "%zu", evbuffer_get_length(body));
	evhttp_add_header(headers, "Content-Length", text);
}

static void send_reply(struct request *request, int status, const char *type, struct evbuffer *body)
{
	struct evhttp_request *http = request->http;
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);

	stop_holding_back(request);
	request->server->requests[status / 100 - 1]++;
	evhttp_add_header(headers, "Mpsync-Wire", "1");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	if (type)
		evhttp_add_header(headers, "Content-Type", type);
	if (status == 503)
		evhttp_add_header(headers, "Retry-After", RETRY_AFTER);
	if (evhttp_request_get_command(http) == EVHTTP_REQ_HEAD) {
		add_length(headers, body);
		body = NULL;
	}
	evhttp_send_reply(http, status, NULL, body);
}

void reply_text(
    struct request *request, int status, const char *type, const char *text, size_t size)
{
	struct evbuffer *body = evbuffer_new();

	if (request->http) {
		if (body && text)
			evbuffer_add(body, text, size);
		send_reply(request, status, type, body);
	}
	if (body)
		evbuffer_free(body);
	request_free(request);
}

void reply_json(struct request *request, int status, cJSON *body)
{
	char *text = body ? cJSON_PrintBuffered(body, USUAL_BODY, false) : NULL;

	cJSON_Delete(body);
	if (text)
		reply_text(request, status, "application/json", text, strlen(text));
	else
		reply_text(request, 503, "application/json", "{\"message\":\"out of memory\"}", 27);
	cJSON_free(text);
}

/* Clients of the old wire know only 200, 404 and 409; a malformed request keeps its 4xx. */
static int legacy_status(const struct request *request, int status)
{
	return request->legacy && (status >= 500 || status == 401 || status == 403) ? 409 : status;
}

void reply_error(struct request *request, int status, const char *code, const char *message)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddStringToObject(body, "message", message);
	cJSON_AddStringToObject(body, "code", code);
	reply_json(request, legacy_status(request, status), body);
}

/* ---- Answers with the lock object of whoever has it ---- */

#define MOST_SHOWN 16

static void add_waiter(void *queue, const char *holder)
{
	wire_append(queue, cJSON_CreateString(holder));
}

/* The store counts the waiters that it knows; this elector's own waiters are added here. */
cJSON *add_queue(const struct request *request, const char *name, cJSON *lock)
{
	cJSON *status = cJSON_GetObjectItem(lock, "status");
	cJSON *count = cJSON_GetObjectItem(status, "waiters");
	cJSON *queue = cJSON_AddArrayToObject(status, "queue");
	const uint32_t waiting =
	    engine_waiting(request->server->engine, name, MOST_SHOWN, add_waiter, queue);

	if (count && json_number(count, UINT32_MAX) < waiting)
		cJSON_SetNumberValue(count, waiting);
	return status;
}

static void on_found(struct store_query *query, const struct store_lock *lock)
{
	struct request *request = CONTAINER_OF(query, struct request, query);

	if (!request->pending.body)
		request->pending.body = wire_lock(lock, clock_wall_ms());
}

static void on_looked_up(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct request *request = CONTAINER_OF(query, struct request, query);
	const struct store_lock nobody = {.name = request->name};
	struct answer *answer = &request->pending;
	cJSON *object;

	(void)status, (void)message;
	request->querying = false;
	if (!answer->body)
		answer->body = wire_lock(&nobody, clock_wall_ms());
	object = add_queue(request, request->name, answer->body);
	if (answer->position)
		cJSON_AddNumberToObject(object, "position", answer->position);
	if (answer->code) {
		cJSON_AddStringToObject(answer->body, "message", answer->message);
		cJSON_AddStringToObject(answer->body, "code", answer->code);
	}
	if (answer->elector)
		cJSON_AddStringToObject(answer->body, "elector", answer->elector);
	object = answer->body;
	answer->body = NULL;
	reply_json(request, answer->status, object);
}

void request_query(struct request *request, const struct store_query *query)
{
	struct store *store = engine_store(request->server->engine);

	request->query = *query;
	request->query.name = request->name;
	request->query.prefix = request->name;
	if (query->after) {
		request->after = strdup(query->after);
		request->query.after = request->after;
	}
	request->querying = true;
	if (query->after && !request->after)
		query->done(&request->query, MPSYNC_E_NO_MEMORY, "out of memory");
	else
		store->ops->query(store, &request->query);
}

void reply_answer(struct sessions_request *base, struct answer *answer)
{
	struct request *request = (struct request *)base;

	if (answer->want_lock) {
		request->pending = *answer;
		request_query(request,
		    &(struct store_query){.kind = STORE_GET, .found = on_found, .done = on_looked_up});
	} else if (answer->body) {
		reply_json(request, answer->status, answer->body);
	} else {
		reply_error(request, answer->status, answer->code, answer->message);
	}
}
