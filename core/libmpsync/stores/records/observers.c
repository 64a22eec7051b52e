#include "observers.h"

#include "base/container.h"
#include "base/list.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A name, and what its observer was told last. */
struct observation_node {
	char *name;
	uint64_t version;
	bool there;
};

struct observing {
	struct observing *next;
	struct store_observer *observer;
	struct observers *observers;
	struct store_query query;
	void *nodes; /* tsearch tree of struct observation_node */
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

static int compare_nodes(const void *a, const void *b)
{
	return strcmp(
	    ((const struct observation_node *)a)->name, ((const struct observation_node *)b)->name);
}

static void free_node(void *pointer)
{
	struct observation_node *node = pointer;

	free(node->name);
	free(node);
}

static struct observation_node *node_of(struct observing *observing, const char *name)
{
	struct observation_node probe = {.name = (char *)name};
	struct observation_node **found = tfind(&probe, &observing->nodes, compare_nodes);
	struct observation_node *node;

	if (found)
		return *found;
	node = calloc(1, sizeof *node);
	if (!node)
		return NULL;
	node->name = strdup(name);
	if (!node->name || !tsearch(node, &observing->nodes, compare_nodes)) {
		free_node(node);
		return NULL;
	}
	return node;
}

static void observed_lock(struct store_query *query, const struct store_lock *lock)
{
	struct observing *observing = CONTAINER_OF(query, struct observing, query);
	struct observation_node *node = lock->holder ? node_of(observing, lock->name) : NULL;

	if (!node)
		return;
	node->there = true;
	if (node->version == lock->version)
		return;
	node->version = lock->version;
	observing->observer->changed(observing->observer, lock);
}

struct gone_walk {
	struct observation_node *first_gone;
};

static void find_gone(const void *tree_node, VISIT visit, void *context)
{
	struct observation_node *node = *(struct observation_node *const *)tree_node;
	struct gone_walk *walk = context;

	if (visit == postorder || visit == leaf) {
		if (!node->there && !walk->first_gone)
			walk->first_gone = node;
	}
}

static void clear_there(const void *tree_node, VISIT visit, void *context)
{
	struct observation_node *node = *(struct observation_node *const *)tree_node;

	(void)context;
	if (visit == postorder || visit == leaf)
		node->there = false;
}

static void tell_gone(struct observing *observing)
{
	for (;;) {
		struct gone_walk walk = {0};

		twalk_r(observing->nodes, find_gone, &walk);
		if (!walk.first_gone)
			break;
		tdelete(walk.first_gone, &observing->nodes, compare_nodes);
		observing->observer->gone(observing->observer, walk.first_gone->name);
		free_node(walk.first_gone);
	}
	twalk_r(observing->nodes, clear_there, NULL);
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
		/* What it had found is no word for the next answer. */
		twalk_r(observing->nodes, clear_there, NULL);
		observing->observer->failed(observing->observer, status, message);
		return;
	}
	tell_gone(observing);
	if (!observing->synced) {
		observing->synced = true;
		observing->observer->synced(observing->observer);
	}
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
	tdestroy(observing->nodes, free_node);
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
