#include "observers.h"

#include "base/container.h"
#include "base/list.h"
#include "seen.h"

#include <stdlib.h>
#include <string.h>

struct observing {
	struct observing *next;
	struct store_observer *observer;
	struct observers *observers;
	struct store_query query;
	struct seen seen;
	bool synced;
	bool running;
	bool again;
	bool unanswered;
	bool unheard; /* the observer has been told that no answer comes */
};

uint64_t observed_version(uint64_t token, const char *value)
{
	uint64_t version = token;

	for (const char *c = value; c && *c; c++)
		version = (version ^ (unsigned char)*c) * 1099511628211u;
	return version;
}

static void observed_lock(struct store_query *query, const struct store_lock *lock)
{
	struct observing *observing = CONTAINER_OF(query, struct observing, query);
	struct seen_name *name = lock->holder ? seen_there(&observing->seen, lock->name) : NULL;

	if (!name || name->version == lock->version)
		return;
	name->version = lock->version;
	observing->observer->changed(observing->observer, lock);
}

static void tell_gone(void *context, const char *name)
{
	struct store_observer *observer = ((struct observing *)context)->observer;

	observer->gone(observer, name);
}

static void look(struct observing *observing);

static void looked(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct observing *observing = CONTAINER_OF(query, struct observing, query);

	observing->running = false;
	observing->unanswered = status == MPSYNC_E_UNREACHABLE;
	if (observing->unanswered && observing->observers->retry_later)
		observing->observers->retry_later(observing->observers->context);
	if (status != MPSYNC_OK && status != MPSYNC_E_NOT_HELD) {
		observing->observer->failed(observing->observer, status, message);
	} else {
		seen_sweep(&observing->seen, tell_gone, observing);
		if (!observing->synced) {
			observing->synced = true;
			observing->observer->synced(observing->observer);
		}
	}
	/* What changed while nobody answered is told by no other event. */
	if (observing->again)
		look(observing);
}

static void look(struct observing *observing)
{
	struct observers *observers = observing->observers;
	const char *name = observing->observer->name;

	observing->again = observing->running;
	if (observing->running)
		return;
	observing->running = true;
	seen_begin(
	    &observing->seen); /* what a former look has found, also in part, is no word for it */
	observing->query = (struct store_query){
	    .kind = name ? STORE_GET : STORE_LIST,
	    .name = name,
	    .prefix = "",
	    .limit = SIZE_MAX,
	    .watching = true,
	    .found = observed_lock,
	    .done = looked,
	};
	observers->query(observers->context, &observing->query);
}

void observers_add(struct observers *observers, struct store_observer *observer)
{
	struct observing *observing = calloc(1, sizeof *observing);

	if (!observing) {
		observer->failed(observer, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	observing->observer = observer;
	observing->observers = observers;
	SINGLY_ADD(observers->first, observing);
	observer->data = observing;
	look(observing);
}

void observers_remove(struct observers *observers, struct store_observer *observer)
{
	struct observing *observing = observer->data;
	if (!observing)
		return;
	SINGLY_REMOVE(observers->first, observing);
	if (observing->running && observers->query_cancel)
		observers->query_cancel(observers->context, &observing->query);
	seen_clear(&observing->seen);
	free(observing);
	observer->data = NULL;
}

void observers_clear(struct observers *observers)
{
	while (observers->first)
		observers_remove(observers, observers->first->observer);
}

void observers_changed(struct observers *observers, const char *name)
{
	struct observing *next;

	for (struct observing *observing = observers->first; observing; observing = next) {
		const char *wanted = observing->observer->name;

		next = observing->next;
		if (!name || !wanted || strcmp(name, wanted) == 0)
			look(observing);
	}
}

void observers_retry(struct observers *observers)
{
	struct observing *next;

	for (struct observing *observing = observers->first; observing; observing = next) {
		next = observing->next;
		if (observing->unanswered)
			look(observing);
	}
}

void observers_failed(
    struct observers *observers, const char *name, enum mpsync_status status, const char *message)
{
	struct observing *next;

	for (struct observing *observing = observers->first; observing; observing = next) {
		struct store_observer *observer = observing->observer;

		next = observing->next;
		if (name ? !observer->name || strcmp(name, observer->name) != 0 : observer->name != NULL)
			continue;
		/* What is forbidden now may be allowed later, so it is asked again. */
		observing->unanswered = name;
		if (name)
			observers->retry_later(observers->context);
		if (!observing->unheard)
			observer->failed(observer, status, message);
		observing->unheard = true;
	}
}
