/*
 * The object that election Leases belong to, so that an uninstall deletes them too. Its kind and
 * uid are read before each of these Leases is made.
 */
#ifndef MPSYNC_STORES_KUBE_OWNER_H
#define MPSYNC_STORES_KUBE_OWNER_H

#include "api.h"
#include "base/options.h"

struct kube_owner;

/*
 * Of the option lease_owner, as apps/v1/deployments/web or v1/configmaps/web. Without the option
 * `owner` is NULL. False: the error says why.
 */
bool kube_owner_new(struct kube_owner **owner, struct kube_api *api, const char *namespace_name,
    const struct mpsync_options *options, mpsync_error *error);
void kube_owner_free(struct kube_owner *owner);

/*
 * `done` with NULL when it is known, for as long as that call lasts, else with what went wrong.
 * False, and `done` does not come: there is none, or there is no memory to ask, which
 * kube_owner_put tells.
 */
bool kube_owner_ask(struct kube_owner *owner, uint64_t timeout_ms,
    void (*done)(void *context, const struct kube_answer *problem), void *context);
/* `done` is not called for that context any more. */
void kube_owner_forget(struct kube_owner *owner, const void *context);

/* Into the Lease that is to be made. False without memory, or where the owner is not known. */
bool kube_owner_put(const struct kube_owner *owner, cJSON *lease);

#endif
