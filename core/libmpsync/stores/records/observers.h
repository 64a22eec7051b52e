/*
 * Observers of a store that can only be queried: each change makes a query, and the differences are
 * told.
 */
#ifndef MPSYNC_STORES_OBSERVERS_H
#define MPSYNC_STORES_OBSERVERS_H

#include "protocol/store.h"

struct observing;

/* All zero but the callbacks while nobody observes. */
struct observers {
	struct observing *first;
	/* A query LIST or GET; `done` is called at once or later. */
	void (*query)(void *context, struct store_query *query);
	void (*query_cancel)(void *context, struct store_query *query); /* NULL: `done` comes at once */
	/*
	 * The store did not answer a query: call observers_retry after a while. NULL: the store always
	 * answers.
	 */
	void (*retry_later)(void *context);
	void *context;
};

/* A lock's `version`: another one for each grant, and for each value of it. */
uint64_t observed_version(uint64_t token, const char *value);

/* Queries at once, and tells `synced` with the answer. */
void observers_add(struct observers *observers, struct store_observer *observer);
void observers_remove(struct observers *observers, struct store_observer *observer);
void observers_clear(struct observers *observers);

/* Repeats the queries that had no answer. */
void observers_retry(struct observers *observers);

/* The name changed; NULL: any name may have changed. */
void observers_changed(struct observers *observers, const char *name);

/* Changes of this name (NULL: of all names) cannot be noticed, and why. */
void observers_failed(
    struct observers *observers, const char *name, enum mpsync_status status, const char *message);

#endif
