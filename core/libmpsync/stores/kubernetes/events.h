/* Writes Events on an election's Lease: which Pod became the leader, and which stopped leading. */
#ifndef MPSYNC_STORES_KUBE_EVENTS_H
#define MPSYNC_STORES_KUBE_EVENTS_H

#include "api.h"
#include "once.h"

struct kube_events;

/* `ear` is borrowed. NULL without memory. */
struct kube_events *kube_events_new(struct kube_api *api, const struct store_clock *clock,
    const struct kube_ear *ear, const char *namespace_name, const char *pod_name);
/* To be called before the kube_api is freed. */
void kube_events_free(struct kube_events *events);

/* Writes an Event; `events` NULL: does nothing. */
void kube_events_tell(struct kube_events *events, const char *lease_name, const char *text);
/* Is the answer to an Event still to come? */
bool kube_events_finishing(const struct kube_events *events);

#endif
