/*
 * What a stream still has to write. libevent has one chunk; the rest waits here in one piece, where
 * small events need no more room than their bytes. So it is known how far behind a reader is, and
 * what it has not read can be dropped.
 */
#ifndef MPSYNC_ELECTOR_OUTBOX_H
#define MPSYNC_ELECTOR_OUTBOX_H

#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>

struct outbox {
	struct evhttp_request *http;
	struct evbuffer *waiting;
	size_t *all; /* bytes that wait in all outboxes together */
	bool sending;
	void (*drained)(void *context); /* everything was written; may be NULL */
	void *context;
};

/* For a reply that has been started. False without memory; outbox_clear is needed even then. */
bool outbox_init(struct outbox *outbox, struct evhttp_request *http, size_t *all);
void outbox_clear(struct outbox *outbox);

/* False without memory: then nothing is added. */
bool outbox_add(struct outbox *outbox, const char *text, size_t size);
size_t outbox_size(const struct outbox *outbox);
bool outbox_is_idle(const struct outbox *outbox);
/* Drop everything that libevent does not have yet. */
void outbox_drop(struct outbox *outbox);
/* Hand everything to libevent, so that the reply can be ended. */
void outbox_finish(struct outbox *outbox);

#endif
