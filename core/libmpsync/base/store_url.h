/* A URL that means a client's store in every folder, for the programs that this one starts. */
#ifndef MPSYNC_STORE_URL_H
#define MPSYNC_STORE_URL_H

#include "url.h"

/*
 * `base`, which says where the store is, with the query of `url`, and with those of `options` (all
 * layers) that say which store it is and how to reach it; paths become absolute. Owned by the
 * caller, NULL without memory.
 */
char *store_url(const char *base, const struct url *url, const struct mpsync_options *options);

#endif
