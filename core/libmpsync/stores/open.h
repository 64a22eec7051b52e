/* From a URL to its store. */
#ifndef MPSYNC_STORES_OPEN_H
#define MPSYNC_STORES_OPEN_H

#include "base/url.h"
#include "net/loop.h"
#include "protocol/store.h"

/*
 * options: all layers. on_behalf: the claims are other programs', so this process's death proves
 * nothing (an elector). NULL: error says why.
 */
struct store *store_open(const struct url *url, const struct mpsync_options *options,
    bool on_behalf, struct loop *loop, mpsync_error *error);

#endif
