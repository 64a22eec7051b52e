/* Goal: who waits for a file stands behind those who came before it and live, and nobody else. */
#include "unit.h"

#include "child.h"
#include "sqlite_world.h"

#include <sys/wait.h>
#include <unistd.h>

static uint32_t ahead;

static void note_ahead(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	(void)request, (void)result, (void)message, (void)retry_in_ms;
	assert_int_equal(status, MPSYNC_OK);
	ahead = record->ahead;
}

static uint32_t ahead_of(const struct sqlite_world *world, const struct kept_claim *claim)
{
	struct record_backend *backend = backend_of(world);
	struct record_request request = {
	    .name = claim->claim.name, .claim = claim->claim.digest, .done = note_ahead};

	backend->ops->read(backend, &request);
	return ahead;
}

static void come(const struct sqlite_world *world, const struct kept_claim *claim)
{
	struct record_backend *backend = backend_of(world);

	backend->ops->enqueue(backend, &claim->claim);
}

static void test_waiters_stand_in_the_order_of_their_coming(void **state)
{
	const struct sqlite_world *world = *state;
	const struct kept_claim first = claim_of("x", 1);
	const struct kept_claim second = claim_of("x", 2);
	const struct kept_claim third = claim_of("x", 3);
	const struct kept_claim elsewhere = claim_of("y", 4);

	come(world, &first);
	come(world, &second);
	come(world, &elsewhere);
	assert_int_equal(ahead_of(world, &first), 0);
	assert_int_equal(ahead_of(world, &second), 1);
	assert_int_equal(ahead_of(world, &third), 2);
	assert_int_equal(ahead_of(world, &elsewhere), 0);
}

/* Goal: the place of a process that was killed keeps nobody waiting. */
static void test_a_dead_waiter_is_before_nobody(void **state)
{
	const struct sqlite_world *world = *state;
	const struct kept_claim dead = claim_of("x", 1);
	const struct kept_claim next = claim_of("x", 2);
	const pid_t child = fork();

	if (child == 0)
		leave_child(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	come(world, &dead);
	assert_int_equal(ahead_of(world, &next), 1);
	sqlite_world_execute(world, "UPDATE waiter SET pid = %d", (int)child);
	assert_int_equal(ahead_of(world, &next), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sqlite_world_begin, sqlite_world_end)
	const struct CMUnitTest tests[] = {
	    TEST(test_waiters_stand_in_the_order_of_their_coming),
	    TEST(test_a_dead_waiter_is_before_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
