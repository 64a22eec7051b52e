/* HTTP out: libcurl's multi interface on the loop. The one place that does it. */
#ifndef MPSYNC_HTTP_H
#define MPSYNC_HTTP_H

#include "base/options.h"
#include "loop.h"

struct http;
struct http_call;

struct http_answer {
	long status;         /* 0: there was none */
	const char *body;    /* ends in NUL */
	const char *problem; /* with status 0: why */
	bool refused;        /* with status 0: nobody listens there, or nobody to be trusted */
	bool untrusted;      /* with status 0: the certificates do not agree */
	bool timed_out;      /* with status 0: the connection may hang */
	bool too_long;       /* with status 0: longer than whoever asked takes */
	long retry_after_s;  /* never below 0 */
	bool further;        /* it was asked more than once: what was asked for may be done later too */
	bool from_elector;   /* it said Mpsync-Wire */
	size_t body_size;
	int grpc_status; /* -1: it said none */
	const char *grpc_message;
};

/* Where, and how to be sure of it. Copied; NULL where there is none. PEM text goes before a path.
 */
struct http_settings {
	const char *base_url;
	const char *socket_path; /* NULL: TCP */
	const char *ca, *cert, *key;
	const char *ca_pem, *cert_pem, *key_pem;
	const char *server_name; /* that the certificate must show, if it is not the URL's */
	const char *proxy;
	const char *no_proxy; /* who is reached without it, as NO_PROXY says it */
	bool unverified;      /* the server's certificate is not looked at */
	bool shared; /* all calls share one HTTP/2 connection, streams too; one that hangs is replaced,
	                and its streams end */
};

/* The paths that the options ca, cert and key name. */
struct http_settings http_settings_of(const char *base_url, const struct mpsync_options *options);

/* NULL without memory. */
struct http *http_new(struct loop *loop, const struct http_settings *settings);
void http_free(struct http *http);

struct http_request {
	const char *method;
	const char *path;    /* encoded; copied */
	const char *session; /* NULL: none */
	const char *last_event;
	const char *body;          /* copied */
	size_t body_size;          /* 0: the body is text */
	bool grpc;                 /* with `shared` */
	const char *token;         /* gRPC: who asks, or NULL */
	const char *authorization; /* NULL: none */
	char *const *headers;      /* further lines, up to a NULL; NULL: none */
	const char *content_type;  /* NULL: that of JSON, if there is a body */
	uint64_t timeout_ms;       /* 0: a stream, which has none */
	/* Not 0: after so long without an answer it is sent once more over a connection of its own, and
	   again, until whole_ms have passed. The first answer counts (rule 28). */
	uint64_t further_ms;
	uint64_t whole_ms;
	size_t most; /* bytes of the answer's body; 0: as many as any answer may have */
	bool urgent; /* goes before those that wait for a connection */
	void (*done)(void *context, const struct http_answer *answer);
	/* Streams: each piece of a 200's body; false ends it. */
	bool (*data)(void *context, const char *bytes, size_t size);
	void *context;
};

/* NULL without memory. `done` is called from the loop, never from here. */
struct http_call *http_start(struct http *http, const struct http_request *request);
/* `done` is not called any more. */
void http_cancel(struct http_call *call);

/* The socket of a stream that has begun; -1: not known. Still curl's. */
int http_descriptor(const struct http_call *call);

/* Percent-encodes all but what is safe in a path; "." and ".." too. Owned by the caller. */
char *http_encode(const char *text);

#endif
