/*
 * The HTTP client: libcurl's multi interface on the event loop. Nothing else uses libcurl's
 * transfers.
 */
#ifndef MPSYNC_HTTP_H
#define MPSYNC_HTTP_H

#include "base/options.h"
#include "loop.h"

struct http;
struct http_call;

struct http_answer {
	long status;         /* 0: there was no answer */
	const char *body;    /* ends in NUL */
	const char *problem; /* with status 0: why there was no answer */
	bool refused;        /* with status 0: nothing listens there, or it is not to be trusted */
	bool untrusted;      /* with status 0: the certificates of the two sides do not agree */
	bool timed_out;      /* with status 0: a time-out, so the connection may hang */
	bool too_long;       /* with status 0: the body is larger than the request's `most` */
	long retry_after_s;  /* never below 0 */
	bool further;        /* sent more than once: another copy may yet be carried out */
	bool from_elector;   /* it has the header Mpsync-Wire */
	size_t body_size;
	int grpc_status; /* -1: it has none */
	const char *grpc_message;
};

/*
 * Which server, and how it proves to be that one. Copied; NULL where there is nothing to say. PEM
 * text wins over a path.
 */
struct http_settings {
	const char *base_url;
	const char *socket_path; /* NULL: TCP */
	const char *ca, *cert, *key;
	const char *ca_pem, *cert_pem, *key_pem;
	const char *server_name; /* the name in its certificate, if it is not the URL's */
	const char *proxy;
	const char *no_proxy; /* hosts that are reached without the proxy, as NO_PROXY has them */
	bool unverified;      /* the server's certificate is not verified */
	bool shared; /* all calls and streams share one HTTP/2 connection; one that hangs is replaced */
};

/* The settings for this URL, with the paths of the options ca, cert and key. */
struct http_settings http_settings_of(const char *base_url, const struct mpsync_options *options);

/* NULL without memory. */
struct http *http_new(struct loop *loop, const struct http_settings *settings);
void http_free(struct http *http);

struct http_request {
	const char *method;
	const char *path;    /* percent-encoded; copied */
	const char *session; /* NULL: none */
	const char *last_event;
	const char *body;          /* copied */
	size_t body_size;          /* 0: the body is text */
	bool grpc;                 /* with `shared` */
	const char *token;         /* gRPC: who asks, or NULL */
	const char *authorization; /* value of the header; NULL: none */
	char *const *headers;      /* further lines, up to a NULL; NULL: none */
	const char *content_type;  /* NULL: JSON's, if there is a body */
	uint64_t timeout_ms;       /* 0: a stream, which has no time-out */
	/*
	 * Not 0: after so long without an answer the request is sent once more over a connection of its
	 * own, and again, until whole_ms have passed. The first answer counts (rule 28, one silent
	 * connection stops nobody).
	 */
	uint64_t further_ms;
	uint64_t whole_ms;
	size_t most; /* bytes of the body at most; 0: the bound of all answers */
	bool urgent; /* sent before those that wait for a connection */
	void (*done)(void *context, const struct http_answer *answer);
	/* Streams: called for each piece of the body of a 200; false ends the stream. */
	bool (*data)(void *context, const char *bytes, size_t size);
	void *context;
};

/* NULL without memory. `done` is called from the loop, never from this function. */
struct http_call *http_start(struct http *http, const struct http_request *request);
/* Cancel the call: `done` is not called any more. */
void http_cancel(struct http_call *call);

/* The socket of a stream that has begun, which stays curl's; -1: not known. */
int http_descriptor(const struct http_call *call);

/*
 * Percent-encodes everything that is not safe in a path, and the names "." and "..". Owned by the
 * caller.
 */
char *http_encode(const char *text);

#endif
