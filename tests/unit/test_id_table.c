#include "unit.h"

#include "elector/protocol/id_table.h"

#include <string.h>

#define COUNT 5000

/* Ids as a client may choose them: they differ in one place only. */
static void name_them(struct id_entry *entries, size_t place)
{
	memset(entries, 0, COUNT * sizeof *entries);
	for (uint32_t i = 0; i < COUNT; i++)
		memcpy(&entries[i].id.bytes[place], &i, sizeof i);
}

/* Goal: what was added is found, what was removed is not, while the table grows and has grown. */
static void test_found_until_removed(void **state)
{
	static struct id_entry entries[COUNT];
	struct id_table table;

	(void)state;
	name_them(entries, 3);
	assert_true(id_table_init(&table, &(struct id){{42}}));
	for (int i = 0; i < COUNT; i++) {
		assert_null(id_table_find(&table, &entries[i].id));
		id_table_add(&table, &entries[i]);
		assert_ptr_equal(id_table_find(&table, &entries[i / 2].id), &entries[i / 2]);
	}
	for (int i = 0; i < COUNT; i += 3)
		id_table_remove(&table, &entries[i]);
	for (int i = 0; i < COUNT; i++)
		assert_ptr_equal(id_table_find(&table, &entries[i].id), i % 3 ? &entries[i] : NULL);
	assert_int_equal(table.count, COUNT - (COUNT + 2) / 3);
	id_table_clear(&table);
}

static size_t longest_chain(const struct id_table *table)
{
	size_t longest = 0;

	for (size_t i = 0; i < table->size; i++) {
		size_t length = 0;

		for (const struct id_entry *entry = table->chains[i]; entry; entry = entry->next)
			length++;
		if (length > longest)
			longest = length;
	}
	return longest;
}

/* Goal: ids that are alike but for one place, whichever, do not share a chain. */
static void test_chosen_ids_are_spread(void **state)
{
	static struct id_entry entries[COUNT];

	(void)state;
	for (size_t place = 0; place + sizeof(uint32_t) <= sizeof(struct id); place++) {
		struct id_table table;

		name_them(entries, place);
		assert_true(id_table_init(&table, &(struct id){{1, 2, 3, 4, 5, 6, 7, 8}}));
		for (int i = 0; i < COUNT; i++)
			id_table_add(&table, &entries[i]);
		assert_in_range(longest_chain(&table), 1, 12);
		id_table_clear(&table);
	}
}

static int visited;

static void count_visit(struct id_entry *entry)
{
	assert_non_null(entry);
	visited++;
}

static void test_each_is_visited_once(void **state)
{
	static struct id_entry entries[COUNT];
	struct id_table table;

	(void)state;
	name_them(entries, 0);
	assert_true(id_table_init(&table, &(struct id){{0}}));
	for (int i = 0; i < COUNT; i++)
		id_table_add(&table, &entries[i]);
	id_table_each(&table, count_visit);
	assert_int_equal(visited, COUNT);
	id_table_clear(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_found_until_removed),
	    cmocka_unit_test(test_chosen_ids_are_spread),
	    cmocka_unit_test(test_each_is_visited_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
