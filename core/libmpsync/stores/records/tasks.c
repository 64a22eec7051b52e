#include "task.h"

#include "base/container.h"

#include <assert.h>
#include <stdlib.h>

/* What a request that cannot succeed leads to: is there more to do than to let go? */
enum failure {
	IS_TOLD,
	IS_TOLD_IF_WROTE, /* a grant may be stored */
	/*
	 * A record that is left over, or a place that nobody takes, costs others a moment only: that is
	 * no reason to try again.
	 */
	IS_THE_END,
};

/* For each phase the function that handles its answer, and what to do if the request fails. */
static const struct phase_rules {
	void (*answered)(struct task *task, enum record_result result, const struct record *record);
	enum failure failure;
	bool noted; /* a record that was read is news; a place in a queue is no record */
} rules[] = {
    [ATTEMPT_READ] = {attempt_read, IS_TOLD, false},
    [ATTEMPT_WRITE] = {attempt_written, IS_TOLD, false},
    [RESERVE_WRITE] = {place_reserved, IS_TOLD, false},
    [ADOPT_READ] = {adopt_read, IS_TOLD, true},
    [ADOPT_WRITE] = {renew_written, IS_TOLD, false},
    [RENEW_WRITE] = {renew_written, IS_TOLD, false},
    [RENEW_READ] = {renew_read, IS_TOLD, true},
    [WITHDRAW_WRITE] = {withdraw_written, IS_TOLD, false},
    [WITHDRAW_READ] = {withdraw_read, IS_TOLD_IF_WROTE, true},
    [WITHDRAW_REMOVE] = {withdraw_removed, IS_THE_END, false},
    [UNRESERVE_WRITE] = {place_given_up, IS_THE_END, false},
};

/* May the grant that was asked for appear later? */
static bool may_come_late(const struct task *task, enum record_result result)
{
	return task->granting &&
	       (result == RECORD_UNKNOWN || (task->request.uncertain && result == RECORD_REFUSED));
}

/*
 * A claim that is to adopt a held record remembers having seen it: when the record vanishes, the
 * name is not free (rule 17, a deletion is not a release).
 */
static void note(const struct task *task, const struct record *there)
{
	if (task->phase == ADOPT_READ && there && there->holder)
		watched_make(task->records, task->claim->name);
	watched_note(task->records, task->claim->name, there);
}

static void take_failure(struct task *task, enum record_result result, enum mpsync_status status,
    const char *message, uint64_t retry_in_ms)
{
	const enum failure failure = rules[task->phase].failure;

	if (failure == IS_THE_END || (failure == IS_TOLD_IF_WROTE && !task->wrote)) {
		task_answer_freed(task);
		return;
	}
	task->granting = false;
	task_answer_error(task, result, status, message, retry_in_ms);
}

void task_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct task *task = CONTAINER_OF(request, struct task, request);
	const struct phase_rules *rule = &rules[task->phase];
	const struct record *there = record && record->version ? record : NULL;

	task->late_grant |= may_come_late(task, result);
	if (result == RECORD_REFUSED || result == RECORD_UNKNOWN) {
		take_failure(task, result, status, message, retry_in_ms);
		return;
	}
	assert(rule->answered);
	places_answered(task);
	if (rule->noted && result != RECORD_CONFLICT && !task_is_overtaken(task, there))
		note(task, there);
	rule->answered(task, result, rule->noted ? there : record);
}

/* ---- The store contract ---- */

/* NULL without memory. */
static struct task *task_of(struct records *records, struct store_claim *claim)
{
	struct grant *grant = store_claim_data(claim);
	struct task *task;

	if (grant->task)
		return grant->task;
	task = records->spare ? records->spare : calloc(1, sizeof *task);
	records->spare = NULL;
	if (!task)
		return NULL;
	task->records = records;
	task->claim = claim;
	task->grant = grant;
	task->late_grant = !grant->held && dead_grants_take_back(records, claim);
	task->wrote = grant->held || task->late_grant;
	grant->task = task;
	return task;
}

static void no_memory(struct records *records, struct store_claim *claim, enum claim_event event)
{
	records->store.sink.answer(records->store.sink.engine, claim, event,
	    &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY},
	    &(struct store_word){.message = "out of memory"});
}

void records_attempt(struct store *store, struct store_claim *claim)
{
	struct records *records = records_of(store);
	struct task *task = task_of(records, claim);

	if (!task) {
		no_memory(records, claim, CLAIM_REFUSED);
		return;
	}
	task->races = 0;
	if (claim->adopt) {
		task_read(task, ADOPT_READ, true);
	} else if (task_start_waiting(task)) {
		watched_sweep_some(records);
		attempt_begin(task);
	} else {
		no_memory(records, claim, CLAIM_REFUSED);
	}
}

void records_renew(struct store *store, struct store_claim *const *claims, size_t count)
{
	struct record_backend *backend = records_of(store)->backend;

	backend->ops->batch_begin(backend);
	for (size_t i = 0; i < count; i++) {
		struct task *task = task_of(records_of(store), claims[i]);

		if (task) {
			task->races = 0;
			renew_begin(task);
		} else {
			no_memory(records_of(store), claims[i], CLAIM_UNKNOWN);
		}
	}
	backend->ops->batch_end(backend);
}

void records_withdraw(struct store *store, struct store_claim *claim)
{
	struct records *records = records_of(store);
	struct task *task = task_of(records, claim);

	if (!task) {
		no_memory(records, claim, CLAIM_REFUSED);
		return;
	}
	task->races = 0;
	if (task->queued)
		records->backend->ops->dequeue(records->backend, claim);
	task->queued = false;
	if (!task->grant->held)
		task_stop_watching(task);
	withdraw_begin(task);
}

static void forget_task(struct records *records, struct task *task)
{
	if (task->phase == WITHDRAW_LINGER)
		withdraw_end_linger(task);
	else if (task->phase != IDLE)
		records->backend->ops->cancel(records->backend, &task->request);
	if (task->queued)
		records->backend->ops->dequeue(records->backend, task->claim);
	dead_grants_remember(task);
	task_stop_watching(task);
	task_drop(task);
}

void records_forget(struct store *store, struct store_claim *claim)
{
	const struct grant *grant = store_claim_data(claim);

	if (grant->task)
		forget_task(records_of(store), grant->task);
}

/* ---- What is seen meanwhile ---- */

/* Waiters that may write attempt again; the others wait until the time that they know of. */
void records_wake_waiting(struct records *records, struct watched_name *watched, bool known)
{
	const struct store_sink *sink = &records->store.sink;
	struct task *next;

	for (struct task *task = watched->waiting; task; task = next) {
		const struct record_view view = task_view(task);
		const struct record *last = watched->has_last ? &watched->last : NULL;

		next = task->next;
		/* The place counts from the next time that the name is free. */
		if (last && last->holder)
			task->place_until_ms = 0;
		if (task->phase != IDLE || !known || places_wanted(task, last) ||
		    record_busy_ms(&watched->seen, last, &view, records_now(records)) == 0)
			sink->answer(sink->engine, task->claim, CLAIM_CHANGED, NULL, NULL);
	}
}

/* Only where no request is under way: an answer would bring the same news. */
void records_keep_up(struct watched_name *watched, const struct record *record)
{
	struct task *task = watched->holding;
	struct record_view view;

	if (task && task->phase == WITHDRAW_LINGER &&
	    !(record && record->version <= task->grant->version)) {
		withdraw_end_linger(task);
		task_answer_freed(task);
		return;
	}
	if (!task || !record || task->phase != IDLE || record->version <= task->grant->version)
		return;
	view = task_view(task);
	if (record_is_own(record, &view))
		task_take_over_version(task, record);
}
