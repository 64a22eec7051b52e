/* The names that are watched, and what the API server told of each. */
#ifndef MPSYNC_STORES_KUBE_NAMES_H
#define MPSYNC_STORES_KUBE_NAMES_H

#include "api.h"
#include "stores/records/records.h"

struct kube_names;

/*
 * Tells the records of `backend` what changes. A watch that tells nothing any more is noticed
 * within quiet_ms. NULL without memory.
 */
struct kube_names *kube_names_new(struct record_backend *backend, struct kube_api *api,
    struct loop *loop, const char *collection, uint32_t quiet_ms);
void kube_names_free(struct kube_names *names);

/* Calls are counted. NULL: all names, from now on. One name: from when a read finds it held. */
void kube_names_watch(struct kube_names *names, const char *name, bool on);

/* What a read or a write found; NULL: nothing. `claim`: the one that asked; none: an observer. */
void kube_names_read(struct kube_names *names, const char *name, const struct record *record,
    const struct id *claim);

/* Does a watch keep this name up to date? `record` is borrowed; NULL: the name is free. */
bool kube_names_know(struct kube_names *names, const char *name, const struct record **record);

/* Is every name kept up to date? Then kube_names_each tells what a list would. */
bool kube_names_know_all(const struct kube_names *names);
void kube_names_each(struct kube_names *names,
    void (*each)(void *context, const char *name, const struct record *record), void *context);

#endif
