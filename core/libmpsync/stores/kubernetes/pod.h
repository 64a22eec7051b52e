/*
 * What others see of a leader: a label on its own Pod, so that a Service can route to it, and
 * Events. Off unless asked for.
 */
#ifndef MPSYNC_STORES_KUBE_POD_H
#define MPSYNC_STORES_KUBE_POD_H

#include "api.h"
#include "base/options.h"
#include "once.h"

struct kube_pod;

/* What it runs on, and who is told what people should know. */
struct kube_pod_host {
	struct kube_api *api;
	struct loop *loop;
	struct store_clock clock;
	struct kube_ear ear;
};

/*
 * False only without what it takes: error. `pod` is NULL where the options ask for nothing. The Pod
 * is that of POD_NAME.
 */
bool kube_pod_new(struct kube_pod **pod, const struct kube_pod_host *host,
    const char *namespace_name, const struct mpsync_options *options, mpsync_error *error);
void kube_pod_free(struct kube_pod *pod);

/* It leads, until until_ms if it is not told again before. */
void kube_pod_leads(
    struct kube_pod *pod, const char *name, const struct id *claim, uint64_t until_ms);

/* Somebody else has the name, or nobody. */
void kube_pod_lost(struct kube_pod *pod, const char *name, const struct id *claim);

/*
 * It is about to let go: `done` when nothing shows it as the leader any more, or when that cannot
 * be had. False: it is not shown, and `done` does not come.
 */
bool kube_pod_resign(
    struct kube_pod *pod, const char *name, void (*done)(void *context), void *context);
/* Is a label still to be taken off, or an Event told? */
bool kube_pod_finishing(const struct kube_pod *pod);
/* `done` is not called any more. */
void kube_pod_forget(struct kube_pod *pod, const void *context);

#endif
