#include "server.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/status.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* evhttp answers without JSON when its own bounds are passed, so they lie above ours. */
#define MOST_HEADERS (48 * 1024)
#define MOST_BODY    (128 * 1024)
#define BACKLOG      1024
/*
 * Out of descriptors: how soon accepting is tried again, and how long the warning is not repeated.
 */
#define LACK_MS      100
#define FULL_SAID_MS 60000

void server_mark_busy(const struct server *server, struct evhttp_connection *connection, bool busy)
{
	if (connection)
		connections_set_busy(server->connections,
		    bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), busy);
}

static void accept_again(evutil_socket_t descriptor, short what, void *accepting)
{
	(void)descriptor, (void)what;
	evconnlistener_enable(accepting);
}

/*
 * There is no descriptor for the next connection. The kernel keeps that connection, and would
 * report it again at once, so accepting pauses for a moment, in which others may end. (The context
 * belongs to evhttp.)
 */
static void on_accept_error(struct evconnlistener *accepting, void *context)
{
	const struct timeval moment = {0, LACK_MS * 1000};

	(void)context;
	if (event_base_once(evconnlistener_get_base(accepting), -1, EV_TIMEOUT, accept_again, accepting,
	        &moment) == 0)
		evconnlistener_disable(accepting);
}

/* Warn once, and again only after there was room for a while. */
static void say_if_full(struct server *server)
{
	const uint64_t now_ms = clock_boot_ms();

	if (!connections_are_full(server->connections))
		return;
	if (server->full_ms == 0 || now_ms > server->full_ms + FULL_SAID_MS)
		fputs("mpsync: no room for more connections, and none is idle; raise "
		      "--max-connections, and the limit of descriptors (ulimit -n)\n",
		    stderr);
	server->full_ms = now_ms;
}

/* NULL: evhttp makes its own kind, for connections without TLS. */
static struct bufferevent *new_connection(struct event_base *base, void *context)
{
	struct listener *listener = context;
	SSL *tls = listener->tls ? SSL_new(listener->tls) : NULL;

	connections_accepted(listener->server->connections);
	say_if_full(listener->server);
	if (!tls)
		return NULL;
	return bufferevent_openssl_socket_new(
	    base, -1, tls, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

/*
 * Only if the path still has the socket that was bound: by now another elector's may stand there.
 */
static void remove_own_socket(const struct listener *listener)
{
	struct stat status;

	if (listener->socket_path && lstat(listener->socket_path, &status) == 0 &&
	    status.st_dev == listener->socket_device && status.st_ino == listener->socket_inode)
		unlink(listener->socket_path);
}

static void free_listener(struct listener *listener)
{
	if (listener->http)
		evhttp_free(listener->http);
	if (listener->tls)
		SSL_CTX_free(listener->tls);
	remove_own_socket(listener);
	free(listener->socket_path);
	free(listener);
}

static struct listener *listener_new(struct server *server, mpsync_error *error)
{
	struct listener *listener = calloc(1, sizeof *listener);

	if (listener) {
		listener->server = server;
		listener->http = evhttp_new(server->loop.base);
	}
	if (!listener || !listener->http) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		if (listener)
			free_listener(listener);
		return NULL;
	}
	evhttp_set_allowed_methods(listener->http,
	    EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE |
	        EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT);
	evhttp_set_max_headers_size(listener->http, MOST_HEADERS);
	evhttp_set_max_body_size(listener->http, MOST_BODY);
	evhttp_set_gencb(listener->http, route, listener);
	evhttp_set_bevcb(listener->http, new_connection, listener);
	return listener;
}

static bool bind_listener(
    struct listener *listener, const struct sockaddr *address, socklen_t length)
{
	struct evconnlistener *connections = evconnlistener_new_bind(listener->server->loop.base, NULL,
	    NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG, address,
	    (int)length);

	if (!connections)
		return false;
	/* Each connection has it from here: the end of a long answer waits for no acknowledgement. */
	setsockopt(
	    evconnlistener_get_fd(connections), IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (evhttp_bind_listener(listener->http, connections)) {
		evconnlistener_set_error_cb(connections, on_accept_error);
		return true;
	}
	evconnlistener_free(connections);
	errno = ENOMEM;
	return false;
}

static void keep(struct server *server, struct listener *listener)
{
	SINGLY_ADD(server->listeners, listener);
}

bool server_listen_tcp(struct server *server, const char *address, uint16_t port, bool status_only,
    SSL_CTX *tls, mpsync_error *error)
{
	struct sockaddr_storage parsed;
	int length = sizeof parsed;
	char text[128];
	struct listener *listener = listener_new(server, error);

	if (!listener)
		return false;
	snprintf(text, sizeof text, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, port);
	listener->port = port;
	listener->status_only = status_only;
	if (tls && SSL_CTX_up_ref(tls) == 1)
		listener->tls = tls;
	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&parsed, &length) != 0) {
		fail(error, MPSYNC_E_INVALID, "%s is no address; write 127.0.0.1:13131 or [::1]:13131",
		    text);
	} else if (!connections_add_port(server->connections, port)) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	} else if (bind_listener(listener, (struct sockaddr *)&parsed, (socklen_t)length)) {
		keep(server, listener);
		return true;
	} else if (errno == EADDRINUSE) {
		fail(error, MPSYNC_E_FORBIDDEN,
		    "%s is in use; is another elector running? Choose another with --listen", text);
	} else {
		fail(error,
		    errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT ? MPSYNC_E_UNSUPPORTED
		                                                    : MPSYNC_E_FORBIDDEN,
		    "cannot listen on %s: %s", text, strerror(errno));
	}
	free_listener(listener);
	return false;
}

/* A socket that nobody listens on was left by a crash. */
static bool is_abandoned(const struct sockaddr_un *address)
{
	const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const bool refused =
	    descriptor >= 0 &&
	    connect(descriptor, (const struct sockaddr *)address, sizeof *address) != 0 &&
	    errno == ECONNREFUSED;

	if (descriptor >= 0)
		close(descriptor);
	return refused;
}

/*
 * True: nothing stands at the path, or an abandoned socket that was removed. Files and links are
 * never removed.
 */
static bool make_way(const struct sockaddr_un *address, mpsync_error *error)
{
	const char *path = address->sun_path;
	struct stat status;

	if (lstat(path, &status) != 0)
		return true;
	if (!S_ISSOCK(status.st_mode)) {
		fail(error, MPSYNC_E_FORBIDDEN,
		    "%.150s exists and is no socket; move it away, or choose another path", path);
		return false;
	}
	if (is_abandoned(address))
		unlink(path);
	return true;
}

static bool bind_path(struct listener *listener, const char *path, mpsync_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	mode_t before;
	bool bound;

	if (strlen(path) >= sizeof address.sun_path) {
		fail(error, MPSYNC_E_INVALID, "%.100s is too long for a socket's path", path);
		return false;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (!make_way(&address, error))
		return false;
	before = umask(0177);
	bound = bind_listener(listener, (struct sockaddr *)&address, sizeof address);
	umask(before);
	if (!bound || lstat(path, &status) != 0) {
		fail(error, MPSYNC_E_FORBIDDEN, "cannot listen on %.150s: %s", path, strerror(errno));
		return false;
	}
	listener->socket_device = status.st_dev;
	listener->socket_inode = status.st_ino;
	listener->socket_path = strdup(path);
	if (!listener->socket_path)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return listener->socket_path;
}

bool server_listen_unix(struct server *server, const char *path, mpsync_error *error)
{
	struct listener *listener = listener_new(server, error);

	if (!listener)
		return false;
	if (!bind_path(listener, path, error)) {
		free_listener(listener);
		return false;
	}
	if (!connections_add_path(server->connections, path)) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		free_listener(listener);
		return false;
	}
	keep(server, listener);
	return true;
}

void server_close(struct server *server)
{
	while (server->listeners) {
		struct listener *listener = server->listeners;

		server->listeners = listener->next;
		free_listener(listener);
	}
}
