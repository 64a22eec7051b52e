/*
 * The Leases of a namespace, or one of them, as they are and as they change: a list, then a watch
 * that resumes where it broke.
 */
#ifndef MPSYNC_STORES_KUBE_WATCH_H
#define MPSYNC_STORES_KUBE_WATCH_H

#include "api.h"

struct kube_watch;

struct kube_watch_sink {
	/* An object as it is, or was when it was deleted, and the version of that. */
	void (*object)(void *context, const cJSON *object, bool deleted);
	/* A list is through: what it did not bring was not there at that version. */
	void (*listed)(void *context, uint64_t version);
	/* It can never work. It has stopped. */
	void (*refused)(void *context, const struct kube_answer *answer);
	void *context;
};

/*
 * `collection`: the path of the Leases. `object`: the only one that matters; NULL: all. From
 * `version` on, or 0: beginning with a list. A watch that has been silent for a while may be deaf:
 * its server is asked, so that it is noticed within quiet_ms. NULL without memory. Texts are
 * copied.
 */
struct kube_watch *kube_watch_new(struct kube_api *api, struct loop *loop, const char *collection,
    const char *object, uint64_t version, uint32_t quiet_ms, const struct kube_watch_sink *sink);
void kube_watch_free(struct kube_watch *watch);

/* What it told is what is there, but for what is on its way. */
bool kube_watch_is_live(const struct kube_watch *watch);

#endif
