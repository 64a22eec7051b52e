#include "requests.h"

#include <stdlib.h>
#include <string.h>

/* A connection that was replaced lives until its last request has ended. */
struct connection {
	SLIST_ENTRY(connection) entry;
	struct http *http;
	unsigned number;
	size_t requests;
	bool used;
};

TAILQ_HEAD(request_list, request);

struct requests {
	struct loop *loop;
	const struct requests_service *service;
	void *context;                                       /* the service's context */
	SLIST_HEAD(connection_list, connection) connections; /* the first one is the present one */
	struct request_list by_state[REQUEST_ENDED + 1];
	struct event *later; /* runs what must not be done within a call */
};

static void do_later(struct requests *requests)
{
	event_active(requests->later, EV_TIMEOUT, 0);
}

/* ---- Connections ---- */

unsigned requests_connection(const struct requests *requests)
{
	const struct connection *present = SLIST_FIRST(&requests->connections);

	return present ? present->number : 0;
}

static struct connection *connect_anew(struct requests *requests)
{
	const unsigned number = requests_connection(requests) + 1;
	const struct http_settings settings = requests->service->settings(requests->context, number);
	struct connection *connection = calloc(1, sizeof *connection);

	if (!connection)
		return NULL;
	connection->http = http_new(requests->loop, &settings);
	if (!connection->http) {
		free(connection);
		return NULL;
	}
	connection->number = number;
	SLIST_INSERT_HEAD(&requests->connections, connection, entry);
	return connection;
}

static void free_connection(struct requests *requests, struct connection *connection)
{
	SLIST_REMOVE(&requests->connections, connection, connection, entry);
	http_free(connection->http);
	free(connection);
}

static void free_those_left(struct requests *requests)
{
	struct connection *const present = SLIST_FIRST(&requests->connections);
	struct connection *connection = present ? SLIST_NEXT(present, entry) : NULL;

	while (connection) {
		struct connection *next = SLIST_NEXT(connection, entry);

		if (connection->requests == 0)
			free_connection(requests, connection);
		connection = next;
	}
}

/* ---- The end of a request ---- */

static void set_state(struct request *request, enum request_state state)
{
	struct request_list *lists = request->requests->by_state;

	TAILQ_REMOVE(&lists[request->state], request, entry);
	TAILQ_INSERT_TAIL(&lists[state], request, entry);
	request->state = state;
	if (request->impatience)
		event_del(request->impatience);
}

static void leave_connection(struct request *request)
{
	struct connection *connection = request->connection;

	http_cancel(request->call);
	request->call = NULL;
	request->connection = NULL;
	if (connection && --connection->requests == 0 &&
	    connection->number != requests_connection(request->requests))
		do_later(request->requests);
}

static void leave(struct request *request)
{
	leave_connection(request);
	TAILQ_REMOVE(&request->requests->by_state[request->state], request, entry);
	request->requests = NULL;
}

void request_cancel(struct request *request)
{
	if (!request)
		return;
	if (request->telling) {
		request->dead = true;
		return;
	}
	if (request->requests)
		leave(request);
	if (request->impatience)
		event_free(request->impatience);
	free(request->path);
	free(request->body);
	free(request->received);
	free(request);
}

static void end_later(struct request *request, enum request_end end)
{
	set_state(request, REQUEST_ENDED);
	request->end = end;
	do_later(request->requests);
	/* HTTP is calling this very request back, and ends the call when it is told to. */
	if (!request->telling)
		leave_connection(request);
}

static void send_or_wait(struct request *request);

static void tell(struct request *request, enum request_end end, const struct http_answer *heard)
{
	bool over;

	request->telling = true;
	over = request->requests->service->done(request, end, heard);
	request->telling = false;
	if (over || request->dead) {
		request_cancel(request);
	} else {
		leave_connection(request);
		send_or_wait(request);
	}
}

static void on_done(void *context, const struct http_answer *heard)
{
	struct request *request = context;

	request->call = NULL;
	if (request->dead)
		request_cancel(request);
	else if (request->state == REQUEST_ENDED)
		leave_connection(request);
	else
		tell(request, REQUEST_ANSWERED, heard);
}

bool requests_reconnect(struct requests *requests)
{
	const struct connection *left = SLIST_FIRST(&requests->connections);
	struct request *request = TAILQ_FIRST(&requests->by_state[REQUEST_UNDER_WAY]);

	if (!connect_anew(requests))
		return false;
	while (request) {
		struct request *next = TAILQ_NEXT(request, entry);

		/*
		 * A stream would never notice that its connection hangs: it ends here, to begin again on
		 * the new one.
		 */
		if (request->stream && request->connection == left)
			end_later(request, REQUEST_DISCONNECTED);
		request = next;
	}
	do_later(requests);
	return true;
}

/* ---- Streams ---- */

static bool keep(struct request *request, const char *bytes, size_t size)
{
	char *more = realloc(request->received, request->received_size + size);

	if (!more)
		return false;
	memcpy(more + request->received_size, bytes, size);
	request->received = more;
	request->received_size += size;
	return true;
}

static bool is_wanted(const struct request *request)
{
	return !request->dead && request->state == REQUEST_UNDER_WAY;
}

static bool tell_messages(struct request *request, size_t seen)
{
	const struct requests_service *service = request->requests->service;
	size_t used = 0;
	bool good = true;

	while (good && is_wanted(request) && used < request->received_size) {
		const char *bytes = request->received + used;
		const size_t size = service->message_size(bytes, request->received_size - used, seen);

		if (size == 0)
			break;
		good = size != SIZE_MAX && service->message(request, bytes, size);
		used += good ? size : 0;
		seen = 0;
	}
	request->received_size -= used;
	memmove(request->received, request->received + used, request->received_size);
	return good && is_wanted(request);
}

static bool on_data(void *context, const char *bytes, size_t size)
{
	struct request *request = context;
	const size_t seen = request->received_size;
	bool good = keep(request, bytes, size);

	request->telling = true;
	good = good && tell_messages(request, seen);
	request->telling = false;
	return good;
}

/* ---- Sending ---- */

static void launch(struct request *request, const struct http_request *http)
{
	struct requests *requests = request->requests;
	struct connection *connection = SLIST_FIRST(&requests->connections);

	if (!connection)
		connection = connect_anew(requests);
	request->call = connection ? http_start(connection->http, http) : NULL;
	if (!request->call) {
		end_later(request, REQUEST_WITHOUT_MEMORY);
		return;
	}
	set_state(request, REQUEST_UNDER_WAY);
	request->connection = connection;
	request->connection_number = connection->number;
	request->first = !connection->used;
	connection->used = true;
	connection->requests++;
}

static void on_impatience(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor, (void)what;
	end_later(context, REQUEST_IMPATIENT);
}

static void await_credentials(struct request *request)
{
	const struct timeval patience = {
	    (time_t)(request->patience_ms / 1000), (suseconds_t)(request->patience_ms % 1000) * 1000};

	set_state(request, REQUEST_WAITING);
	if (request->patience_ms == 0)
		return;
	if (!request->impatience)
		request->impatience = evtimer_new(request->requests->loop->base, on_impatience, request);
	if (!request->impatience || evtimer_add(request->impatience, &patience) != 0)
		end_later(request, REQUEST_WITHOUT_MEMORY);
}

static void send_or_wait(struct request *request)
{
	const struct requests *requests = request->requests;
	struct http_request http = request->what;
	enum request_permit permit = REQUEST_MAY_GO;

	if (!request->open)
		permit = requests->service->authorize(requests->context, request, &http);
	switch (permit) {
	case REQUEST_MAY_GO:
		launch(request, &http);
		break;
	case REQUEST_HAS_TO_WAIT:
		await_credentials(request);
		break;
	case REQUEST_MAY_NOT_GO:
		end_later(request, REQUEST_UNAUTHORIZED);
		break;
	}
}

/* False without memory. */
static bool copy(struct request *request, const struct http_request *what)
{
	const size_t size = what->body && !what->body_size ? strlen(what->body) : what->body_size;

	request->what = *what;
	request->path = strdup(what->path);
	request->body = what->body ? malloc(size + 1) : NULL;
	if (!request->path || (what->body && !request->body))
		return false;
	if (what->body) {
		memcpy(request->body, what->body, size);
		request->body[size] = '\0';
	}
	request->what.path = request->path;
	request->what.body = request->body;
	request->what.done = on_done;
	request->what.data = request->stream ? on_data : NULL;
	request->what.context = request;
	return true;
}

void requests_send(
    struct requests *requests, struct request *request, const struct http_request *what)
{
	request->requests = requests;
	request->state = REQUEST_WAITING;
	TAILQ_INSERT_TAIL(&requests->by_state[REQUEST_WAITING], request, entry);
	if (copy(request, what))
		send_or_wait(request);
	else
		end_later(request, REQUEST_WITHOUT_MEMORY);
}

/* ---- Credentials ---- */

void requests_authorized(struct requests *requests)
{
	struct request_list *waiting = &requests->by_state[REQUEST_WAITING];
	const struct request *last = TAILQ_LAST(waiting, request_list);
	struct request *request = TAILQ_FIRST(waiting);

	/* A request that has to wait again goes to the end, behind the last one of this round. */
	while (request) {
		struct request *next = request == last ? NULL : TAILQ_NEXT(request, entry);

		send_or_wait(request);
		request = next;
	}
}

void requests_refuse(struct requests *requests)
{
	struct request *request;

	while ((request = TAILQ_FIRST(&requests->by_state[REQUEST_WAITING])))
		end_later(request, REQUEST_UNAUTHORIZED);
}

/* ---- Beginning and end ---- */

static void on_later(evutil_socket_t descriptor, short what, void *context)
{
	struct requests *requests = context;
	struct request *request;

	(void)descriptor, (void)what;
	while ((request = TAILQ_FIRST(&requests->by_state[REQUEST_ENDED])))
		tell(request, request->end, NULL);
	free_those_left(requests);
}

struct requests *requests_new(
    struct loop *loop, const struct requests_service *service, void *context)
{
	struct requests *requests = calloc(1, sizeof *requests);

	if (!requests)
		return NULL;
	requests->loop = loop;
	requests->service = service;
	requests->context = context;
	SLIST_INIT(&requests->connections);
	for (int state = 0; state <= REQUEST_ENDED; state++)
		TAILQ_INIT(&requests->by_state[state]);
	requests->later = evtimer_new(loop->base, on_later, requests);
	if (requests->later)
		return requests;
	free(requests);
	return NULL;
}

void requests_free(struct requests *requests)
{
	struct request *request;

	if (!requests)
		return;
	for (int state = 0; state <= REQUEST_ENDED; state++)
		while ((request = TAILQ_FIRST(&requests->by_state[state]))) {
			leave(request);
			request_cancel(request);
		}
	while (!SLIST_EMPTY(&requests->connections))
		free_connection(requests, SLIST_FIRST(&requests->connections));
	event_free(requests->later);
	free(requests);
}
