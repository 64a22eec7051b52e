/*
 * Goal: what an API server answers, or does not, is told as what it is: a refusal for good, a time
 * of trouble, a server that is none; credentials are read anew once, and a watch misses nothing in
 * silence. Method: from the archive, so that the requests are the test's own.
 */
#include "unit.h"

#include "base/clock.h"
#include "failing.h"
#include "fake_http.h"
#include "stores/kubernetes/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct loop loop;
static struct kube_api *api;
static int token_file = -1;

static void no_timer(void *context)
{
	(void)context;
}

static void write_token(const char *text)
{
	assert_int_equal(ftruncate(token_file, 0), 0);
	assert_int_equal(pwrite(token_file, text, strlen(text), 0), strlen(text));
}

static int begin(void **state)
{
	const struct store_clock clock = clock_real(NULL);
	struct kube_config config = {
	    .server = strdup("https://server"), .source = strdup("the kubeconfig")};

	(void)state;
	token_file = memfd_create("token", MFD_CLOEXEC);
	write_token("one\n");
	assert_true(asprintf(&config.token_file, "/proc/self/fd/%d", token_file) > 0);
	assert_true(loop_init(&loop, false, no_timer, NULL));
	api = kube_api_new(&loop, &config, &clock);
	assert_non_null(api);
	return 0;
}

static int end(void **state)
{
	(void)state;
	kube_api_free(api);
	loop_clear(&loop);
	close(token_file);
	assert_null(fake_call());
	return 0;
}

struct asking {
	int told;
	int events;
	struct kube_answer answer;
	char message[500];
};

static void on_done(void *context, const struct kube_answer *answer)
{
	struct asking *asking = context;

	asking->told++;
	asking->answer = *answer;
	snprintf(asking->message, sizeof asking->message, "%s", answer->message);
}

static void on_event(void *context, const cJSON *event)
{
	(void)event;
	((struct asking *)context)->events++;
}

static struct kube_call *ask(struct asking *asking)
{
	*asking = (struct asking){.told = 0};
	return kube_send(api, &(struct kube_request){.method = "GET",
	                          .path = "/x",
	                          .timeout_ms = 60000,
	                          .done = on_done,
	                          .context = asking});
}

static void turn(void)
{
	event_base_loop(loop.base, EVLOOP_NONBLOCK);
}

enum kind { FINE, REFUSED, UNKNOWN };

static void is_told(
    const struct asking *asking, enum kind kind, enum mpsync_status problem, const char *words)
{
	assert_int_equal(asking->told, 1);
	if (asking->answer.refused != (kind == REFUSED) ||
	    asking->answer.unknown != (kind == UNKNOWN) || asking->answer.problem != problem ||
	    !strstr(asking->message, words))
		fail_msg("%d %d %d %s", asking->answer.refused, asking->answer.unknown,
		    asking->answer.problem, asking->message);
}

static void answer(long status, const char *body)
{
	fake_answer((struct http_answer){.status = status, .body = body});
}

/* ---- Answers ---- */

static void test_each_status_has_its_meaning(void **state)
{
	static const struct {
		long status;
		const char *body;
		enum kind kind;
		enum mpsync_status problem;
		const char *words;
	} meanings[] = {
	    {200, "{}", FINE, MPSYNC_OK, ""},
	    {404, "{}", FINE, MPSYNC_OK, ""},
	    {409, "{}", FINE, MPSYNC_OK, ""},
	    {410, "{}", FINE, MPSYNC_OK, ""},
	    {200, "<html>", REFUSED, MPSYNC_E_INVALID, "is no Kubernetes API server"},
	    {400, "{}", REFUSED, MPSYNC_E_INVALID, "refuses it (400): it does not say why"},
	    {403, "{\"message\":\"quota\"}", REFUSED, MPSYNC_E_FORBIDDEN, "quota"},
	    {403, "{\"message\":\"x cannot get resource y\"}", REFUSED, MPSYNC_E_FORBIDDEN, "Role"},
	    {403, "{\"message\":\"x cannot be\"}", REFUSED, MPSYNC_E_FORBIDDEN, "cannot be"},
	    {422, "{\"message\":\"\"}", REFUSED, MPSYNC_E_FORBIDDEN, "(422): it does not say why"},
	    {429, "{}", UNKNOWN, MPSYNC_E_UNREACHABLE, "in trouble (429)"},
	    {500, "", UNKNOWN, MPSYNC_E_UNREACHABLE, "in trouble (500)"},
	    {503, "{\"message\":\"etcd\"}", UNKNOWN, MPSYNC_E_UNREACHABLE, "etcd"},
	};
	struct asking asking;

	(void)state;
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		assert_non_null(ask(&asking));
		answer(meanings[i].status, meanings[i].body);
		is_told(&asking, meanings[i].kind, meanings[i].problem, meanings[i].words);
	}
}

/* Goal: before a server has answered, silence says what to look at; afterwards it passes. */
static void test_silence(void **state)
{
	const struct http_answer nobody = {.refused = true, .problem = "nobody"};
	const struct http_answer stranger = {.refused = true, .untrusted = true, .problem = "name"};
	struct asking asking;

	(void)state;
	ask(&asking);
	fake_answer(nobody);
	is_told(&asking, UNKNOWN, MPSYNC_E_UNREACHABLE, "check the server that the kubeconfig names");
	ask(&asking);
	fake_answer(stranger);
	is_told(&asking, REFUSED, MPSYNC_E_UNAUTHENTICATED, "do not agree on certificates: name");
	ask(&asking);
	answer(200, "{}");
	ask(&asking);
	fake_answer(nobody);
	is_told(&asking, UNKNOWN, MPSYNC_E_UNREACHABLE, "does not answer: nobody");
	ask(&asking);
	fake_answer(stranger);
	is_told(&asking, UNKNOWN, MPSYNC_E_UNREACHABLE, "do not agree");
	ask(&asking);
	fake_answer((struct http_answer){.too_long = true, .problem = "cut off", .retry_after_s = 3});
	is_told(&asking, UNKNOWN, MPSYNC_E_UNREACHABLE, "is too long");
	assert_true(asking.answer.too_long);
	assert_int_equal(asking.answer.retry_in_ms, 3000);
}

/* ---- Credentials ---- */

/* Goal: a token that was replaced in its file is read when the former is refused, once. */
static void test_a_token_that_was_replaced(void **state)
{
	struct asking asking;

	(void)state;
	ask(&asking);
	assert_string_equal(fake_call()->authorization, "Bearer one");
	write_token("two\n");
	answer(401, "{}");
	assert_int_equal(asking.told, 0);
	assert_string_equal(fake_call()->authorization, "Bearer two");
	answer(401, "{\"message\":\"who\"}");
	is_told(&asking, REFUSED, MPSYNC_E_UNAUTHENTICATED, "of the kubeconfig (401): who");
}

/* ---- Watches ---- */

static struct kube_call *watch(struct asking *asking)
{
	*asking = (struct asking){.told = 0};
	return kube_send(api, &(struct kube_request){.method = "GET",
	                          .path = "/x?watch=1",
	                          .done = on_done,
	                          .event = on_event,
	                          .context = asking});
}

static bool feed(const char *text)
{
	const struct http_request *request = &fake_call()->request;

	return request->data(request->context, text, strlen(text));
}

/* Goal: an event is told when it is whole; what cannot be read ends the watch, which has missed
 * something then, and so does its answer when it is none. */
static void test_what_a_watch_hears(void **state)
{
	struct asking asking;
	struct kube_call *call = watch(&asking);

	(void)state;
	assert_non_null(call);
	assert_true(feed("{\"type\":"));
	assert_int_equal(asking.events, 0);
	assert_true(feed("1}\n{}\n{"));
	assert_int_equal(asking.events, 2);
	assert_false(feed("nonsense\n"));
	fake_answer((struct http_answer){.problem = "ended"});
	is_told(&asking, UNKNOWN, MPSYNC_E_UNREACHABLE, "ended");
	call = watch(&asking);
	answer(410, "{\"message\":\"too old\"}");
	assert_int_equal(asking.answer.status, 410);
	call = watch(&asking);
	kube_cancel(call);
	kube_cancel(NULL);
	assert_int_equal(asking.told, 0);
}

static void test_an_event_without_memory_is_not_passed_over(void **state)
{
	struct asking asking;
	struct kube_call *call = watch(&asking);
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		const int before = asking.events;
		bool goes_on;

		failing_from(nth, 1);
		goes_on = feed("{\"type\":\"ADDED\"}\n");
		failed = failing_end();
		assert_int_equal(goes_on, asking.events == before + 1);
		kube_cancel(call);
		call = watch(&asking);
		asking.events = 0;
	}
	kube_cancel(call);
}

/* ---- Without memory ---- */

static void test_requests_without_memory(void **state)
{
	struct asking asking;
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct kube_call *call;

		failing_from(nth, 1);
		call = ask(&asking);
		failed = failing_end();
		turn();
		if (call && asking.told) {
			assert_true(asking.answer.unknown || asking.answer.refused);
			assert_null(fake_call());
		} else if (call) {
			answer(200, "{}");
			is_told(&asking, FINE, MPSYNC_OK, "");
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(test_each_status_has_its_meaning),
	    TEST(test_silence),
	    TEST(test_a_token_that_was_replaced),
	    TEST(test_what_a_watch_hears),
	    TEST(test_an_event_without_memory_is_not_passed_over),
	    TEST(test_requests_without_memory),
	};

	failing_install(true);
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
