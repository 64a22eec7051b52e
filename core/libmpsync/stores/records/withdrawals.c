#include "task.h"

#include "base/list.h"

static void write_release(struct task *task)
{
	struct record_backend *backend = task->records->backend;
	const struct record stored = task_record(task);

	task_prepare(task, WITHDRAW_WRITE);
	task->request.durable = true;
	if (backend->absent_is_free) {
		backend->ops->remove(backend, &task->request);
		return;
	}
	task->request.record = record_release(&stored, false);
	backend->ops->write(backend, &task->request);
}

void withdraw_read(struct task *task, enum record_result result, const struct record *record)
{
	const struct record_view view = task_view(task);

	(void)result;
	if (record_is_own(record, &view)) {
		task_take_over_version(task, record);
		write_release(task);
	} else if (!place_give_up(task, record)) {
		task_answer_freed(task);
	}
}

/*
 * A lock leaves nothing behind: its free record is removed, unless somebody waits for the name or
 * has taken it.
 */
static void remove_record(struct task *task, const struct record *record)
{
	struct record_backend *backend = task->records->backend;

	task_prepare(task, WITHDRAW_REMOVE);
	task->request.version = record->version;
	task->request.uid = record->uid;
	backend->ops->remove(backend, &task->request);
}

static void linger(struct task *task, const struct record *record)
{
	struct records *records = task->records;

	task->phase = WITHDRAW_LINGER;
	task->grant->version = record->version;
	task->grant->uid = record->uid;
	task->remove_at_ms = records_now(records) + pace_place_ms(&records->pace);
	SINGLY_ADD(records->lingering, task);
	records_arm(records);
}

void withdraw_end_linger(struct task *task)
{
	SINGLY_REMOVE_IF_THERE(task->records->lingering, task);
}

void records_remove_lingered(struct records *records)
{
	const uint64_t now = records_now(records);
	struct task *next;

	for (struct task *task = records->lingering; task; task = next) {
		next = task->next;
		if (now < task->remove_at_ms)
			continue;
		withdraw_end_linger(task);
		remove_record(
		    task, &(struct record){.version = task->grant->version, .uid = task->grant->uid});
	}
}

/* An event came meanwhile, so the record need not be read. */
static bool has_news(const struct task *task)
{
	return task_newest_version(task) > task->request.version;
}

void withdraw_written(struct task *task, enum record_result result, const struct record *record)
{
	if (result != RECORD_OK && ++task->races < MOST_RACES) {
		task_read(task, WITHDRAW_READ, !has_news(task));
		return;
	}
	if (result == RECORD_OK && record && !record->next && !task->records->backend->absent_is_free &&
	    !task->claim->election) {
		if (task->watched)
			linger(task, record);
		else
			remove_record(task, record);
		return;
	}
	task_answer_freed(task);
}

void withdraw_removed(struct task *task, enum record_result result, const struct record *record)
{
	(void)result, (void)record;
	task_answer_freed(task);
}

void withdraw_begin(struct task *task)
{
	if (task->grant->held)
		write_release(task);
	else if (task->wrote || task->reserved)
		task_read(task, WITHDRAW_READ, true);
	else
		task_answer_freed(task);
}
