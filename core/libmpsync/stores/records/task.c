#include "task.h"

#include <assert.h>
#include <stdlib.h>

struct record_view task_view(const struct task *task)
{
	return (struct record_view){
	    .claim = task->claim->digest,
	    .instance = task->records->instance,
	    .host = task->records->backend->host,
	    .ttl_ms = task->claim->ttl_ms,
	    .absent_is_free = task->records->backend->absent_is_free,
	};
}

/* ---- Answers ---- */

void task_drop(struct task *task)
{
	struct records *records = task->records;

	task->grant->task = NULL;
	free(task->adopted_value);
	if (records->spare) {
		free(task);
		return;
	}
	*task = (struct task){.phase = IDLE};
	records->spare = task;
}

/* Nothing is known of the task but its grant. */
static bool is_at_rest(const struct task *task)
{
	return task->grant->held && !task->watched && !task->late_grant;
}

void task_answer(struct task *task, enum claim_event event, const struct claim_answer *particulars,
    const struct store_word *word)
{
	const struct store_sink *sink = &task->records->store.sink;
	struct store_claim *claim = task->claim;

	task->phase = IDLE;
	if (is_at_rest(task))
		task_drop(task);
	sink->answer(sink->engine, claim, event, particulars, word);
}

void task_answer_error(struct task *task, enum record_result result, enum mpsync_status status,
    const char *message, uint64_t retry_in_ms)
{
	task_answer(task, result == RECORD_REFUSED ? CLAIM_REFUSED : CLAIM_UNKNOWN,
	    &(struct claim_answer){.status = status, .retry_in_ms = retry_in_ms},
	    &(struct store_word){.message = message});
}

void task_answer_right(struct task *task, enum claim_event event)
{
	char *value = task->adopted_value;

	task->adopted_value = NULL;
	task->claim->value_stored = task->grant->value_version;
	task_answer(task, event,
	    &(struct claim_answer){
	        .token = task->claim->token,
	        .sent_at_ms = task->sent_at_ms,
	        .right_ms = claim_right_ms(task->claim->ttl_ms),
	        .renew_in_ms = task->records->backend->renews_often
	                           ? claim_renew_often_ms(task->claim->ttl_ms)
	                           : 0,
	        .ttl_ms = task->claim->ttl_ms,
	    },
	    &(struct store_word){.value = value});
	free(value);
}

/*
 * Is the record of another object than the one that was held? Somebody has deleted that one (rule
 * 24). The record names us all the same: it is a late create of ours, or another copy of the file
 * shows it.
 */
bool task_is_of_another_object(const struct task *task, const struct record *record)
{
	return !id_equal(&record->uid, &task->grant->uid);
}

static enum mpsync_reason reason_of(const struct task *task, const struct record *record)
{
	if (!record)
		return MPSYNC_REASON_DELETED;
	if (record->revoked)
		return MPSYNC_REASON_REVOKED;
	if (!record->holder)
		return MPSYNC_REASON_DELETED;
	if (id_equal(&record->claim, &task->claim->digest))
		return task_is_of_another_object(task, record) ? MPSYNC_REASON_DELETED
		                                               : MPSYNC_REASON_OTHER_ELECTOR;
	return MPSYNC_REASON_TAKEN;
}

static void let_go(struct task *task)
{
	task->grant->held = false;
	task->wrote = false;
	task_stop_watching(task);
}

void task_answer_gone(struct task *task, const struct record *record)
{
	let_go(task);
	task_answer(task, CLAIM_GONE, &(struct claim_answer){.reason = reason_of(task, record)}, NULL);
}

void task_answer_freed(struct task *task)
{
	let_go(task);
	task_answer(task, CLAIM_FREED, NULL, NULL);
}

/* ---- Requests ---- */

uint64_t task_newest_version(const struct task *task)
{
	const struct watched_name *watched =
	    task->watched ? task->watched : watched_find(task->records, task->claim->name);

	return watched ? watched->newest_version : 0;
}

/* A renewal is of use until its right ends; other requests are repeated. */
static uint64_t wanted_until(const struct task *task)
{
	const struct store_claim *claim = task->claim;

	return claim->right_ends_ms
	           ? claim->right_ends_ms
	           : records_now(task->records) + claim_request_timeout_ms(claim->ttl_ms);
}

void task_prepare(struct task *task, enum phase phase)
{
	task->phase = phase;
	task->asked_at_ms = records_now(task->records);
	task->request = (struct record_request){
	    .name = task->claim->name,
	    .claim = task->claim->digest,
	    .ttl_ms = task->claim->ttl_ms,
	    .until_ms = wanted_until(task),
	    .again = true,
	    .version = task->grant->version,
	    .uid = task->grant->uid,
	    .done = task_done,
	    .data = task->request.data,
	};
}

/*
 * "There is no record" has no version: if any event came meanwhile, nobody knows which of the two
 * is newer.
 */
bool task_is_overtaken(const struct task *task, const struct record *there)
{
	return !there && task_newest_version(task) != task->asked_version;
}

void task_read(struct task *task, enum phase phase, bool fresh)
{
	struct record_backend *backend = task->records->backend;

	task_prepare(task, phase);
	task->asked_version = task_newest_version(task);
	task->request.fresh = fresh;
	backend->ops->read(backend, &task->request);
}

/* The record as our last acknowledged write left it. */
struct record task_record(const struct task *task)
{
	const struct record_view view = task_view(task);
	const struct store_claim *claim = task->claim;
	struct record record = record_grant(NULL, &view, claim->holder, claim->value, claim->ttl_ms,
	    claim->election, task->sent_at_ms, task->grant->since_ms);

	record.version = task->grant->version;
	record.uid = task->grant->uid;
	record.token = claim->token;
	record.renewed_us = task->grant->renewed_us;
	return record;
}

/* The record is our own last write, perhaps one whose answer was lost: take over its version. */
void task_take_over_version(struct task *task, const struct record *record)
{
	assert(record);
	task->grant->version = record->version;
	task->grant->uid = record->uid;
	task->grant->renewed_us = record->renewed_us;
	task->grant->since_ms = record->since_ms;
	task->grant->held = true;
}

/* Only now does the value count as stored, and only the one that this very write had. */
void task_take_over_write(struct task *task, const struct record *record)
{
	task_take_over_version(task, record);
	task->grant->value_version = task->request.value_version;
}
