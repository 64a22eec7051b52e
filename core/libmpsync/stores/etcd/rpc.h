/*
 * Calls of an etcd, each answered once, in time. rpc.c speaks etcd's gRPC; the simulation has an
 * etcd of its own.
 */
#ifndef MPSYNC_STORES_ETCD_RPC_H
#define MPSYNC_STORES_ETCD_RPC_H

#include "calls.h"

#include "base/options.h"
#include "base/url.h"
#include "net/loop.h"
#include "protocol/store.h"

struct etcd_rpc *etcd_rpc_new(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error);
void etcd_rpc_free(struct etcd_rpc *rpc);

/* `done` is called later, never from here. */
void etcd_send(struct etcd_rpc *rpc, struct etcd_call *call);
/* `done` is not called any more. Harmless when nothing is under way. */
void etcd_cancel(struct etcd_call *call);

void etcd_watch(struct etcd_rpc *rpc, struct etcd_watch *watch);
void etcd_unwatch(struct etcd_watch *watch);

/* This member has not answered in time: what comes next goes to another one, the watches too. */
void etcd_next_member(struct etcd_rpc *rpc);

#endif
