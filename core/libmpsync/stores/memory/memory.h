/* Locks within one process: for the unit tests of programs, and behind an elector for tests. */
#ifndef MPSYNC_STORES_MEMORY_H
#define MPSYNC_STORES_MEMORY_H

#include "net/loop.h"
#include "stores/records/records.h"

/* All clients of one name in this process share one set of locks as long as one client is open. */
struct store *memory_open(const char *name, struct loop *loop, const struct store_clock *clock);

#endif
