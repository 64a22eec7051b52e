#include "kubernetes.h"

#include "base/status.h"
#include "flight.h"
#include "lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_TTL_MS 3000
#define SECOND_MS    1000

static struct backend *of(struct record_backend *base)
{
	return (struct backend *)base;
}

static void kubernetes_read(struct record_backend *base, struct record_request *request)
{
	const struct record *record;

	if (request->fresh || !kube_names_know(of(base)->names, request->name, &record)) {
		flight_begin(of(base), request, READ);
		return;
	}
	request->done(request, record ? RECORD_OK : RECORD_ABSENT, record, MPSYNC_OK, NULL, 0);
}

static void kubernetes_write(struct record_backend *base, struct record_request *request)
{
	flight_begin(of(base), request, WRITE);
}

static void kubernetes_remove(struct record_backend *base, struct record_request *request)
{
	flight_begin(of(base), request, REMOVE);
}

static void kubernetes_cancel(struct record_backend *base, struct record_request *request)
{
	(void)base;
	flight_cancel(request);
}

/* Nothing to do: all requests share one connection anyway. */
static void kubernetes_batch(struct record_backend *base)
{
	(void)base;
}

/* Nothing to do: the order of the waiters is in the record (rule 49, places instead of a herd). */
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

static void say(void *context, const char *message)
{
	const struct store *store = ((struct backend *)context)->store;

	if (store && store->say)
		store->say(store->say_context, message);
}

static bool set_up(struct backend *backend, struct kube_config *config, const char *name,
    const struct mpsync_options *options, struct loop *loop, const struct store_clock *clock,
    mpsync_error *error)
{
	const int64_t timeout = options_ms(options, OPTION_REQUEST_TIMEOUT);
	bool good;

	backend->base.ops = &kubernetes_ops;
	backend->ear = (struct kube_ear){say, backend};
	backend->base.kind = "kubernetes";
	backend->base.shortest_ttl_ms = LEAST_TTL_MS;
	backend->base.ttl_step_ms = SECOND_MS;
	backend->base.late_grants = true;
	backend->base.outlives_process = true;
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
		           &(struct kube_pod_host){backend->api, loop, *clock, backend->ear}, name, options,
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
