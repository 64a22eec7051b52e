#include "store.h"

#include "base/list.h"
#include "stores/records/seen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_RETRY_MS 1000
/* The elector says in each watch that it lives, so that its client notices within a ttl if not. */
#define PINGS_IN_QUIET 3
#define LEAST_QUIET_MS 3000

/* ---- Queries ---- */

struct query_run {
	struct remote *remote;
	struct query_run *next;
	struct store_query *query;
	struct http_call *call;
};

static void drop_query(struct query_run *run)
{
	SINGLY_REMOVE(run->remote->queries, run);
	free(run);
}

static void end_query(struct query_run *run, enum mpsync_status status, const char *message)
{
	struct store_query *query = run->query;

	drop_query(run);
	query->done(query, status, message);
}

static bool ask(struct query_run *run, const char *after);

static void take_list(struct query_run *run, const cJSON *body)
{
	const cJSON *item;
	const char *after = json_text(body, "continue");

	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(body, "items")) {
		const struct store_lock lock = json_lock(item);

		run->query->found(run->query, &lock);
	}
	if (!*after)
		end_query(run, MPSYNC_OK, NULL);
	else if (!ask(run, after))
		end_query(run, MPSYNC_E_NO_MEMORY, "out of memory");
}

static void on_query_done(void *context, const struct http_answer *http)
{
	struct query_run *run = context;
	cJSON *body = cJSON_Parse(http->body);

	run->call = NULL;
	if (http->status == 200 && http->from_elector && body) {
		if (run->query->kind == STORE_LIST) {
			take_list(run, body);
		} else {
			const struct store_lock lock = json_lock(body);

			if (run->query->kind == STORE_GET)
				run->query->found(run->query, &lock);
			end_query(run, MPSYNC_OK, NULL);
		}
	} else {
		const enum mpsync_status status = json_status(http->status, json_text(body, "code"));

		end_query(run, http->status && !http->from_elector ? MPSYNC_E_INVALID : status,
		    remote_explain(run->remote, http, body));
	}
	cJSON_Delete(body);
}

static char *query_path(const struct store_query *query, const char *after)
{
	char *name = http_encode(query->kind == STORE_LIST ? query->prefix
	                         : query->name             ? query->name
	                                                   : "");
	char *start = after ? http_encode(after) : NULL;
	char *path = NULL;
	int length = -1;

	if (name && query->kind == STORE_CHECK)
		length = asprintf(&path, "/readyz");
	else if (name && query->kind == STORE_LIST)
		length = asprintf(
		    &path, "/locks?prefix=%s%s%s", name, start ? "&continue=" : "", start ? start : "");
	else if (name)
		length = asprintf(&path, "/locks/%s", name);
	free(name);
	free(start);
	return length < 0 ? NULL : path;
}

static bool ask(struct query_run *run, const char *after)
{
	const struct store_query *query = run->query;
	const bool force = query->kind == STORE_FORCE;
	char *path = query_path(query, after);
	const struct http_request request = {.method = force ? "DELETE" : "GET",
	    .path = path,
	    .body = !force       ? NULL
	            : query->now ? "{\"force\":true,\"now\":true}"
	                         : "{\"force\":true}",
	    .timeout_ms = QUERY_TIMEOUT_MS,
	    .done = on_query_done,
	    .context = run};

	run->call = path ? http_start(run->remote->http, &request) : NULL;
	free(path);
	return run->call;
}

void elector_query(struct store *store, struct store_query *query)
{
	struct remote *remote = remote_of(store);
	struct query_run *run = calloc(1, sizeof *run);

	if (!run) {
		query->done(query, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	run->remote = remote;
	run->query = query;
	SINGLY_ADD(remote->queries, run);
	if (!ask(run, query->after))
		end_query(run, MPSYNC_E_NO_MEMORY, "out of memory");
}

void elector_query_cancel(struct store *store, struct store_query *query)
{
	struct query_run *run = remote_of(store)->queries;

	while (run && run->query != query)
		run = run->next;
	if (!run)
		return;
	http_cancel(run->call);
	drop_query(run);
}

void queries_clear(struct remote *remote)
{
	while (remote->queries)
		drop_query(remote->queries);
}

/* ---- Observers ---- */

struct watch {
	struct remote *remote;
	struct watch *next;
	struct store_observer *observer;
	struct http_call *call;
	struct sse sse;
	struct seen seen;
	uint64_t retry_at_ms; /* CLAIM_NEVER: no retry is planned */
	uint64_t heard_ms;    /* when anything came last, or was asked for */
	bool heard;           /* something has come since it was asked for */
};

uint32_t watches_quiet_ms(const struct mpsync_options *options)
{
	const int64_t ttl_ms = options_ms(options, OPTION_TTL);

	return ttl_ms < LEAST_QUIET_MS ? LEAST_QUIET_MS : (uint32_t)ttl_ms;
}

static void retry_watch(struct watch *watch)
{
	watch->retry_at_ms = remote_now(watch->remote) + WATCH_RETRY_MS;
	remote_arm(watch->remote);
}

static void tell_gone(void *context, const char *name)
{
	struct store_observer *observer = ((struct watch *)context)->observer;

	observer->gone(observer, name);
}

static void on_watch_event(void *context, const char *id, const char *event, const char *text)
{
	struct watch *watch = context;
	struct store_observer *observer = watch->observer;
	cJSON *data = cJSON_Parse(text);

	(void)id;
	if (strcmp(event, "lock") == 0) {
		const struct store_lock lock = json_lock(data);

		seen_there(&watch->seen, lock.name);
		observer->changed(observer, &lock);
	} else if (strcmp(event, "gone") == 0) {
		seen_gone(&watch->seen, json_text(data, "name"));
		observer->gone(observer, json_text(data, "name"));
	} else if (strcmp(event, "synced") == 0) {
		/* What went while nobody watched, before this connection. */
		seen_sweep(&watch->seen, tell_gone, watch);
		observer->synced(observer);
	}
	cJSON_Delete(data);
}

static bool on_watch_data(void *context, const char *bytes, size_t size)
{
	struct watch *watch = context;

	watch->heard_ms = remote_now(watch->remote);
	watch->heard = true;
	return sse_feed(&watch->sse, bytes, size);
}

static void on_watch_done(void *context, const struct http_answer *http)
{
	struct watch *watch = context;
	cJSON *body = cJSON_Parse(http->body);

	watch->call = NULL;
	sse_clear(&watch->sse);
	if (http->status != 200)
		watch->observer->failed(watch->observer, json_status(http->status, json_text(body, "code")),
		    remote_explain(watch->remote, http, body));
	cJSON_Delete(body);
	retry_watch(watch);
}

/* NULL without memory. */
static char *watch_path(const char *name, uint32_t quiet_ms)
{
	const uint32_t ping_ms = quiet_ms / PINGS_IN_QUIET;
	char *encoded = name ? http_encode(name) : NULL;
	char *path = NULL;
	int length = -1;

	if (!name)
		length = asprintf(&path, "/locks?watch=1&ping=%" PRIu32 "ms", ping_ms);
	else if (encoded)
		length = asprintf(&path, "/locks/%s?watch=1&ping=%" PRIu32 "ms", encoded, ping_ms);
	free(encoded);
	return length < 0 ? NULL : path;
}

static void connect_watch(struct watch *watch)
{
	char *path = watch_path(watch->observer->name, watch->remote->quiet_ms);
	const struct http_request request = {.method = "GET",
	    .path = path,
	    .done = on_watch_done,
	    .data = on_watch_data,
	    .context = watch};

	watch->call = path ? http_start(watch->remote->http, &request) : NULL;
	free(path);
	watch->heard_ms = remote_now(watch->remote);
	watch->heard = false;
	seen_begin(&watch->seen);
	if (!watch->call)
		retry_watch(watch);
}

/* Its connection hangs, or the elector does: it begins anew on a connection of its own. */
static void leave_silent(struct watch *watch)
{
	const struct http_answer silence = {.body = "", .problem = "it is silent"};

	http_cancel(watch->call);
	watch->call = NULL;
	sse_clear(&watch->sse);
	if (!watch->heard)
		watch->observer->failed(
		    watch->observer, MPSYNC_E_UNREACHABLE, remote_explain(watch->remote, &silence, NULL));
}

static void drop_watch(struct watch *watch)
{
	SINGLY_REMOVE(watch->remote->watches, watch);
	http_cancel(watch->call);
	sse_clear(&watch->sse);
	seen_clear(&watch->seen);
	watch->observer->data = NULL;
	free(watch);
}

void elector_observe(struct store *store, struct store_observer *observer)
{
	struct remote *remote = remote_of(store);
	struct watch *watch = calloc(1, sizeof *watch);

	if (!watch) {
		observer->failed(observer, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	watch->remote = remote;
	watch->observer = observer;
	watch->retry_at_ms = CLAIM_NEVER;
	watch->sse = (struct sse){.event = on_watch_event, .context = watch};
	SINGLY_ADD(remote->watches, watch);
	observer->data = watch;
	connect_watch(watch);
	remote_arm(remote);
}

void elector_observe_stop(struct store *store, struct store_observer *observer)
{
	(void)store;
	if (observer->data)
		drop_watch(observer->data);
}

static uint64_t due_ms(const struct watch *watch)
{
	return watch->call ? watch->heard_ms + watch->remote->quiet_ms : watch->retry_at_ms;
}

uint64_t watches_next_ms(const struct remote *remote)
{
	uint64_t at_ms = CLAIM_NEVER;

	for (const struct watch *watch = remote->watches; watch; watch = watch->next)
		if (due_ms(watch) < at_ms)
			at_ms = due_ms(watch);
	return at_ms;
}

void watches_run(struct remote *remote)
{
	for (struct watch *watch = remote->watches; watch; watch = watch->next) {
		if (due_ms(watch) > remote_now(remote))
			continue;
		if (watch->call)
			leave_silent(watch);
		watch->retry_at_ms = CLAIM_NEVER;
		connect_watch(watch);
	}
}

void watches_clear(struct remote *remote)
{
	while (remote->watches)
		drop_watch(remote->watches);
}
