/*
 * Requests to one service over one connection, which is replaced where it has to be: what was sent
 * over the former one is still answered there, but its streams end. A request waits as long as
 * there are no credentials. Its end is told once, from the loop and never from within the call that
 * sent it; it may be cancelled at any time, also by who is being told.
 *
 * Where the service is, which credentials go with a request, and what an answer means, is said by
 * struct requests_service.
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
	REQUEST_ENDED, /* to be told later */
};

enum request_end {
	REQUEST_ANSWERED,     /* or HTTP says why it was not */
	REQUEST_UNAUTHORIZED, /* there are no credentials */
	REQUEST_IMPATIENT,    /* there were none for as long as it waits */
	REQUEST_DISCONNECTED, /* a stream, whose connection was replaced */
	REQUEST_WITHOUT_MEMORY
};

enum request_permit { REQUEST_MAY_GO, REQUEST_HAS_TO_WAIT, REQUEST_MAY_NOT_GO };

/* The beginning of something larger, all zero and on the heap; taken over by requests_send. */
struct request {
	/* Set by who sends it. */
	bool stream;          /* its answer is a row of messages */
	bool open;            /* it needs no credentials */
	uint64_t patience_ms; /* it waits for them so long; 0: for as long as it takes */
	/* Set when it was sent. */
	unsigned connection_number;
	bool first; /* of its connection */
	/* The requests' own. */
	TAILQ_ENTRY(request) entry;
	struct requests *requests; /* NULL: they are gone */
	enum request_state state;
	enum request_end end; /* ENDED */
	struct connection *connection;
	struct http_call *call;
	struct http_request what;
	char *path;
	char *body;
	struct event *impatience;
	char *received; /* a stream's, up to now: no whole message */
	size_t received_size;
	bool telling; /* inside of a callback: freed behind it */
	bool dead;
};

struct requests_service {
	/* Where a connection leads. The first has the number 1. */
	struct http_settings (*settings)(void *context, unsigned number);
	/* Adds the credentials of the moment, which are borrowed. HAS_TO_WAIT: until
	 * requests_authorized or requests_refuse. */
	enum request_permit (*authorize)(
	    void *context, struct request *request, struct http_request *http);
	/* Streams: the size of the first message; 0 while it is not whole, SIZE_MAX when it cannot be
	 * one. The first `seen` bytes were looked at before. */
	size_t (*message_size)(const char *bytes, size_t size, size_t seen);
	/* False: the stream is over. */
	bool (*message)(struct request *request, const char *bytes, size_t size);
	/* `heard` NULL unless it was ANSWERED. False: it is to be sent again, with the credentials of
	 * then. */
	bool (*done)(struct request *request, enum request_end end, const struct http_answer *heard);
};

/* NULL without memory. */
struct requests *requests_new(
    struct loop *loop, const struct requests_service *service, void *context);
/* Nobody is told any more. */
void requests_free(struct requests *requests);

/* Path and body are copied, other texts are borrowed until `done`. */
void requests_send(
    struct requests *requests, struct request *request, const struct http_request *what);
/* `done` is not called any more. NULL: nothing. */
void request_cancel(struct request *request);

/* Credentials are there, or others: those that wait ask again. */
void requests_authorized(struct requests *requests);
/* There will be none: those that wait end as UNAUTHORIZED. */
void requests_refuse(struct requests *requests);

/* What is sent from now on goes over another connection. False without memory: it does not. */
bool requests_reconnect(struct requests *requests);
/* The number of the present connection; 0: there was none yet. */
unsigned requests_connection(const struct requests *requests);

#endif
