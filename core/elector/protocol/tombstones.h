/*
 * Claims that have ended. A late request for such a claim must not bring it back (rule 12, what has
 * ended stays ended).
 */
#ifndef MPSYNC_ELECTOR_TOMBSTONES_H
#define MPSYNC_ELECTOR_TOMBSTONES_H

#include "id_table.h"

struct tombstone;

struct tombstones {
	struct tombstone *ring;
	size_t next;
	struct id_table index; /* finds the ring's tombstones by claim */
};

/* False without memory; nothing needs memory later. tombstones_clear is needed even then. */
bool tombstones_init(struct tombstones *tombstones, const struct id *seed);
void tombstones_bury(struct tombstones *tombstones, const struct id *claim, uint64_t now_ms);
bool tombstones_have(const struct tombstones *tombstones, const struct id *claim, uint64_t now_ms);
void tombstones_clear(struct tombstones *tombstones);

#endif
