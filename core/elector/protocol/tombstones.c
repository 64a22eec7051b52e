#include "tombstones.h"

#include <stdlib.h>

/* The oldest tombstone goes when there are more than this, or after this time. */
#define MOST_TOMBSTONES 65536
#define TOMBSTONE_MS    (10 * 60 * 1000)

struct tombstone {
	struct id_entry entry; /* by the claim's id */
	uint64_t until_ms;
};

bool tombstones_init(struct tombstones *tombstones, const struct id *seed)
{
	*tombstones = (struct tombstones){.ring = calloc(MOST_TOMBSTONES, sizeof *tombstones->ring)};
	return tombstones->ring && id_table_init(&tombstones->index, seed);
}

void tombstones_bury(struct tombstones *tombstones, const struct id *claim, uint64_t now_ms)
{
	struct tombstone *stone = &tombstones->ring[tombstones->next];

	if (id_table_find(&tombstones->index, claim))
		return;
	if (stone->until_ms)
		id_table_remove(&tombstones->index, &stone->entry);
	stone->entry.id = *claim;
	stone->until_ms = now_ms + TOMBSTONE_MS;
	id_table_add(&tombstones->index, &stone->entry);
	tombstones->next = (tombstones->next + 1) % MOST_TOMBSTONES;
}

bool tombstones_have(const struct tombstones *tombstones, const struct id *claim, uint64_t now_ms)
{
	const struct tombstone *stone = (struct tombstone *)id_table_find(&tombstones->index, claim);

	return stone && now_ms < stone->until_ms;
}

void tombstones_clear(struct tombstones *tombstones)
{
	id_table_clear(&tombstones->index);
	free(tombstones->ring);
}
