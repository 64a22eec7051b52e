/* Events of Kubernetes on an election's Lease: which Pod became leader, and which stopped leading.
 */
#ifndef MPSYNC_STORES_KUBE_EVENTS_H
#define MPSYNC_STORES_KUBE_EVENTS_H

#include "api.h"
#include "once.h"

struct kube_events;

/* `ear` is borrowed. NULL without memory. */
struct kube_events *kube_events_new(struct kube_api *api, const struct store_clock *clock,
    const struct kube_ear *ear, const char *namespace_name, const char *pod_name);
/* Before its kube_api. */
void kube_events_free(struct kube_events *events);

/* Of NULL nothing is told. */
void kube_events_tell(struct kube_events *events, const char *lease_name, const char *text);
/* Is one still under way? */
bool kube_events_finishing(const struct kube_events *events);

#endif
