#include "sse.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BUFFERED (1024 * 1024)

static bool append(struct sse *sse, const char *bytes, size_t size)
{
	if (size > MOST_BUFFERED || sse->length + size > MOST_BUFFERED)
		return false;
	if (sse->length + size + 1 > sse->size) {
		const size_t bigger = (sse->length + size + 1) * 2;
		char *more = realloc(sse->buffer, bigger);

		if (!more)
			return false;
		sse->buffer = more;
		sse->size = bigger;
	}
	memcpy(sse->buffer + sse->length, bytes, size);
	sse->length += size;
	sse->buffer[sse->length] = '\0';
	return true;
}

static const char *field(char *line, const char *name)
{
	const size_t length = strlen(name);

	if (strncmp(line, name, length) != 0 || line[length] != ':')
		return NULL;
	return line + length + 1 + (line[length + 1] == ' ');
}

/* Handles one event, without the empty line that ends it. */
static void dispatch(const struct sse *sse, char *block)
{
	const char *id = NULL;
	const char *event = NULL;
	const char *data = NULL;
	char *state = NULL;

	for (char *line = strtok_r(block, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		if (field(line, "id"))
			id = field(line, "id");
		else if (field(line, "event"))
			event = field(line, "event");
		else if (field(line, "data"))
			data = field(line, "data");
	}
	if (event && data)
		sse->event(sse->context, id, event, data);
}

bool sse_feed(struct sse *sse, const char *bytes, size_t size)
{
	char *block;
	char *end;

	if (!append(sse, bytes, size))
		return false;
	block = sse->buffer;
	while ((end = strstr(block, "\n\n"))) {
		*end = '\0';
		dispatch(sse, block);
		block = end + 2;
	}
	sse->length -= (size_t)(block - sse->buffer);
	memmove(sse->buffer, block, sse->length + 1);
	return true;
}

void sse_clear(struct sse *sse)
{
	free(sse->buffer);
	sse->buffer = NULL;
	sse->length = sse->size = 0;
}
