/* Locks as Lease objects of Kubernetes. */
#ifndef MPSYNC_STORES_KUBERNETES_H
#define MPSYNC_STORES_KUBERNETES_H

#include "base/url.h"
#include "net/loop.h"
#include "protocol/store.h"

/*
 * `on_behalf`: an elector, which watches every name from its start (rule 25, observation outlives
 * the claim).
 */
struct store *kubernetes_open(const struct url *url, const struct mpsync_options *options,
    bool on_behalf, struct loop *loop, const struct store_clock *clock, mpsync_error *error);

#endif
