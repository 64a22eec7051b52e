/* Whether a lock is held, as a program asks: by two clocks, which are the test's own. */
#include "unit.h"

#include "api/client.h"

#include <mpsync.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define TTL_MS 10000

uint64_t __real_clock_boot_ms(void);
uint64_t __wrap_clock_boot_ms(void);
int64_t __real_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void);

/* How far each runs ahead, for whoever asks by name: the client's own thread has the real ones. */
static atomic_int boot_ahead_ms;
static atomic_int wall_ahead_ms;

uint64_t __wrap_clock_boot_ms(void)
{
	return __real_clock_boot_ms() + (uint64_t)boot_ahead_ms;
}

int64_t __wrap_clock_wall_ms(void)
{
	return __real_clock_wall_ms() + boot_ahead_ms + wall_ahead_ms;
}

struct held {
	mpsync_client *client;
	mpsync_lock *lock;
	uint64_t grant;
};

static void hold(struct held *held)
{
	mpsync_options *options = mpsync_options_new(NULL);

	boot_ahead_ms = 0;
	wall_ahead_ms = 0;
	mpsync_options_set(options, "ttl", "10s", NULL);
	held->client = mpsync_client_open("memory:right", NULL, NULL, NULL);
	held->lock = mpsync_lock_new(held->client, "x", options, NULL);
	mpsync_options_free(options);
	assert_int_equal(mpsync_lock_acquire(held->lock, 0, NULL), MPSYNC_OK);
	held->grant = mpsync_lock_grant(held->lock);
	assert_true(mpsync_lock_is_held(held->lock, held->grant));
}

static void let_go(struct held *held)
{
	mpsync_lock_free(held->lock);
	mpsync_client_close(held->client);
}

/* It ends by the clock, whoever did not renew it; and before its ttl. */
static void test_a_right_ends_by_the_boot_clock(void **state)
{
	struct held held;

	(void)state;
	hold(&held);
	boot_ahead_ms = TTL_MS;
	assert_false(mpsync_lock_is_held(held.lock, held.grant));
	assert_int_equal(mpsync_lock_remaining_ms(held.lock, held.grant), 0);
	let_go(&held);
}

/* Rule 30: a machine that stood still without its boot clock noticing believes nothing of before.
 */
static void test_a_wall_clock_that_ran_ahead_ends_it(void **state)
{
	struct held held;

	(void)state;
	hold(&held);
	wall_ahead_ms = TTL_MS / 10;
	assert_true(mpsync_lock_is_held(held.lock, held.grant));
	wall_ahead_ms = TTL_MS / 5 + 100;
	assert_false(mpsync_lock_is_held(held.lock, held.grant));
	wall_ahead_ms = -TTL_MS;
	assert_true(mpsync_lock_is_held(held.lock, held.grant));
	let_go(&held);
}

static void test_only_this_very_grant_is_held(void **state)
{
	struct held held;

	(void)state;
	hold(&held);
	assert_false(mpsync_lock_is_held(held.lock, 0));
	assert_false(mpsync_lock_is_held(held.lock, held.grant + 1));
	assert_int_equal(mpsync_lock_token(held.lock, held.grant + 1), 0);
	assert_int_equal(mpsync_lock_release(held.lock, NULL), MPSYNC_OK);
	assert_false(mpsync_lock_is_held(held.lock, held.grant));
	let_go(&held);
}

/* Goal: where the end of a connection is taken as this process's end, so it is by this process. */
static void test_a_connection_that_was_closed_here_ends_it(void **state)
{
	struct held held;
	struct store_fence *fence;
	int ends[2];

	(void)state;
	hold(&held);
	fence = store_fence_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_true(store_fence_replace(fence, ends[0], false));
	held.client->fence = fence;
	assert_true(mpsync_lock_is_held(held.lock, held.grant));
	assert_true(mpsync_lock_remaining_ms(held.lock, held.grant) > 0);
	close(fence->descriptor);
	assert_false(mpsync_lock_is_held(held.lock, held.grant));
	assert_int_equal(mpsync_lock_remaining_ms(held.lock, held.grant), 0);
	fence->descriptor = -1;
	close(ends[0]);
	close(ends[1]);
	let_go(&held);
}

static void test_a_ttl_that_is_too_short_here_is_refused(void **state)
{
	mpsync_options *options = mpsync_options_new(NULL);
	mpsync_client *client = mpsync_client_open("etcd://127.0.0.1:1", NULL, NULL, NULL);
	mpsync_error error;

	(void)state;
	mpsync_options_set(options, "ttl", "100ms", NULL);
	assert_null(mpsync_lock_new(client, "x", options, &error));
	assert_int_equal(error.status, MPSYNC_E_UNSUPPORTED);
	mpsync_options_free(options);
	mpsync_client_close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_right_ends_by_the_boot_clock),
	    cmocka_unit_test(test_a_wall_clock_that_ran_ahead_ends_it),
	    cmocka_unit_test(test_only_this_very_grant_is_held),
	    cmocka_unit_test(test_a_connection_that_was_closed_here_ends_it),
	    cmocka_unit_test(test_a_ttl_that_is_too_short_here_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
