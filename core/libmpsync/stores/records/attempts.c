#include "task.h"

#include <assert.h>

/*
 * A waiter asks for the record again after this time without news, or after a ttl if that is
 * longer.
 */
#define LOOK_AGAIN_MS 60000

static void write_grant(struct task *task, const struct record *there)
{
	struct record_backend *backend = task->records->backend;
	const struct record_view view = task_view(task);
	const struct store_claim *claim = task->claim;
	char next[RECORD_NEXT_SIZE] = "";

	task_prepare(task, ATTEMPT_WRITE);
	task->asked_version = task_newest_version(task);
	task->sent_at_ms = records_now(task->records);
	task->grant->since_ms = records_wall_now(task->records);
	task->wrote = true;
	task->request.record = record_grant(there, &view, claim->holder, claim->value, claim->ttl_ms,
	    claim->election, task->sent_at_ms, task->grant->since_ms);
	/* A try that gets the name between two waiters leaves them their places. */
	if (there && there->next && claim->once)
		task->request.record.next = there->next;
	else if (there && there->next)
		record_next_behind(there->next, &claim->digest, next);
	if (*next)
		task->request.record.next = next;
	task->request.grant = true;
	task->request.durable = true;
	task->request.value_version = claim->value_version;
	task->request.create = !there;
	/* A create is guarded by no version, so it must not be sent again (rules 16 and 17). */
	task->request.again = there;
	task->granting = true;
	task->request.version = there ? there->version : 0;
	task->request.uid = there ? there->uid : (struct id){{0}};
	backend->ops->write(backend, &task->request);
}

/*
 * A watch may have missed the release of a record with a ttl of years: a waiter asks once in a
 * while, however long the ttl is.
 */
static uint64_t until_next_look(struct task *task)
{
	const uint64_t now = records_now(task->records);
	const uint64_t ttl_ms = task->claim->ttl_ms;
	uint64_t *look_at_ms = &task->watched->look_at_ms;

	if (*look_at_ms == 0)
		*look_at_ms = now + (ttl_ms > LOOK_AGAIN_MS ? ttl_ms : LOOK_AGAIN_MS);
	return *look_at_ms > now ? *look_at_ms - now : 1;
}

static bool is_to_look_again(struct task *task)
{
	uint64_t *look_at_ms = &task->watched->look_at_ms;

	if (*look_at_ms == 0 || *look_at_ms > records_now(task->records))
		return false;
	*look_at_ms = 0;
	return true;
}

void attempt_answer_busy(struct task *task, const struct record *record, uint64_t busy_ms)
{
	struct record_backend *backend = task->records->backend;
	const struct store_claim *claim = task->claim;
	const uint64_t look_ms = until_next_look(task);

	if (busy_ms > look_ms)
		busy_ms = look_ms;

	if (!claim->once && !task->queued) {
		task->queued = true;
		backend->ops->enqueue(backend, claim);
	}
	task->watched->seen.planned_ms = busy_ms;
	task_answer(task, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = busy_ms},
	    &(struct store_word){
	        .holder = record ? record->holder : NULL,
	        .position = place_position(task, record),
	        .unchanged_ms = task->watched->seen.unchanged_ms,
	    });
}

/*
 * Another instance got the name for this very claim, and answers for it: all that is left to do
 * here is to let go (rule 3, write only on top of your own write).
 */
static bool is_elsewhere(const struct record *record, const struct record_view *view)
{
	return record && record->holder && id_equal(&record->claim, &view->claim) &&
	       !id_equal(&record->instance, &view->instance);
}

/*
 * A claim that is the same at each elector of an identity goes on with the grant that the former
 * elector had.
 */
static void regain(struct task *task, const struct record *there)
{
	task->claim->adopt = true;
	task_stop_watching(task);
	adopt_read(task, RECORD_OK, there);
}

static void judge(struct task *task, const struct record *record)
{
	const struct record_view view = task_view(task);
	const struct record *there = record && record->version ? record : NULL;
	uint64_t busy_ms;

	/* A try has one answer only, so it reads what the watch has told of already. */
	if (task->claim->once && watched_is_stale(task->watched, there) && ++task->races < MOST_RACES) {
		task_read(task, ATTEMPT_READ, true);
		return;
	}
	if (watched_is_stale(task->watched, there) || task_is_overtaken(task, there)) {
		attempt_answer_busy(task, NULL, pace_place_ms(&task->records->pace));
		return;
	}
	watched_see(task->records, task->watched, there);
	/*
	 * The waiter is not in the order: the disk was full when it took its place, or the file is
	 * another one. It takes a place again.
	 */
	if (record && record->unlisted)
		task->queued = false;
	if (is_elsewhere(there, &view)) {
		if (task->claim->regain)
			regain(task, there);
		else
			task_answer_gone(task, there);
		return;
	}
	busy_ms = record_busy_ms(&task->watched->seen, there, &view, records_now(task->records));
	/*
	 * A release could not be noticed without a watch, so a waiter is told why. One that waits
	 * without an end tries again.
	 */
	if (busy_ms > 0 && task->watched->unheard && !task->claim->once) {
		task_answer_error(
		    task, RECORD_REFUSED, task->watched->unheard_status, task->watched->unheard, 0);
		return;
	}
	if (busy_ms > 0) {
		task->place_until_ms = 0;
		if (!place_reserve(task, there, &busy_ms))
			attempt_answer_busy(task, record, busy_ms);
		return;
	}
	task->reserve_at_ms = 0;
	busy_ms = places_busy_ms(task, record);
	if (busy_ms > 0)
		attempt_answer_busy(task, record, busy_ms);
	else
		write_grant(task, there);
}

/*
 * After a lost race the watch tells the new record; without a watch it is read. But if the other
 * write may have been our own first copy, it is read at once.
 */
static bool awaits_news(struct task *task)
{
	const bool first = task->lost_version != task->request.version;

	task->lost_version = task->request.version;
	places_lost(task);
	task->wrote = task->late_grant;
	return first && task->queued && task->records->backend->reserves;
}

static void on_granted(struct task *task, const struct record *record)
{
	const bool reserves = task->records->backend->reserves;

	task_take_over_write(task, record);
	task->claim->token = record->version;
	places_written(task, record);
	if (reserves && (task->queued || record->next))
		task_watch_while_holding(task);
	else
		task_stop_watching(task);
	task->queued = false;
	task->reserved = false;
	task_answer_right(task, CLAIM_GRANTED);
}

void attempt_written(struct task *task, enum record_result result, const struct record *record)
{
	task->granting = false;
	if (result == RECORD_OK) {
		assert(record);
		on_granted(task, record);
	} else if (++task->races < MOST_RACES && result == RECORD_ABSENT) {
		judge(task, NULL);
	} else if (!task->request.uncertain && awaits_news(task)) {
		attempt_answer_busy(task, NULL, pace_place_ms(&task->records->pace));
	} else if (task->races < MOST_RACES) {
		task_read(task, ATTEMPT_READ, true);
	} else {
		task->races = 0;
		attempt_answer_busy(task, NULL, pace_place_ms(&task->records->pace));
	}
}

void attempt_read(struct task *task, enum record_result result, const struct record *record)
{
	(void)result;
	judge(task, record);
}

void attempt_begin(struct task *task)
{
	task_read(task, ATTEMPT_READ, is_to_look_again(task) || task->wrote);
}
