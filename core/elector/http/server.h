/* The elector's HTTP: listeners, requests, streams. */
#ifndef MPSYNC_SERVER_H
#define MPSYNC_SERVER_H

#include "connections.h"
#include "elector/protocol/sessions.h"

#include "net/loop.h"

#include <event2/event.h>
#include <event2/http.h>
#include <openssl/ssl.h>

struct server;

/* One address that the elector listens on. What may be asked there depends on how it is reached. */
struct listener {
	struct listener *next;
	struct server *server;
	struct evhttp *http;
	SSL_CTX *tls;        /* NULL: no TLS */
	dev_t socket_device; /* of the socket as it was bound, as its inode */
	ino_t socket_inode;
	char *socket_path; /* NULL: TCP */
	uint16_t port;
	bool status_only;
};

struct server {
	struct loop loop;
	struct boot_timer sessions_timer;
	struct engine *engine;
	struct sessions *sessions;
	struct listener *listeners;
	struct stream *streams;
	size_t unread; /* bytes that all streams together still have to write */
	struct id instance;
	const char *store_kind;
	char **hosts; /* further names that Host may have; the last one is NULL */
	struct connections *connections;
	size_t held_back;
	uint64_t full_ms; /* when there was last no room for a connection */
	bool allow_force;
	bool status_locks;
	uint64_t requests[5]; /* counted by the first digit of the status */
};

/* A request, until it has been answered: at once, or later. */
struct request {
	struct sessions_request base; /* first */
	struct server *server;
	struct listener *listener;
	struct evhttp_request *http; /* NULL: the connection is gone */
	struct store_query query;
	struct answer pending; /* with want_lock: the answer, still without the lock object */
	char *name;
	uint64_t read_ms;
	bool legacy;
	bool querying;
	bool held_back;
	bool *answered;      /* of its route: told that it was answered, unless it is held back */
	cJSON *items;        /* the items of a list so far */
	size_t listed_bytes; /* the length of their texts */
	size_t limit;
	char *after; /* the name behind which a list goes on */
	char *last_name;
	bool more;
	bool incomplete; /* memory was lacking */
};

bool server_listen_tcp(struct server *server, const char *address, uint16_t port, bool status_only,
    SSL_CTX *tls, mpsync_error *error);
bool server_listen_unix(struct server *server, const char *path, mpsync_error *error);
void server_close(struct server *server);

/* Say that a stream, or a request that waits, begins or ends on this connection. */
void server_mark_busy(const struct server *server, struct evhttp_connection *connection, bool busy);

/* ---- callers.c ---- */
/*
 * May the caller ask this here, and is the request of a size that is read? False: it was answered.
 */
bool check_caller(struct request *request);
bool check_size(struct request *request);

/* ---- routes.c ---- */
void route(struct evhttp_request *http, void *listener);

/* ---- reply.c ---- */
struct request *request_new(struct listener *listener, struct evhttp_request *http);
void request_free(struct request *request);
void reply_answer(struct sessions_request *request, struct answer *answer);
void reply_error(struct request *request, int status, const char *code, const char *message);
void reply_json(struct request *request, int status, cJSON *body);
void reply_text(
    struct request *request, int status, const char *type, const char *text, size_t size);
/*
 * Ask the store; `query->done` answers the request. What the query borrows belongs to the request
 * until then: its name (of a list the prefix), and a copy of `after`.
 */
void request_query(struct request *request, const struct store_query *query);
/* Add the waiters of this elector, in order, to the lock object's status. Returns that status. */
cJSON *add_queue(const struct request *request, const char *name, cJSON *lock);
/* The answer comes later: until then a departure is noticed (rule 45, a client that goes away). */
void request_hold_back(struct request *request);

/* ---- streams.c ---- */
struct stream;
void stream_session(struct request *request, const char *holder, const struct id *session,
    uint64_t last_event, uint64_t for_ms, uint64_t ping_ms);
void stream_follow(struct request *request, const char *holder, uint64_t for_ms, uint64_t ping_ms);
void stream_watch(struct request *request, const char *name, uint64_t for_ms, uint64_t ping_ms);
void stream_send(void *stream, uint64_t id, const char *event, cJSON *data);
bool stream_is_behind(void *stream);
void stream_end(void *stream);
void streams_close(struct server *server);

/* ---- metrics.c ---- */
char *metrics_text(const struct server *server, size_t *size);

#endif
