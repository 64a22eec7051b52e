/* Claims that have ended: a late request for one of them must not bring it back (rule 12). */
#ifndef MPSYNC_ELECTOR_TOMBSTONES_H
#define MPSYNC_ELECTOR_TOMBSTONES_H

#include "id_table.h"

struct tombstone;

struct tombstones {
	struct tombstone *ring;
	size_t next;
	struct id_table index; /* of those in the ring */
};

/* False without memory, which nothing needs later. To be cleared also then. */
bool tombstones_init(struct tombstones *tombstones, const struct id *seed);
void tombstones_bury(struct tombstones *tombstones, const struct id *claim, uint64_t now_ms);
bool tombstones_have(const struct tombstones *tombstones, const struct id *claim, uint64_t now_ms);
void tombstones_clear(struct tombstones *tombstones);

#endif
