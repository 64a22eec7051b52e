/* Goal: what a lock's owner is told of what the engine says, also where there is no memory. */
#include "unit.h"

#include "api/lock.h"
#include "failing.h"

#include <string.h>

struct pair {
	mpsync_queue *queue;
	mpsync_client *client;
	mpsync_lock *holder;
	mpsync_lock *waiter;
};

static void begin(struct pair *pair)
{
	mpsync_event *event;

	pair->queue = mpsync_queue_new(NULL);
	pair->client = mpsync_client_open("memory:", NULL, pair->queue, NULL);
	pair->holder = mpsync_lock_new(pair->client, "name", NULL, NULL);
	pair->waiter = mpsync_lock_new(pair->client, "name", NULL, NULL);
	assert_int_equal(mpsync_lock_acquire(pair->holder, 0, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_acquire_start(pair->waiter, 1, -1, NULL), MPSYNC_OK);
	event = mpsync_queue_wait(pair->queue, -1);
	assert_int_equal(event->type, MPSYNC_EVENT_WAITING);
	mpsync_event_free(event);
}

static void end(struct pair *pair)
{
	mpsync_lock_free(pair->waiter);
	mpsync_lock_free(pair->holder);
	mpsync_client_close(pair->client);
	mpsync_queue_free(pair->queue);
}

/* It was allocated when the lock was asked for, and has room for nothing but the name. */
static void test_an_event_without_memory_has_its_name_and_no_other_text(void **state)
{
	char holder[] = "somebody";
	struct engine_event told = {.type = MPSYNC_EVENT_WAITING, .holder = holder, .message = holder};
	struct pair pair;
	mpsync_event *event;

	(void)state;
	begin(&pair);
	failing_from(1, 1000000);
	lock_owner.event(pair.waiter, &told);
	failing_end();
	memset(holder, 'x', sizeof holder - 1);
	event = mpsync_queue_next(pair.queue);
	assert_non_null(event);
	assert_int_equal(event->type, MPSYNC_EVENT_WAITING);
	assert_int_equal(event->op_id, 1);
	assert_string_equal(event->name, "name");
	assert_null(event->holder);
	assert_null(event->value);
	assert_null(event->message);
	mpsync_event_free(event);
	end(&pair);
}

static void expect_trouble(mpsync_lock *lock, const char *expected)
{
	char text[100];

	lock_last_trouble(lock, text, sizeof text);
	assert_string_equal(text, expected);
}

/* Goal: why a right ends is said by what the last renewal met, not by what was overcome before. */
static void test_what_was_overcome_is_forgotten(void **state)
{
	const uint64_t far_ms = UINT64_MAX / 2;
	struct pair pair;

	(void)state;
	begin(&pair);
	lock_owner.trouble(pair.waiter, "the store does not answer");
	expect_trouble(pair.waiter, "the store does not answer");
	lock_owner.right(pair.waiter, far_ms, 0);
	expect_trouble(pair.waiter, "");
	lock_owner.trouble(pair.waiter, "the disk is full");
	lock_owner.right(pair.waiter, far_ms, 0); /* no renewal: it ends when it did before */
	expect_trouble(pair.waiter, "the disk is full");
	lock_owner.right(pair.waiter, 0, 0);
	end(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_event_without_memory_has_its_name_and_no_other_text),
	    cmocka_unit_test(test_what_was_overcome_is_forgotten),
	};

	failing_install(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
