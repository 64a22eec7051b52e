#include "task.h"

#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(const struct task *task)
{
	return task->claim->value ? task->claim->value : task->adopted_value;
}

static void write_renewal(struct task *task, enum phase phase)
{
	struct record_backend *backend = task->records->backend;
	const struct record_view view = task_view(task);
	const struct store_claim *claim = task->claim;
	const struct record stored = task_record(task);

	task_prepare(task, phase);
	task->sent_at_ms = records_now(task->records);
	/* An adoption may bring a new value. */
	task->request.durable = task->grant->value_version != claim->value_version ||
	                        (phase == ADOPT_WRITE && claim->value);
	task->request.renewal = phase == RENEW_WRITE && !task->request.durable;
	task->request.value_version = claim->value_version;
	task->request.record = record_renewal(&stored, &view, value_of(task), claim->token,
	    task->sent_at_ms, records_wall_now(task->records));
	backend->ops->write(backend, &task->request);
}

void adopt_read(struct task *task, enum record_result result, const struct record *record)
{
	(void)result;
	if (task->claim->regain && record)
		task->claim->token = record->token ? record->token : record->version;
	if (!record_is_grant(record, &task->claim->digest, task->claim->token)) {
		task_answer_gone(task, record);
		return;
	}
	assert(record);
	/*
	 * The holder may believe for the stored ttl: a shorter one would let others in too early (rule
	 * 21, the ttl of a grant is fixed).
	 */
	if (task->claim->any_ttl && record->ttl_ms <= STORE_LONGEST_TTL_MS)
		task->claim->ttl_ms = (uint32_t)record->ttl_ms;
	if (record->ttl_ms != task->claim->ttl_ms) {
		task_answer_error(task, RECORD_REFUSED, MPSYNC_E_INVALID, STORE_TTL_IS_FIXED, 0);
		return;
	}
	task_take_over_version(task, record);
	task->wrote = true;
	free(task->adopted_value);
	task->adopted_value = text_copy(record->value);
	write_renewal(task, ADOPT_WRITE);
}

void renew_read(struct task *task, enum record_result result, const struct record *record)
{
	const struct record_view view = task_view(task);

	(void)result;
	if (!record_is_own(record, &view) || task_is_of_another_object(task, record)) {
		task_answer_gone(task, record);
		return;
	}
	/*
	 * Somebody annotated the record, or it is our own write whose answer was lost. Either way only
	 * a new write counts (rule 24, a conflict is not a loss).
	 */
	task_take_over_version(task, record);
	if (record->next)
		task_watch_while_holding(task);
	write_renewal(task, RENEW_WRITE);
}

void renew_written(struct task *task, enum record_result result, const struct record *record)
{
	const bool adopts = task->phase == ADOPT_WRITE;

	/* Contenders cannot see this write (rule 18, a write that changes nothing renews nothing). */
	if (result == RECORD_OK && record && record->version != task->grant->version) {
		task_take_over_write(task, record);
		task_answer_right(task, adopts ? CLAIM_GRANTED : CLAIM_RENEWED);
	} else if (++task->races < MOST_RACES) {
		task_read(task, adopts ? ADOPT_READ : RENEW_READ, true);
	} else {
		task->races = 0;
		task_answer_error(task, RECORD_UNKNOWN, MPSYNC_E_UNREACHABLE,
		    "the record changed under each of our writes; trying again", 0);
	}
}

void renew_begin(struct task *task)
{
	write_renewal(task, RENEW_WRITE);
}
