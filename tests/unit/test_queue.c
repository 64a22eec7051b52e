#include "unit.h"

#include "api/queue.h"
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Goal: of one request's events the oldest is taken first, also when another's stand between. */
static void test_awaited_events_keep_their_order(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	const uint64_t ours = MPSYNC_OP_AWAITED | 1;
	const uint64_t other = MPSYNC_OP_AWAITED | 2;
	const uint64_t ops[] = {other, ours, other, ours, ours};

	(void)state;
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		queue_push(queue, queue_event(&(mpsync_event){.op_id = ops[i], .token = i}));
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		mpsync_event *event;

		if (ops[i] != ours)
			continue;
		event = mpsync_queue_wait_for(queue, ours);
		assert_int_equal(event->token, i);
		mpsync_event_free(event);
	}
	queue_push(queue, queue_event(&(mpsync_event){.op_id = ours, .token = 9}));
	for (uint64_t token = 0; token <= 2; token += 2) {
		mpsync_event *event = mpsync_queue_wait_for(queue, other);

		assert_int_equal(event->token, token);
		mpsync_event_free(event);
	}
	mpsync_event_free(mpsync_queue_wait_for(queue, ours));
	mpsync_queue_free(queue);
}

/* Goal: the events of an awaited request reach who waits for that request, and nobody else. */
static void test_awaited_events_are_kept_apart(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	const uint64_t first = MPSYNC_OP_AWAITED | 1;
	const uint64_t second = MPSYNC_OP_AWAITED | 2;

	(void)state;
	push(queue, first);
	push(queue, second);
	push(queue, second);
	assert_int_equal(readable(queue), 0);
	assert_null(mpsync_queue_next(queue));
	push(queue, 1);
	for (int i = 0; i < 2; i++) {
		mpsync_event *event = mpsync_queue_wait_for(queue, second);

		assert_int_equal(event->op_id, second);
		mpsync_event_free(event);
	}
	push(queue, second); /* freed with the queue */
	for (uint64_t op = first; op; op = op == first ? 1 : 0) {
		mpsync_event *event =
		    op == first ? mpsync_queue_wait_for(queue, op) : mpsync_queue_next(queue);

		assert_int_equal(event->op_id, op);
		mpsync_event_free(event);
	}
	assert_null(mpsync_queue_wait_for(queue, 1));
	mpsync_queue_free(queue);
}

static void count(void *context)
{
	++*(int *)context;
}

/* Goal: one call for each time that the queue becomes not empty, and none when it was taken off. */
static void test_notify_tells_of_the_first_event(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	int calls = 0;

	(void)state;
	push(queue, 1);
	mpsync_queue_notify(queue, count, &calls);
	assert_int_equal(calls, 1);
	push(queue, 2);
	assert_int_equal(calls, 1);
	mpsync_event_free(mpsync_queue_next(queue));
	mpsync_event_free(mpsync_queue_next(queue));
	push(queue, MPSYNC_OP_AWAITED);
	assert_int_equal(calls, 1);
	push(queue, 3);
	assert_int_equal(calls, 2);
	mpsync_event_free(mpsync_queue_next(queue));
	mpsync_queue_notify(queue, NULL, NULL);
	push(queue, 4);
	assert_int_equal(calls, 2);
	mpsync_queue_free(queue);
}

struct waiting {
	mpsync_queue *queue;
	uint64_t op_id;
	mpsync_event *event;
};

static void *wait_in_thread(void *argument)
{
	struct waiting *waiting = argument;

	while (!waiting->event)
		waiting->event = mpsync_queue_wait_for(waiting->queue, waiting->op_id);
	return NULL;
}

/* Goal: many threads wait at once, and each is woken by its own event, whatever their order. */
static void test_each_waiting_thread_gets_its_own(void **state)
{
	enum { THREADS = 16 };
	mpsync_queue *queue = mpsync_queue_new(NULL);
	struct waiting waiting[THREADS];
	pthread_t threads[THREADS];

	(void)state;
	for (uint64_t i = 0; i < THREADS; i++) {
		waiting[i] = (struct waiting){.queue = queue, .op_id = MPSYNC_OP_AWAITED | i};
		assert_int_equal(pthread_create(&threads[i], NULL, wait_in_thread, &waiting[i]), 0);
	}
	for (int i = THREADS - 1; i >= 0; i--) {
		push(queue, waiting[i].op_id);
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(waiting[i].event->op_id, waiting[i].op_id);
		mpsync_event_free(waiting[i].event);
	}
	mpsync_queue_free(queue);
}

/* Goal: a queue without a descriptor is an error that says so, and takes nothing with it. */
static void test_without_descriptors(void **state)
{
	struct rlimit before;
	struct rlimit none;
	mpsync_error error;
	mpsync_queue *queue;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	queue = mpsync_queue_new(&error);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_null(queue);
	assert_int_equal(error.status, MPSYNC_E_INTERNAL);
}

/* Goal: a wait longer than poll can wait is a long one, not one that ends at once. */
static void test_a_long_wait_ends_with_its_event(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_event *event;

	(void)state;
	push(queue, 1);
	event = mpsync_queue_wait(queue, INT64_MAX);
	assert_non_null(event);
	mpsync_event_free(event);
	mpsync_queue_free(queue);
}

static void ignore_signal(int number)
{
	(void)number;
}

/* Goal: a signal ends the wait without an event, so that a language can run its own handler. The
 * thread waits in a loop, so the signal is sent until one has met it waiting. */
static void *wait_for_a_signal(void *argument)
{
	struct waiting *waiting = argument;

	assert_null(mpsync_queue_wait_for(waiting->queue, waiting->op_id));
	push(waiting->queue, 1);
	return NULL;
}

static void test_a_signal_ends_the_wait(void **state)
{
	const struct sigaction action = {.sa_handler = ignore_signal};
	mpsync_queue *queue = mpsync_queue_new(NULL);
	struct waiting waiting = {.queue = queue, .op_id = MPSYNC_OP_AWAITED | 7};
	mpsync_event *event = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_a_signal, &waiting), 0);
	while (!event) {
		pthread_kill(thread, SIGUSR1);
		event = mpsync_queue_wait(queue, 1);
	}
	pthread_join(thread, NULL);
	mpsync_event_free(event);
	mpsync_queue_free(queue);
}

/* What a child finds in its parent's queue: 'y' when each function answers as it has to. */
static char use_in_child(mpsync_queue *queue, int descriptor)
{
	const uint64_t op = MPSYNC_OP_AWAITED | 1;
	mpsync_error error;
	mpsync_event *event;
	int calls = 0;
	bool right = mpsync_queue_fd(queue) == -1 && !mpsync_queue_next(queue) &&
	             !mpsync_queue_wait(queue, -1) &&
	             !mpsync_client_open("memory:", NULL, queue, &error) &&
	             error.status == MPSYNC_E_FORKED;

	event = mpsync_queue_wait_for(queue, op);
	right &= event && event->type == MPSYNC_EVENT_FAILED && event->status == MPSYNC_E_FORKED &&
	         event->op_id == op;
	mpsync_event_free(event);
	mpsync_queue_notify(queue, count, &calls);
	mpsync_queue_wakeup(queue);
	mpsync_queue_free(queue);
	return right && calls == 0 && fcntl(descriptor, F_GETFD) >= 0 ? 'y' : 'n';
}

/*
 * Goal: a child has none of its parent's events, and changes nothing for the parent: the
 * descriptor, which both have, stays readable as long as an event waits, and no wake-up arrives.
 * The child answers through a pipe, for under valgrind its exit status tells of other things.
 */
static void test_a_child_has_no_part_in_it(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	const int descriptor = mpsync_queue_fd(queue);
	char answer = 'n';
	mpsync_event *event;
	int ends[2];
	pid_t child;

	(void)state;
	push(queue, 1);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		alarm(120);
		answer = use_in_child(queue, descriptor);
		leave_child(write(ends[1], &answer, 1) == 1 ? 0 : 1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &answer, 1), 1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ends[0]);
	assert_int_equal(answer, 'y');
	assert_int_equal(readable(queue), 1);
	event = mpsync_queue_wait(queue, -1);
	assert_non_null(event);
	assert_int_equal(event->op_id, 1);
	mpsync_event_free(event);
	assert_int_equal(readable(queue), 0);
	mpsync_queue_free(queue);
}

static void test_everything_takes_null(void **state)
{
	(void)state;
	assert_int_equal(mpsync_queue_fd(NULL), -1);
	assert_null(mpsync_queue_next(NULL));
	assert_null(mpsync_queue_wait(NULL, 0));
	assert_null(mpsync_queue_wait_for(NULL, MPSYNC_OP_AWAITED));
	mpsync_queue_wakeup(NULL);
	mpsync_queue_notify(NULL, NULL, NULL);
	mpsync_queue_free(NULL);
	mpsync_event_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_descriptor_follows_the_events),
	    cmocka_unit_test(test_wakeup_ends_one_wait),
	    cmocka_unit_test(test_awaited_events_are_kept_apart),
	    cmocka_unit_test(test_awaited_events_keep_their_order),
	    cmocka_unit_test(test_notify_tells_of_the_first_event),
	    cmocka_unit_test(test_each_waiting_thread_gets_its_own),
	    cmocka_unit_test(test_without_descriptors),
	    cmocka_unit_test(test_a_long_wait_ends_with_its_event),
	    cmocka_unit_test(test_a_signal_ends_the_wait),
	    cmocka_unit_test(test_a_child_has_no_part_in_it),
	    cmocka_unit_test(test_everything_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
