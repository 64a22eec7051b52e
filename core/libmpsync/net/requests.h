/*
 * Requests to one service over one connection, which is replaced when it has to be: requests on the
 * former connection are still answered there, but its streams end. A request waits as long as there
 * are no credentials. Its end is told once, from the loop and never from within the call that sent
 * it. A request may be cancelled at any time, also from the callback that tells its end.
 *
 * struct requests_service says where the service is, which credentials a request gets, and what an
 * answer means.
 */
#ifndef MPSYNC_REQUESTS_H
#define MPSYNC_REQUESTS_H

#include "http.h"
#include "loop.h"

#include <sys/queue.h>

struct requests;
struct connection;

enum request_state {
	REQUEST_WAITING, /* for credentials */
	REQUEST_UNDER_WAY,
	REQUEST_ENDED, /* its end is told later */
};

enum request_end {
	REQUEST_ANSWERED,     /* answered, or HTTP says why not */
	REQUEST_UNAUTHORIZED, /* there are no credentials */
	REQUEST_IMPATIENT,    /* there were none within its patience */
	REQUEST_DISCONNECTED, /* a stream whose connection was replaced */
	REQUEST_WITHOUT_MEMORY
};

enum request_permit { REQUEST_MAY_GO, REQUEST_HAS_TO_WAIT, REQUEST_MAY_NOT_GO };

/* The first member of something larger, all zero and allocated; requests_send takes it over. */
struct request {
	/* Set by the sender: */
	bool stream;          /* its answer is a series of messages */
	bool open;            /* needs no credentials */
	uint64_t patience_ms; /* how long it waits for credentials; 0: without an end */
	/* Set when it is sent: */
	unsigned connection_number;
	bool first; /* the first one on its connection */
	/* Used by requests.c alone: */
	TAILQ_ENTRY(request) entry;
	struct requests *requests; /* NULL: they have been freed */
	enum request_state state;
	enum request_end end; /* ENDED */
	struct connection *connection;
	struct http_call *call;
	struct http_request what;
	char *path;
	char *body;
	struct event *impatience;
	char *received; /* of a stream: the beginning of a message */
	size_t received_size;
	bool telling; /* a callback is under way: it is freed afterwards */
	bool dead;
};

struct requests_service {
	/* Where a connection leads. The first connection has the number 1. */
	struct http_settings (*settings)(void *context, unsigned number);
	/*
	 * Adds the present credentials, which are borrowed. HAS_TO_WAIT: there are none until
	 * requests_authorized or requests_refuse is called.
	 */
	enum request_permit (*authorize)(
	    void *context, struct request *request, struct http_request *http);
	/*
	 * Streams: the size of the first message; 0 while it is not whole, SIZE_MAX when it cannot be a
	 * message. The first `seen` bytes were looked at before.
	 */
	size_t (*message_size)(const char *bytes, size_t size, size_t seen);
	/* Streams: one message. False: the stream is over. */
	bool (*message)(struct request *request, const char *bytes, size_t size);
	/*
	 * The request has ended. `heard` is NULL unless `end` is ANSWERED. False: send it again, with
	 * the credentials that are present then.
	 */
	bool (*done)(struct request *request, enum request_end end, const struct http_answer *heard);
};

/* NULL without memory. */
struct requests *requests_new(
    struct loop *loop, const struct requests_service *service, void *context);
/* Frees all requests without telling anybody. */
void requests_free(struct requests *requests);

/* Path and body are copied; other texts are borrowed until `done`. */
void requests_send(
    struct requests *requests, struct request *request, const struct http_request *what);
/* Cancel the request: `done` is not called any more. NULL is allowed. */
void request_cancel(struct request *request);

/* There are credentials, or new ones: waiting requests ask for them again. */
void requests_authorized(struct requests *requests);
/* There will be no credentials: waiting requests end as UNAUTHORIZED. */
void requests_refuse(struct requests *requests);

/* Later requests go over a new connection. False without memory: they do not. */
bool requests_reconnect(struct requests *requests);
/* The number of the present connection; 0: there was none yet. */
unsigned requests_connection(const struct requests *requests);

#endif
