#include "unit.h"

#include "queue.h"

#include <poll.h>
#include <string.h>

static int readable(const mpsync_queue *queue)
{
	struct pollfd poller = {.fd = mpsync_queue_fd(queue), .events = POLLIN};

	return poll(&poller, 1, 0);
}

static void push(mpsync_queue *queue, uint64_t op_id)
{
	queue_push(queue, queue_event(&(mpsync_event){.op_id = op_id, .name = "n", .message = "m"}));
}

/* Goal: the descriptor is readable exactly while an event waits; order is kept. */
static void test_descriptor_follows_the_events(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);

	(void)state;
	assert_int_equal(readable(queue), 0);
	push(queue, 1);
	push(queue, 2);
	for (uint64_t expected = 1; expected <= 2; expected++) {
		mpsync_event *event;

		assert_int_equal(readable(queue), 1);
		event = mpsync_queue_next(queue);
		assert_int_equal(event->op_id, expected);
		assert_string_equal(event->name, "n");
		mpsync_event_free(event);
	}
	assert_int_equal(readable(queue), 0);
	assert_null(mpsync_queue_next(queue));
	mpsync_queue_free(queue);
}

static void test_wakeup_ends_one_wait(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_event *event;

	(void)state;
	mpsync_queue_wakeup(queue);
	mpsync_queue_wakeup(queue);
	assert_null(mpsync_queue_wait(queue, -1));
	push(queue, 3);
	mpsync_queue_wakeup(queue);
	assert_null(mpsync_queue_wait(queue, -1));
	event = mpsync_queue_wait(queue, -1);
	assert_int_equal(event->op_id, 3);
	mpsync_event_free(event);
	assert_null(mpsync_queue_wait(queue, 0));
	mpsync_queue_free(queue);
}

static void test_everything_takes_null(void **state)
{
	(void)state;
	assert_int_equal(mpsync_queue_fd(NULL), -1);
	assert_null(mpsync_queue_next(NULL));
	assert_null(mpsync_queue_wait(NULL, 0));
	mpsync_queue_wakeup(NULL);
	mpsync_queue_free(NULL);
	mpsync_event_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_descriptor_follows_the_events),
	    cmocka_unit_test(test_wakeup_ends_one_wait),
	    cmocka_unit_test(test_everything_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
