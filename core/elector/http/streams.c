/* Event streams: of sessions, of holders, of locks. */
#include "server.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/list.h"
#include "base/socket_name.h"
#include "base/text.h"
#include "base/wire.h"
#include "outbox.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/*
 * A stream whose reader is this far behind is ended. But a new observer is first told all names at
 * once, as long as all streams together have no more than that unread. A session's stream waits for
 * its reader.
 */
#define MOST_BEHIND         (1024 * 1024)
#define MOST_BEHIND_AT_ONCE 65536
#define MOST_UNREAD         (64 * 1024 * 1024)
/* A reader that takes nothing for this long is gone; one whose stream is ending has less time. */
#define MOST_STILL_S       60
#define MOST_STILL_ENDED_S 10

struct stream {
	struct stream *next;
	struct server *server;
	struct evhttp_request *http;
	struct session_stream *session; /* NULL: the stream only shows locks */
	struct outbox outbox;
	struct store_observer observer;
	struct event *end_timer;
	struct event *ping_timer;
	struct event *process;
	int process_fd;
	struct timeval ping_every;
	bool observing;
	bool synced;
	bool of_session; /* its events are kept by the session until they are acknowledged */
	bool following;
	bool ending; /* the last chunk was handed over; the loop frees the stream */
	bool process_ended;
};

/* ---- The connection underneath ---- */

static evutil_socket_t descriptor_of(const struct stream *stream)
{
	return bufferevent_getfd(
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(stream->http)));
}

/*
 * Did the client close the connection (FIN)? A reset proves nothing: a firewall can send one for a
 * client that is alive (rule 1, proof of death).
 */
static bool ended_cleanly(evutil_socket_t descriptor)
{
	struct tcp_info info;
	socklen_t length = sizeof info;

	/* Nothing can stand between the ends of a Unix socket, so its end is the client's own. */
	if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		return recv(descriptor, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
	return info.tcpi_state == TCP_CLOSE_WAIT;
}

/* ---- Sending ---- */

/*
 * May be called from within the sessions or an observer: the loop ends the stream a moment later.
 */
static void finish_soon(struct stream *stream);

/*
 * A client that misses an event for want of memory connects again, and is then told the present
 * state.
 */
static void write_event(struct stream *stream, uint64_t id, const char *event, cJSON *data)
{
	char *json = cJSON_PrintUnformatted(data);
	char *text = NULL;
	int size = -1;

	cJSON_Delete(data);
	if (json && id)
		size = asprintf(&text, "id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", id, event, json);
	else if (json)
		size = asprintf(&text, "event: %s\ndata: %s\n\n", event, json);
	if (size < 0 || !outbox_add(&stream->outbox, text, (size_t)size))
		finish_soon(stream);
	if (size >= 0)
		free(text);
	cJSON_free(json);
}

static bool is_overrun(const struct stream *stream)
{
	const bool begins = stream->observing && !stream->synced;

	return !stream->of_session && (stream->server->unread > MOST_UNREAD ||
	                                  (!begins && outbox_size(&stream->outbox) > MOST_BEHIND));
}

void stream_send(void *context, uint64_t id, const char *event, cJSON *data)
{
	struct stream *stream = context;

	if (stream->ending) {
		cJSON_Delete(data);
	} else if (is_overrun(stream)) {
		cJSON_Delete(data);
		outbox_drop(&stream->outbox);
		write_event(stream, 0, "overrun", cJSON_CreateObject());
		finish_soon(stream);
	} else {
		write_event(stream, id, event, data);
	}
}

bool stream_is_behind(void *context)
{
	const struct stream *stream = context;

	return outbox_size(&stream->outbox) > MOST_BEHIND_AT_ONCE;
}

static void on_drained(void *context)
{
	struct stream *stream = context;

	if (stream->session && !stream->ending)
		sessions_stream_drained(stream->session);
}

static void unlink_stream(struct stream *stream)
{
	SINGLY_REMOVE(stream->server->streams, stream);
}

static void free_stream(struct stream *stream)
{
	struct store *store = engine_store(stream->server->engine);

	unlink_stream(stream);
	if (stream->observing)
		store->ops->observe_stop(store, &stream->observer);
	if (stream->following)
		sessions_unfollow(stream->server->sessions, stream);
	if (stream->end_timer)
		event_free(stream->end_timer);
	if (stream->ping_timer)
		event_free(stream->ping_timer);
	if (stream->process)
		event_free(stream->process);
	if (stream->process_fd >= 0)
		close(stream->process_fd);
	outbox_clear(&stream->outbox);
	free((char *)(uintptr_t)stream->observer.name);
	free(stream);
}

static void leave_session(struct stream *stream, bool clean_end)
{
	struct session_stream *session = stream->session;

	stream->session = NULL;
	if (session)
		sessions_stream_closed(stream->server->sessions, session, clean_end, stream->process_ended);
}

static void on_closed(struct evhttp_connection *connection, void *context)
{
	struct stream *stream = context;
	const evutil_socket_t descriptor =
	    bufferevent_getfd(evhttp_connection_get_bufferevent(connection));

	server_mark_busy(stream->server, connection, false);
	/* libevent leaves the request of a client that went away to us; the socket is still open. */
	if (!evhttp_request_get_connection(stream->http))
		evhttp_request_free(stream->http);
	leave_session(stream, ended_cleanly(descriptor));
	free_stream(stream);
}

/* A stream that the elector itself ends proves nothing. */
static void finish(struct stream *stream)
{
	server_mark_busy(stream->server, evhttp_request_get_connection(stream->http), false);
	evhttp_connection_set_closecb(evhttp_request_get_connection(stream->http), NULL, NULL);
	leave_session(stream, false);
	outbox_finish(&stream->outbox);
	evhttp_connection_set_timeout(evhttp_request_get_connection(stream->http), MOST_STILL_ENDED_S);
	evhttp_send_reply_end(stream->http);
	free_stream(stream);
}

static void on_end_timer(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor, (void)what;
	finish(context);
}

static void finish_soon(struct stream *stream)
{
	const struct timeval now = {0, 0};

	stream->ending = true;
	evtimer_add(stream->end_timer, &now);
}

void stream_end(void *context)
{
	finish_soon(context);
}

static void on_ping(evutil_socket_t descriptor, short what, void *context)
{
	struct stream *stream = context;

	(void)descriptor, (void)what;
	/* A reader that has something to read needs no sign of life. */
	if (!stream->ending && outbox_is_idle(&stream->outbox))
		outbox_add(&stream->outbox, ": ping\n\n", 8);
	evtimer_add(stream->ping_timer, &stream->ping_every);
}

static struct timeval timeval_of(uint64_t ms)
{
	return (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
}

/* The client may be silent for ever, but must not stop reading in the middle of what is written. */
static void limit_stillness(struct evhttp_connection *connection)
{
	const struct timeval most = {MOST_STILL_S, 0};

	evhttp_connection_set_timeout(connection, 0);
	bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), NULL, &most);
}

/* NULL without memory. It has everything that its end will need. */
static struct stream *new_stream(const struct request *request)
{
	struct stream *stream = calloc(1, sizeof *stream);

	if (!stream)
		return NULL;
	stream->end_timer = evtimer_new(request->server->loop.base, on_end_timer, stream);
	if (!stream->end_timer ||
	    !outbox_init(&stream->outbox, request->http, &request->server->unread)) {
		if (stream->end_timer)
			event_free(stream->end_timer);
		free(stream);
		return NULL;
	}
	stream->server = request->server;
	stream->http = request->http;
	stream->outbox.drained = on_drained;
	stream->outbox.context = stream;
	stream->process_fd = -1;
	return stream;
}

static struct stream *open_stream(struct request *request, uint64_t for_ms, uint64_t ping_ms)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);
	const bool full = connections_are_full(request->server->connections);
	struct stream *stream = full ? NULL : new_stream(request);

	if (!stream) {
		reply_error(request, 503, "too_many",
		    full ? "too many streams; raise --max-connections" : "out of memory; try again later");
		return NULL;
	}
	SINGLY_ADD(stream->server->streams, stream);
	stream->server->requests[1]++;
	evhttp_add_header(headers, "Mpsync-Wire", "1");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Content-Type", "text/event-stream");
	evhttp_connection_set_closecb(evhttp_request_get_connection(stream->http), on_closed, stream);
	server_mark_busy(stream->server, evhttp_request_get_connection(stream->http), true);
	limit_stillness(evhttp_request_get_connection(stream->http));
	/*
	 * A session's stream comes first: waiters hear of a lock before the former holder hears of its
	 * release.
	 */
	bufferevent_priority_set(
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(stream->http)), 0);
	evhttp_send_reply_start(stream->http, 200, NULL);
	if (for_ms) {
		const struct timeval after = timeval_of(for_ms);

		evtimer_add(stream->end_timer, &after);
	}
	if (ping_ms) {
		stream->ping_every = timeval_of(ping_ms);
		stream->ping_timer = evtimer_new(stream->server->loop.base, on_ping, stream);
		if (stream->ping_timer)
			evtimer_add(stream->ping_timer, &stream->ping_every);
	}
	request_free(request);
	return stream;
}

/* ---- Sessions ---- */

static void on_process_ended(evutil_socket_t descriptor, short what, void *context)
{
	struct stream *stream = context;

	(void)descriptor, (void)what;
	stream->process_ended = true;
	finish(stream);
}

/* By a pidfd: works also while a forked child still has the socket, and across pid namespaces. */
static void watch_process(struct stream *stream)
{
	socklen_t length = sizeof stream->process_fd;

	if (getsockopt(descriptor_of(stream), SOL_SOCKET, SO_PEERPIDFD, &stream->process_fd, &length) !=
	    0)
		return;
	stream->process =
	    event_new(stream->server->loop.base, stream->process_fd, EV_READ, on_process_ended, stream);
	if (stream->process)
		event_add(stream->process, NULL);
}

void stream_session(struct request *request, const char *holder, const struct id *session,
    uint64_t last_event, uint64_t for_ms, uint64_t ping_ms)
{
	const bool local = request->listener->socket_path;
	struct stream *stream = NULL;
	char peer[SOCKET_NAME_SIZE];

	if (sessions_have_room(request->server->sessions, session))
		stream = open_stream(request, for_ms, ping_ms);
	else
		reply_error(request, 503, "too_many", "too many sessions; raise --max-connections");
	if (!stream)
		return;
	stream->of_session = true;
	socket_peer_name(descriptor_of(stream), peer);
	if (local)
		watch_process(stream);
	stream->session =
	    sessions_stream_open(stream->server->sessions, session, holder, last_event, peer, stream);
	if (!stream->session)
		finish_soon(stream);
}

void stream_follow(struct request *request, const char *holder, uint64_t for_ms, uint64_t ping_ms)
{
	struct sessions *sessions = request->server->sessions;
	struct stream *stream = open_stream(request, for_ms, ping_ms);

	if (!stream)
		return;
	stream->following = true;
	sessions_follow(sessions, holder, stream);
}

/* ---- Locks ---- */

static struct stream *of(struct store_observer *observer)
{
	return CONTAINER_OF(observer, struct stream, observer);
}

static void on_changed(struct store_observer *observer, const struct store_lock *lock)
{
	stream_send(of(observer), 0, "lock", wire_lock(lock, clock_wall_ms()));
}

static void on_gone(struct store_observer *observer, const char *name)
{
	cJSON *data = cJSON_CreateObject();

	cJSON_AddStringToObject(data, "name", name);
	stream_send(of(observer), 0, "gone", data);
}

static void on_synced(struct store_observer *observer)
{
	struct stream *stream = of(observer);

	stream_send(stream, 0, "synced", cJSON_CreateObject());
	stream->synced = true;
}

static void on_failed(
    struct store_observer *observer, enum mpsync_status status, const char *message)
{
	(void)status, (void)message;
	finish_soon(of(observer));
}

void stream_watch(struct request *request, const char *name, uint64_t for_ms, uint64_t ping_ms)
{
	struct store *store = engine_store(request->server->engine);
	char *copy = text_copy(name);
	struct stream *stream = open_stream(request, for_ms, ping_ms);

	if (!stream) {
		free(copy);
		return;
	}
	stream->observer = (struct store_observer){.name = copy,
	    .changed = on_changed,
	    .gone = on_gone,
	    .synced = on_synced,
	    .failed = on_failed};
	stream->observing = true;
	store->ops->observe(store, &stream->observer);
}

void streams_close(struct server *server)
{
	while (server->streams)
		finish(server->streams);
}
