#include "store.h"

#include "base/list.h"
#include "base/text.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/*
 * A contended name is watched a little longer after the last waiter has left: a waiter may come
 * back.
 */
#define CONTENDED_LINGER_MS 2000
/* How many names each attempt looks at, to end the watching of those that nobody needs any more. */
#define SWEEP_AT_ONCE 4
/*
 * When a lock's record counts as litter: its holder has crashed, nobody asks for the name, and it
 * has not changed for so long (rule 26, litter is removed).
 */
#define LITTER_MS   3600000
#define LITTER_TTLS 10

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct watched_name *)a)->name, ((const struct watched_name *)b)->name);
}

struct watched_name *watched_find(struct records *records, const char *name)
{
	struct watched_name probe = {.name = (char *)name};
	struct watched_name **found = tfind(&probe, &records->names, compare_names);

	return found ? *found : NULL;
}

static void free_watched(void *node)
{
	struct watched_name *watched = node;

	record_clear(&watched->last);
	free(watched->unheard);
	free(watched->name);
	free(watched);
}

struct watched_name *watched_make(struct records *records, const char *name)
{
	struct watched_name *watched = watched_find(records, name);

	if (watched)
		return watched;
	watched = records->spare_watched ? records->spare_watched : calloc(1, sizeof *watched);
	records->spare_watched = NULL;
	if (!watched)
		return NULL;
	watched->name = strdup(name);
	if (!watched->name || !tsearch(watched, &records->names, compare_names)) {
		free_watched(watched);
		return NULL;
	}
	DOUBLY_ADD(records->watched, watched);
	records->backend->ops->watch(records->backend, watched->name, true);
	return watched;
}

static void drop_watched(struct records *records, struct watched_name *watched)
{
	if (records->spare_watched) {
		free_watched(watched);
		return;
	}
	record_clear(&watched->last);
	free(watched->unheard);
	free(watched->name);
	*watched = (struct watched_name){.users = 0};
	records->spare_watched = watched;
}

/*
 * On the same kernel the record's own deadline says when it ends; elsewhere only watching shows
 * that it does not change.
 */
static bool worth_watching(const struct records *records, const struct watched_name *watched)
{
	return watched->seen.state > SEEN_FREE &&
	       (id_is_none(&records->backend->host.boot) || !watched->has_last ||
	           !id_equal(&records->backend->host.boot, &watched->last.host.boot));
}

/*
 * What was seen is kept, so that a later waiter need not observe it again (rule 25, observation
 * outlives the claim), and so that litter is found.
 */
static bool is_to_be_remembered(const struct records *records, const struct watched_name *watched)
{
	return records->backend->sees_all &&
	       (watched->seen.state == SEEN_HELD || watched->seen.state == SEEN_REVOKED ||
	           (watched->has_last && !watched->last.election));
}

void watched_drop_if_idle(struct records *records, struct watched_name *watched)
{
	if (watched->users > 0 || records_now(records) < watched->linger_until_ms ||
	    dead_grants_await(records, watched) || is_to_be_remembered(records, watched))
		return;
	records->backend->ops->watch(records->backend, watched->name, false);
	if (records->cursor == watched)
		records->cursor = watched->next;
	if (records->sweep == watched)
		records->sweep = watched->next;
	DOUBLY_REMOVE(records->watched, watched);
	tdelete(watched, &records->names, compare_names);
	drop_watched(records, watched);
}

/* ---- Those who wait for it, or hold it ---- */

/* Where watching costs the service something, a timer ends it instead of the next attempt. */
static void plan_sweep(struct records *records, const struct watched_name *watched)
{
	if (!records->backend->reserves || watched->linger_until_ms <= records_now(records) ||
	    watched->linger_until_ms >= records->sweep_at_ms)
		return;
	records->sweep_at_ms = watched->linger_until_ms;
	records_arm(records);
}

static void leave_line(struct watched_name *watched, struct task *task)
{
	SINGLY_REMOVE_IF_THERE(watched->waiting, task);
}

/* The task needs nothing of the name any more. */
void task_stop_watching(struct task *task)
{
	struct watched_name *watched = task->watched;

	if (!watched)
		return;
	leave_line(watched, task);
	if (watched->holding == task)
		watched->holding = NULL;
	task->watched = NULL;
	watched->users--;
	plan_sweep(task->records, watched);
	watched_drop_if_idle(task->records, watched);
}

static bool watch(struct task *task)
{
	if (task->watched)
		return true;
	task->watched = watched_make(task->records, task->claim->name);
	if (task->watched)
		task->watched->users++;
	return task->watched;
}

/*
 * Other contenders write their places into a held record: the holder follows them, so that its next
 * write is not a lost race.
 */
void task_watch_while_holding(struct task *task)
{
	if (!watch(task))
		return;
	leave_line(task->watched, task);
	task->watched->holding = task;
}

bool task_start_waiting(struct task *task)
{
	if (task->watched)
		return true;
	if (!watch(task))
		return false;
	SINGLY_ADD(task->watched->waiting, task);
	return true;
}

/* ---- What is seen of it ---- */

bool watched_is_stale(const struct watched_name *watched, const struct record *record)
{
	return record && record->version < watched->newest_version;
}

static uint64_t linger_until(
    const struct records *records, const struct watched_name *watched, const struct record *record)
{
	const uint64_t now = records_now(records);
	const uint64_t ttl_ms =
	    watched->seen.ttl_ms < STORE_LONGEST_TTL_MS ? watched->seen.ttl_ms : STORE_LONGEST_TTL_MS;

	/* A record whose ttl is years is not watched for years without anybody who waits. */
	if (worth_watching(records, watched))
		return now - watched->seen.unchanged_ms + 2 * ttl_ms;
	return rivals_window_ms(&watched->rivals, &records->pace) > 0 || (record && record->next)
	           ? now + CONTENDED_LINGER_MS
	           : 0;
}

void watched_see(struct records *records, struct watched_name *watched, const struct record *record)
{
	const struct record_view view = {.absent_is_free = records->backend->absent_is_free};
	const struct record *before = watched->has_last ? &watched->last : NULL;

	if (watched_is_stale(watched, record))
		return;
	if (record)
		watched->newest_version = record->version;
	record_observe(&watched->seen, before, record, &view, records_now(records));
	places_see(records, watched, before, record);
	if (record && before && record_same_holding(before, record) &&
	    text_same(before->next, record->next)) {
		watched->last.version = record->version;
		watched->last.deadline_ms = record->deadline_ms;
	} else {
		if (watched->has_last)
			record_clear(&watched->last);
		watched->has_last = record && record_copy(&watched->last, record);
	}
	watched->linger_until_ms = linger_until(records, watched, record);
}

/* Whatever a read was for, it is an observation for those who wait. */
void watched_note(struct records *records, const char *name, const struct record *there)
{
	struct watched_name *watched = watched_find(records, name);

	if (watched)
		watched_see(records, watched, there);
}

/* ---- Names that nobody is interested in any more ---- */

/* Names are swept a few at a time, with each attempt, so that lingering needs no timer. */
void watched_sweep_some(struct records *records)
{
	for (int i = 0; i < SWEEP_AT_ONCE; i++) {
		struct watched_name *watched = records->sweep ? records->sweep : records->watched;

		if (!watched)
			return;
		records->sweep = watched->next;
		watched_drop_if_idle(records, watched);
	}
}

void watched_sweep_all(struct records *records)
{
	struct watched_name *next;

	records->sweep_at_ms = CLAIM_NEVER;
	for (struct watched_name *watched = records->watched; watched; watched = next) {
		next = watched->next;
		if (watched->users == 0)
			plan_sweep(records, watched);
		watched_drop_if_idle(records, watched);
	}
}

/*
 * Only a lock's record can be litter: an election's stays. And only a record that names its kind is
 * ours.
 */
static bool is_litter(const struct records *records, struct watched_name *watched)
{
	const struct record_view view = {.absent_is_free = records->backend->absent_is_free};
	const uint64_t now = records_now(records);
	struct observation *seen = &watched->seen;
	uint64_t least_ms;

	if (!watched->has_last || watched->last.election || watched->users > 0)
		return false;
	if (seen->state == SEEN_FREE)
		return now - seen->last_ms > LITTER_MS;
	record_observe(seen, &watched->last, &watched->last, &view, now);
	least_ms = seen->ttl_ms * LITTER_TTLS;
	return seen->unchanged_ms > (least_ms > LITTER_MS ? least_ms : LITTER_MS);
}

void watched_remove_litter(struct records *records)
{
	struct watched_name *next;

	for (struct watched_name *watched = records->watched; watched; watched = next) {
		next = watched->next;
		if (is_litter(records, watched))
			errand_remove(records, watched->name, &watched->last);
		else
			watched_drop_if_idle(records, watched);
	}
}

void watched_clear(struct records *records)
{
	tdestroy(records->names, free_watched);
	free(records->spare_watched);
}
