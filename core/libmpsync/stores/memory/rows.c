#include "rows.h"

#include "base/container.h"
#include "base/text.h"

#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct row *row_of(void *name)
{
	return CONTAINER_OF(name, struct row, name);
}

struct row *rows_find(const struct rows *rows, const char *name)
{
	void **found = tfind(name, &rows->tree, text_compare);

	return found ? row_of(*found) : NULL;
}

struct row *rows_make(struct rows *rows, const char *name)
{
	struct row *row = rows_find(rows, name);

	if (row)
		return row;
	row = calloc(1, sizeof *row + strlen(name) + 1);
	if (!row)
		return NULL;
	strcpy(row->name, name);
	if (!tsearch(row->name, &rows->tree, text_compare)) {
		free(row);
		return NULL;
	}
	return row;
}

void row_clear(struct row *row)
{
	shared_text_free(row->holder);
	free(row->value);
	row->holder = NULL;
	row->value = NULL;
	row->there = false;
}

static void free_row(void *name)
{
	struct row *row = row_of(name);

	while (row->waiters) {
		struct waiter *waiter = row->waiters;

		row->waiters = waiter->next;
		free(waiter);
	}
	row_clear(row);
	free(row);
}

void rows_drop_if_idle(struct rows *rows, struct row *row)
{
	if (row->there || row->waiters)
		return;
	tdelete(row->name, &rows->tree, text_compare);
	free_row(row->name);
}

struct record row_record(const struct row *row, const struct id *boot)
{
	return (struct record){
	    .version = row->version,
	    .claim = row->claim,
	    .instance = row->instance,
	    .holder = row->holder,
	    .value = row->value,
	    .token = row->token,
	    .renewed_us = row->renewed_us,
	    .deadline_ms = row->deadline_ms,
	    .host.boot = *boot,
	    .since_ms = row->since_ms,
	    .ttl_ms = row->ttl_ms,
	    .election = row->election,
	    .revoked = row->revoked,
	};
}

bool rows_store(struct rows *rows, struct row *row, const struct record *record)
{
	char *holder = NULL;
	char *value = text_copy(record->value);

	if (record->holder)
		holder = shared_text_of(&rows->holder, record->holder);
	if ((record->value && !value) || (record->holder && !holder)) {
		free(value);
		shared_text_free(holder);
		return false;
	}
	row_clear(row);
	row->there = true;
	row->version = record->version;
	row->claim = record->claim;
	row->instance = record->instance;
	row->holder = holder;
	row->value = value;
	row->token = record->token;
	row->renewed_us = record->renewed_us;
	row->deadline_ms = record->deadline_ms;
	row->since_ms = record->since_ms;
	row->ttl_ms = record->ttl_ms;
	row->election = record->election;
	row->revoked = record->revoked;
	return true;
}

uint32_t row_count_ahead(const struct row *row, const struct id *claim)
{
	uint32_t ahead = 0;

	for (const struct waiter *waiter = row->waiters; waiter; waiter = waiter->next) {
		if (id_equal(&waiter->claim, claim))
			return ahead;
		ahead++;
	}
	return ahead;
}

void row_remove_waiter(struct row *row, const struct id *claim)
{
	struct waiter **link = &row->waiters;
	struct waiter *waiter;

	while (*link && !id_equal(&(*link)->claim, claim))
		link = &(*link)->next;
	waiter = *link;
	if (!waiter)
		return;
	*link = waiter->next;
	free(waiter);
}

void rows_clear(struct rows *rows)
{
	tdestroy(rows->tree, free_row);
	shared_text_free(rows->holder);
	*rows = (struct rows){0};
}
