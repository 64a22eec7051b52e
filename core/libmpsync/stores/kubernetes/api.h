/*
 * Requests to a Kubernetes API server, on one HTTP/2 connection, with the credentials that are
 * valid now. Knows nothing of Leases.
 */
#ifndef MPSYNC_STORES_KUBE_API_H
#define MPSYNC_STORES_KUBE_API_H

#include "config.h"
#include "net/loop.h"
#include "protocol/store.h"

struct kube_api;
struct kube_call;

/* An answer, borrowed during the call that brings it. */
struct kube_answer {
	long status;       /* HTTP's; 0: there was no answer */
	const cJSON *json; /* the body; NULL: there is none */
	bool refused;      /* the request can never succeed; problem, message */
	bool unknown;      /* no answer, or a useless one; problem, message, retry_in_ms */
	enum mpsync_status problem;
	const char *message;
	uint64_t retry_in_ms; /* a pause that the server named; 0: it named none */
	bool further;         /* sent more than once: another copy may yet be carried out */
	bool too_long;        /* unknown, because the body was longer than `most` */
};

struct kube_request {
	const char *method;
	const char *path;    /* percent-encoded; copied */
	const cJSON *body;   /* NULL: there is none */
	bool merge;          /* the body is a merge patch (RFC 7386) */
	uint64_t timeout_ms; /* 0: a watch, which has no time-out */
	uint64_t further_ms; /* as http_request's; 0: the request is sent once */
	uint64_t whole_ms;
	size_t most; /* bytes of the body at most; 0: as many as any object has */
	void (*done)(void *context, const struct kube_answer *answer);
	/* Watches: called for each event. */
	void (*event)(void *context, const cJSON *event);
	void *context;
};

/* Takes the configuration over, also on failure. NULL without memory. */
struct kube_api *kube_api_new(
    struct loop *loop, struct kube_config *config, const struct store_clock *clock);
void kube_api_free(struct kube_api *api);

/* What requests wait for, if not for the server; NULL: for the server. */
const char *kube_api_silence(const struct kube_api *api);

/* NULL without memory. `done` is called once, later, and the call is freed then. */
struct kube_call *kube_send(struct kube_api *api, const struct kube_request *request);
/* Cancel the call: `done` is not called any more. */
void kube_cancel(struct kube_call *call);

#endif
