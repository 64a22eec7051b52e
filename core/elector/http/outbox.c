#include "outbox.h"

#include <event2/buffer.h>

#define MOST_CHUNK 65536

static void count(struct outbox *outbox, size_t before)
{
	*outbox->all = *outbox->all - before + outbox_size(outbox);
}

static void on_written(struct evhttp_connection *connection, void *context);

static void send_chunk(struct outbox *outbox, size_t most)
{
	struct evbuffer *chunk = evbuffer_new();
	const size_t before = outbox_size(outbox);

	if (!chunk)
		return;
	evbuffer_remove_buffer(outbox->waiting, chunk, most);
	count(outbox, before);
	outbox->sending = true;
	evhttp_send_reply_chunk_with_cb(outbox->http, chunk, on_written, outbox);
	evbuffer_free(chunk);
}

static void on_written(struct evhttp_connection *connection, void *context)
{
	struct outbox *outbox = context;

	(void)connection;
	outbox->sending = false;
	if (outbox_size(outbox) > 0)
		send_chunk(outbox, MOST_CHUNK);
	else if (outbox->drained)
		outbox->drained(outbox->context);
}

bool outbox_init(struct outbox *outbox, struct evhttp_request *http, size_t *all)
{
	*outbox = (struct outbox){.http = http, .waiting = evbuffer_new(), .all = all};
	return outbox->waiting;
}

void outbox_clear(struct outbox *outbox)
{
	if (!outbox->waiting)
		return;
	outbox_drop(outbox);
	evbuffer_free(outbox->waiting);
	outbox->waiting = NULL;
}

bool outbox_add(struct outbox *outbox, const char *text, size_t size)
{
	const size_t before = outbox_size(outbox);

	if (evbuffer_add(outbox->waiting, text, size) != 0)
		return false;
	count(outbox, before);
	if (!outbox->sending)
		send_chunk(outbox, MOST_CHUNK);
	return true;
}

size_t outbox_size(const struct outbox *outbox)
{
	return evbuffer_get_length(outbox->waiting);
}

bool outbox_is_idle(const struct outbox *outbox)
{
	return !outbox->sending && outbox_size(outbox) == 0;
}

void outbox_drop(struct outbox *outbox)
{
	const size_t before = outbox_size(outbox);

	evbuffer_drain(outbox->waiting, before);
	count(outbox, before);
}

void outbox_finish(struct outbox *outbox)
{
	if (outbox_size(outbox) > 0)
		send_chunk(outbox, outbox_size(outbox));
}
