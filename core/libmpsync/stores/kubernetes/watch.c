#include "watch.h"

#include "lease.h"
#include "page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_TIMEOUT_MS 10000
#define FIRST_RETRY_MS  100
#define MOST_RETRY_MS   5000
/* A server's Retry-After is obeyed for so long at most. */
#define LONGEST_PAUSE_MS 30000
/* The server ends each watch after that long, so that watches spread over its replicas. */
#define WATCH_S "290"

struct kube_watch {
	struct kube_api *api;
	struct kube_watch_sink sink;
	char *collection;
	char *selector;   /* chooses the object, as a query; "" for all */
	uint64_t version; /* the newest that was told; 0: begin with a list */
	struct kube_page page;
	struct kube_call *call;
	struct kube_call *asking; /* the request that finds out whether the watch missed something */
	struct event *retry;
	struct event *silence;
	uint64_t retry_ms;
	uint32_t quiet_ms;
	uint64_t held_ms; /* the ttl of the only object's holder; 0: it has no holder */
	bool there;       /* the only object exists */
	bool watching;    /* `call` is the watch, not its list */
	bool telling;     /* in a callback, so it is freed afterwards */
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
	if (least_ms > LONGEST_PAUSE_MS)
		least_ms = LONGEST_PAUSE_MS;
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

/* After a callback: the watch may have been freed in it. */
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

/* ---- Silence ---- */

static void on_listed(void *context, const struct kube_answer *answer);

/*
 * How long silence is normal: a holder renews three times in that time. Without a holder there is
 * nothing to be told.
 */
static uint64_t silence_ms(const struct kube_watch *watch)
{
	const uint64_t longest = watch->held_ms > watch->quiet_ms ? watch->held_ms : watch->quiet_ms;

	return watch->held_ms ? longest / 2 : watch->quiet_ms;
}

/* The watch told something, or was checked: silence counts from now. */
static void await_word(struct kube_watch *watch)
{
	const uint64_t after_ms = silence_ms(watch);
	const struct timeval after = {(time_t)(after_ms / 1000), (suseconds_t)(after_ms % 1000) * 1000};

	evtimer_add(watch->silence, &after);
}

static void tell_object(struct kube_watch *watch, const cJSON *object, bool deleted)
{
	watch->there = !deleted;
	watch->held_ms = deleted ? 0 : lease_held_ms(object);
	await_word(watch);
	watch->sink.object(watch->sink.context, object, deleted);
}

/*
 * Does the answer show a newer version than the watch has told? For all objects a list would be
 * needed.
 */
static bool has_missed(const struct kube_watch *watch, const struct kube_answer *answer)
{
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(answer->json, "items");
	const cJSON *object = cJSON_GetArrayItem(items, 0);

	if (answer->status != 200 || !items || !*watch->selector)
		return false;
	return object ? lease_version(object) > watch->version : watch->there;
}

static void on_asked(void *context, const struct kube_answer *answer)
{
	struct kube_watch *watch = context;

	watch->asking = NULL;
	await_word(watch);
	if (!watch->watching || !has_missed(watch, answer))
		return;
	kube_cancel(watch->call);
	on_listed(watch, answer);
}

/*
 * On the connection of the watch: if that hangs, so does this request. Its further requests find
 * that out, and the watch ends with its connection.
 */
static void ask(struct kube_watch *watch)
{
	char *path = NULL;

	if (asprintf(&path, "%s?limit=1&%s", watch->collection, watch->selector) < 0)
		return;
	watch->asking = kube_send(watch->api, &(struct kube_request){.method = "GET",
	                                          .path = path,
	                                          .timeout_ms = watch->quiet_ms,
	                                          .further_ms = watch->quiet_ms / 6,
	                                          .whole_ms = watch->quiet_ms,
	                                          .done = on_asked,
	                                          .context = watch});
	free(path);
}

static void on_silence(evutil_socket_t descriptor, short what, void *context)
{
	struct kube_watch *watch = context;

	(void)descriptor, (void)what;
	if (watch->watching && watch->call && !watch->asking)
		ask(watch);
}

/* ---- The watch ---- */

static void on_event(void *context, const cJSON *event)
{
	struct kube_watch *watch = context;
	const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "type"));
	const cJSON *object = cJSON_GetObjectItemCaseSensitive(event, "object");
	const uint64_t version = lease_version(object);

	/* The version is too old, or this server does not know it: a list starts the watch anew. */
	if (!type || strcmp(type, "ERROR") == 0 || !version) {
		watch->version = 0;
		return;
	}
	watch->retry_ms = 0;
	watch->version = version;
	if (strcmp(type, "BOOKMARK") == 0) {
		await_word(watch);
		return;
	}
	watch->telling = true;
	tell_object(watch, object, strcmp(type, "DELETED") == 0);
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
	/*
	 * A watch that ended without a single event is restarted with a delay: the server may be
	 * closing every watch immediately, and restarting at once would be a busy loop.
	 */
	begin_later(watch, answer->retry_in_ms);
}

/* ---- The list ---- */

static void on_listed(void *context, const struct kube_answer *answer)
{
	struct kube_watch *watch = context;
	const uint64_t version = lease_version(answer->json);
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(answer->json, "items");
	const cJSON *item;

	bool whole;

	watch->call = NULL;
	if (ends(watch, answer))
		return;
	if (kube_page_shorten(&watch->page, answer)) {
		begin(watch);
		return;
	}
	if (answer->status != 200 || !version) {
		kube_page_clear(&watch->page);
		begin_later(watch, answer->retry_in_ms);
		return;
	}
	whole = !kube_page_turn(&watch->page, answer->json);
	if (whole)
		watch->version = version;
	watch->there = false;
	watch->held_ms = 0;
	begin(watch);
	watch->telling = true;
	cJSON_ArrayForEach (item, items) {
		if (!watch->dead)
			tell_object(watch, item, false);
	}
	if (whole && !watch->dead)
		watch->sink.listed(watch->sink.context, version);
	told(watch);
}

/* Owned by the caller; NULL without memory. */
static char *path_of(const struct kube_watch *watch)
{
	char *path = NULL;

	if (watch->version == 0)
		return kube_page_path(&watch->page, watch->collection, watch->selector);
	if (asprintf(&path,
	        "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=" WATCH_S
	        "&resourceVersion=%" PRIu64 "&%s",
	        watch->collection, watch->version, watch->selector) < 0)
		return NULL;
	return path;
}

static void begin(struct kube_watch *watch)
{
	const bool list = watch->version == 0;
	char *path = path_of(watch);

	watch->watching = !list;
	await_word(watch);
	if (path)
		watch->call = kube_send(watch->api, &(struct kube_request){.method = "GET",
		                                        .path = path,
		                                        .timeout_ms = list ? LIST_TIMEOUT_MS : 0,
		                                        .further_ms = list ? LIST_TIMEOUT_MS / 4 : 0,
		                                        .whole_ms = LIST_TIMEOUT_MS,
		                                        .most = list ? kube_page_most(&watch->page) : 0,
		                                        .done = list ? on_listed : on_watch_ended,
		                                        .event = list ? NULL : on_event,
		                                        .context = watch});
	free(path);
	if (!watch->call)
		begin_later(watch, FIRST_RETRY_MS);
}

struct kube_watch *kube_watch_new(struct kube_api *api, struct loop *loop, const char *collection,
    const char *object, uint64_t version, uint32_t quiet_ms, const struct kube_watch_sink *sink)
{
	struct kube_watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return NULL;
	watch->api = api;
	watch->sink = *sink;
	watch->version = version;
	watch->there = version != 0;
	watch->quiet_ms = quiet_ms;
	watch->collection = strdup(collection);
	watch->retry = evtimer_new(loop->base, on_retry, watch);
	watch->silence = evtimer_new(loop->base, on_silence, watch);
	/* Names of objects need no encoding. */
	if (object && asprintf(&watch->selector, "fieldSelector=metadata.name%%3D%s", object) < 0)
		watch->selector = NULL;
	else if (!object)
		watch->selector = strdup("");
	if (!watch->collection || !watch->selector || !watch->retry || !watch->silence) {
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
	kube_cancel(watch->asking);
	watch->call = watch->asking = NULL;
	watch->dead = true;
	if (watch->telling)
		return;
	if (watch->retry)
		event_free(watch->retry);
	if (watch->silence)
		event_free(watch->silence);
	free(watch->collection);
	free(watch->selector);
	kube_page_clear(&watch->page);
	free(watch);
}

bool kube_watch_is_live(const struct kube_watch *watch)
{
	return watch && watch->watching && watch->call;
}
