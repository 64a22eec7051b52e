/*
 * Shows others who leads: a label on the leader's own Pod, so that a Service can route to it, and
 * Events. Off unless an option asks for it.
 */
#ifndef MPSYNC_STORES_KUBE_POD_H
#define MPSYNC_STORES_KUBE_POD_H

#include "api.h"
#include "base/options.h"
#include "once.h"

struct kube_pod;

/* What this needs of its store, and who is told what people should know. */
struct kube_pod_host {
	struct kube_api *api;
	struct loop *loop;
	struct store_clock clock;
	struct kube_ear ear;
};

/*
 * The Pod is that of POD_NAME. `pod` is NULL where no option asks for anything. False: the error
 * says what is missing.
 */
bool kube_pod_new(struct kube_pod **pod, const struct kube_pod_host *host,
    const char *namespace_name, const struct mpsync_options *options, mpsync_error *error);
void kube_pod_free(struct kube_pod *pod);

/* This Pod leads, until until_ms unless this is called again before. */
void kube_pod_leads(
    struct kube_pod *pod, const char *name, const struct id *claim, uint64_t until_ms);

/* Another leads, or nobody. */
void kube_pod_lost(struct kube_pod *pod, const char *name, const struct id *claim);

/*
 * The leader is about to release: `done` is called when nothing shows it as the leader any more, or
 * when that cannot be reached. False: nothing shows it, and `done` is not called.
 */
bool kube_pod_resign(
    struct kube_pod *pod, const char *name, void (*done)(void *context), void *context);
/* Is a label still to be removed, or an Event to be written? */
bool kube_pod_finishing(const struct kube_pod *pod);
/* `done` is not called for that context any more. */
void kube_pod_forget(struct kube_pod *pod, const void *context);

#endif
