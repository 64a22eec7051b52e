#include "id_table.h"

#include "base/list.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_SIZE 64

/* Multiplications by two odd numbers let each bit of the id change the upper half. */
static size_t chain_of(const struct id_table *table, const struct id *id)
{
	uint64_t seeds[2];
	uint64_t halves[2];
	uint64_t mixed;

	memcpy(seeds, table->seed.bytes, sizeof seeds);
	memcpy(halves, id->bytes, sizeof halves);
	mixed = (halves[0] ^ seeds[0]) * UINT64_C(0x9e3779b97f4a7c15);
	mixed = (mixed ^ mixed >> 32 ^ halves[1] ^ seeds[1]) * UINT64_C(0xd6e8feb86659fd93);
	return (size_t)(mixed >> 32) & (table->size - 1);
}

bool id_table_init(struct id_table *table, const struct id *seed)
{
	*table = (struct id_table){
	    .chains = calloc(LEAST_SIZE, sizeof(struct id_entry *)), .size = LEAST_SIZE, .seed = *seed};
	return table->chains;
}

static struct id_entry **find_link(const struct id_table *table, const struct id *id)
{
	struct id_entry **link = &table->chains[chain_of(table, id)];

	while (*link && !id_equal(&(*link)->id, id))
		link = &(*link)->next;
	return link;
}

struct id_entry *id_table_find(const struct id_table *table, const struct id *id)
{
	return *find_link(table, id);
}

static void push(struct id_table *table, struct id_entry *entry)
{
	struct id_entry **chain = &table->chains[chain_of(table, &entry->id)];

	SINGLY_ADD(*chain, entry);
}

static void grow(struct id_table *table)
{
	const struct id_table before = *table;
	struct id_entry **chains = calloc(before.size * 2, sizeof(struct id_entry *));

	if (!chains)
		return;
	table->chains = chains;
	table->size = before.size * 2;
	for (size_t i = 0; i < before.size; i++) {
		struct id_entry *next;

		for (struct id_entry *entry = before.chains[i]; entry; entry = next) {
			next = entry->next;
			push(table, entry);
		}
	}
	free(before.chains);
}

void id_table_add(struct id_table *table, struct id_entry *entry)
{
	if (table->count >= table->size)
		grow(table);
	push(table, entry);
	table->count++;
}

void id_table_remove(struct id_table *table, const struct id_entry *entry)
{
	struct id_entry **link = find_link(table, &entry->id);

	if (*link != entry)
		return;
	*link = entry->next;
	table->count--;
}

void id_table_each(const struct id_table *table, void (*visit)(struct id_entry *entry))
{
	struct id_entry *next;

	for (size_t i = 0; table->chains && i < table->size; i++)
		for (struct id_entry *entry = table->chains[i]; entry; entry = next) {
			next = entry->next;
			visit(entry);
		}
}

void id_table_clear(struct id_table *table)
{
	free(table->chains);
	*table = (struct id_table){0};
}
