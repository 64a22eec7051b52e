#include "query.h"

#include "base/list.h"

#include "lease.h"
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 10000
#define MOST_TEXT  400

/* The verbs that the store needs on Leases, as the API names them. */
static const char *const verbs[] = {"get", "list", "watch", "create", "patch", "delete"};
#define VERBS (sizeof verbs / sizeof *verbs)

/* One lock that was found. */
struct finding {
	char *name;
	struct record record;
};

struct run {
	struct run *next;
	struct kube_queries *queries;
	struct store_query *query;
	struct kube_call *call;
	struct kube_page page;
	size_t verb; /* CHECK: the verb that is being asked about */
	char missing[100];
	struct finding *findings;
	size_t count;
	size_t size;
	bool failed; /* memory was lacking */
};

struct kube_queries {
	struct kube_api *api;
	struct kube_names *names;
	char *collection;
	char *namespace_name;
	struct store_clock clock;
	struct run *runs;
};

static void drop(struct run *run)
{
	SINGLY_REMOVE(run->queries->runs, run);
	kube_cancel(run->call);
	kube_page_clear(&run->page);
	for (size_t i = 0; i < run->count; i++) {
		free(run->findings[i].name);
		record_clear(&run->findings[i].record);
	}
	free(run->findings);
	free(run);
}

static void end(struct run *run, enum mpsync_status status, const char *message)
{
	struct store_query *query = run->query;

	run->call = NULL;
	drop(run);
	query->done(query, status, message);
}

static void end_without_memory(struct run *run)
{
	end(run, MPSYNC_E_NO_MEMORY, "out of memory");
}

/* ---- What is there ---- */

static bool is_wanted(const struct store_query *query, const char *name)
{
	if (query->kind == STORE_GET)
		return strcmp(name, query->name) == 0;
	return store_query_lists(query, name);
}

static bool grow(struct run *run)
{
	const size_t size = run->size ? run->size * 2 : 16;
	struct finding *more;

	if (run->count < run->size)
		return true;
	more = realloc(run->findings, size * sizeof *more);
	if (!more)
		return false;
	run->findings = more;
	run->size = size;
	return true;
}

static void add(void *context, const char *name, const struct record *record)
{
	struct run *run = context;
	struct finding *finding;

	if (!record->holder || !is_wanted(run->query, name))
		return;
	if (!grow(run)) {
		run->failed = true;
		return;
	}
	finding = &run->findings[run->count];
	finding->name = strdup(name);
	if (!finding->name || !record_copy(&finding->record, record)) {
		free(finding->name);
		run->failed = true;
		return;
	}
	run->count++;
}

/* A Lease that this library cannot use belongs to another program, and a list leaves it out. */
static bool add_object(struct run *run, const cJSON *object)
{
	const char *name = lease_lock_name(object);
	char problem[LEASE_PROBLEM_SIZE];
	struct record record;

	if (!name || !lease_look(object, name, &record, problem))
		return false;
	add(run, name, &record);
	record_clear(&record);
	return true;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct finding *)a)->name, ((const struct finding *)b)->name);
}

/* Only the first ones are wanted, so the others need not be kept until the end. */
static void trim(struct run *run)
{
	if (run->count > 0)
		qsort(run->findings, run->count, sizeof *run->findings, compare);
	while (run->query->kind == STORE_LIST && run->count > run->query->limit) {
		run->count--;
		free(run->findings[run->count].name);
		record_clear(&run->findings[run->count].record);
	}
}

/* For people: right if the clocks agree. */
static uint64_t expires_at_ms(const struct kube_queries *queries, const struct record *record)
{
	const int64_t left = (int64_t)(record->renewed_us / 1000 + record->ttl_ms) -
	                     queries->clock.wall_ms(queries->clock.context);
	const uint64_t now = queries->clock.boot_ms(queries->clock.context);

	return left > 0 ? now + (uint64_t)left : now;
}

static void end_with_findings(struct run *run)
{
	const struct kube_queries *queries = run->queries;
	struct store_query *query = run->query;
	const bool none = query->kind == STORE_GET && run->count == 0;
	const uint64_t now = queries->clock.boot_ms(queries->clock.context);

	if (run->failed) {
		end_without_memory(run);
		return;
	}
	trim(run);
	for (size_t i = 0; i < run->count; i++) {
		struct record *record = &run->findings[i].record;
		struct store_lock lock;

		record->deadline_ms = expires_at_ms(queries, record);
		/* Until the token is stored it is the version of the Lease. */
		if (!record->token && !id_is_none(&record->claim))
			record->token = record->version;
		lock = record_as_lock(record, run->findings[i].name, now, record_next_count(record->next));
		query->found(query, &lock);
	}
	end(run, none ? MPSYNC_E_NOT_HELD : MPSYNC_OK, NULL);
}

static void look(struct run *run);

static void on_found(void *context, const struct kube_answer *answer)
{
	struct run *run = context;
	const struct store_query *query = run->query;
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(answer->json, "items");
	const cJSON *item;

	run->call = NULL;
	if (query->kind == STORE_LIST && kube_page_shorten(&run->page, answer)) {
		look(run);
		return;
	}
	if (answer->refused || answer->unknown) {
		end(run, answer->problem, answer->message);
		return;
	}
	if (answer->status == 410 && query->kind == STORE_LIST) {
		end(run, MPSYNC_E_UNREACHABLE, "the list changed too much while it was read; try again");
		return;
	}
	cJSON_ArrayForEach (item, items)
		add_object(run, item);
	if (kube_page_turn(&run->page, answer->json) && !run->failed) {
		trim(run);
		look(run);
		return;
	}
	if (query->kind == STORE_GET && answer->status == 200 && !add_object(run, answer->json)) {
		end(run, MPSYNC_E_CORRUPT, "the Lease of that name is none that this library can read");
		return;
	}
	if (query->kind == STORE_GET && run->count > 0)
		kube_names_read(
		    run->queries->names, query->name, &run->findings[0].record, &(struct id){{0}});
	else if (query->kind == STORE_GET)
		kube_names_read(run->queries->names, query->name, NULL, &(struct id){{0}});
	end_with_findings(run);
}

static bool ask(struct run *run, const char *method, const char *path, const cJSON *body,
    void (*done)(void *context, const struct kube_answer *answer))
{
	const size_t most = run->query->kind == STORE_LIST ? kube_page_most(&run->page) : 0;

	run->call = kube_send(run->queries->api, &(struct kube_request){.method = method,
	                                             .path = path,
	                                             .body = body,
	                                             .timeout_ms = TIMEOUT_MS,
	                                             .most = most,
	                                             .done = done,
	                                             .context = run});
	return run->call;
}

static void look(struct run *run)
{
	const struct store_query *query = run->query;
	const char *collection = run->queries->collection;
	char object[LEASE_NAME_SIZE];
	char *path = NULL;
	bool asked;

	if (query->kind == STORE_LIST)
		path = kube_page_path(&run->page, collection, "");
	else if (lease_object_name(query->name, object) &&
	         asprintf(&path, "%s/%s", collection, object) < 0)
		path = NULL;
	asked = path && ask(run, "GET", path, NULL, on_found);
	free(path);
	if (!asked)
		end_without_memory(run);
}

/* What a watch keeps up to date is answered without a request. */
static bool look_at_watched(struct run *run)
{
	const struct store_query *query = run->query;
	struct kube_names *names = run->queries->names;
	const struct record *record;

	if (!query->watching)
		return false;
	if (query->kind == STORE_LIST && kube_names_know_all(names))
		kube_names_each(names, add, run);
	else if (query->kind == STORE_GET && kube_names_know(names, query->name, &record))
		add(run, query->name, record ? record : &(struct record){0});
	else
		return false;
	end_with_findings(run);
	return true;
}

/* ---- May I ---- */

static void check_next(struct run *run);

static void end_check(struct run *run)
{
	char text[MOST_TEXT];

	if (!*run->missing) {
		end(run, MPSYNC_OK, NULL);
		return;
	}
	snprintf(text, sizeof text,
	    "may not %s leases of coordination.k8s.io in the namespace %s; docs/kubernetes.md has the "
	    "Role "
	    "that is needed",
	    run->missing, run->queries->namespace_name);
	end(run, MPSYNC_E_FORBIDDEN, text);
}

static void on_checked(void *context, const struct kube_answer *answer)
{
	struct run *run = context;
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(answer->json, "status");
	const size_t length = strlen(run->missing);

	run->call = NULL;
	if (answer->refused || answer->unknown) {
		end(run, answer->problem, answer->message);
		return;
	}
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "allowed")))
		snprintf(run->missing + length, sizeof run->missing - length, "%s%s", length ? ", " : "",
		    verbs[run->verb]);
	run->verb++;
	check_next(run);
}

static void check_next(struct run *run)
{
	cJSON *review = cJSON_CreateObject();
	cJSON *spec = cJSON_AddObjectToObject(review, "spec");
	cJSON *attributes = cJSON_AddObjectToObject(spec, "resourceAttributes");
	bool asked = false;

	if (run->verb == VERBS) {
		cJSON_Delete(review);
		end_check(run);
		return;
	}
	if (cJSON_AddStringToObject(review, "apiVersion", "authorization.k8s.io/v1") &&
	    cJSON_AddStringToObject(review, "kind", "SelfSubjectAccessReview") &&
	    cJSON_AddStringToObject(attributes, "namespace", run->queries->namespace_name) &&
	    cJSON_AddStringToObject(attributes, "verb", verbs[run->verb]) &&
	    cJSON_AddStringToObject(attributes, "group", "coordination.k8s.io") &&
	    cJSON_AddStringToObject(attributes, "resource", "leases"))
		asked = ask(run, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review,
		    on_checked);
	cJSON_Delete(review);
	if (!asked)
		end_without_memory(run);
}

/* ---- Starting ---- */

void kube_query(struct kube_queries *queries, struct store_query *query)
{
	struct run *run = calloc(1, sizeof *run);

	if (!run) {
		query->done(query, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	run->queries = queries;
	run->query = query;
	SINGLY_ADD(queries->runs, run);
	if (query->kind == STORE_CHECK)
		check_next(run);
	else if (!look_at_watched(run))
		look(run);
}

void kube_query_cancel(struct kube_queries *queries, struct store_query *query)
{
	struct run *run = queries->runs;

	while (run && run->query != query)
		run = run->next;
	if (run)
		drop(run);
}

struct kube_queries *kube_queries_new(struct kube_api *api, struct kube_names *names,
    const char *collection, const char *namespace_name, const struct store_clock *clock)
{
	struct kube_queries *queries = calloc(1, sizeof *queries);

	if (!queries)
		return NULL;
	queries->api = api;
	queries->names = names;
	queries->clock = *clock;
	queries->collection = strdup(collection);
	queries->namespace_name = strdup(namespace_name);
	if (queries->collection && queries->namespace_name)
		return queries;
	kube_queries_free(queries);
	return NULL;
}

void kube_queries_free(struct kube_queries *queries)
{
	if (!queries)
		return;
	while (queries->runs)
		drop(queries->runs);
	free(queries->collection);
	free(queries->namespace_name);
	free(queries);
}
