#include "flight.h"

#include "lease.h"
#include "net/further.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TTL_MS 15000

/* One request of the records store that is under way. */
struct flight {
	struct backend *backend;
	struct record_request *request;
	struct kube_call *call;
	cJSON *body; /* made before it can be sent; NULL: not needed */
	enum operation operation;
};

/* ---- Answers ---- */

static void finish(struct flight *flight, enum record_result result, const struct record *record,
    enum mpsync_status status, const char *message, uint64_t retry_in_ms)
{
	struct record_request *request = flight->request;

	request->data = NULL;
	cJSON_Delete(flight->body);
	free(flight);
	request->done(request, result, record, status, message, retry_in_ms);
}

static void finish_without_memory(struct flight *flight)
{
	finish(flight, RECORD_REFUSED, NULL, MPSYNC_E_NO_MEMORY, "out of memory", 0);
}

/*
 * The right lasts from the sending of the request that confirmed it, so others see a leader that
 * long.
 */
static void show_leader(const struct flight *flight, const struct record *record)
{
	const struct record_request *request = flight->request;
	struct kube_pod *pod = flight->backend->pod;

	if (flight->operation == WRITE && !request->reserve && record->holder && record->election)
		kube_pod_leads(pod, request->name, &request->claim,
		    request->record.deadline_ms - record->ttl_ms + claim_right_ms(record->ttl_ms));
	else if (flight->operation == READ)
		kube_pod_lost(pod, request->name, record->holder ? &record->claim : NULL);
}

static void finish_with_object(struct flight *flight, const cJSON *object)
{
	struct backend *backend = flight->backend;
	const char *name = flight->request->name;
	char problem[LEASE_PROBLEM_SIZE];
	struct record record;

	if (!lease_read(object, name, &record, problem)) {
		finish(flight, RECORD_REFUSED, NULL, MPSYNC_E_CORRUPT, problem, 0);
		return;
	}
	kube_names_read(backend->names, name, &record, &flight->request->claim);
	show_leader(flight, &record);
	finish(flight, RECORD_OK, &record, MPSYNC_OK, NULL, 0);
	record_clear(&record);
}

static void finish_absent(struct flight *flight, const struct kube_answer *answer)
{
	const struct record_request *request = flight->request;
	const char *words =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer->json, "message"));

	if (flight->operation == READ) {
		kube_pod_lost(flight->backend->pod, request->name, NULL);
		kube_names_read(flight->backend->names, request->name, NULL, &request->claim);
		finish(flight, RECORD_ABSENT, NULL, MPSYNC_OK, NULL, 0);
	} else if (flight->operation == WRITE && request->create) {
		finish(
		    flight, RECORD_REFUSED, NULL, MPSYNC_E_INVALID, words ? words : "no such namespace", 0);
	} else {
		finish(flight, flight->operation == REMOVE ? RECORD_OK : RECORD_ABSENT, NULL, MPSYNC_OK,
		    NULL, 0);
	}
}

static void on_answer(void *context, const struct kube_answer *answer)
{
	struct flight *flight = context;

	flight->request->uncertain = answer->further;
	if (flight->operation == REMOVE)
		once_hear(&flight->backend->litter, &flight->backend->ear, answer,
		    "free Leases of locks stay behind");
	if (answer->refused)
		finish(flight, RECORD_REFUSED, NULL, answer->problem, answer->message, 0);
	else if (answer->unknown)
		finish(flight, RECORD_UNKNOWN, NULL, answer->problem, answer->message, answer->retry_in_ms);
	else if (answer->status == 404)
		finish_absent(flight, answer);
	else if (answer->status == 409)
		finish(flight, RECORD_CONFLICT, NULL, MPSYNC_OK, NULL, 0);
	else if (flight->operation == REMOVE)
		finish(flight, RECORD_OK, NULL, MPSYNC_OK, NULL, 0);
	else
		finish_with_object(flight, answer->json);
}

/* ---- Requests ---- */

static uint32_t ttl_of(const struct record_request *request)
{
	return request->ttl_ms ? request->ttl_ms : DEFAULT_TTL_MS;
}

/* Each request may take three times as long as the time after which a further one joins it. */
static uint64_t timeout_of(const struct backend *backend, const struct record_request *request)
{
	return backend->further_ms ? backend->further_ms * FURTHER_MOST
	                           : claim_request_timeout_ms(ttl_of(request));
}

static uint64_t further_of(const struct backend *backend, const struct record_request *request)
{
	return backend->further_ms ? backend->further_ms : claim_further_ms(ttl_of(request));
}

/* How long the answer is wanted at all, further requests included. */
static uint64_t whole_of(const struct backend *backend, const struct record_request *request)
{
	const uint64_t now = records_now(backend->base.records);

	if (!request->until_ms)
		return timeout_of(backend, request);
	return request->until_ms > now ? request->until_ms - now : 1;
}

static cJSON *body_of(const struct flight *flight)
{
	const struct record_request *request = flight->request;
	enum lease_write write = LEASE_RENEWAL;

	if (flight->operation == REMOVE)
		return lease_delete(&request->uid, request->version);
	if (request->create)
		return lease_create(&request->record, request->name);
	if (request->reserve)
		write = LEASE_PLACES;
	else if (request->grant)
		write = LEASE_GRANT;
	else if (!request->record.holder)
		write = LEASE_RELEASE;
	return lease_patch(&request->record, write, &request->uid, request->version);
}

static const char *method_of(const struct flight *flight)
{
	if (flight->operation == READ)
		return "GET";
	if (flight->operation == REMOVE)
		return "DELETE";
	return flight->request->create ? "POST" : "PATCH";
}

/* Owned by the caller; NULL without memory. */
static char *path_of(const struct flight *flight)
{
	char object[LEASE_NAME_SIZE];
	char *path = NULL;

	if (flight->operation == WRITE && flight->request->create)
		return strdup(flight->backend->collection);
	if (!lease_object_name(flight->request->name, object) ||
	    asprintf(&path, "%s/%s", flight->backend->collection, object) < 0)
		return NULL;
	return path;
}

static void send_flight(struct flight *flight)
{
	struct backend *backend = flight->backend;
	const struct record_request *request = flight->request;
	const bool has_body = flight->operation != READ;
	cJSON *body = flight->body || !has_body ? flight->body : body_of(flight);
	char *path = path_of(flight);

	flight->body = NULL;
	if (path && (body || !has_body))
		flight->call = kube_send(
		    backend->api, &(struct kube_request){
		                      .method = method_of(flight),
		                      .path = path,
		                      .body = body,
		                      .merge = flight->operation == WRITE && !request->create,
		                      .timeout_ms = timeout_of(backend, request),
		                      .further_ms = request->again ? further_of(backend, request) : 0,
		                      .whole_ms = whole_of(backend, request),
		                      .done = on_answer,
		                      .context = flight,
		                  });
	free(path);
	cJSON_Delete(body);
	if (!flight->call)
		finish_without_memory(flight);
}

static void send_when_resigned(void *context)
{
	send_flight(context);
}

static void send_when_owned(void *context, const struct kube_answer *problem)
{
	struct flight *flight = context;

	if (problem)
		on_answer(flight, problem);
	else if (kube_owner_put(flight->backend->owner, flight->body))
		send_flight(flight);
	else
		finish_without_memory(flight);
}

/* An election's Lease stays when nobody leads, and goes with its owner only. */
static bool needs_owner(const struct flight *flight)
{
	const struct record_request *request = flight->request;

	return flight->backend->owner && flight->operation == WRITE && request->create &&
	       request->record.election;
}

/* The record's texts are borrowed until this call returns, so the body is made now. */
static void send_owned(struct flight *flight)
{
	struct backend *backend = flight->backend;

	flight->body = body_of(flight);
	if (!flight->body)
		finish_without_memory(flight);
	else if (!kube_owner_ask(
	             backend->owner, timeout_of(backend, flight->request), send_when_owned, flight))
		send_when_owned(flight, NULL);
}

static bool lets_go(const struct flight *flight)
{
	const struct record_request *request = flight->request;

	return flight->operation == WRITE && !request->reserve && !request->record.holder;
}

void flight_begin(struct backend *backend, struct record_request *request, enum operation operation)
{
	struct flight *flight = calloc(1, sizeof *flight);

	if (!flight) {
		request->done(request, RECORD_REFUSED, NULL, MPSYNC_E_NO_MEMORY, "out of memory", 0);
		return;
	}
	flight->backend = backend;
	flight->request = request;
	flight->operation = operation;
	request->data = flight;
	/*
	 * The label goes before the name does: nobody must be sent to this Pod when another can lead.
	 */
	if (needs_owner(flight))
		send_owned(flight);
	else if (!lets_go(flight) ||
	         !kube_pod_resign(backend->pod, request->name, send_when_resigned, flight))
		send_flight(flight);
}

void flight_cancel(struct record_request *request)
{
	struct flight *flight = request->data;

	if (!flight)
		return;
	request->data = NULL;
	kube_pod_forget(flight->backend->pod, flight);
	kube_owner_forget(flight->backend->owner, flight);
	kube_cancel(flight->call);
	cJSON_Delete(flight->body);
	free(flight);
}
