/*
 * What a stream has yet to write: one chunk is with libevent, the rest waits here in one piece,
 * where small events take no more room than their bytes. So it can be told how far behind a reader
 * is, and what it has not read can be dropped.
 */
#ifndef MPSYNC_ELECTOR_OUTBOX_H
#define MPSYNC_ELECTOR_OUTBOX_H

#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>

struct outbox {
	struct evhttp_request *http;
	struct evbuffer *waiting;
	size_t *all; /* what waits in all outboxes */
	bool sending;
	void (*drained)(void *context); /* all is written; may be NULL */
	void *context;
};

/* The reply has been started. False without memory; to be cleared also then. */
bool outbox_init(struct outbox *outbox, struct evhttp_request *http, size_t *all);
void outbox_clear(struct outbox *outbox);

/* False without memory: nothing is added. */
bool outbox_add(struct outbox *outbox, const char *text, size_t size);
size_t outbox_size(const struct outbox *outbox);
bool outbox_is_idle(const struct outbox *outbox);
/* What has not begun to be written is forgotten. */
void outbox_drop(struct outbox *outbox);
/* Hands all of it over: the reply can be ended. */
void outbox_finish(struct outbox *outbox);

#endif
