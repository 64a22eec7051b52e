/*
 * The etcd store. It follows the recipe of etcd's own client, so that mutexes and elections of that
 * client take turns with locks of this library.
 */
#ifndef MPSYNC_STORES_ETCD_H
#define MPSYNC_STORES_ETCD_H

#include "base/url.h"
#include "net/loop.h"
#include "protocol/store.h"

struct store *etcd_open(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error);

#endif
