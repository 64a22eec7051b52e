/* A priority queue of things that are due at a time, the earliest first. */
#ifndef MPSYNC_HEAP_H
#define MPSYNC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_ABSENT SIZE_MAX
#define HEAP_NEVER  UINT64_MAX

/* A member of whatever is due. Its index is HEAP_ABSENT while it is not in the heap. */
struct heap_item {
	uint64_t at_ms;
	size_t index;
};

struct heap {
	struct heap_item **items;
	size_t count;
	size_t size;
};

/* Make room for so many items beforehand, so that setting a time never needs memory. */
bool heap_reserve(struct heap *heap, size_t count);

/* Put the item in, or move it, to at_ms; HEAP_NEVER takes it out. */
void heap_set(struct heap *heap, struct heap_item *item, uint64_t at_ms);
struct heap_item *heap_first(const struct heap *heap);
uint64_t heap_next_ms(const struct heap *heap);
void heap_clear(struct heap *heap);

#endif
