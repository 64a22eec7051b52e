/*
 * Converts Leases of coordination.k8s.io/v1 to records and back, field by field as client-go reads
 * and writes them, so that its leader election and ours exclude each other. Nothing here does I/O.
 */
#ifndef MPSYNC_STORES_LEASE_H
#define MPSYNC_STORES_LEASE_H

#include "protocol/record.h"

#include <cjson/cJSON.h>

#define LEASE_NAME_SIZE    254
#define LEASE_PROBLEM_SIZE 200

enum lease_write { LEASE_GRANT, LEASE_RENEWAL, LEASE_RELEASE, LEASE_PLACES };

/*
 * The name of the Lease for a lock: the lock's own name if it is a DNS subdomain, else a hash of
 * it. False without memory.
 */
bool lease_object_name(const char *name, char object_name[LEASE_NAME_SIZE]);

/* Likewise for a place of at most `most` characters: a longer name is hashed. */
bool lease_short_name(const char *name, size_t most, char short_name[LEASE_NAME_SIZE]);

/*
 * Reads a Lease. `name`: the lock's that it should be of, or NULL. The caller clears the record.
 * False: no contender may touch the Lease, and `problem` says why.
 */
bool lease_read(
    const cJSON *object, const char *name, struct record *record, char problem[LEASE_PROBLEM_SIZE]);

/* Likewise for a Lease that is only shown; it may belong to another kind of election. */
bool lease_look(
    const cJSON *object, const char *name, struct record *record, char problem[LEASE_PROBLEM_SIZE]);

/*
 * The lock that a Lease is of: the Lease's own name, or the annotated name of which that is the
 * hash. Borrowed; NULL: of none.
 */
const char *lease_lock_name(const cJSON *object);

/*
 * Where a list continues, as it stands in a query; owned by the caller. NULL: the list has ended,
 * or there is no memory.
 */
char *lease_next_page(const cJSON *list);

/* The resourceVersion of an object or a list; 0: it is not a number. */
uint64_t lease_version(const cJSON *object);
/* How long the holder keeps the Lease after a renewal; 0: it has no holder. */
uint64_t lease_held_ms(const cJSON *object);

/* A new object. NULL without memory. */
cJSON *lease_create(const struct record *record, const char *name);

/*
 * The changes to the Lease of that uid and version, as a merge patch (RFC 7386), which keeps what
 * others wrote into it. NULL without memory.
 */
cJSON *lease_patch(
    const struct record *record, enum lease_write write, const struct id *uid, uint64_t version);

/* The body of a DELETE for this Lease in this version only. NULL without memory. */
cJSON *lease_delete(const struct id *uid, uint64_t version);

#endif
