/* A row for each name that is held or waited for. */
#ifndef MPSYNC_STORES_MEMORY_ROWS_H
#define MPSYNC_STORES_MEMORY_ROWS_H

#include "protocol/record.h"

struct waiter {
	struct waiter *next;
	struct id claim;
};

/* A record, without the fields that are the same for all records in memory, or never set. */
struct row {
	struct waiter *waiters; /* the first has waited longest */
	bool there;
	bool election;
	bool revoked;
	uint64_t ttl_ms;
	uint64_t version;
	struct id claim;
	struct id instance;
	char *holder; /* a shared text */
	char *value;
	uint64_t token;
	uint64_t renewed_us;
	uint64_t deadline_ms;
	int64_t since_ms;
	char name[];
};

/* All zero at first. */
struct rows {
	void *tree;   /* for tsearch: the names, which are members of struct row */
	char *holder; /* the latest holder, as a shared text */
};

/* NULL: nobody holds or waits for the name. */
struct row *rows_find(const struct rows *rows, const char *name);
/* The row of that name, made if there is none. NULL without memory. */
struct row *rows_make(struct rows *rows, const char *name);
/* False without memory: nothing has changed. */
bool rows_store(struct rows *rows, struct row *row, const struct record *record);
/* Frees the row if nobody holds or waits for its name. */
void rows_drop_if_idle(struct rows *rows, struct row *row);
void rows_clear(struct rows *rows);

/* The row of a node of the tree. */
struct row *row_of(void *name);
/* The name is free from now on. */
void row_clear(struct row *row);
/* The row as a record; the texts stay the row's. */
struct record row_record(const struct row *row, const struct id *boot);
/* How many waiters stand before that claim; all of them, if it does not wait. */
uint32_t row_count_ahead(const struct row *row, const struct id *claim);
void row_remove_waiter(struct row *row, const struct id *claim);

#endif
