/* The names that somebody watches, and what the API server told of each. */
#ifndef MPSYNC_STORES_KUBE_NAMES_H
#define MPSYNC_STORES_KUBE_NAMES_H

#include "api.h"
#include "stores/records/records.h"

struct kube_names;

/*
 * Tells `backend`'s records what changes; a watch that is deaf is noticed within quiet_ms. NULL
 * without memory.
 */
struct kube_names *kube_names_new(struct record_backend *backend, struct kube_api *api,
    struct loop *loop, const char *collection, uint32_t quiet_ms);
void kube_names_free(struct kube_names *names);

/* Counted. NULL: all names, from now on. One name: as soon as a read finds it held. */
void kube_names_watch(struct kube_names *names, const char *name, bool on);

/* What a read or a write found; NULL: nothing. `claim`: who asked; none: an observer. */
void kube_names_read(struct kube_names *names, const char *name, const struct record *record,
    const struct id *claim);

/* Whether a watch keeps this up to date. `record`: borrowed; NULL: nothing is there. */
bool kube_names_know(struct kube_names *names, const char *name, const struct record **record);

/* Whether every name is kept up to date, so that `each` tells what a list would. */
bool kube_names_know_all(const struct kube_names *names);
void kube_names_each(struct kube_names *names,
    void (*each)(void *context, const char *name, const struct record *record), void *context);

#endif
