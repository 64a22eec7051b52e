/* Calls that block: what ends them, and what does not. */
#include "unit.h"

#include <mpsync.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pair {
	mpsync_queue *queue;
	mpsync_client *client;
	mpsync_lock *holder;
	mpsync_lock *waiter;
};

static void open_pair(struct pair *pair)
{
	pair->queue = mpsync_queue_new(NULL);
	pair->client = mpsync_client_open("memory:calls", NULL, pair->queue, NULL);
	pair->holder = mpsync_lock_new(pair->client, "x", NULL, NULL);
	pair->waiter = mpsync_lock_new(pair->client, "x", NULL, NULL);
	assert_int_equal(mpsync_lock_acquire(pair->holder, 0, NULL), MPSYNC_OK);
}

static void close_pair(struct pair *pair)
{
	mpsync_lock_free(pair->holder);
	mpsync_lock_free(pair->waiter);
	mpsync_client_close(pair->client);
	mpsync_queue_free(pair->queue);
}

/* A thread of this process that waits for something, as the kernel sees it. */
struct sleeper {
	pthread_t thread;
	atomic_int id;
	struct pair *pair;
	mpsync_status status;
};

static bool sleeps(int id)
{
	char path[64];
	char line[256] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
	file = fopen(path, "r");
	if (!file || !fgets(line, sizeof line, file))
		line[0] = '\0';
	if (file)
		fclose(file);
	return strstr(line, ") S ");
}

static void await_sleep(struct sleeper *sleeper)
{
	while (!sleeper->id || !sleeps(sleeper->id))
		;
}

static void *acquire(void *context)
{
	struct sleeper *sleeper = context;

	sleeper->id = gettid();
	sleeper->status = mpsync_lock_acquire(sleeper->pair->waiter, -1, NULL);
	return NULL;
}

static atomic_int signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static void test_a_signal_ends_no_call(void **state)
{
	const struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
	struct pair pair;
	struct sleeper sleeper = {.pair = &pair};

	(void)state;
	open_pair(&pair);
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&sleeper.thread, NULL, acquire, &sleeper);
	await_sleep(&sleeper);
	pthread_kill(sleeper.thread, SIGUSR1);
	while (!signals)
		;
	await_sleep(&sleeper);
	assert_int_equal(mpsync_lock_release(pair.holder, NULL), MPSYNC_OK);
	pthread_join(sleeper.thread, NULL);
	assert_int_equal(sleeper.status, MPSYNC_OK);
	assert_true(mpsync_lock_is_held(pair.waiter, mpsync_lock_grant(pair.waiter)));
	close_pair(&pair);
}

static void test_who_has_it_is_named(void **state)
{
	struct pair pair;
	mpsync_error error;

	(void)state;
	setenv("MPSYNC_IDENTITY", "somebody", 1);
	open_pair(&pair);
	unsetenv("MPSYNC_IDENTITY");
	assert_int_equal(mpsync_lock_acquire(pair.waiter, 0, &error), MPSYNC_E_HELD);
	assert_non_null(strstr(error.message, "somebody"));
	close_pair(&pair);
}

static void *wait_for_an_event(void *context)
{
	struct sleeper *sleeper = context;
	mpsync_event *event;

	sleeper->id = gettid();
	/* In 32 bits that would be a millisecond. */
	event = mpsync_queue_wait(sleeper->pair->queue, (INT64_C(1) << 32) + 1);
	sleeper->status = event ? MPSYNC_OK : MPSYNC_E_TIMEOUT;
	mpsync_event_free(event);
	return NULL;
}

static void test_a_long_wait_is_long(void **state)
{
	struct pair pair;
	struct sleeper sleeper = {.pair = &pair};

	(void)state;
	open_pair(&pair);
	pthread_create(&sleeper.thread, NULL, wait_for_an_event, &sleeper);
	await_sleep(&sleeper);
	usleep(5000); /* what would end too early has done so */
	assert_int_equal(mpsync_lock_release_start(pair.holder, 7, 0, NULL), MPSYNC_OK);
	pthread_join(sleeper.thread, NULL);
	assert_int_equal(sleeper.status, MPSYNC_OK);
	close_pair(&pair);
}

/* Goal: an observer that cannot reach its store hears so, with the reason, and once. */
static void test_an_observer_is_told_of_an_outage(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = mpsync_client_open("etcd://127.0.0.1:1", NULL, queue, NULL);
	mpsync_event *event;

	(void)state;
	assert_int_equal(mpsync_client_observe_start(client, 7, "x", NULL), MPSYNC_OK);
	event = mpsync_queue_wait(queue, -1);
	assert_int_equal(event->type, MPSYNC_EVENT_LOG);
	assert_int_equal(event->op_id, 7);
	assert_string_equal(event->name, "x");
	assert_non_null(strstr(event->message, "127.0.0.1:1"));
	mpsync_event_free(event);
	mpsync_client_close(client);
	while ((event = mpsync_queue_next(queue))) {
		assert_int_not_equal(event->type, MPSYNC_EVENT_LOG);
		mpsync_event_free(event);
	}
	mpsync_queue_free(queue);
}

/* Goal: each status and reason has a text of its own, and what is none has one as well. */
static void test_each_status_has_its_text(void **state)
{
	const char *texts[64];
	size_t count = 0;

	(void)state;
	for (int32_t status = MPSYNC_E_INTERNAL; status <= MPSYNC_OK + 1; status++)
		texts[count++] = mpsync_status_text(status);
	for (int32_t reason = -1; reason <= MPSYNC_REASON_CLOSED; reason++)
		texts[count++] = mpsync_reason_text(reason);
	assert_string_equal(mpsync_status_text(MPSYNC_OK + 1), "unknown status");
	assert_string_equal(mpsync_reason_text(-1), "unknown");
	for (size_t i = 0; i < count; i++)
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(texts[i], texts[other]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_signal_ends_no_call),
	    cmocka_unit_test(test_who_has_it_is_named),
	    cmocka_unit_test(test_a_long_wait_is_long),
	    cmocka_unit_test(test_an_observer_is_told_of_an_outage),
	    cmocka_unit_test(test_each_status_has_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
