/* Locks in an SQLite file, for the processes of one host. */
#ifndef MPSYNC_STORES_SQLITE_H
#define MPSYNC_STORES_SQLITE_H

#include "base/options.h"
#include "net/loop.h"
#include "stores/records/records.h"

/*
 * path "": the user's own file. death_is_proof: when this process ends, others may take what it
 * holds at once; false for an elector, which holds on behalf of other processes.
 */
struct store *sqlite_open(const char *path, const struct mpsync_options *options,
    bool death_is_proof, struct loop *loop, const struct store_clock *clock, mpsync_error *error);

#endif
