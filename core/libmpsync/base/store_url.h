/* One URL that means a client's store wherever it is read: for what a program starts. */
#ifndef MPSYNC_STORE_URL_H
#define MPSYNC_STORE_URL_H

#include "url.h"

/*
 * `base`, which says where the store is, with the URL's query, and with those of `options` (all
 * layers) that say which store it is and how to get at it; paths are absolute. Owned by the caller,
 * NULL without memory.
 */
char *store_url(const char *base, const struct url *url, const struct mpsync_options *options);

#endif
