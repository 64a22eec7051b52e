/* Opens the store that a URL names. */
#ifndef MPSYNC_STORES_OPEN_H
#define MPSYNC_STORES_OPEN_H

#include "base/url.h"
#include "net/loop.h"
#include "protocol/store.h"

/*
 * `options`: of all layers. `on_behalf`: the claims are those of other programs (an elector), so
 * this process's death proves nothing. NULL: the error says why.
 */
struct store *store_open(const struct url *url, const struct mpsync_options *options,
    bool on_behalf, struct loop *loop, mpsync_error *error);

#endif
