/* Things found by their id, at the same cost however many there are. */
#ifndef MPSYNC_ELECTOR_ID_TABLE_H
#define MPSYNC_ELECTOR_ID_TABLE_H

#include "base/id.h"

#include <stddef.h>

/* Stands first in what is found; its id does not change while it is in a table. */
struct id_entry {
	struct id id;
	struct id_entry *next;
};

struct id_table {
	struct id_entry **chains;
	size_t size;
	size_t count;
	struct id seed;
};

/* `seed` keeps those who choose their own ids from choosing one chain. False without memory. */
bool id_table_init(struct id_table *table, const struct id *seed);
struct id_entry *id_table_find(const struct id_table *table, const struct id *id);

/* Never fails: where there is no memory to grow, finding takes longer. The id is not there yet. */
void id_table_add(struct id_table *table, struct id_entry *entry);
void id_table_remove(struct id_table *table, const struct id_entry *entry);

/* In no particular order; `visit` may free the entry, but add and remove nothing. */
void id_table_each(const struct id_table *table, void (*visit)(struct id_entry *entry));

/* Whatever is still in it is not touched. */
void id_table_clear(struct id_table *table);

#endif
