/* Observers over a store that can only be asked: each change asks again, and what differs is told.
 */
#ifndef MPSYNC_STORES_OBSERVERS_H
#define MPSYNC_STORES_OBSERVERS_H

#include "protocol/store.h"

struct observing;

/* All zero but the callbacks: nobody observes. */
struct observers {
	struct observing *first;
	/* LIST or GET; `done` comes at once or later. */
	void (*query)(void *context, struct store_query *query);
	void (*query_cancel)(void *context, struct store_query *query); /* NULL: `done` comes at once */
	/* The store did not answer one of them: call observers_retry after a while.
	   NULL: it always answers. */
	void (*retry_later)(void *context);
	void *context;
};

/* Asks at once, and tells `synced` when it knows. */
void observers_add(struct observers *observers, struct store_observer *observer);
void observers_remove(struct observers *observers, struct store_observer *observer);
void observers_clear(struct observers *observers);

/* Asks again for those that had no answer. */
void observers_retry(struct observers *observers);

/* NULL: any name may have changed. */
void observers_changed(struct observers *observers, const char *name);

/* No change of this name (NULL: of all names) will be heard of, and why. */
void observers_failed(
    struct observers *observers, const char *name, enum mpsync_status status, const char *message);

#endif
