/*
 * The HTTP client against a server: what it asks, what it makes of answers, and what it does
 * without memory. Method of the last: each scenario is run with its first, second, third…
 * allocation failing, ours, libevent's, and those of the functions of libcurl that say so.
 */
#include "http_world.h"

#include "failing.h"
#include "net/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_ALLOCATIONS 2000
/* No test needs it, on whatever machine: a call that ends by it was lost. */
#define TIMEOUT_MS 60000
#define PATIENCE_S 300

static uint16_t port;
static char base_url[64];

/* ---- libcurl without memory ---- */

CURL *__real_curl_easy_init(void);
CURL *__wrap_curl_easy_init(void);
CURLM *__real_curl_multi_init(void);
CURLM *__wrap_curl_multi_init(void);
CURLMcode __real_curl_multi_add_handle(CURLM *multi, CURL *easy);
CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy);
struct curl_slist *__real_curl_slist_append(struct curl_slist *list, const char *text);
struct curl_slist *__wrap_curl_slist_append(struct curl_slist *list, const char *text);
CURLU *__real_curl_url(void);
CURLU *__wrap_curl_url(void);
CURLUcode __real_curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned flags);
CURLUcode __wrap_curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned flags);
CURLUcode __real_curl_url_get(const CURLU *url, CURLUPart part, char **text, unsigned flags);
CURLUcode __wrap_curl_url_get(const CURLU *url, CURLUPart part, char **text, unsigned flags);
char *__real_curl_easy_escape(CURL *easy, const char *text, int length);
char *__wrap_curl_easy_escape(CURL *easy, const char *text, int length);

CURL *__wrap_curl_easy_init(void)
{
	return failing_this() ? NULL : __real_curl_easy_init();
}

CURLM *__wrap_curl_multi_init(void)
{
	return failing_this() ? NULL : __real_curl_multi_init();
}

CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	return failing_this() ? CURLM_OUT_OF_MEMORY : __real_curl_multi_add_handle(multi, easy);
}

struct curl_slist *__wrap_curl_slist_append(struct curl_slist *list, const char *text)
{
	return failing_this() ? NULL : __real_curl_slist_append(list, text);
}

CURLU *__wrap_curl_url(void)
{
	return failing_this() ? NULL : __real_curl_url();
}

CURLUcode __wrap_curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned flags)
{
	return failing_this() ? CURLUE_OUT_OF_MEMORY : __real_curl_url_set(url, part, text, flags);
}

CURLUcode __wrap_curl_url_get(const CURLU *url, CURLUPart part, char **text, unsigned flags)
{
	return failing_this() ? CURLUE_OUT_OF_MEMORY : __real_curl_url_get(url, part, text, flags);
}

char *__wrap_curl_easy_escape(CURL *easy, const char *text, int length)
{
	return failing_this() ? NULL : __real_curl_easy_escape(easy, text, length);
}

/* ---- A call ---- */

struct call {
	int done; /* how often it was told to be */
	long status;
	bool timed_out, too_long, refused, from_elector, further;
	long retry_after_s;
	int grpc_status;
	char text[64]; /* its body, or what came of it piece by piece; without an answer the problem */
	struct http_call *http;
};

static void on_done(void *context, const struct http_answer *answer)
{
	struct call *call = context;

	call->done++;
	call->status = answer->status;
	call->timed_out = answer->timed_out;
	call->too_long = answer->too_long;
	call->refused = answer->refused;
	call->from_elector = answer->from_elector;
	call->further = answer->further;
	call->retry_after_s = answer->retry_after_s;
	call->grpc_status = answer->grpc_status;
	if (answer->status == 0 || !*call->text)
		snprintf(call->text, sizeof call->text, "%s",
		    answer->status == 0     ? answer->problem
		    : *answer->grpc_message ? answer->grpc_message
		                            : answer->body);
}

static bool on_data(void *context, const char *bytes, size_t size)
{
	struct call *call = context;
	const size_t length = strlen(call->text);

	if (size < sizeof call->text - length)
		memcpy(call->text + length, bytes, size);
	return true;
}

static bool on_too_much(void *context, const char *bytes, size_t size)
{
	(void)context, (void)bytes, (void)size;
	return false;
}

static void on_ring(void *context)
{
	(void)context;
}

static bool begin(struct http *http, struct call *call, struct http_request request)
{
	*call = (struct call){0};
	request.method = request.body ? "PUT" : "GET";
	request.done = on_done;
	request.context = call;
	if (!request.data && !request.timeout_ms)
		request.timeout_ms = TIMEOUT_MS;
	call->http = http_start(http, &request);
	return call->http;
}

static void await(struct loop *loop, const struct call *call)
{
	while (!call->done)
		event_base_loop(loop->base, EVLOOP_ONCE);
}

struct world {
	struct loop loop;
	struct http *http;
};

static struct http_settings direct(void)
{
	return (struct http_settings){.base_url = base_url};
}

static void open_world(struct world *world, const struct http_settings *settings)
{
	assert_true(loop_init(&world->loop, true, on_ring, NULL));
	world->http = http_new(&world->loop, settings);
	assert_non_null(world->http);
}

static void close_world(struct world *world)
{
	http_free(world->http);
	loop_clear(&world->loop);
}

/* A question of its own, with these settings; and what it asked for is told by http_world_asked. */
static struct call ask_with(const struct http_settings *settings, struct http_request request)
{
	struct world world;
	struct call call;

	http_world_asked();
	open_world(&world, settings);
	assert_true(begin(world.http, &call, request));
	await(&world.loop, &call);
	close_world(&world);
	assert_int_equal(call.done, 1);
	return call;
}

static struct call ask(const char *path)
{
	const struct http_settings settings = direct();

	return ask_with(&settings, (struct http_request){.path = path});
}

/* ---- What it asks, and what it makes of answers ---- */

static void test_a_body(void **state)
{
	const struct call call = ask("/body");

	(void)state;
	assert_int_equal(call.status, 200);
	assert_string_equal(call.text, "hello");
	assert_true(call.from_elector);
	assert_int_equal(call.grpc_status, -1);
}

/* Goal: a body is told whole, or not at all. */
static void test_less_or_more_than_was_promised(void **state)
{
	const struct http_settings settings = direct();
	struct call call = ask("/short");

	(void)state;
	assert_int_equal(call.status, 0);
	assert_false(call.refused || call.timed_out || call.too_long);
	call = ask_with(&settings, (struct http_request){.path = "/body", .most = 4});
	assert_int_equal(call.status, 0);
	assert_true(call.too_long);
	call = ask_with(&settings, (struct http_request){.path = "/body", .most = 5});
	assert_int_equal(call.status, 200);
}

/* Goal: a server may say when to come again, within a day, and not in the past. */
static void test_when_to_come_again(void **state)
{
	(void)state;
	assert_int_equal(ask("/busy").retry_after_s, 7);
	assert_int_equal(ask("/patient").retry_after_s, 86400);
	assert_int_equal(ask("/past").retry_after_s, 0);
	assert_int_equal(ask("/body").retry_after_s, 0);
}

static void test_what_grpc_says(void **state)
{
	const struct call call = ask("/grpc");

	(void)state;
	assert_int_equal(call.grpc_status, 5);
	assert_string_equal(call.text, "it is gone");
}

static void test_nobody_listens(void **state)
{
	const struct http_settings settings = {.base_url = "http://127.0.0.1:1"};
	const struct call call = ask_with(&settings, (struct http_request){.path = "/body"});

	(void)state;
	assert_int_equal(call.status, 0);
	assert_true(call.refused);
}

/* Goal: the URL has the name of the certificate, the connection goes to the former host, and so
 * does the header Host. */
static void test_another_name_for_the_server(void **state)
{
	struct http_settings settings = direct();
	char host[64];

	(void)state;
	settings.server_name = "somebody.test";
	assert_int_equal(ask_with(&settings, (struct http_request){.path = "/body"}).status, 200);
	snprintf(host, sizeof host, "Host: 127.0.0.1:%u\r\n", port);
	assert_non_null(strstr(http_world_asked(), host));
}

/* Goal: a URL without a port has a header Host without one. Its port is that of its scheme, on
 * which nothing is asked here. */
static void test_a_server_name_without_a_port(void **state)
{
	const struct http_settings settings = {
	    .base_url = "http://127.0.0.1", .server_name = "somebody.test"};
	struct world world;

	(void)state;
	open_world(&world, &settings);
	close_world(&world);
}

static struct http_settings by_proxy(const char *no_proxy)
{
	return (struct http_settings){
	    .base_url = "http://somewhere.invalid", .proxy = base_url, .no_proxy = no_proxy};
}

/* Goal: a proxy is asked for the whole URL, but for hosts that are reached without it. */
static void test_a_proxy(void **state)
{
	struct http_settings settings = by_proxy(NULL);

	(void)state;
	assert_int_equal(ask_with(&settings, (struct http_request){.path = "/body"}).status, 200);
	assert_non_null(strstr(http_world_asked(), "GET http://somewhere.invalid/body "));
	settings = by_proxy("elsewhere.invalid");
	assert_int_equal(ask_with(&settings, (struct http_request){.path = "/body"}).status, 200);
	settings = direct();
	settings.proxy = "http://127.0.0.1:1";
	settings.no_proxy = "127.0.0.1";
	assert_int_equal(ask_with(&settings, (struct http_request){.path = "/body"}).status, 200);
	settings.no_proxy = NULL;
	assert_true(ask_with(&settings, (struct http_request){.path = "/body"}).refused);
}

static void test_a_stream(void **state)
{
	const struct http_settings settings = direct();
	struct call call =
	    ask_with(&settings, (struct http_request){.path = "/pieces", .data = on_data});

	(void)state;
	assert_int_equal(call.status, 200);
	assert_string_equal(call.text, "one two");
	/* Whoever does not want what came ends it. */
	call = ask_with(&settings, (struct http_request){.path = "/first", .data = on_too_much});
	assert_int_equal(call.status, 0);
	/* An answer that is none is told as such, and not in pieces. */
	call = ask_with(&settings, (struct http_request){.path = "/busy", .data = on_data});
	assert_int_equal(call.status, 503);
	assert_string_equal(call.text, "");
}

/* Goal: while one connection is silent, another is asked, and who was answered says so. */
static void test_a_silent_connection(void **state)
{
	const struct http_settings settings = direct();
	const struct call call = ask_with(&settings,
	    (struct http_request){.path = "/later", .further_ms = 10, .whole_ms = TIMEOUT_MS});

	(void)state;
	assert_int_equal(call.status, 200);
	assert_true(call.further);
}

/* Goal: where all share a connection, a call that is not answered in time ends its streams, which
 * would never notice; the next call has another connection. */
static void test_a_shared_connection_that_hangs(void **state)
{
	struct http_settings settings = direct();
	struct world world;
	struct call stream;
	struct call call;

	(void)state;
	settings.shared = true;
	open_world(&world, &settings);
	assert_true(
	    begin(world.http, &stream, (struct http_request){.path = "/first", .data = on_data}));
	while (!*stream.text)
		event_base_loop(world.loop.base, EVLOOP_ONCE);
	assert_true(
	    begin(world.http, &call, (struct http_request){.path = "/never", .timeout_ms = 50}));
	await(&world.loop, &call);
	assert_true(call.timed_out);
	await(&world.loop, &stream);
	assert_int_equal(stream.status, 0);
	assert_non_null(strstr(stream.text, "hung"));
	assert_true(begin(world.http, &call, (struct http_request){.path = "/body"}));
	await(&world.loop, &call);
	assert_int_equal(call.status, 200);
	close_world(&world);
}

/* Goal: what was cancelled is told to nobody, and makes room for those that wait. */
static void test_what_was_cancelled(void **state)
{
	const struct http_settings settings = direct();
	struct world world;
	struct call silent[65];
	struct call waiting;

	(void)state;
	http_cancel(NULL);
	open_world(&world, &settings);
	for (size_t i = 0; i < 40; i++)
		assert_true(begin(world.http, &silent[i], (struct http_request){.path = "/never"}));
	/* Streams and what is urgent do not wait, and so leave the room as it is. */
	for (size_t i = 40; i < 64; i++)
		assert_true(begin(world.http, &silent[i], (struct http_request){.path = "/never"}));
	assert_true(begin(world.http, &waiting, (struct http_request){.path = "/body"}));
	for (int i = 0; i < 20; i++)
		event_base_loop(world.loop.base, EVLOOP_NONBLOCK);
	assert_int_equal(http_descriptor(waiting.http), -1);
	http_cancel(silent[0].http);
	await(&world.loop, &waiting);
	assert_int_equal(waiting.status, 200);
	assert_int_equal(silent[0].done, 0);
	close_world(&world);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(silent[i].done, 0);
}

/* ---- Without memory ---- */

struct scenario {
	struct http_settings settings;
	struct http_request request;
	const char *body; /* what it says when nothing fails */
};

/*
 * Goal: without memory a call is not begun, or ends once, and soon; it says nothing that is not
 * so; and the next one is answered as ever.
 */
static void try_without_memory(const struct scenario *scenario)
{
	struct world world = {.http = NULL};
	struct call call = {.done = 0};
	const bool ready = loop_init(&world.loop, true, on_ring, NULL);

	if (ready)
		world.http = http_new(&world.loop, &scenario->settings);
	if (world.http && begin(world.http, &call, scenario->request)) {
		await(&world.loop, &call);
		assert_int_equal(call.done, 1);
		assert_false(call.timed_out);
		if (call.status == 200)
			assert_string_equal(call.text, scenario->body);
	}
	free(http_encode("a name"));
	free(http_encode(".."));
	if (failing_end() && world.http) {
		assert_true(begin(world.http, &call, (struct http_request){.path = "/body"}));
		await(&world.loop, &call);
		assert_int_equal(call.status, 200);
	}
	http_free(world.http);
	if (ready)
		loop_clear(&world.loop);
}

static void with_each_failing(const struct scenario *scenario, long count)
{
	for (long nth = 1; nth <= MOST_ALLOCATIONS; nth++) {
		failing_from(nth, count);
		try_without_memory(scenario);
		if (!failing_end())
			return;
	}
	fail_msg("it never needed less than %d allocations", MOST_ALLOCATIONS);
}

static void test_calls_without_memory(void **state)
{
	static char *const lines[] = {"Further: one", "Further: another", NULL};
	const struct scenario scenario = {direct(),
	    {.path = "/body",
	        .body = "{}",
	        .authorization = "Bearer x",
	        .session = "s",
	        .headers = lines},
	    "hello"};

	(void)state;
	with_each_failing(&scenario, 1);
	with_each_failing(&scenario, 3);
}

static void test_streams_without_memory(void **state)
{
	const struct scenario scenario = {
	    direct(), {.path = "/pieces", .last_event = "7", .data = on_data}, "one two"};

	(void)state;
	with_each_failing(&scenario, 1);
}

static void test_further_requests_without_memory(void **state)
{
	const struct scenario scenario = {
	    direct(), {.path = "/later", .further_ms = 5, .whole_ms = TIMEOUT_MS}, "later"};

	(void)state;
	with_each_failing(&scenario, 1);
}

static void test_routes_without_memory(void **state)
{
	struct scenario scenario = {by_proxy("elsewhere.invalid"), {.path = "/body"}, "hello"};

	(void)state;
	with_each_failing(&scenario, 1);
	scenario.settings = direct();
	scenario.settings.server_name = "somebody.test";
	with_each_failing(&scenario, 1);
}

static void test_shared_connections_without_memory(void **state)
{
	struct scenario scenario = {direct(), {.path = "/body"}, "hello"};

	(void)state;
	scenario.settings.shared = true;
	with_each_failing(&scenario, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_body),
	    cmocka_unit_test(test_less_or_more_than_was_promised),
	    cmocka_unit_test(test_when_to_come_again),
	    cmocka_unit_test(test_what_grpc_says),
	    cmocka_unit_test(test_nobody_listens),
	    cmocka_unit_test(test_another_name_for_the_server),
	    cmocka_unit_test(test_a_server_name_without_a_port),
	    cmocka_unit_test(test_a_proxy),
	    cmocka_unit_test(test_a_stream),
	    cmocka_unit_test(test_a_silent_connection),
	    cmocka_unit_test(test_a_shared_connection_that_hangs),
	    cmocka_unit_test(test_what_was_cancelled),
	    cmocka_unit_test(test_calls_without_memory),
	    cmocka_unit_test(test_streams_without_memory),
	    cmocka_unit_test(test_further_requests_without_memory),
	    cmocka_unit_test(test_routes_without_memory),
	    cmocka_unit_test(test_shared_connections_without_memory),
	};
	int failed;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	failing_install(true);
	alarm(PATIENCE_S);
	port = http_world_start();
	snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", port);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_world_stop();
	return failed;
}
