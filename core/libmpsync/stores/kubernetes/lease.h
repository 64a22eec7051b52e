/*
 * A Lease of coordination.k8s.io/v1 as a record, and back. Field by field as client-go reads and
 * writes it, so that its leader election and ours exclude each other. Nothing here does I/O.
 */
#ifndef MPSYNC_STORES_LEASE_H
#define MPSYNC_STORES_LEASE_H

#include "protocol/record.h"

#include <cjson/cJSON.h>

#define LEASE_NAME_SIZE    254
#define LEASE_PROBLEM_SIZE 200

enum lease_write { LEASE_GRANT, LEASE_RENEWAL, LEASE_RELEASE, LEASE_PLACES };

/*
 * The name of the object that a lock is kept in: its own where that is a DNS subdomain, else a hash
 * of it. False only without memory.
 */
bool lease_object_name(const char *name, char object_name[LEASE_NAME_SIZE]);

/* The same where no more than `most` characters have a place: a longer name is hashed. */
bool lease_short_name(const char *name, size_t most, char short_name[LEASE_NAME_SIZE]);

/*
 * What an object says. `name`: of the lock that should be in it, or NULL. The record is the
 * caller's to clear. False: `problem` says why no contender may touch it.
 */
bool lease_read(
    const cJSON *object, const char *name, struct record *record, char problem[LEASE_PROBLEM_SIZE]);

/* The same of a Lease that is only shown, which may be another kind's of election. */
bool lease_look(
    const cJSON *object, const char *name, struct record *record, char problem[LEASE_PROBLEM_SIZE]);

/* The lock that an object is of: its own name, or the one beside it, of which it is the hash.
 * Borrowed; NULL: none. */
const char *lease_lock_name(const cJSON *object);

/* Where a list goes on, as it stands in a query: owned by the caller. NULL: it is at its end, or
 * there is no memory. */
char *lease_next_page(const cJSON *list);

/* An object's or a list's resourceVersion; 0: none that is a number. */
uint64_t lease_version(const cJSON *object);
/* How long its holder has it for after a renewal; 0: it has none. */
uint64_t lease_held_ms(const cJSON *object);

/* A new object. NULL without memory. */
cJSON *lease_create(const struct record *record, const char *name);

/*
 * What is to change in the object of that uid and version (RFC 7386), which keeps what others wrote
 * into it. NULL without memory.
 */
cJSON *lease_patch(
    const struct record *record, enum lease_write write, const struct id *uid, uint64_t version);

/* The body of a DELETE of nothing but that object in that version. NULL without memory. */
cJSON *lease_delete(const struct id *uid, uint64_t version);

#endif
