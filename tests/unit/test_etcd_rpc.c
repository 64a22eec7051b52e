/*
 * Goal: what etcd's members answer, or do not, is told each caller once, and as what it is: a
 * refusal for good, an outage, a lease that is gone; and who asks with a password is given tokens
 * as often as they expire. Method: from the archive, so that the requests are the test's own.
 */
#include "unit.h"

#include "failing.h"
#include "fake_http.h"
#include "stores/etcd/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TOKEN(text) "\0\0\0\0\5\x12\3" text
#define GRANTED     "\0\0\0\0\2\x18\x0f"

static void answer_grpc(int status)
{
	fake_answer(
	    (struct http_answer){.status = 200, .grpc_status = status, .grpc_message = "said so"});
}

static void answer_bytes(const char *bytes, size_t size)
{
	fake_answer((struct http_answer){.status = 200, .body = bytes, .body_size = size});
}

static void give_token(const char *bytes)
{
	assert_non_null(strstr(fake_call()->path, "Authenticate"));
	answer_bytes(bytes, sizeof TOKEN("abc") - 1);
}

static void grant(void)
{
	answer_bytes(GRANTED, sizeof GRANTED - 1);
}

/* ---- A caller ---- */

static struct loop loop;
static struct etcd_rpc *rpc;

struct asking {
	struct etcd_call call;
	int told;
	enum etcd_result result;
	enum mpsync_status status;
	char message[200];
};

static void on_done(struct etcd_call *call, const struct etcd_answer *answered)
{
	struct asking *asking = (struct asking *)call;

	asking->told++;
	asking->result = answered->result;
	asking->status = answered->status;
	snprintf(
	    asking->message, sizeof asking->message, "%s", answered->message ? answered->message : "");
}

static void ask(struct asking *asking)
{
	*asking = (struct asking){.call = {.kind = ETCD_GRANT, .ttl_s = 15, .done = on_done}};
	etcd_send(rpc, &asking->call);
}

static void turn(void)
{
	event_base_loop(loop.base, EVLOOP_NONBLOCK);
}

static void is_told(const struct asking *asking, enum etcd_result result, enum mpsync_status status,
    const char *words)
{
	assert_int_equal(asking->told, 1);
	if (asking->result != result || asking->status != status || !strstr(asking->message, words))
		fail_msg("%d %d %s", asking->result, asking->status, asking->message);
}

static void no_timer(void *context)
{
	(void)context;
}

static int password = -1; /* its file */

static void write_password(const char *text)
{
	assert_int_equal(ftruncate(password, 0), 0);
	assert_int_equal(pwrite(password, text, strlen(text), 0), strlen(text));
}

static void open_rpc(const char *text, struct mpsync_options *options)
{
	struct url url;
	mpsync_error error;

	assert_true(loop_init(&loop, false, no_timer, NULL));
	assert_true(url_parse(&url, text, &error));
	rpc = etcd_rpc_new(&url, options, &loop, NULL, &error);
	assert_non_null(rpc);
	url_clear(&url);
}

static int open_two_members(void **state)
{
	struct mpsync_options none = {{0}};

	(void)state;
	open_rpc("etcd://a:1,b:2", &none);
	return 0;
}

static int open_with_password(void **state)
{
	struct mpsync_options options = {{0}};
	char path[64];

	(void)state;
	password = memfd_create("password", MFD_CLOEXEC);
	snprintf(path, sizeof path, "/proc/self/fd/%d", password);
	write_password("former");
	mpsync_options_set(&options, "user", "me", NULL);
	mpsync_options_set(&options, "password_file", path, NULL);
	open_rpc("etcd://a:1", &options);
	options_clear(&options);
	return 0;
}

static int close_rpc(void **state)
{
	(void)state;
	etcd_rpc_free(rpc);
	loop_clear(&loop);
	assert_null(fake_call());
	if (password >= 0)
		close(password);
	password = -1;
	return 0;
}

/* ---- Answers ---- */

static void test_each_status_has_its_meaning(void **state)
{
	static const struct {
		int grpc;
		enum etcd_result result;
		enum mpsync_status status;
	} meanings[] = {{3, ETCD_REFUSED, MPSYNC_E_UNAUTHENTICATED}, {5, ETCD_NO_LEASE, MPSYNC_E_LOST},
	    {7, ETCD_REFUSED, MPSYNC_E_FORBIDDEN}, {12, ETCD_REFUSED, MPSYNC_E_UNSUPPORTED},
	    {14, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE}, {16, ETCD_REFUSED, MPSYNC_E_UNAUTHENTICATED}};
	struct asking asking;

	(void)state;
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		ask(&asking);
		answer_grpc(meanings[i].grpc);
		is_told(&asking, meanings[i].result, meanings[i].status, "etcd at http://a:1: said so");
	}
	ask(&asking);
	fake_answer((struct http_answer){.status = 200, .grpc_status = 14});
	is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE, "the connection broke");
	ask(&asking);
	grant();
	is_told(&asking, ETCD_OK, MPSYNC_OK, "");
}

/* Goal: what never was an etcd is an error; what stands before one that has answered is an outage,
 * and is left for the next member. */
static void test_what_is_no_etcd(void **state)
{
	const struct http_answer page = {.status = 404, .grpc_status = -1};
	struct asking asking;

	(void)state;
	ask(&asking);
	fake_answer(page);
	is_told(&asking, ETCD_REFUSED, MPSYNC_E_INVALID, "is no etcd with the v3 API (HTTP 404");
	turn();
	ask(&asking);
	assert_string_equal(fake_call()->server, "http://b:2");
	grant();
	is_told(&asking, ETCD_OK, MPSYNC_OK, "");
	ask(&asking);
	fake_answer(page);
	is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE, "is no etcd");
}

/* Goal: only when each of the members has refused the connection is there no etcd. */
static void test_nobody_is_there(void **state)
{
	struct http_answer nobody = {.refused = true, .grpc_status = -1, .problem = "refused"};
	struct asking asking;

	(void)state;
	ask(&asking);
	fake_answer(nobody);
	is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE, "no etcd answers at http://a:1: refused");
	ask(&asking);
	assert_string_equal(fake_call()->server, "http://b:2");
	fake_answer(nobody);
	is_told(&asking, ETCD_REFUSED, MPSYNC_E_UNREACHABLE, "http://b:2");
	nobody.untrusted = true;
	ask(&asking);
	fake_answer(nobody);
	is_told(&asking, ETCD_REFUSED, MPSYNC_E_UNAUTHENTICATED, "refused");
	ask(&asking);
	grant();
	ask(&asking);
	fake_answer(nobody);
	is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE, "refused");
}

/* Goal: a member that was silent is left, once for all whom it left waiting. */
static void test_the_next_member_is_turned_to_once(void **state)
{
	struct asking first;
	struct asking second;

	(void)state;
	ask(&first);
	ask(&second);
	fake_answer((struct http_answer){.timed_out = true, .grpc_status = 14, .problem = "silent"});
	etcd_next_member(rpc);
	fake_answer((struct http_answer){.timed_out = true, .grpc_status = 14, .problem = "silent"});
	etcd_next_member(rpc);
	ask(&first);
	assert_string_equal(fake_call()->server, "http://b:2");
	grant();
}

static char further_key[16];
static size_t further_count;

static void on_further(struct etcd_call *call, const struct etcd_answer *answered)
{
	(void)call;
	further_count = answered->further.count;
	assert_false(answered->succeeded);
	assert_int_equal(answered->further.keys[0].create_revision, 5);
	assert_int_equal(answered->further.keys[0].mod_revision, 6);
	assert_string_equal(answered->further.keys[0].value, "v");
	snprintf(further_key, sizeof further_key, "%s", answered->further.keys[0].key);
}

/* Goal: when not all keys are as they were, it is told how those are that are there. */
static void test_what_has_changed_is_told(void **state)
{
	static const char bytes[] = "\0\0\0\0\x14\x1a\x0e\x0a\x0c\x12\x0a\x0a\x01"
	                            "k\x10\x05\x18\x06\x2a\x01"
	                            "v\x1a\x02\x0a\x00";
	const struct etcd_compare further[] = {
	    {.key = "k", .revision = 4}, {.key = "l", .revision = 4}};
	struct etcd_call call = {
	    .kind = ETCD_TXN, .further = further, .further_count = 2, .done = on_further};

	(void)state;
	etcd_send(rpc, &call);
	answer_bytes(bytes, sizeof bytes - 1);
	assert_int_equal(further_count, 1);
	assert_string_equal(further_key, "k");
}

/* ---- Passwords and tokens ---- */

static void test_a_token_is_had_once_and_again_when_it_has_expired(void **state)
{
	struct asking first;
	struct asking second;

	(void)state;
	ask(&first);
	ask(&second);
	give_token(TOKEN("abc"));
	assert_string_equal(fake_call()->token, "abc");
	answer_grpc(16);
	grant(); /* the second, whose token was good */
	is_told(&second, ETCD_OK, MPSYNC_OK, "");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(first.told, 0);
		give_token(TOKEN("def"));
		assert_string_equal(fake_call()->token, "def");
		answer_grpc(16);
	}
	is_told(&first, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE, "said so");
}

/* Goal: who waits for a token is told why there is none: for good, or for now. */
static void test_logins_that_fail(void **state)
{
	static const int refusals[] = {3, 7, 9, 16};
	struct asking asking;

	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		ask(&asking);
		answer_grpc(refusals[i]);
		turn();
		is_told(&asking, ETCD_REFUSED, MPSYNC_E_UNAUTHENTICATED, "said so");
	}
	ask(&asking);
	answer_grpc(14);
	turn();
	is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE, "said so");
	ask(&asking);
	answer_bytes("\0\0\0\0\0", 5); /* a token of nothing */
	turn();
	is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE, "the connection broke");
	ask(&asking);
	fake_answer((struct http_answer){.grpc_status = -1, .problem = "silent"});
	turn();
	is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_UNREACHABLE, "silent");
	ask(&asking);
	fake_answer((struct http_answer){.status = 200, .grpc_status = -1});
	turn();
	is_told(&asking, ETCD_REFUSED, MPSYNC_E_UNAUTHENTICATED, "no gRPC");
}

static void test_a_password_that_was_changed_is_read_again(void **state)
{
	struct asking asking;

	(void)state;
	ask(&asking);
	write_password("present");
	answer_grpc(3);
	assert_non_null(memmem(fake_call()->body, sizeof fake_call()->body, "present", 7));
	give_token(TOKEN("abc"));
	grant();
	is_told(&asking, ETCD_OK, MPSYNC_OK, "");
}

/* ---- Without memory ---- */

static int ended;

static void on_ended(struct etcd_watch *watch)
{
	(void)watch;
	ended++;
}

static struct etcd_watch begin_watch(struct etcd_watch *watch)
{
	*watch = (struct etcd_watch){.key = "x/", .ended = on_ended};
	etcd_watch(rpc, watch);
	return *watch;
}

/* Goal: who is not asked for is told so, later and once, unless it has left by then. */
static void test_calls_without_memory(void **state)
{
	struct asking asking;
	struct asking leaving;
	struct etcd_watch watch;
	struct etcd_watch left;
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		failing_from(nth, 1);
		ask(&asking);
		failed = failing_end();
		assert_int_equal(asking.told, 0);
		turn();
		if (failed)
			is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_NO_MEMORY, "memory");
		else
			etcd_cancel(&asking.call);
	}
	failing_from(1, 4);
	ask(&leaving);
	ask(&asking);
	begin_watch(&watch);
	begin_watch(&left);
	failing_end();
	etcd_cancel(&leaving.call);
	etcd_unwatch(&left);
	ended = 0;
	turn();
	assert_int_equal(leaving.told, 0);
	is_told(&asking, ETCD_UNKNOWN, MPSYNC_E_NO_MEMORY, "memory");
	assert_int_equal(ended, 1);
	etcd_cancel(&asking.call);
	etcd_unwatch(&watch);
}

/* Goal: also where what lacks memory is the login for which all wait; and the next one has it. */
static void test_logins_without_memory(void **state)
{
	struct asking asking;
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		failing_from(nth, 1);
		ask(&asking);
		failed = failing_end();
		turn();
		if (failed) {
			/* The login was sent, and what waited for it is told; or neither was. */
			assert_true(asking.told == 1 || fake_call());
			if (fake_call())
				answer_grpc(14);
			turn();
			assert_int_equal(asking.told, 1);
			assert_int_equal(asking.result, ETCD_UNKNOWN);
		}
	}
	give_token(TOKEN("abc"));
	grant();
	is_told(&asking, ETCD_OK, MPSYNC_OK, "");
}

int main(void)
{
#define WITH_TWO(test)      cmocka_unit_test_setup_teardown(test, open_two_members, close_rpc)
#define WITH_PASSWORD(test) cmocka_unit_test_setup_teardown(test, open_with_password, close_rpc)
	const struct CMUnitTest tests[] = {
	    WITH_TWO(test_each_status_has_its_meaning),
	    WITH_TWO(test_what_is_no_etcd),
	    WITH_TWO(test_nobody_is_there),
	    WITH_TWO(test_the_next_member_is_turned_to_once),
	    WITH_TWO(test_what_has_changed_is_told),
	    WITH_PASSWORD(test_a_token_is_had_once_and_again_when_it_has_expired),
	    WITH_PASSWORD(test_logins_that_fail),
	    WITH_PASSWORD(test_a_password_that_was_changed_is_read_again),
	    WITH_TWO(test_calls_without_memory),
	    WITH_PASSWORD(test_logins_without_memory),
	};

	failing_install(true);
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
