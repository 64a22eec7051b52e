/* What a client asks an elector for no claim: lists, one lock, giving up by force, and watches. */
#include "remote_world.h"

#include "failing.h"

#include <stdio.h>
#include <string.h>

struct asker {
	struct store_query query;
	char names[100]; /* of the locks that were found */
	char message[200];
	unsigned done;
	enum mpsync_status status;
};

static void on_found(struct store_query *query, const struct store_lock *lock)
{
	struct asker *asker = (struct asker *)query;

	strncat(asker->names, lock->holder ? lock->name : "free", 20);
	strcat(asker->names, " ");
}

static void on_done(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct asker *asker = (struct asker *)query;

	asker->done++;
	asker->status = status;
	snprintf(asker->message, sizeof asker->message, "%s", message ? message : "");
}

static struct asker ask_for(const struct store_query *query)
{
	struct asker asker = {.query = *query};

	asker.query.found = on_found;
	asker.query.done = on_done;
	return asker;
}

static void start(struct asker *asker)
{
	store_world.store->ops->query(store_world.store, &asker->query);
}

#define LOCK(name, owner)                                                                          \
	"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"owner\":\"" owner "\",\"token\":\"7\"}}"

static void test_a_list_goes_on_where_it_ended(void **state)
{
	struct asker asker = ask_for(&(struct store_query){.kind = STORE_LIST, .prefix = "p"});

	(void)state;
	start(&asker);
	answer(expect("GET", "/locks?prefix=p"), 200, "{\"items\":[%s,%s],\"continue\":\"pb\"}",
	    LOCK("pa", "x"), LOCK("pb", "y"));
	assert_int_equal(asker.done, 0);
	answer(expect("GET", "/locks?prefix=p&continue=pb"), 200, "{\"items\":[%s]}", LOCK("pc", "z"));
	assert_int_equal(asker.done, 1);
	assert_int_equal(asker.status, MPSYNC_OK);
	assert_string_equal(asker.names, "pa pb pc ");
}

static void test_one_lock(void **state)
{
	struct asker asker = ask_for(&(struct store_query){.kind = STORE_GET, .name = "n"});

	(void)state;
	start(&asker);
	answer(expect("GET", "/locks/n"), 200, "%s", LOCK("n", "x"));
	assert_string_equal(asker.names, "n ");
	assert_int_equal(asker.status, MPSYNC_OK);
	start(&asker);
	answer(expect("GET", "/locks/n"), 404, "{\"code\":\"free\",\"message\":\"nobody holds it\"}");
	assert_int_equal(asker.status, MPSYNC_E_NOT_HELD);
	assert_string_equal(asker.message, "nobody holds it");
}

static void test_a_release_by_force(void **state)
{
	struct asker asker = ask_for(&(struct store_query){.kind = STORE_FORCE, .name = "n"});

	(void)state;
	start(&asker);
	assert_string_equal(text_in(expect("DELETE", "/locks/n"), "force"), "true");
	assert_string_equal(text_in(expect("DELETE", "/locks/n"), "now"), "");
	answer(expect("DELETE", "/locks/n"), 403, "{\"code\":\"forbidden\"}");
	assert_int_equal(asker.status, MPSYNC_E_FORBIDDEN);
	asker.query.now = true;
	start(&asker);
	assert_string_equal(text_in(expect("DELETE", "/locks/n"), "now"), "true");
	answer(expect("DELETE", "/locks/n"), 200, "{}");
	assert_int_equal(asker.status, MPSYNC_OK);
}

/* Goal: people are told who does not answer, or that it is no elector. */
static void test_what_answers_is_named(void **state)
{
	struct asker asker = ask_for(&(struct store_query){.kind = STORE_CHECK});

	(void)state;
	start(&asker);
	answer_as_nobody(expect("GET", "/readyz"), 0);
	assert_int_equal(asker.status, MPSYNC_E_UNREACHABLE);
	assert_non_null(strstr(asker.message, "no elector answers at http://localhost:13131"));
	start(&asker);
	answer_as_nobody(expect("GET", "/readyz"), 200);
	assert_int_equal(asker.status, MPSYNC_E_INVALID);
	assert_non_null(strstr(asker.message, "is no elector"));
	start(&asker);
	answer(expect("GET", "/readyz"), 503, "{}");
	assert_int_equal(asker.status, MPSYNC_E_UNREACHABLE);
	assert_string_equal(asker.message, "the elector refuses");
}

static void test_a_query_that_is_cancelled_is_told_no_more(void **state)
{
	struct asker first = ask_for(&(struct store_query){.kind = STORE_GET, .name = "n"});
	struct asker second = ask_for(&(struct store_query){.kind = STORE_GET, .name = "m"});

	(void)state;
	start(&first);
	start(&second);
	store_world.store->ops->query_cancel(store_world.store, &first.query);
	assert_null(asked("GET", "/locks/n"));
	store_world.store->ops->query_cancel(store_world.store, &first.query);
	answer(expect("GET", "/locks/m"), 200, "%s", LOCK("m", "x"));
	assert_int_equal(first.done, 0);
	assert_int_equal(second.done, 1);
}

/* Goal: each query is done once, also where there is no memory for it or for its next page. */
static void test_a_query_without_memory_is_done(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct asker asker =
		    ask_for(&(struct store_query){.kind = STORE_LIST, .prefix = "p", .after = "a"});

		failing_from(nth, 1);
		start(&asker);
		if (asked("GET", "/locks"))
			answer(asked("GET", "/locks"), 200, "{\"items\":[],\"continue\":\"b\"}");
		failed = failing_end();
		if (asked("GET", "/locks"))
			answer(asked("GET", "/locks"), 200, "{\"items\":[]}");
		assert_int_equal(asker.done, 1);
		assert_true(failed || asker.status == MPSYNC_OK);
	}
}

/* ---- Watches ---- */

struct watcher {
	struct store_observer observer;
	char heard[100];
};

static void on_changed(struct store_observer *observer, const struct store_lock *lock)
{
	strncat(((struct watcher *)observer)->heard, lock->name, 20);
}

static void on_gone(struct store_observer *observer, const char *name)
{
	strcat(((struct watcher *)observer)->heard, "-");
	strncat(((struct watcher *)observer)->heard, name, 20);
}

static void on_synced(struct store_observer *observer)
{
	strcat(((struct watcher *)observer)->heard, "=");
}

static void on_failed(
    struct store_observer *observer, enum mpsync_status status, const char *message)
{
	assert_int_not_equal(status, MPSYNC_OK);
	assert_non_null(message);
	strcat(((struct watcher *)observer)->heard, "!");
}

#define WATCH "/locks?watch=1&ping=5000ms"

static void send_events(const char *text)
{
	struct http_call *stream = expect("GET", WATCH);

	assert_true(stream->request.data(stream->request.context, text, strlen(text)));
}

/* Goal: a watch hears all, says when it cannot, and comes again. */
static void test_a_watch_hears_all_and_comes_again(void **state)
{
	struct watcher watcher = {
	    .observer = {
	        .changed = on_changed, .gone = on_gone, .synced = on_synced, .failed = on_failed}};

	(void)state;
	store_world.store->ops->observe(store_world.store, &watcher.observer);
	send_events("event: lock\ndata: " LOCK("a", "x") "\n\nevent: synced\ndata: {}\n\n");
	send_events("event: gone\ndata: {\"name\":\"a\"}\n\nevent: unheard-of\ndata: {}\n\n");
	assert_string_equal(watcher.heard, "a=-a");
	answer(expect("GET", WATCH), 200, "%s", "");
	pass_until(store_world.now_ms + 5000);
	answer_as_nobody(expect("GET", WATCH), 0);
	assert_string_equal(watcher.heard, "a=-a!");
	pass_until(store_world.now_ms + 5000);
	send_events("event: synced\ndata: {}\n\n");
	assert_string_equal(watcher.heard, "a=-a!=");
	store_world.store->ops->observe_stop(store_world.store, &watcher.observer);
	assert_null(asked("GET", WATCH));
}

/* Goal: what went while a watch was broken is told when it has come again. */
static void test_a_watch_tells_what_it_missed(void **state)
{
	struct watcher watcher = {
	    .observer = {
	        .changed = on_changed, .gone = on_gone, .synced = on_synced, .failed = on_failed}};

	(void)state;
	store_world.store->ops->observe(store_world.store, &watcher.observer);
	send_events(
	    "event: lock\ndata: " LOCK("a", "x") "\n\nevent: lock\ndata: " LOCK("b", "x") "\n\n");
	send_events("event: synced\ndata: {}\n\nevent: lock\ndata: " LOCK("c", "x") "\n\n");
	assert_string_equal(watcher.heard, "ab=c");
	answer(expect("GET", WATCH), 200, "%s", "");
	pass_until(store_world.now_ms + 1000);
	send_events(
	    "event: lock\ndata: " LOCK("b", "x") "\n\nevent: lock\ndata: " LOCK("c", "x") "\n\n");
	send_events("event: synced\ndata: {}\n\n");
	assert_string_equal(watcher.heard, "ab=cbc-a=");
	store_world.store->ops->observe_stop(store_world.store, &watcher.observer);
}

/* Goal: a watch in which nothing comes, not even a sign of life, is left for another one. */
static void test_a_watch_that_is_silent_is_left(void **state)
{
	struct watcher watcher = {
	    .observer = {
	        .changed = on_changed, .gone = on_gone, .synced = on_synced, .failed = on_failed}};

	(void)state;
	store_world.store->ops->observe(store_world.store, &watcher.observer);
	strcpy(expect("GET", WATCH)->text, "the first");
	send_events("event: synced\ndata: {}\n\n");
	pass_until(store_world.now_ms + 14000);
	send_events(": ping\n\n");
	pass_until(store_world.now_ms + 14999);
	assert_string_equal(expect("GET", WATCH)->text, "the first");
	pass_until(store_world.now_ms + 2);
	assert_string_equal(expect("GET", WATCH)->text, "");
	assert_string_equal(watcher.heard, "=");
	pass_until(store_world.now_ms + 15001);
	assert_string_equal(watcher.heard, "=!");
	store_world.store->ops->observe_stop(store_world.store, &watcher.observer);
}

static int install(void **state)
{
	(void)state;
	failing_install(false);
	return 0;
}

#define behind_an_elector(test) cmocka_unit_test_setup_teardown(test, open_remote, close_remote)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    behind_an_elector(test_a_list_goes_on_where_it_ended),
	    behind_an_elector(test_one_lock),
	    behind_an_elector(test_a_release_by_force),
	    behind_an_elector(test_what_answers_is_named),
	    behind_an_elector(test_a_query_that_is_cancelled_is_told_no_more),
	    behind_an_elector(test_a_query_without_memory_is_done),
	    behind_an_elector(test_a_watch_hears_all_and_comes_again),
	    behind_an_elector(test_a_watch_tells_what_it_missed),
	    behind_an_elector(test_a_watch_that_is_silent_is_left),
	};

	return cmocka_run_group_tests(tests, install, NULL);
}
