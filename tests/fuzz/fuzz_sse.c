/* Event streams: however the bytes are cut into pieces, the same events come out. */
#include "net/sse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static size_t length_of(const char *text)
{
	return text ? strlen(text) : 0;
}

static void on_event(void *context, const char *id, const char *event, const char *data)
{
	size_t *sum = context;

	*sum = *sum * 31 + length_of(id) * 7 + strlen(event) * 5 + strlen(data) + 1;
}

static size_t feed(const char *bytes, size_t size, size_t piece)
{
	size_t sum = 0;
	struct sse sse = {.event = on_event, .context = &sum};

	for (size_t at = 0; at < size; at += piece) {
		/* A copy of its own, so that a read behind its end is noticed. */
		const size_t length = size - at < piece ? size - at : piece;
		char *copy = malloc(length);

		if (!copy)
			abort();
		memcpy(copy, bytes + at, length);
		if (!sse_feed(&sse, copy, length))
			at = size;
		free(copy);
	}
	sse_clear(&sse);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const size_t piece = size > 0 ? bytes[0] % 16 + 1 : 0;

	if (size > 1 && feed((const char *)bytes + 1, size - 1, piece) !=
	                    feed((const char *)bytes + 1, size - 1, size - 1))
		abort();
	return 0;
}
