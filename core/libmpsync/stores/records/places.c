#include "store.h"

#include "base/text.h"

/*
 * Who writes when a name is free (rule 49, places instead of a herd): waiters with a place in the
 * order of their places, the others after them, spread over a window. The times follow the store's
 * speed and the number of contenders.
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
	/* Who only looks on, as a former holder does, cannot tell one contender from many. */
	watched->racing = watched->waiting;
}

static void end_race(struct records *records, struct watched_name *watched, bool own)
{
	const uint64_t now = records_now(records);
	const uint64_t after_ms = now > watched->open_at_ms ? now - watched->open_at_ms : 0;

	if (watched->open_at_ms && watched->racing) {
		rivals_seen(&watched->rivals, &records->pace, after_ms, watched->windows);
		if (own)
			rivals_unmet(&watched->rivals);
		else
			watched->rivals.unmet = 0;
	}
	watched->open_at_ms = 0;
}

/*
 * Holders keep a name for much the same time. A place that is written so shortly before the release
 * that the holder does not know of it makes the release lose a race.
 */
static uint64_t beside_release(
    const struct records *records, const struct watched_name *watched, uint64_t at_ms)
{
	const uint64_t round_ms = pace_round_ms(&records->pace);
	const uint64_t hold_ms = watched->hold_ms;
	const uint64_t from_ms = watched->held_at_ms + (hold_ms > round_ms ? hold_ms - round_ms : 0);
	const uint64_t until_ms = watched->held_at_ms + hold_ms + round_ms;

	if (at_ms < from_ms || at_ms >= until_ms)
		return at_ms;
	return until_ms;
}

static bool has_own_place(const struct watched_name *watched, const char *next)
{
	for (const struct task *task = watched->waiting; task; task = task->next)
		if (record_next_lists(next, &task->claim->digest))
			return true;
	return false;
}

static void see_places(struct records *records, struct watched_name *watched,
    const struct record *before, const struct record *record)
{
	const uint32_t taken = record_next_count(record->next);
	const bool own = has_own_place(watched, record->next) && !has_own_place(watched, before->next);

	if (record_next_count(before->next) < taken)
		end_race(records, watched, own);
	if (taken < RECORD_MOST_NEXT)
		begin_race(watched, beside_release(records, watched, records_now(records)), 1 + taken);
	else
		rivals_crowd(&watched->rivals);
}

static void see_holder(struct records *records, struct watched_name *watched,
    const struct record *before, const struct record *record)
{
	const bool own = id_equal(&record->instance, &records->instance);
	const uint64_t now = records_now(records);

	if (watched->free_at_ms > 0 && !own)
		pace_outrun(&records->pace, now - watched->free_at_ms);
	if (!before || !before->holder)
		end_race(records, watched, own);
	watched->free_at_ms = 0;
	watched->held_at_ms = now;
	begin_race(watched, beside_release(records, watched, now), 1 + record_next_count(record->next));
}

static void see_release(struct records *records, struct watched_name *watched,
    const struct record *before, const struct record *record)
{
	const uint64_t now = records_now(records);
	const uint64_t from_ms = watched->open_at_ms + pace_round_ms(&records->pace);

	if (watched->open_at_ms && watched->racing && now > from_ms)
		rivals_silent(&watched->rivals, &records->pace, now - from_ms, watched->windows);
	watched->hold_ms = (3 * watched->hold_ms + now - watched->held_at_ms) / 4;
	watched->let_go = id_equal(&before->instance, &records->instance);
	watched->free_at_ms = now;
	begin_race(watched, record && record_next_count(record->next) ? 0 : now, 1);
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
		see_holder(records, watched, before, record);
	} else if (was_held) {
		see_release(records, watched, before, record);
	}
}

void places_written(struct task *task, const struct record *record)
{
	if (task->records->backend->reserves)
		await_echo(task, record->version);
}

void places_lost(struct task *task)
{
	if (task->watched && task->watched->waiting)
		rivals_met(&task->watched->rivals);
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
	if (taken == 0 && window_ms > 0 && !task->queued && task->watched->let_go)
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
	const uint64_t from_ms = beside_release(records, watched, records_now(records));
	const uint64_t window_ms =
	    rivals_reserve_window_ms(&watched->rivals, &records->pace, record_next_count(record->next));

	return beside_release(records, watched, from_ms + random_below(records, window_ms));
}
