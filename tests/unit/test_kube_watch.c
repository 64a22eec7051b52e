/* A list and the watch behind it, as the API server's answers make them: who asks what next, and
 * when. */
#include "unit.h"

#include "stores/kubernetes/watch.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- An API server: requests are kept until a test answers them ---- */

struct kube_call {
	struct kube_request request;
	char path[300];
};

static struct kube_call *asked; /* the latest that is under way */
static unsigned cancelled;

struct kube_call *kube_send(struct kube_api *api, const struct kube_request *request)
{
	struct kube_call *call = calloc(1, sizeof *call);

	(void)api;
	call->request = *request;
	snprintf(call->path, sizeof call->path, "%s", request->path);
	asked = call;
	return call;
}

void kube_cancel(struct kube_call *call)
{
	cancelled += call != NULL;
	if (call == asked)
		asked = NULL;
	free(call);
}

static void answer(const struct kube_answer *answered)
{
	struct kube_call *call = asked;

	assert_non_null(call);
	asked = NULL;
	call->request.done(call->request.context, answered);
	free(call);
}

static void answer_json(long status, const char *text)
{
	cJSON *json = cJSON_Parse(text);

	answer(&(struct kube_answer){.status = status, .json = json});
	cJSON_Delete(json);
}

static void send_event(const char *text)
{
	cJSON *json = cJSON_Parse(text);

	asked->request.event(asked->request.context, json);
	cJSON_Delete(json);
}

/* ---- A clock that stands: timers ring when a test says so ---- */

static struct event *timer; /* the latest that was set */
static uint64_t timer_ms;

/* libevent itself comes by here as well, where a sanitizer makes the linker look at it. */
__attribute__((visibility("default"))) int __wrap_event_add(
    struct event *event, const struct timeval *after);

int __wrap_event_add(struct event *event, const struct timeval *after)
{
	timer = event;
	timer_ms = (uint64_t)after->tv_sec * 1000 + (uint64_t)after->tv_usec / 1000;
	return 0;
}

static void ring(void)
{
	event_get_callback(timer)(-1, EV_TIMEOUT, event_get_callback_arg(timer));
}

/* ---- Whoever is told ---- */

struct listener {
	struct loop loop;
	struct kube_watch *watch;
	unsigned objects;
	bool deleted;      /* the last one */
	uint64_t listed;   /* the version */
	bool ends_at_once; /* with the first object */
};

static void on_object(void *context, const cJSON *object, bool deleted)
{
	struct listener *listener = context;

	(void)object;
	listener->objects++;
	listener->deleted = deleted;
	if (listener->ends_at_once)
		kube_watch_free(listener->watch);
}

static void on_whole_list(void *context, uint64_t version)
{
	((struct listener *)context)->listed = version;
}

static void on_refused(void *context, const struct kube_answer *answered)
{
	(void)context, (void)answered;
}

static void begin(struct listener *listener)
{
	const struct kube_watch_sink sink = {on_object, on_whole_list, on_refused, listener};

	*listener = (struct listener){.loop.base = event_base_new()};
	cancelled = 0;
	listener->watch = kube_watch_new(NULL, &listener->loop, "/leases", NULL, 0, 10000, &sink);
	assert_non_null(listener->watch);
}

static void end(struct listener *listener)
{
	if (!listener->ends_at_once)
		kube_watch_free(listener->watch);
	event_base_free(listener->loop.base);
}

#define LEASE(version)                                                                             \
	"{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"" version "\"},\"spec\":{}}"

static void bring_list(void)
{
	answer_json(200, "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" LEASE("4") "]}");
}

static void test_a_watch_goes_on_where_its_list_ended(void **state)
{
	struct listener listener;

	(void)state;
	begin(&listener);
	assert_non_null(strstr(asked->path, "limit="));
	assert_in_range(asked->request.timeout_ms, 1, 60000); /* a list without an answer is given up */
	assert_false(kube_watch_is_live(listener.watch));
	bring_list();
	assert_int_equal(listener.objects, 1);
	assert_int_equal(listener.listed, 5);
	assert_non_null(strstr(asked->path, "watch=1"));
	assert_non_null(strstr(asked->path, "resourceVersion=5"));
	assert_int_equal(asked->request.timeout_ms, 0);
	assert_true(kube_watch_is_live(listener.watch));
	end(&listener);
}

static void test_a_deletion_is_told_as_one(void **state)
{
	struct listener listener;

	(void)state;
	begin(&listener);
	bring_list();
	send_event("{\"type\":\"MODIFIED\",\"object\":" LEASE("7") "}");
	assert_false(listener.deleted);
	send_event("{\"type\":\"DELETED\",\"object\":" LEASE("8") "}");
	assert_true(listener.deleted);
	send_event("{\"type\":\"ADDED\",\"object\":" LEASE("9") "}");
	assert_false(listener.deleted);
	end(&listener);
}

static void test_a_broken_watch_begins_behind_what_it_told(void **state)
{
	struct listener listener;

	(void)state;
	begin(&listener);
	bring_list();
	send_event("{\"type\":\"MODIFIED\",\"object\":" LEASE("7") "}");
	answer(&(struct kube_answer){.status = 200});
	assert_false(kube_watch_is_live(listener.watch));
	ring();
	assert_non_null(strstr(asked->path, "resourceVersion=7"));
	assert_true(kube_watch_is_live(listener.watch));
	end(&listener);
}

static void test_a_version_that_is_too_old_means_a_list(void **state)
{
	struct listener listener;

	(void)state;
	begin(&listener);
	bring_list();
	answer(&(struct kube_answer){.status = 410});
	ring();
	assert_null(strstr(asked->path, "watch=1"));
	bring_list();
	send_event("{\"type\":\"ERROR\",\"object\":{\"code\":410}}");
	answer(&(struct kube_answer){.status = 200});
	ring();
	assert_null(strstr(asked->path, "watch=1"));
	end(&listener);
}

/* As long as the server wants, but for half a minute at most. */
static void test_retry_after_is_waited_for(void **state)
{
	struct listener listener;

	(void)state;
	begin(&listener);
	answer(&(struct kube_answer){.status = 429, .unknown = true, .retry_in_ms = 7000});
	assert_int_equal(timer_ms, 7000);
	ring();
	answer(&(struct kube_answer){.status = 429, .unknown = true, .retry_in_ms = 3600000});
	assert_int_equal(timer_ms, 30000);
	end(&listener);
}

/* It rises from one to the next, up to five seconds; what brings something begins anew. */
static void test_backoff(void **state)
{
	struct listener listener;
	uint64_t before_ms = 0;

	(void)state;
	begin(&listener);
	for (int i = 0; i < 12; i++) {
		answer(&(struct kube_answer){.unknown = true});
		assert_in_range(timer_ms, before_ms, 5000);
		before_ms = timer_ms;
		ring();
	}
	assert_int_equal(before_ms, 5000);
	bring_list();
	send_event("{\"type\":\"BOOKMARK\",\"object\":" LEASE("7") "}");
	answer(&(struct kube_answer){.status = 200});
	assert_in_range(timer_ms, 0, 100);
	end(&listener);
}

static void test_what_is_under_way_ends_with_the_watch(void **state)
{
	struct listener listener;

	(void)state;
	begin(&listener);
	bring_list();
	end(&listener);
	assert_int_equal(cancelled, 1);
	assert_null(asked);
}

/* What is told may be the last that somebody wanted to know. */
static void test_a_watch_may_be_freed_when_it_tells(void **state)
{
	struct listener listener;

	(void)state;
	begin(&listener);
	listener.ends_at_once = true;
	bring_list();
	assert_int_equal(listener.objects, 1);
	assert_int_equal(listener.listed, 0);
	assert_null(asked);
	end(&listener);
	begin(&listener);
	bring_list();
	listener.ends_at_once = true;
	send_event("{\"type\":\"MODIFIED\",\"object\":" LEASE("7") "}");
	assert_null(asked);
	end(&listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_watch_goes_on_where_its_list_ended),
	    cmocka_unit_test(test_a_deletion_is_told_as_one),
	    cmocka_unit_test(test_a_broken_watch_begins_behind_what_it_told),
	    cmocka_unit_test(test_a_version_that_is_too_old_means_a_list),
	    cmocka_unit_test(test_retry_after_is_waited_for),
	    cmocka_unit_test(test_backoff),
	    cmocka_unit_test(test_what_is_under_way_ends_with_the_watch),
	    cmocka_unit_test(test_a_watch_may_be_freed_when_it_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
