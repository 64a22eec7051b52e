#include "kube_watch.h"

#include "lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_TIMEOUT_MS 10000
#define FIRST_RETRY_MS  100
#define MOST_RETRY_MS   5000
/* The server ends each watch after that long, so that they spread over its replicas. */
#define WATCH_S "290"

struct kube_watch {
	struct kube_api *api;
	struct kube_watch_sink sink;
	char *collection;
	char *selector;   /* of the object, as a query; "" for all */
	uint64_t version; /* the newest that was told; 0: list first */
	struct kube_call *call;
	struct event *retry;
	uint64_t retry_ms;
	bool watching; /* `call` is the watch, not the list */
	bool telling;  /* inside of a callback: freed behind it */
	bool dead;
};

static void begin(struct kube_watch *watch);

static void begin_later(struct kube_watch *watch, uint64_t least_ms)
{
	struct timeval after;
	uint64_t delay_ms = watch->retry_ms;

	watch->retry_ms = delay_ms ? delay_ms * 2 : FIRST_RETRY_MS;
	if (watch->retry_ms > MOST_RETRY_MS)
		watch->retry_ms = MOST_RETRY_MS;
	if (delay_ms < least_ms)
		delay_ms = least_ms;
	after = (struct timeval){(time_t)(delay_ms / 1000), (suseconds_t)(delay_ms % 1000) * 1000};
	evtimer_add(watch->retry, &after);
}

static void on_retry(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor, (void)what;
	begin(context);
}

/* Whoever was told may have wanted to hear no more. */
static void told(struct kube_watch *watch)
{
	watch->telling = false;
	if (watch->dead)
		kube_watch_free(watch);
}

static bool ends(struct kube_watch *watch, const struct kube_answer *answer)
{
	if (!answer->refused)
		return false;
	watch->sink.refused(watch->sink.context, answer);
	return true;
}

/* ---- The watch ---- */

static void on_event(void *context, const cJSON *event)
{
	struct kube_watch *watch = context;
	const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "type"));
	const cJSON *object = cJSON_GetObjectItemCaseSensitive(event, "object");
	const uint64_t version = lease_version(object);

	/* Too old a version, or one that this server does not know: the list tells anew. */
	if (!type || strcmp(type, "ERROR") == 0 || !version) {
		watch->version = 0;
		return;
	}
	watch->retry_ms = 0;
	watch->version = version;
	if (strcmp(type, "BOOKMARK") == 0)
		return;
	watch->telling = true;
	watch->sink.object(watch->sink.context, object, strcmp(type, "DELETED") == 0);
	told(watch);
}

static void on_watch_ended(void *context, const struct kube_answer *answer)
{
	struct kube_watch *watch = context;

	watch->call = NULL;
	if (ends(watch, answer))
		return;
	if (answer->status == 410)
		watch->version = 0;
	/* One that brought nothing may be a server that ends them all at once. */
	begin_later(watch, answer->retry_in_ms);
}

/* ---- The list ---- */

static void on_listed(void *context, const struct kube_answer *answer)
{
	struct kube_watch *watch = context;
	const uint64_t version = lease_version(answer->json);
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(answer->json, "items");
	const cJSON *item;

	watch->call = NULL;
	if (ends(watch, answer))
		return;
	if (answer->status != 200 || !version) {
		begin_later(watch, answer->retry_in_ms);
		return;
	}
	watch->version = version;
	begin(watch);
	watch->telling = true;
	cJSON_ArrayForEach (item, items) {
		if (!watch->dead)
			watch->sink.object(watch->sink.context, item, false);
	}
	if (!watch->dead)
		watch->sink.listed(watch->sink.context, version);
	told(watch);
}

static void begin(struct kube_watch *watch)
{
	char *path = NULL;
	const bool list = watch->version == 0;
	const int length = list ? asprintf(&path, "%s?%s", watch->collection, watch->selector)
	                        : asprintf(&path,
	                              "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=" WATCH_S
	                              "&resourceVersion=%" PRIu64 "&%s",
	                              watch->collection, watch->version, watch->selector);

	watch->watching = !list;
	if (length > 0)
		watch->call = kube_send(watch->api, &(struct kube_request){.method = "GET",
		                                        .path = path,
		                                        .timeout_ms = list ? LIST_TIMEOUT_MS : 0,
		                                        .done = list ? on_listed : on_watch_ended,
		                                        .event = list ? NULL : on_event,
		                                        .context = watch});
	if (length > 0)
		free(path);
	if (!watch->call)
		begin_later(watch, FIRST_RETRY_MS);
}

struct kube_watch *kube_watch_new(struct kube_api *api, struct loop *loop, const char *collection,
    const char *object, uint64_t version, const struct kube_watch_sink *sink)
{
	struct kube_watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return NULL;
	watch->api = api;
	watch->sink = *sink;
	watch->version = version;
	watch->collection = strdup(collection);
	watch->retry = evtimer_new(loop->base, on_retry, watch);
	/* Names of objects need no encoding. */
	if (object && asprintf(&watch->selector, "fieldSelector=metadata.name%%3D%s", object) < 0)
		watch->selector = NULL;
	else if (!object)
		watch->selector = strdup("");
	if (!watch->collection || !watch->selector || !watch->retry) {
		kube_watch_free(watch);
		return NULL;
	}
	begin(watch);
	return watch;
}

void kube_watch_free(struct kube_watch *watch)
{
	if (!watch)
		return;
	kube_cancel(watch->call);
	watch->call = NULL;
	watch->dead = true;
	if (watch->telling)
		return;
	if (watch->retry)
		event_free(watch->retry);
	free(watch->collection);
	free(watch->selector);
	free(watch);
}

bool kube_watch_is_live(const struct kube_watch *watch)
{
	return watch && watch->watching && watch->call;
}
