#include "kubernetes.h"

#include "api.h"
#include "base/status.h"
#include "lease.h"
#include "names.h"
#include "net/further.h"
#include "owner.h"
#include "pod.h"
#include "query.h"
#include "stores/records/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_TTL_MS   3000
#define SECOND_MS      1000
#define DEFAULT_TTL_MS 15000

enum operation { READ, WRITE, REMOVE };

/* One request of the records under way. */
struct flight {
	struct backend *backend;
	struct record_request *request;
	struct kube_call *call;
	cJSON *body; /* made before it can be sent; NULL: it is not */
	enum operation operation;
};

struct backend {
	struct record_backend base;
	struct kube_api *api;
	struct kube_names *names;
	struct kube_queries *queries;
	struct kube_pod *pod;     /* NULL: nothing shows who leads */
	struct kube_owner *owner; /* NULL: election Leases belong to nobody */
	char *collection;         /* the path of the Leases */
	struct store *store;
	bool litter_told;    /* that free Leases stay behind */
	uint64_t further_ms; /* the option request_timeout; 0: a part of the ttl */
};

static struct backend *of(struct record_backend *base)
{
	return (struct backend *)base;
}

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

/* A right that was confirmed lasts from the sending of the request. */
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

static void say(void *context, const char *message)
{
	const struct store *store = ((struct backend *)context)->store;

	if (store && store->say)
		store->say(store->say_context, message);
}

/* Once, until one could be removed again. */
static void say_what_stays(struct backend *backend, const struct kube_answer *answer)
{
	char text[500];

	if (answer->refused && !backend->litter_told) {
		snprintf(text, sizeof text, "free Leases of locks stay behind: %s", answer->message);
		say(backend, text);
	}
	backend->litter_told = answer->refused || (backend->litter_told && answer->unknown);
}

static void on_answer(void *context, const struct kube_answer *answer)
{
	struct flight *flight = context;

	flight->request->uncertain = answer->further;
	if (flight->operation == REMOVE)
		say_what_stays(flight->backend, answer);
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

/* Each request lasts three times as long as it takes for a further one to join it. */
static uint64_t timeout_of(const struct backend *backend, const struct record_request *request)
{
	return backend->further_ms ? backend->further_ms * FURTHER_MOST
	                           : claim_request_timeout_ms(ttl_of(request));
}

static uint64_t further_of(const struct backend *backend, const struct record_request *request)
{
	return backend->further_ms ? backend->further_ms : claim_further_ms(ttl_of(request));
}

/* Until nobody wants the answer any more. */
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

/* Owned by the caller. NULL without memory. */
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

/* An election's Lease stays after everybody has gone, but for its owner's end. */
static bool needs_owner(const struct flight *flight)
{
	const struct record_request *request = flight->request;

	return flight->backend->owner && flight->operation == WRITE && request->create &&
	       request->record.election;
}

/* Its texts are borrowed until the call returns: the body is made now. */
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

static void request_any(
    struct record_backend *base, struct record_request *request, enum operation operation)
{
	struct flight *flight = calloc(1, sizeof *flight);

	if (!flight) {
		request->done(request, RECORD_REFUSED, NULL, MPSYNC_E_NO_MEMORY, "out of memory", 0);
		return;
	}
	flight->backend = of(base);
	flight->request = request;
	flight->operation = operation;
	request->data = flight;
	/* Nobody may be led here any more when another can lead. */
	if (needs_owner(flight))
		send_owned(flight);
	else if (!lets_go(flight) ||
	         !kube_pod_resign(of(base)->pod, request->name, send_when_resigned, flight))
		send_flight(flight);
}

static void kubernetes_read(struct record_backend *base, struct record_request *request)
{
	const struct record *record;

	if (request->fresh || !kube_names_know(of(base)->names, request->name, &record)) {
		request_any(base, request, READ);
		return;
	}
	request->done(request, record ? RECORD_OK : RECORD_ABSENT, record, MPSYNC_OK, NULL, 0);
}

static void kubernetes_write(struct record_backend *base, struct record_request *request)
{
	request_any(base, request, WRITE);
}

static void kubernetes_remove(struct record_backend *base, struct record_request *request)
{
	request_any(base, request, REMOVE);
}

static void kubernetes_cancel(struct record_backend *base, struct record_request *request)
{
	struct flight *flight = request->data;

	if (!flight)
		return;
	request->data = NULL;
	kube_pod_forget(of(base)->pod, flight);
	kube_owner_forget(of(base)->owner, flight);
	kube_cancel(flight->call);
	cJSON_Delete(flight->body);
	free(flight);
}

/* All requests share one connection already. */
static void kubernetes_batch(struct record_backend *base)
{
	(void)base;
}

/* The order stands in the record (rule 49). */
static void kubernetes_order(struct record_backend *base, const struct store_claim *claim)
{
	(void)base, (void)claim;
}

static void kubernetes_watch(struct record_backend *base, const char *name, bool on)
{
	kube_names_watch(of(base)->names, name, on);
}

static void kubernetes_query(struct record_backend *base, struct store_query *query)
{
	kube_query(of(base)->queries, query);
}

static void kubernetes_query_cancel(struct record_backend *base, struct store_query *query)
{
	kube_query_cancel(of(base)->queries, query);
}

static bool kubernetes_finishing(const struct record_backend *base)
{
	return kube_pod_finishing(((const struct backend *)base)->pod);
}

static const char *kubernetes_silence(const struct record_backend *base)
{
	return kube_api_silence(((const struct backend *)base)->api);
}

static void kubernetes_close(struct record_backend *base)
{
	struct backend *backend = of(base);

	kube_pod_free(backend->pod);
	kube_owner_free(backend->owner);
	kube_queries_free(backend->queries);
	kube_names_free(backend->names);
	kube_api_free(backend->api);
	free(backend->collection);
	free(backend);
}

static const struct record_backend_ops kubernetes_ops = {
    .read = kubernetes_read,
    .write = kubernetes_write,
    .remove = kubernetes_remove,
    .cancel = kubernetes_cancel,
    .batch_begin = kubernetes_batch,
    .batch_end = kubernetes_batch,
    .enqueue = kubernetes_order,
    .dequeue = kubernetes_order,
    .watch = kubernetes_watch,
    .query = kubernetes_query,
    .query_cancel = kubernetes_query_cancel,
    .close = kubernetes_close,
    .finishing = kubernetes_finishing,
    .silence = kubernetes_silence,
};

/* ---- Opening ---- */

static bool set_up(struct backend *backend, struct kube_config *config, const char *name,
    const struct mpsync_options *options, struct loop *loop, const struct store_clock *clock,
    mpsync_error *error)
{
	const int64_t timeout = options_ms(options, OPTION_REQUEST_TIMEOUT);
	bool good;

	backend->base.ops = &kubernetes_ops;
	backend->base.kind = "kubernetes";
	backend->base.shortest_ttl_ms = LEAST_TTL_MS;
	backend->base.ttl_step_ms = SECOND_MS;
	backend->base.late_grants = true;
	backend->base.token_is_version = true;
	backend->base.renews_often = true;
	backend->base.reserves = true;
	backend->further_ms = timeout > 0 ? (uint64_t)timeout : 0;
	backend->api = kube_api_new(loop, config, clock);
	if (asprintf(&backend->collection, "/apis/coordination.k8s.io/v1/namespaces/%s/leases", name) <
	    0)
		backend->collection = NULL;
	good = backend->api && backend->collection;
	if (good)
		backend->names = kube_names_new(&backend->base, backend->api, loop, backend->collection,
		    (uint32_t)options_ms(options, OPTION_TTL));
	if (backend->names)
		backend->queries =
		    kube_queries_new(backend->api, backend->names, backend->collection, name, clock);
	if (good && backend->names && backend->queries)
		return kube_owner_new(&backend->owner, backend->api, name, options, error) &&
		       kube_pod_new(&backend->pod,
		           &(struct kube_pod_host){backend->api, loop, *clock, say, backend}, name, options,
		           error);
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

static bool is_namespace(const char *name)
{
	char object[LEASE_NAME_SIZE];

	return strlen(name) < 64 && !strchr(name, '.') && lease_object_name(name, object) &&
	       strcmp(object, name) == 0;
}

struct store *kubernetes_open(const struct url *url, const struct mpsync_options *options,
    bool on_behalf, struct loop *loop, const struct store_clock *clock, mpsync_error *error)
{
	struct kube_config config;
	struct backend *backend;
	struct store *store;
	char *namespace_name;
	bool unverified;
	bool good;

	if (options_text(options, OPTION_PREFIX)) {
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "Leases have no prefix; a namespace of its own, or names of its own, keep a program "
		    "from another");
		return NULL;
	}
	if (!kube_config_load(&config, options, url->target, error))
		return NULL;
	if (!is_namespace(config.namespace_name)) {
		fail(
		    error, MPSYNC_E_INVALID, "\"%.80s\" is no name for a namespace", config.namespace_name);
		kube_config_clear(&config);
		return NULL;
	}
	unverified = config.unverified;
	namespace_name = strdup(config.namespace_name);
	backend = calloc(1, sizeof *backend);
	if (!backend || !namespace_name)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	good = backend && namespace_name &&
	       set_up(backend, &config, namespace_name, options, loop, clock, error);
	free(namespace_name);
	kube_config_clear(&config);
	if (!good) {
		if (backend)
			kubernetes_close(&backend->base);
		return NULL;
	}
	backend->base.sees_all = on_behalf;
	store = records_new(&backend->base, clock);
	if (store)
		backend->store = store;
	if (!store)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	else if (on_behalf)
		kube_names_watch(backend->names, NULL, true);
	if (store && unverified)
		store->warning = "the API server's certificate is not verified (insecure=yes): anybody can "
		                 "pose as it, and read the token";
	return store;
}
