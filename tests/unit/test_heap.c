#include "unit.h"

#include "base/heap.h"

#include <stdlib.h>

/* Goal: whatever is set, moved and taken out, the earliest comes first. */
static void test_earliest_first(void **state)
{
	enum { COUNT = 500 };
	struct heap heap = {0};
	struct heap_item items[COUNT];
	uint64_t last = 0;

	(void)state;
	srand(1);
	assert_true(heap_reserve(&heap, COUNT));
	for (int i = 0; i < COUNT; i++) {
		items[i].index = HEAP_ABSENT;
		heap_set(&heap, &items[i], (uint64_t)rand() % 1000);
	}
	for (int i = 0; i < COUNT; i += 3)
		heap_set(&heap, &items[i], (uint64_t)rand() % 1000);
	for (int i = 0; i < COUNT; i += 7)
		heap_set(&heap, &items[i], HEAP_NEVER);
	while (heap.count > 0) {
		struct heap_item *first = heap_first(&heap);

		assert_true(first->at_ms >= last);
		last = first->at_ms;
		heap_set(&heap, first, HEAP_NEVER);
	}
	assert_int_equal(heap_next_ms(&heap), HEAP_NEVER);
	heap_clear(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_earliest_first)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
