/*
 * Follows the Leases of a namespace, or one of them: a list, then a watch that resumes where it
 * broke off.
 */
#ifndef MPSYNC_STORES_KUBE_WATCH_H
#define MPSYNC_STORES_KUBE_WATCH_H

#include "api.h"

struct kube_watch;

struct kube_watch_sink {
	/* An object in its present state and version, or as it was when it was deleted. */
	void (*object)(void *context, const cJSON *object, bool deleted);
	/* A list is complete: objects that it did not bring did not exist at that version. */
	void (*listed)(void *context, uint64_t version);
	/* The watch can never work, and has stopped. */
	void (*refused)(void *context, const struct kube_answer *answer);
	void *context;
};

/*
 * `collection`: the path of the Leases. `object`: the only one to follow; NULL: all. `version`:
 * where to start; 0: with a list. A silent watch may have lost its connection: the server is asked
 * now and then, so that the loss is noticed within quiet_ms. NULL without memory. Texts are copied.
 */
struct kube_watch *kube_watch_new(struct kube_api *api, struct loop *loop, const char *collection,
    const char *object, uint64_t version, uint32_t quiet_ms, const struct kube_watch_sink *sink);
void kube_watch_free(struct kube_watch *watch);

/* Is what the watch told the present state, except for events that are still on their way? */
bool kube_watch_is_live(const struct kube_watch *watch);

#endif
