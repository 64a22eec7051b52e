/* A client behind an elector without memory: what it asks is whole or is not asked, and it comes
 * back to what it could not ask. */
#include "remote_world.h"

#include "failing.h"

#include <string.h>

static int install(void **state)
{
	(void)state;
	failing_install(false);
	return 0;
}

/* Each allocation fails in turn: `ask` is done so often, and `check` sees what it asked. */
static void with_each_allocation_failing(struct store_claim *claim,
    void (*ask)(struct store_claim *claim), void (*check)(const struct http_call *call))
{
	bool failed = true;

	for (long nth = 1; failed; nth++) {
		const unsigned told = store_world.told_count;
		struct http_call *call;

		failing_from(nth, 1);
		ask(claim);
		failed = failing_end();
		call = asked("PUT", "/locks/n");
		if (!call)
			call = asked("DELETE", "/locks/n");
		if (!call)
			call = asked("PUT", "/holders/h");
		assert_true(call || store_world.told_count > told);
		if (!call)
			continue;
		check(call);
		answer(call, 503, "{}");
		assert_int_equal(store_world.told.event, CLAIM_UNKNOWN);
	}
}

static void has_who_asks(const struct http_call *call)
{
	assert_string_equal(text_in(call, "holder"), "h");
	assert_int_equal(strlen(text_in(call, "claim")), 32);
}

static void is_whole_attempt(const struct http_call *call)
{
	has_who_asks(call);
	assert_string_equal(text_in(call, "ttl"), "15.000s");
	assert_string_equal(text_in(call, "type"), "lock");
	assert_string_equal(text_in(call, "value"), "v");
	assert_string_equal(text_in(call, "queue"), "true");
}

static void test_an_attempt_is_whole(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	claim->value = (char *)(uintptr_t) "v";
	attempt(claim);
	hello(ELECTOR_A, 1, false);
	answer(expect("PUT", "/locks/n"), 503, "{}");
	with_each_allocation_failing(claim, attempt, is_whole_attempt);
	drop_claim(claim);
}

static void is_whole_renewal(const struct http_call *call)
{
	has_who_asks(call);
	assert_string_equal(text_in(call, "ttl"), "15.000s");
	assert_string_equal(text_in(call, "token"), "7");
	assert_string_equal(text_in(call, "value"), "v");
	assert_int_not_equal(strlen(text_in(call, "order")), 0);
	assert_string_equal(text_in(call, "stream"), "1");
}

/* Goal: a renewal never goes without its token, which would make it a wish for a new grant. */
static void test_a_renewal_is_whole(void **state)
{
	struct store_claim *claim = hold();

	(void)state;
	claim->value = (char *)(uintptr_t) "v";
	claim->value_version++;
	with_each_allocation_failing(claim, renew, is_whole_renewal);
	drop_claim(claim);
}

static void is_whole_beat(const struct http_call *call)
{
	assert_string_equal(text_in(call, "seen"), "0");
	assert_string_equal(text_in(call, "fence"), "time");
	assert_string_equal(text_in(call, "grants"), "1");
	assert_string_equal(text_in(call, "low"), "true");
}

static void renew_by_a_beat(struct store_claim *claim)
{
	renew(claim);
	/* Without a heartbeat each is asked for by itself. */
	if (asked("PUT", "/locks/n"))
		answer(asked("PUT", "/locks/n"), 503, "{}");
}

static void test_a_beat_is_whole(void **state)
{
	struct store_claim *claim = hold();

	(void)state;
	with_each_allocation_failing(claim, renew_by_a_beat, is_whole_beat);
	drop_claim(claim);
}

static void is_whole_release(const struct http_call *call)
{
	has_who_asks(call);
	assert_string_equal(text_in(call, "token"), "7");
}

static void test_a_release_is_whole(void **state)
{
	struct store_claim *claim = hold();

	(void)state;
	with_each_allocation_failing(claim, withdraw, is_whole_release);
	drop_claim(claim);
}

/* Goal: what is given back, and could not be, stays there until a later heartbeat shows it. */
static void test_what_is_given_back_is_whole(void **state)
{
	static const char beat[] = "{\"elector\":\"" ELECTOR_A "\",\"stream\":1,"
	                           "\"remaining\":[{\"ttl\":\"15s\",\"remaining\":\"11s\"}],"
	                           "\"claims\":[{\"name\":\"m\",\"token\":\"9\","
	                           "\"claim\":\"12345678123456781234567812345678\"}]}";
	struct store_claim *claim = hold();
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct http_call *call;

		renew(claim);
		call = expect("PUT", "/holders/h");
		failing_from(nth, 1);
		answer(call, 200, "%s", beat);
		failed = failing_end();
		call = asked("DELETE", "/locks/m");
		if (call) {
			has_who_asks(call);
			assert_string_equal(text_in(call, "token"), "9");
			answer(call, 200, "{}");
		}
		/* What was not understood is asked for by itself. */
		if (asked("PUT", "/locks/n"))
			answer(asked("PUT", "/locks/n"), 503, "{}");
	}
	drop_claim(claim);
}

/* ---- What could not be asked is asked again ---- */

static void test_a_stream_is_opened_when_there_is_memory(void **state)
{
	struct store_claim *claim = new_claim("n");

	(void)state;
	remote_world.no_calls = true;
	attempt(claim);
	assert_null(asked("GET", "/holders/h"));
	assert_true(store_world.wake_ms <= store_world.now_ms + 5000);
	remote_world.no_calls = false;
	pass_until(store_world.now_ms + 5000);
	hello(ELECTOR_A, 1, false);
	assert_non_null(asked("PUT", "/locks/n"));
	drop_claim(claim);
}

static void ignore_change(struct store_observer *observer, const struct store_lock *lock)
{
	(void)observer, (void)lock;
}

static void ignore_name(struct store_observer *observer, const char *name)
{
	(void)observer, (void)name;
}

static void ignore(struct store_observer *observer)
{
	(void)observer;
}

static void ignore_failure(
    struct store_observer *observer, enum mpsync_status status, const char *message)
{
	(void)observer, (void)status, (void)message;
}

/* Goal: whoever watches one lock never watches all, and watches it as soon as there is memory. */
static void test_a_watch_is_opened_when_there_is_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct store_observer observer = {.name = "n",
		    .changed = ignore_change,
		    .gone = ignore_name,
		    .synced = ignore,
		    .failed = ignore_failure};

		failing_from(nth, 1);
		store_world.store->ops->observe(store_world.store, &observer);
		failed = failing_end();
		assert_null(asked("GET", "/locks?"));
		if (observer.data) {
			pass_until(store_world.now_ms + 5000);
			assert_non_null(asked("GET", "/locks/n?watch"));
		}
		store_world.store->ops->observe_stop(store_world.store, &observer);
		assert_null(asked("GET", "/locks/n?watch"));
	}
}

#define behind_an_elector(test) cmocka_unit_test_setup_teardown(test, open_remote, close_remote)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    behind_an_elector(test_an_attempt_is_whole),
	    behind_an_elector(test_a_renewal_is_whole),
	    behind_an_elector(test_a_beat_is_whole),
	    behind_an_elector(test_a_release_is_whole),
	    behind_an_elector(test_what_is_given_back_is_whole),
	    behind_an_elector(test_a_stream_is_opened_when_there_is_memory),
	    behind_an_elector(test_a_watch_is_opened_when_there_is_memory),
	};

	return cmocka_run_group_tests(tests, install, NULL);
}
