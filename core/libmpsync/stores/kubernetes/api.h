/*
 * Requests to a Kubernetes API server on one HTTP/2 connection, with the credentials of the moment.
 * Knows nothing of Leases.
 */
#ifndef MPSYNC_STORES_KUBE_API_H
#define MPSYNC_STORES_KUBE_API_H

#include "config.h"
#include "net/loop.h"
#include "protocol/store.h"

struct kube_api;
struct kube_call;

/* Borrowed during the call that brings it. */
struct kube_answer {
	long status;       /* of HTTP; 0: there was no answer */
	const cJSON *json; /* NULL: none */
	bool refused;      /* can never succeed; problem, message */
	bool unknown;      /* no answer, or none that says anything; problem, message, retry_in_ms */
	enum mpsync_status problem;
	const char *message;
	uint64_t retry_in_ms; /* the server named it; 0: it did not */
	bool further;         /* it was sent more than once, and may be done later too */
	bool too_long;        /* unknown: it was longer than most */
};

struct kube_request {
	const char *method;
	const char *path;    /* encoded; copied */
	const cJSON *body;   /* NULL: none */
	bool merge;          /* the body is a merge patch (RFC 7386) */
	uint64_t timeout_ms; /* 0: a watch, which has none */
	uint64_t further_ms; /* as http_request's; 0: it is sent once */
	uint64_t whole_ms;
	size_t most; /* bytes of its answer; 0: as many as any object has */
	void (*done)(void *context, const struct kube_answer *answer);
	/* Watches: each event. */
	void (*event)(void *context, const cJSON *event);
	void *context;
};

/* Takes the configuration over, also on failure. NULL without memory. */
struct kube_api *kube_api_new(
    struct loop *loop, struct kube_config *config, const struct store_clock *clock);
void kube_api_free(struct kube_api *api);

/* What requests wait for that is not the server; NULL: they wait for the server. */
const char *kube_api_silence(const struct kube_api *api);

/* NULL without memory. `done` comes once and later, and frees the call. */
struct kube_call *kube_send(struct kube_api *api, const struct kube_request *request);
/* `done` is not called any more. */
void kube_cancel(struct kube_call *call);

#endif
