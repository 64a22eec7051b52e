/* A hash table of things with an id: finding one costs the same however many there are. */
#ifndef MPSYNC_ELECTOR_ID_TABLE_H
#define MPSYNC_ELECTOR_ID_TABLE_H

#include "base/id.h"

#include <stddef.h>

/* The first member of what is found. Its id must not change while it is in a table. */
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

/*
 * `seed` keeps clients, who choose their own ids, from putting all of them into one chain. False
 * without memory.
 */
bool id_table_init(struct id_table *table, const struct id *seed);
struct id_entry *id_table_find(const struct id_table *table, const struct id *id);

/*
 * Never fails: without memory to grow, finding takes longer. The id must not be in the table yet.
 */
void id_table_add(struct id_table *table, struct id_entry *entry);
void id_table_remove(struct id_table *table, const struct id_entry *entry);

/* In no particular order. `visit` may free the entry, but must not add or remove any. */
void id_table_each(const struct id_table *table, void (*visit)(struct id_entry *entry));

/* Entries that are still in the table are not freed. */
void id_table_clear(struct id_table *table);

#endif
