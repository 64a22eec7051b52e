/* Locks that an elector keeps, over HTTP. */
#ifndef MPSYNC_STORES_ELECTOR_H
#define MPSYNC_STORES_ELECTOR_H

#include "base/url.h"
#include "net/loop.h"
#include "protocol/store.h"

struct store *elector_open(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error);

#endif
