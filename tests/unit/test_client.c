/* The public API, over the two embedded stores. */
#include "unit.h"

#include "child.h"

#include <fcntl.h>
#include <mpsync.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_MS 120000 /* by which an event was lost */

static const char *place;

static mpsync_client *open_client(mpsync_queue *queue)
{
	mpsync_error error;
	mpsync_client *client = mpsync_client_open(place, NULL, queue, &error);

	if (!client)
		fail_msg("%s", error.message);
	return client;
}

static mpsync_lock *new_lock(mpsync_client *client, const char *name)
{
	mpsync_lock *lock = mpsync_lock_new(client, name, NULL, NULL);

	assert_non_null(lock);
	return lock;
}

static mpsync_event *expect(mpsync_queue *queue, int32_t type)
{
	mpsync_event *event = mpsync_queue_wait(queue, LONG_MS);

	while (event && event->type == MPSYNC_EVENT_WAITING && type != MPSYNC_EVENT_WAITING) {
		mpsync_event_free(event);
		event = mpsync_queue_wait(queue, LONG_MS);
	}
	assert_non_null(event);
	assert_int_equal(event->type, type);
	return event;
}

static void expect_and_free(mpsync_queue *queue, int32_t type)
{
	mpsync_event_free(expect(queue, type));
}

/* Goal: one holds, the other is told who; tokens rise; is_held is of one grant only. */
static void test_exclusion_and_tokens(void **state)
{
	mpsync_client *client = open_client(NULL);
	mpsync_lock *a = new_lock(client, "orders/42");
	mpsync_lock *b = new_lock(client, "orders/42");
	mpsync_error error;
	uint64_t first;
	uint64_t token;

	(void)state;
	assert_int_equal(mpsync_lock_acquire(a, 0, &error), MPSYNC_OK);
	first = mpsync_lock_grant(a);
	token = mpsync_lock_token(a, first);
	assert_true(token > 0);
	assert_int_equal(mpsync_lock_is_held(a, first), 1);
	assert_true(mpsync_lock_remaining_ms(a, first) > 0);
	assert_int_equal(mpsync_lock_acquire(b, 0, &error), MPSYNC_E_HELD);
	assert_int_equal(mpsync_lock_acquire(b, 20, &error), MPSYNC_E_TIMEOUT);
	assert_int_equal(mpsync_lock_acquire(a, 0, &error), MPSYNC_E_ALREADY_HELD);
	assert_int_equal(mpsync_lock_release(a, &error), MPSYNC_OK);
	assert_int_equal(mpsync_lock_is_held(a, first), 0);
	assert_int_equal(mpsync_lock_release(a, &error), MPSYNC_E_NOT_HELD);
	assert_int_equal(mpsync_lock_acquire(b, 0, &error), MPSYNC_OK);
	assert_true(mpsync_lock_token(b, mpsync_lock_grant(b)) > token);
	mpsync_lock_free(a);
	mpsync_lock_free(b);
	mpsync_client_close(client);
}

/* Goal: a waiter of another client is told of the release, in order of coming. */
static void test_hand_over_between_clients(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *one = open_client(NULL);
	mpsync_client *two = open_client(queue);
	mpsync_lock *a = new_lock(one, "hand");
	mpsync_lock *b = new_lock(two, "hand");
	mpsync_lock *c = new_lock(two, "hand");
	mpsync_event *event;

	(void)state;
	assert_int_equal(mpsync_lock_acquire(a, 0, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_acquire_start(b, 11, -1, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_WAITING);
	assert_int_equal(mpsync_lock_acquire_start(c, 12, -1, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_WAITING);
	assert_int_equal(mpsync_lock_release(a, NULL), MPSYNC_OK);
	event = expect(queue, MPSYNC_EVENT_HELD);
	assert_int_equal(event->op_id, 11);
	assert_int_equal(event->lock, mpsync_lock_id(b));
	assert_int_equal(mpsync_lock_release_start(b, 13, event->grant, NULL), MPSYNC_OK);
	mpsync_event_free(event);
	event = expect(queue, MPSYNC_EVENT_RELEASED);
	assert_int_equal(event->op_id, 13);
	mpsync_event_free(event);
	event = expect(queue, MPSYNC_EVENT_HELD);
	assert_int_equal(event->op_id, 12);
	mpsync_event_free(event);
	mpsync_lock_free(a);
	mpsync_lock_free(b);
	mpsync_lock_free(c);
	mpsync_client_close(two);
	mpsync_client_close(one);
	mpsync_queue_free(queue);
}

static void test_cancel_and_try(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = open_client(queue);
	mpsync_lock *a = new_lock(client, "cancel");
	mpsync_lock *b = new_lock(client, "cancel");

	(void)state;
	assert_int_equal(mpsync_lock_acquire(a, 0, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_acquire_start(b, 1, -1, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_WAITING);
	assert_int_equal(mpsync_lock_cancel(b, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_CANCELLED);
	assert_int_equal(mpsync_lock_acquire_start(b, 2, 0, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_BUSY);
	mpsync_lock_free(b);
	mpsync_lock_free(a);
	mpsync_client_close(client);
	mpsync_queue_free(queue);
}

/* Goal: a handle that is freed while it waits is no longer in the queue, and its request ends. */
static void test_freed_while_it_waits(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = open_client(queue);
	mpsync_client *other = open_client(NULL);
	mpsync_lock *a = new_lock(client, "freed");
	mpsync_lock *b = new_lock(client, "freed");
	mpsync_lock *c = new_lock(other, "freed");
	mpsync_event *event;

	(void)state;
	assert_int_equal(mpsync_lock_acquire(a, 0, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_acquire_start(b, 7, -1, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_WAITING);
	mpsync_lock_free(b);
	event = expect(queue, MPSYNC_EVENT_CANCELLED);
	assert_int_equal(event->op_id, 7);
	mpsync_event_free(event);
	mpsync_lock_free(a);
	expect_and_free(queue, MPSYNC_EVENT_RELEASED);
	assert_int_equal(mpsync_lock_acquire(c, LONG_MS, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_release(c, NULL), MPSYNC_OK);
	mpsync_lock_free(c);
	mpsync_client_close(client);
	mpsync_client_close(other);
	expect_and_free(queue, MPSYNC_EVENT_DONE); /* the client's end */
	assert_null(mpsync_queue_next(queue));
	mpsync_queue_free(queue);
}

/* Goal: who releases an earlier grant, or one that there never was, does not end the present one.
 */
static void test_release_of_an_earlier_grant(void **state)
{
	mpsync_client *client = open_client(NULL);
	mpsync_lock *lock = new_lock(client, "earlier");
	uint64_t first;
	uint64_t second;

	(void)state;
	assert_int_equal(mpsync_lock_acquire(lock, 0, NULL), MPSYNC_OK);
	first = mpsync_lock_grant(lock);
	assert_int_equal(mpsync_lock_release(lock, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_acquire(lock, LONG_MS, NULL), MPSYNC_OK);
	second = mpsync_lock_grant(lock);
	assert_true(second != first);
	assert_int_equal(mpsync_lock_release_start(lock, 1, first, NULL), MPSYNC_E_NOT_HELD);
	assert_int_equal(mpsync_lock_release_start(lock, 2, second + 1, NULL), MPSYNC_E_NOT_HELD);
	assert_int_equal(mpsync_lock_is_held(lock, first), 0);
	assert_int_equal(mpsync_lock_is_held(lock, second), 1);
	assert_int_equal(mpsync_lock_token(lock, first), 0);
	assert_true(mpsync_lock_token(lock, second) > 0);
	mpsync_lock_free(lock);
	mpsync_client_close(client);
}

/* Goal: closing releases; the next one has it at once. Handles outlive their client. */
static void test_close_releases(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *one = open_client(queue);
	mpsync_client *two = open_client(NULL);
	mpsync_lock *a = new_lock(one, "close");
	mpsync_lock *b = new_lock(two, "close");
	mpsync_error error;

	(void)state;
	assert_int_equal(mpsync_lock_acquire(a, 0, NULL), MPSYNC_OK);
	mpsync_client_close(one);
	expect_and_free(queue, MPSYNC_EVENT_RELEASED);
	assert_int_equal(mpsync_lock_acquire(a, 0, &error), MPSYNC_E_CLOSED);
	assert_int_equal(mpsync_lock_acquire(b, 0, NULL), MPSYNC_OK);
	mpsync_client_close(two);
	mpsync_lock_free(a);
	mpsync_lock_free(b);
	mpsync_queue_free(queue);
}

/* Goal: a holder whose right was revoked hears it, and the next one waits for its time. */
static void test_force(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_options *options = mpsync_options_new(NULL);
	mpsync_client *client = open_client(queue);
	mpsync_client *other = open_client(NULL);
	mpsync_lock *a;
	mpsync_lock *b = new_lock(other, "force");
	mpsync_event *event;
	uint64_t grant;

	(void)state;
	mpsync_options_set(options, "ttl", "15s", NULL);
	a = mpsync_lock_new(client, "force", options, NULL);
	assert_int_equal(mpsync_lock_acquire_start(a, 1, -1, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_HELD);
	grant = mpsync_lock_grant(a);
	assert_int_equal(mpsync_lock_lost_reason(a, grant), MPSYNC_REASON_NONE);
	assert_int_equal(mpsync_client_force_release(client, "free", 0, NULL), MPSYNC_E_NOT_HELD);
	assert_int_equal(mpsync_client_force_release(client, "force", 0, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_acquire(b, 0, NULL), MPSYNC_E_HELD);
	event = expect(queue, MPSYNC_EVENT_LOST);
	assert_int_equal(event->reason, MPSYNC_REASON_REVOKED);
	assert_int_equal(event->grant, grant);
	mpsync_event_free(event);
	assert_int_equal(mpsync_lock_release_start(a, 2, grant, NULL), MPSYNC_E_NOT_HELD);
	assert_int_equal(mpsync_lock_lost_reason(a, grant), MPSYNC_REASON_REVOKED);
	assert_int_equal(mpsync_lock_lost_reason(a, grant + 1), MPSYNC_REASON_NONE);
	assert_int_equal(mpsync_lock_lost_reason(a, 0), MPSYNC_REASON_NONE);
	assert_int_equal(mpsync_lock_lost_reason(NULL, grant), MPSYNC_REASON_NONE);
	assert_int_equal(mpsync_lock_acquire(b, LONG_MS, NULL), MPSYNC_OK);
	mpsync_options_free(options);
	mpsync_lock_free(a);
	mpsync_lock_free(b);
	mpsync_client_close(client);
	mpsync_client_close(other);
	mpsync_queue_free(queue);
}

/* Goal: an election's leader and its value are seen, and that there is none. */
static void test_election_is_observed(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *watcher = open_client(queue);
	mpsync_client *client = open_client(NULL);
	mpsync_election *election = mpsync_election_new(client, "elect", NULL, NULL);
	mpsync_event *event;

	(void)state;
	assert_int_equal(mpsync_client_observe_start(watcher, 5, "elect", NULL), MPSYNC_OK);
	event = expect(queue, MPSYNC_EVENT_LEADER);
	assert_null(event->holder);
	mpsync_event_free(event);
	assert_int_equal(mpsync_election_campaign(election, "10.0.0.1", -1, NULL), MPSYNC_OK);
	event = expect(queue, MPSYNC_EVENT_LEADER);
	assert_string_equal(event->value, "10.0.0.1");
	assert_int_equal(
	    event->token, mpsync_election_token(election, mpsync_election_grant(election)));
	mpsync_event_free(event);
	assert_int_equal(mpsync_election_set_value(election, "10.0.0.2", NULL), MPSYNC_OK);
	event = expect(queue, MPSYNC_EVENT_LEADER);
	assert_string_equal(event->value, "10.0.0.2");
	mpsync_event_free(event);
	assert_int_equal(mpsync_election_is_leader(election, mpsync_election_grant(election)), 1);
	assert_int_equal(mpsync_election_resign(election, NULL), MPSYNC_OK);
	event = expect(queue, MPSYNC_EVENT_LEADER);
	assert_null(event->holder);
	mpsync_event_free(event);
	assert_int_equal(mpsync_client_observe_stop(watcher, 5, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_DONE);
	mpsync_election_free(election);
	mpsync_client_close(client);
	mpsync_client_close(watcher);
	mpsync_queue_free(queue);
}

/*
 * Goal: of two values that are set one right after the other each is answered, and only one that
 * the store has is said to be stored.
 */
static void test_values_in_a_row(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = open_client(queue);
	mpsync_election *election = mpsync_election_new(client, "row", NULL, NULL);
	bool told[2] = {false, false};

	(void)state;
	assert_int_equal(mpsync_election_campaign(election, "0", -1, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_set_value_start(election, 0, "1", NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_set_value_start(election, 1, "2", NULL), MPSYNC_OK);
	for (int i = 0; i < 2; i++) {
		mpsync_event *event = mpsync_queue_wait(queue, -1);

		assert_non_null(event);
		assert_false(told[event->op_id]);
		told[event->op_id] = true;
		assert_true(event->status == MPSYNC_OK ||
		            (event->op_id == 0 && event->status == MPSYNC_E_CANCELLED));
		mpsync_event_free(event);
	}
	assert_int_equal(mpsync_election_resign(election, NULL), MPSYNC_OK);
	mpsync_election_free(election);
	mpsync_client_close(client);
	mpsync_queue_free(queue);
}

static void test_list(void **state)
{
	mpsync_client *client = open_client(NULL);
	mpsync_lock *b = new_lock(client, "list/b");
	mpsync_lock *a = new_lock(client, "list/a");
	mpsync_list *list;

	(void)state;
	mpsync_lock_acquire(b, 0, NULL);
	mpsync_lock_acquire(a, 0, NULL);
	list = mpsync_client_list(client, "list/", NULL);
	assert_int_equal(mpsync_list_count(list), 2);
	assert_string_equal(mpsync_list_at(list, 0)->name, "list/a");
	assert_string_equal(mpsync_list_at(list, 1)->name, "list/b");
	assert_null(mpsync_list_at(list, 2));
	mpsync_list_free(list);
	mpsync_lock_free(a);
	mpsync_lock_free(b);
	mpsync_client_close(client);
}

/*
 * Goal: the parent's handles answer FORKED in a child, and say no. The child answers through a
 * pipe: under valgrind its exit status tells of what the parent's other thread had in hand at the
 * fork.
 */
static void test_fork(void **state)
{
	mpsync_client *client = open_client(NULL);
	mpsync_lock *lock = new_lock(client, "fork");
	uint64_t grant;
	char answer = 'n';
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(mpsync_lock_acquire(lock, 0, NULL), MPSYNC_OK);
	grant = mpsync_lock_grant(lock);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		bool refused = mpsync_lock_is_held(lock, grant) == 0 &&
		               mpsync_lock_remaining_ms(lock, grant) == 0 && mpsync_lock_grant(lock) == 0 &&
		               mpsync_lock_token(lock, grant) == 0 &&
		               mpsync_lock_release(lock, NULL) == MPSYNC_E_FORKED &&
		               mpsync_lock_acquire(lock, 0, NULL) == MPSYNC_E_FORKED &&
		               mpsync_lock_cancel(lock, NULL) == MPSYNC_E_FORKED &&
		               mpsync_client_check(client, NULL) == MPSYNC_E_FORKED &&
		               mpsync_client_close_start(client, 1, NULL) == MPSYNC_E_FORKED &&
		               !mpsync_lock_new(client, "fork", NULL, NULL);

		mpsync_lock_free(lock);
		mpsync_client_close(client);
		leave_child(write(ends[1], refused ? "y" : "n", 1) == 1 ? 0 : 1);
	}
	assert_int_equal(read(ends[0], &answer, 1), 1);
	assert_int_equal(answer, 'y');
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(mpsync_lock_is_held(lock, grant), 1);
	mpsync_lock_free(lock);
	mpsync_client_close(client);
}

static void test_bad_input(void **state)
{
	mpsync_client *client = open_client(NULL);
	mpsync_options *options = mpsync_options_new(NULL);
	mpsync_error error;

	(void)state;
	assert_null(mpsync_lock_new(client, "", NULL, &error));
	assert_int_equal(error.status, MPSYNC_E_INVALID);
	assert_null(mpsync_lock_new(client, "\xff", NULL, &error));
	assert_null(mpsync_lock_new(NULL, "x", NULL, &error));
	assert_null(mpsync_client_open("nowhere:", NULL, NULL, &error));
	assert_int_equal(mpsync_lock_acquire(NULL, 0, &error), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_lock_is_held(NULL, 1), 0);
	assert_int_equal(mpsync_client_observe_start(client, 1, "x", &error), MPSYNC_E_INVALID);
	mpsync_options_free(options);
	mpsync_client_close(client);
	mpsync_client_close(NULL);
}

/* Goal: what a call cannot do for what is in its arguments is said at once, and changes nothing. */
static void test_refused_arguments(void **state)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = open_client(queue);
	mpsync_election *election = mpsync_election_new(client, "refused", NULL, NULL);
	static char large[16 * 1024 + 2];
	mpsync_error error;

	(void)state;
	memset(large, 'x', sizeof large - 1);
	assert_int_equal(mpsync_election_campaign(election, large, 0, &error), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_election_campaign(election, "v", 0, &error), MPSYNC_OK);
	assert_int_equal(mpsync_election_set_value(election, large, &error), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_election_set_value(election, "\xff", &error), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_client_observe_start(client, 1, "", &error), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_client_force_release(client, "", 0, &error), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_client_observe_stop(client, 77, &error), MPSYNC_OK); /* of nothing */
	assert_int_equal(mpsync_election_resign(election, &error), MPSYNC_OK);
	mpsync_election_free(election);
	mpsync_client_close(client);
	mpsync_queue_free(queue);
}

/* Goal: -2 waits as the option says. */
static void test_wait_as_the_option_says(void **state)
{
	mpsync_client *client = open_client(NULL);
	mpsync_options *options = mpsync_options_new(NULL);
	mpsync_lock *a = new_lock(client, "as option");
	mpsync_lock *b;

	(void)state;
	assert_int_equal(mpsync_options_set(options, "wait", "20ms", NULL), MPSYNC_OK);
	b = mpsync_lock_new(client, "as option", options, NULL);
	assert_int_equal(mpsync_lock_acquire(a, 0, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_acquire(b, -2, NULL), MPSYNC_E_TIMEOUT);
	mpsync_options_free(options);
	mpsync_lock_free(a);
	mpsync_lock_free(b);
	mpsync_client_close(client);
}

static void test_check(void **state)
{
	mpsync_client *client = open_client(NULL);

	(void)state;
	assert_int_equal(mpsync_client_check(client, NULL), MPSYNC_OK);
	mpsync_client_close(client);
}

static int open_descriptors(void)
{
	int count = 0;

	for (int descriptor = 0; descriptor < 1024; descriptor++)
		count += fcntl(descriptor, F_GETFD) != -1;
	return count;
}

/* Goal: a client that is closed leaves no descriptor, and none goes over to another program. */
static void test_descriptors_end_with_their_client(void **state)
{
	const int before = open_descriptors();
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = open_client(queue);

	(void)state;
	for (int descriptor = 3; descriptor < 1024; descriptor++) {
		char path[64];
		char target[128] = "";

		snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
		if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "anon_inode"))
			assert_true(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
	}
	mpsync_client_close(client);
	mpsync_queue_free(queue);
	for (int i = 0; i < 3; i++)
		mpsync_client_close(open_client(NULL));
	assert_int_equal(open_descriptors(), before);
}

/* Goal: a list has room for as many as there are. */
static void test_list_of_many(void **state)
{
	mpsync_client *client = open_client(NULL);
	mpsync_lock *locks[60];
	mpsync_list *list;

	(void)state;
	for (int i = 0; i < 60; i++) {
		char name[16];

		snprintf(name, sizeof name, "many-%d", i);
		locks[i] = new_lock(client, name);
		assert_int_equal(mpsync_lock_acquire(locks[i], 0, NULL), MPSYNC_OK);
	}
	list = mpsync_client_list(client, "many-", NULL);
	assert_int_equal(mpsync_list_count(list), 60);
	mpsync_list_free(list);
	for (int i = 0; i < 60; i++) {
		mpsync_lock_release(locks[i], NULL);
		mpsync_lock_free(locks[i]);
	}
	mpsync_client_close(client);
}

/* Goal: what the environment says counts where nobody says anything nearer. */
static void test_environment_counts(void **state)
{
	mpsync_client *client;
	mpsync_lock *lock;

	(void)state;
	setenv("MPSYNC_TTL", "1h", 1);
	client = open_client(NULL);
	unsetenv("MPSYNC_TTL");
	lock = new_lock(client, "environment");
	assert_int_equal(mpsync_lock_acquire(lock, 0, NULL), MPSYNC_OK);
	assert_true(mpsync_lock_remaining_ms(lock, mpsync_lock_grant(lock)) > 1800 * 1000);
	mpsync_lock_release(lock, NULL);
	mpsync_lock_free(lock);
	mpsync_client_close(client);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_exclusion_and_tokens),
    cmocka_unit_test(test_hand_over_between_clients),
    cmocka_unit_test(test_cancel_and_try),
    cmocka_unit_test(test_freed_while_it_waits),
    cmocka_unit_test(test_release_of_an_earlier_grant),
    cmocka_unit_test(test_close_releases),
    cmocka_unit_test(test_force),
    cmocka_unit_test(test_election_is_observed),
    cmocka_unit_test(test_values_in_a_row),
    cmocka_unit_test(test_list),
    cmocka_unit_test(test_fork),
    cmocka_unit_test(test_bad_input),
    cmocka_unit_test(test_refused_arguments),
    cmocka_unit_test(test_wait_as_the_option_says),
    cmocka_unit_test(test_check),
    cmocka_unit_test(test_descriptors_end_with_their_client),
    cmocka_unit_test(test_environment_counts),
    cmocka_unit_test(test_list_of_many),
};

int main(void)
{
	char folder[] = "/tmp/mpsync-test-XXXXXX";
	char url[64];
	char remove[64];
	int failed;

	place = "memory:test";
	failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
	if (!mkdtemp(folder))
		return 1;
	snprintf(url, sizeof url, "file:%s/locks.db", folder);
	snprintf(remove, sizeof remove, "rm -r %s", folder);
	place = url;
	failed += cmocka_run_group_tests_name("file", tests, NULL, NULL);
	return system(remove) == 0 ? failed : 1;
}
