#include "heap.h"

#include <stdlib.h>

bool heap_reserve(struct heap *heap, size_t count)
{
	struct heap_item **items;
	size_t size;

	if (count <= heap->size)
		return true;
	size = count + count / 2 + 8;
	items = realloc(heap->items, size * sizeof(struct heap_item *));
	if (!items)
		return false;
	heap->items = items;
	heap->size = size;
	return true;
}

static void put(struct heap *heap, size_t index, struct heap_item *item)
{
	heap->items[index] = item;
	item->index = index;
}

static void settle(struct heap *heap, struct heap_item *item)
{
	size_t index = item->index;

	while (index > 0 && heap->items[(index - 1) / 2]->at_ms > item->at_ms) {
		put(heap, index, heap->items[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * index + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->items[child + 1]->at_ms < heap->items[child]->at_ms)
			child++;
		if (heap->items[child]->at_ms >= item->at_ms)
			break;
		put(heap, index, heap->items[child]);
		index = child;
	}
	put(heap, index, item);
}

static void take_out(struct heap *heap, struct heap_item *item)
{
	const size_t index = item->index;

	item->index = HEAP_ABSENT;
	heap->count--;
	if (index == heap->count)
		return;
	put(heap, index, heap->items[heap->count]);
	settle(heap, heap->items[index]);
}

void heap_set(struct heap *heap, struct heap_item *item, uint64_t at_ms)
{
	item->at_ms = at_ms;
	if (at_ms == HEAP_NEVER) {
		if (item->index != HEAP_ABSENT)
			take_out(heap, item);
		return;
	}
	if (item->index == HEAP_ABSENT)
		put(heap, heap->count++, item);
	settle(heap, item);
}

struct heap_item *heap_first(const struct heap *heap)
{
	return heap->count > 0 ? heap->items[0] : NULL;
}

uint64_t heap_next_ms(const struct heap *heap)
{
	return heap->count > 0 ? heap->items[0]->at_ms : HEAP_NEVER;
}

void heap_clear(struct heap *heap)
{
	free(heap->items);
	*heap = (struct heap){0};
}
