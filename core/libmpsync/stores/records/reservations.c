#include "task.h"

/*
 * The only write into another holder's record. It changes no field that contenders compare (rule
 * 49, places instead of a herd).
 */
static void write_next(
    struct task *task, enum phase phase, const struct record *there, const char *next)
{
	struct record_backend *backend = task->records->backend;

	task_prepare(task, phase);
	task->request.reserve = true;
	task->request.version = there->version;
	task->request.uid = there->uid;
	task->request.record = *there;
	task->request.record.next = *next ? (char *)next : NULL;
	/*
	 * Before the first renewal the token is the version that the grant was written with, which this
	 * write replaces: whoever reads the record afterwards finds the token in it.
	 */
	if (there->holder && !id_is_none(&there->claim) && !there->token)
		task->request.record.token = there->version;
	backend->ops->write(backend, &task->request);
}

/*
 * Reads the record twice, so that waiters who come together see the place that the first of them
 * wrote.
 */
bool place_reserve(struct task *task, const struct record *there, uint64_t *busy_ms)
{
	const uint64_t now = records_now(task->records);
	char next[RECORD_NEXT_SIZE];

	if (!there || !places_wanted(task, there)) {
		task->reserve_at_ms = 0;
		return false;
	}
	if (record_next_lists(there->next, &task->claim->digest)) {
		task->reserved = true;
		return false;
	}
	if (task->reserve_at_ms == 0)
		task->reserve_at_ms = places_reserve_at_ms(task, there);
	if (now < task->reserve_at_ms) {
		if (task->reserve_at_ms - now < *busy_ms)
			*busy_ms = task->reserve_at_ms - now;
		return false;
	}
	task->reserve_at_ms = 0;
	task->reserved = true;
	record_next_add(there->next, &task->claim->digest, next);
	write_next(task, RESERVE_WRITE, there, next);
	return true;
}

uint32_t place_position(const struct task *task, const struct record *record)
{
	if (!record)
		return 0;
	if (!task->records->backend->reserves)
		return record->ahead + 1;
	return record_next_lists(record->next, &task->claim->digest)
	           ? record_next_ahead(record->next, &task->claim->digest) + 1
	           : 0;
}

void place_reserved(struct task *task, enum record_result result, const struct record *record)
{
	const struct record_view view = task_view(task);

	if (result != RECORD_OK) {
		/* Another contender wrote first: read again. */
		task->reserved = false;
		places_lost(task);
		attempt_answer_busy(task, NULL, pace_place_ms(&task->records->pace));
		return;
	}
	places_written(task, record);
	watched_see(task->records, task->watched, record);
	attempt_answer_busy(task, record,
	    record_busy_ms(&task->watched->seen, record, &view, records_now(task->records)));
}

bool place_give_up(struct task *task, const struct record *record)
{
	char next[RECORD_NEXT_SIZE];

	if (!record || !record_next_lists(record->next, &task->claim->digest))
		return false;
	record_next_without(record->next, &task->claim->digest, next);
	write_next(task, UNRESERVE_WRITE, record, next);
	return true;
}

void place_given_up(struct task *task, enum record_result result, const struct record *record)
{
	(void)record;
	if (result != RECORD_OK && ++task->races < MOST_RACES)
		task_read(task, WITHDRAW_READ, true);
	else
		task_answer_freed(task);
}
