#include "unit.h"

#include "elector/protocol/tombstones.h"

#include <string.h>

static const struct id seed = {{7}};

static struct id nth(uint32_t n)
{
	struct id id = {{0}};

	memcpy(id.bytes, &n, sizeof n);
	return id;
}

/* Goal: a claim is known as ended from its burial on, for ten minutes, and no other is. */
static void test_a_tombstone_lasts_for_a_time(void **state)
{
	const struct id ended = nth(1);
	const struct id other = nth(2);
	struct tombstones tombstones;

	(void)state;
	assert_true(tombstones_init(&tombstones, &seed));
	tombstones_bury(&tombstones, &ended, 1000);
	assert_true(tombstones_have(&tombstones, &ended, 1000));
	assert_true(tombstones_have(&tombstones, &ended, 1000 + 599999));
	assert_false(tombstones_have(&tombstones, &ended, 1000 + 600000));
	assert_false(tombstones_have(&tombstones, &other, 1000));
	tombstones_clear(&tombstones);
}

/* Goal: however many end, no more than the newest 65,536 are kept; one that is buried twice counts
 * once. */
static void test_the_oldest_makes_room(void **state)
{
	struct tombstones tombstones;

	(void)state;
	assert_true(tombstones_init(&tombstones, &seed));
	for (uint32_t n = 0; n < 65536; n++) {
		const struct id claim = nth(n);

		tombstones_bury(&tombstones, &claim, 1000);
		tombstones_bury(&tombstones, &claim, 1000);
	}
	assert_true(tombstones_have(&tombstones, &(struct id){{0}}, 1000));
	tombstones_bury(&tombstones, &(struct id){.bytes = {0, 0, 1}}, 1000);
	assert_false(tombstones_have(&tombstones, &(struct id){{0}}, 1000));
	assert_true(tombstones_have(&tombstones, &(struct id){.bytes = {1}}, 1000));
	assert_true(tombstones_have(&tombstones, &(struct id){.bytes = {0, 0, 1}}, 1000));
	tombstones_clear(&tombstones);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_tombstone_lasts_for_a_time),
	    cmocka_unit_test(test_the_oldest_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
