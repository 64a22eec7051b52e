/* A parser for event streams (text/event-stream). */
#ifndef MPSYNC_SSE_H
#define MPSYNC_SSE_H

#include <stdbool.h>
#include <stddef.h>

struct sse {
	char *buffer;
	size_t length;
	size_t size;
	void (*event)(void *context, const char *id, const char *event, const char *data);
	void *context;
};

/* False without memory, or when one event is longer than 1 MiB. */
bool sse_feed(struct sse *sse, const char *bytes, size_t size);
void sse_clear(struct sse *sse);

#endif
