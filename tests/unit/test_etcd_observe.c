/* Who observes an etcd: what is asked when its watch is silent, and when what it asked is not
 * answered. */
#include "etcd_world.h"

#include <string.h>

#define over_etcd(test) cmocka_unit_test_setup_teardown(test, open_etcd, close_etcd)

#define HALF_A_TTL_MS 7500

struct observer {
	struct store_observer base;
	char heard[100];
};

static void on_changed(struct store_observer *observer, const struct store_lock *lock)
{
	strncat(((struct observer *)observer)->heard, lock->name, 20);
}

static void on_gone(struct store_observer *observer, const char *name)
{
	(void)name;
	strcat(((struct observer *)observer)->heard, "-");
}

static void on_synced(struct store_observer *observer)
{
	strcat(((struct observer *)observer)->heard, "=");
}

static void on_failed(
    struct store_observer *observer, enum mpsync_status status, const char *message)
{
	assert_int_equal(status, MPSYNC_E_UNREACHABLE);
	assert_non_null(message);
	strcat(((struct observer *)observer)->heard, "!");
}

static struct observer observer;

static void begin(void)
{
	observer = (struct observer){.base = {.name = "n",
	                                 .changed = on_changed,
	                                 .gone = on_gone,
	                                 .synced = on_synced,
	                                 .failed = on_failed}};
	store_world.store->ops->observe(store_world.store, &observer.base);
}

static void end(void)
{
	store_world.store->ops->observe_stop(store_world.store, &observer.base);
	assert_null(calling(ETCD_TXN));
}

static void answer_nobody(void)
{
	answer_call(expect_call(ETCD_TXN), &(struct etcd_answer){.succeeded = true, .term = TERM});
}

/* Goal: what changes while a look is under way is looked at, though that look is never answered. */
static void test_a_change_beside_a_look_that_fails(void **state)
{
	(void)state;
	begin();
	etcd_world.watch->began(etcd_world.watch);
	lose_call(ETCD_TXN);
	answer_nobody();
	assert_string_equal(observer.heard, "!=");
	end();
}

/* Goal: a watch that tells nothing may have nothing to tell, or a connection that hangs. */
static void test_a_silent_connection_is_left(void **state)
{
	(void)state;
	begin();
	answer_nobody();
	assert_null(calling(ETCD_TXN));
	for (unsigned i = 1; i <= 2; i++) {
		pass_until(store_world.now_ms + HALF_A_TTL_MS);
		lose_call(ETCD_TXN);
		assert_int_equal(etcd_world.next_members, i);
	}
	pass_until(store_world.now_ms + HALF_A_TTL_MS);
	answer_nobody();
	assert_int_equal(etcd_world.next_members, 2);
	pass_until(store_world.now_ms + HALF_A_TTL_MS);
	assert_non_null(calling(ETCD_TXN));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    over_etcd(test_a_change_beside_a_look_that_fails),
	    over_etcd(test_a_silent_connection_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
