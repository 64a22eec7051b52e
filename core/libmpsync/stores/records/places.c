#include "store.h"

#include "base/text.h"

/*
 * Who writes when a name is free (rule 49): waiters with a place in the order of their places, the
 * others after them, spread over a window. The times follow the store's speed and the number of
 * contenders.
 */

static uint64_t random_below(const struct records *records, uint64_t bound)
{
	return bound ? records->store.clock.random(records->store.clock.context) % bound : 0;
}

/* ---- What is measured ---- */

/* The answer of a read that the backend gave from its cache says nothing of the store's speed. */
void places_answered(struct task *task)
{
	struct records *records = task->records;
	const uint64_t took_ms = records_now(records) - task->asked_at_ms;
	const bool read = task->phase == ATTEMPT_READ && !task->request.fresh;

	if (records->backend->reserves && !task->request.uncertain && (!read || took_ms > 0))
		pace_answered(&records->pace, took_ms);
}

/*
 * The event of this write, or of the other contender's write that won the race, is still to come.
 */
static void await_echo(struct task *task, uint64_t version)
{
	if (!task->watched || task->watched->newest_version >= version)
		return;
	task->echo_from_ms = task->asked_at_ms;
	task->echo_version = version;
}

static void hear(struct task *task, uint64_t version)
{
	if (!task || !task->echo_from_ms || version < task->echo_version)
		return;
	pace_echoed(&task->records->pace, records_now(task->records) - task->echo_from_ms);
	task->echo_from_ms = 0;
}

void places_heard(struct watched_name *watched, const struct record *record)
{
	if (!record)
		return;
	hear(watched->holding, record->version);
	for (struct task *task = watched->waiting; task; task = task->next)
		hear(task, record->version);
}

/* When all contenders without a place were allowed to write; the record has not changed since. */
static void begin_race(struct watched_name *watched, uint64_t at_ms, uint32_t windows)
{
	watched->open_at_ms = at_ms;
	watched->windows = windows;
}

static void end_race(struct records *records, struct watched_name *watched)
{
	const uint64_t now = records_now(records);
	const uint64_t after_ms = now > watched->open_at_ms ? now - watched->open_at_ms : 0;

	if (watched->open_at_ms)
		rivals_seen(&watched->rivals, &records->pace, after_ms, watched->windows);
	if (watched->open_at_ms && watched->windows == 1)
		pace_outrun(&records->pace, after_ms);
	watched->open_at_ms = 0;
}

/*
 * A holder that keeps the name for less than this is not disturbed: the place would come too late,
 * and its write would make the release lose a race.
 */
static uint64_t reserve_from_ms(const struct records *records, const struct watched_name *watched)
{
	return watched->held_at_ms + pace_round_ms(&records->pace) / 2;
}

static void see_places(struct records *records, struct watched_name *watched,
    const struct record *before, const struct record *record)
{
	const uint32_t taken = record_next_count(record->next);
	const uint64_t from_ms = reserve_from_ms(records, watched);
	const uint64_t now = records_now(records);

	if (record_next_count(before->next) < taken)
		end_race(records, watched);
	if (taken < RECORD_MOST_NEXT)
		begin_race(watched, from_ms > now ? from_ms : now, 1 + taken);
	else
		rivals_crowd(&watched->rivals);
}

void places_see(struct records *records, struct watched_name *watched, const struct record *before,
    const struct record *record)
{
	const bool held = record && record->holder;
	const bool was_held = before && before->holder;

	if (held && was_held && id_equal(&before->claim, &record->claim)) {
		if (!text_same(before->next, record->next))
			see_places(records, watched, before, record);
	} else if (held) {
		if (!was_held)
			end_race(records, watched);
		watched->held_at_ms = records_now(records);
		begin_race(watched, reserve_from_ms(records, watched), 1 + record_next_count(record->next));
	} else if (was_held) {
		begin_race(
		    watched, record && record_next_count(record->next) ? 0 : records_now(records), 1);
	}
}

void places_written(struct task *task, const struct record *record)
{
	if (task->records->backend->reserves)
		await_echo(task, record->version);
}

void places_lost(struct task *task)
{
	await_echo(task, task->request.version + 1);
}

/* ---- Writing when it is free ---- */

/* Contenders without a place write after all places, spread over a window. */
static uint64_t reserving_place_ms(const struct task *task, const struct record *record)
{
	const struct records *records = task->records;
	const uint64_t place_ms = pace_place_ms(&records->pace);
	const char *next = record ? record->next : NULL;
	const uint32_t taken = record_next_count(next);
	uint64_t window_ms = rivals_window_ms(&task->watched->rivals, &records->pace);
	uint64_t before_ms = taken * place_ms;

	if (record_next_lists(next, &task->claim->digest))
		return record_next_ahead(next, &task->claim->digest) * place_ms;
	if (taken > 0 && window_ms < place_ms)
		window_ms = place_ms;
	/*
	 * The former holder knows of its release before anybody else does, so it waits a place's time.
	 */
	if (taken == 0 && window_ms > 0 && !task->queued)
		before_ms = place_ms;
	return before_ms + rivals_hasten_ms(&records->pace, random_below(records, window_ms));
}

uint64_t places_busy_ms(struct task *task, const struct record *record)
{
	const bool reserves = task->records->backend->reserves;
	const uint64_t now = records_now(task->records);

	if (task->claim->once || (!record && !reserves))
		return 0;
	if (task->place_until_ms == 0)
		task->place_until_ms =
		    now + (reserves ? reserving_place_ms(task, record)
		                    : record->ahead * pace_place_ms(&task->records->pace));
	return now >= task->place_until_ms ? 0 : task->place_until_ms - now;
}

/* ---- Taking a place while it is held ---- */

bool places_wanted(const struct task *task, const struct record *record)
{
	const bool may = task->records->backend->reserves && !task->claim->once && !task->claim->brief;

	if (!may || !record || !record->holder)
		return false;
	return record_next_count(record->next) < RECORD_MOST_NEXT;
}

uint64_t places_reserve_at_ms(const struct task *task, const struct record *record)
{
	const struct records *records = task->records;
	const struct watched_name *watched = task->watched;
	const uint64_t now = records_now(records);
	const uint64_t from_ms = reserve_from_ms(records, watched);
	const uint64_t window_ms =
	    rivals_reserve_window_ms(&watched->rivals, &records->pace, record_next_count(record->next));

	return (from_ms > now ? from_ms : now) + random_below(records, window_ms);
}
