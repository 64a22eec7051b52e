#include "store.h"

#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* So long nothing need be heard of a name that is waited for, or a ttl if that is longer. */
#define LOOK_AGAIN_MS 60000

static int64_t wall_now(const struct records *records)
{
	return records->store.clock.wall_ms(records->store.clock.context);
}

static struct record_view view_of(const struct task *task)
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

static void drop_task(struct task *task)
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

/* All that is known of it is its grant. */
static bool is_at_rest(const struct task *task)
{
	return task->grant->held && !task->watched && !task->late_grant;
}

static void answer(struct task *task, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word)
{
	const struct store_sink *sink = &task->records->store.sink;
	struct store_claim *claim = task->claim;

	task->phase = IDLE;
	if (is_at_rest(task))
		drop_task(task);
	sink->answer(sink->engine, claim, event, particulars, word);
}

static void answer_error(struct task *task, enum record_result result, enum mpsync_status status,
    const char *message, uint64_t retry_in_ms)
{
	answer(task, result == RECORD_REFUSED ? CLAIM_REFUSED : CLAIM_UNKNOWN,
	    &(struct claim_answer){.status = status, .retry_in_ms = retry_in_ms},
	    &(struct store_word){.message = message});
}

static void answer_right(struct task *task, enum claim_event event)
{
	char *value = task->adopted_value;

	task->adopted_value = NULL;
	task->claim->value_stored = task->grant->value_version;
	answer(task, event,
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
 * What was held has been removed by a hand (rule 24), though the record names us: it is a late
 * create of ours, or what another copy of the file still shows.
 */
static bool is_of_another_object(const struct task *task, const struct record *record)
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
		return is_of_another_object(task, record) ? MPSYNC_REASON_DELETED
		                                          : MPSYNC_REASON_OTHER_ELECTOR;
	return MPSYNC_REASON_TAKEN;
}

static void let_go(struct task *task)
{
	task->grant->held = false;
	task->wrote = false;
	task_stop_watching(task);
}

static void answer_gone(struct task *task, const struct record *record)
{
	let_go(task);
	answer(task, CLAIM_GONE, &(struct claim_answer){.reason = reason_of(task, record)}, NULL);
}

static void answer_freed(struct task *task)
{
	let_go(task);
	answer(task, CLAIM_FREED, NULL, NULL);
}

/* ---- Requests ---- */

static void on_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms);

static uint64_t newest_version(const struct task *task)
{
	const struct watched_name *watched =
	    task->watched ? task->watched : watched_find(task->records, task->claim->name);

	return watched ? watched->newest_version : 0;
}

/* A renewal is of use as long as its right lasts; the others are asked for again. */
static uint64_t wanted_until(const struct task *task)
{
	const struct store_claim *claim = task->claim;

	return claim->right_ends_ms
	           ? claim->right_ends_ms
	           : records_now(task->records) + claim_request_timeout_ms(claim->ttl_ms);
}

static void prepare(struct task *task, enum phase phase)
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
	    .done = on_done,
	    .data = task->request.data,
	};
}

/* "There is nothing" has no version: if anything was heard meanwhile, nobody knows which came
 * first. */
static bool is_overtaken(const struct task *task, const struct record *there)
{
	return !there && newest_version(task) != task->asked_version;
}

static void read_record(struct task *task, enum phase phase, bool fresh)
{
	struct record_backend *backend = task->records->backend;

	prepare(task, phase);
	task->asked_version = newest_version(task);
	task->request.fresh = fresh;
	backend->ops->read(backend, &task->request);
}

static void write_grant(struct task *task, const struct record *there)
{
	struct record_backend *backend = task->records->backend;
	const struct record_view view = view_of(task);
	const struct store_claim *claim = task->claim;
	char next[RECORD_NEXT_SIZE] = "";

	prepare(task, ATTEMPT_WRITE);
	task->asked_version = newest_version(task);
	task->sent_at_ms = records_now(task->records);
	task->grant->since_ms = wall_now(task->records);
	task->wrote = true;
	task->request.record = record_grant(there, &view, claim->holder, claim->value, claim->ttl_ms,
	    claim->election, task->sent_at_ms, task->grant->since_ms);
	/* A try that barges in takes nobody's place away. */
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
	/* No version guards a create against what is seen before it lands (rules 16, 17). */
	task->request.again = there;
	task->granting = true;
	task->request.version = there ? there->version : 0;
	task->request.uid = there ? there->uid : (struct id){{0}};
	backend->ops->write(backend, &task->request);
}

/* The record as our last known write left it. */
static struct record record_held(const struct task *task)
{
	const struct record_view view = view_of(task);
	const struct store_claim *claim = task->claim;
	struct record record = record_grant(NULL, &view, claim->holder, claim->value, claim->ttl_ms,
	    claim->election, task->sent_at_ms, task->grant->since_ms);

	record.version = task->grant->version;
	record.uid = task->grant->uid;
	record.token = claim->token;
	record.renewed_us = task->grant->renewed_us;
	return record;
}

static const char *value_of(const struct task *task)
{
	return task->claim->value ? task->claim->value : task->adopted_value;
}

static void write_renewal(struct task *task, enum phase phase)
{
	struct record_backend *backend = task->records->backend;
	const struct record_view view = view_of(task);
	const struct store_claim *claim = task->claim;
	const struct record stored = record_held(task);

	prepare(task, phase);
	task->sent_at_ms = records_now(task->records);
	/* Who adopts may bring a value. */
	task->request.durable = task->grant->value_version != claim->value_version ||
	                        (phase == ADOPT_WRITE && claim->value);
	task->request.renewal = phase == RENEW_WRITE && !task->request.durable;
	task->request.value_version = claim->value_version;
	task->request.record = record_renewal(
	    &stored, &view, value_of(task), claim->token, task->sent_at_ms, wall_now(task->records));
	backend->ops->write(backend, &task->request);
}

static void write_release(struct task *task)
{
	struct record_backend *backend = task->records->backend;
	const struct record stored = record_held(task);

	prepare(task, WITHDRAW_WRITE);
	task->request.durable = true;
	if (backend->absent_is_free) {
		backend->ops->remove(backend, &task->request);
		return;
	}
	task->request.record = record_release(&stored, false);
	backend->ops->write(backend, &task->request);
}

/* What is there is our own last write, perhaps one whose answer was lost. */
static void take_over_version(struct task *task, const struct record *record)
{
	assert(record);
	task->grant->version = record->version;
	task->grant->uid = record->uid;
	task->grant->renewed_us = record->renewed_us;
	task->grant->since_ms = record->since_ms;
	task->grant->held = true;
}

/* The value counts as stored only now, and only the one that this very write had. */
static void take_over_write(struct task *task, const struct record *record)
{
	take_over_version(task, record);
	task->grant->value_version = task->request.value_version;
}

/* ---- Attempts ---- */

/* The one write into a record of another's: it changes nothing that anybody compares (rule 49). */
static void write_next(
    struct task *task, enum phase phase, const struct record *there, const char *next)
{
	struct record_backend *backend = task->records->backend;

	prepare(task, phase);
	task->request.reserve = true;
	task->request.version = there->version;
	task->request.uid = there->uid;
	task->request.record = *there;
	task->request.record.next = *next ? (char *)next : NULL;
	backend->ops->write(backend, &task->request);
}

/* Looks twice, so that those who come together find the places that the first of them took. */
static bool reserve(struct task *task, const struct record *there, uint64_t *busy_ms)
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

static uint32_t position_of(const struct task *task, const struct record *record)
{
	if (!record)
		return 0;
	if (!task->records->backend->reserves)
		return record->ahead + 1;
	return record_next_lists(record->next, &task->claim->digest)
	           ? record_next_ahead(record->next, &task->claim->digest) + 1
	           : 0;
}

/*
 * A watch may have missed the release of a record that says it lasts for years: whoever waits asks
 * once in a while, however long that is.
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

static void answer_busy(struct task *task, const struct record *record, uint64_t busy_ms)
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
	answer(task, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = busy_ms},
	    &(struct store_word){
	        .holder = record ? record->holder : NULL,
	        .position = position_of(task, record),
	        .unchanged_ms = task->watched->seen.unchanged_ms,
	    });
}

/* Another instance got it for this very claim: what is left to do here is to let go (rule 3). */
static bool is_elsewhere(const struct record *record, const struct record_view *view)
{
	return record && record->holder && id_equal(&record->claim, &view->claim) &&
	       !id_equal(&record->instance, &view->instance);
}

static void on_adopt_read(struct task *task, const struct record *record);

/* One that is the same for each elector of an identity goes on with what the former one had. */
static void regain(struct task *task, const struct record *there)
{
	task->claim->adopt = true;
	task_stop_watching(task);
	on_adopt_read(task, there);
}

static void judge(struct task *task, const struct record *record)
{
	const struct record_view view = view_of(task);
	const struct record *there = record && record->version ? record : NULL;
	uint64_t busy_ms;

	if (watched_is_stale(task->watched, there) || is_overtaken(task, there)) {
		answer_busy(task, NULL, pace_place_ms(&task->records->pace));
		return;
	}
	watched_see(task->records, task->watched, there);
	/* The disk was full when it took its place, or the file is another one: it takes one again. */
	if (record && record->unlisted)
		task->queued = false;
	if (is_elsewhere(there, &view)) {
		if (task->claim->regain)
			regain(task, there);
		else
			answer_gone(task, there);
		return;
	}
	busy_ms = record_busy_ms(&task->watched->seen, there, &view, records_now(task->records));
	/* A release would not be heard of. Who waits without an end asks again and again. */
	if (busy_ms > 0 && task->watched->unheard && !task->claim->once) {
		answer_error(
		    task, RECORD_REFUSED, task->watched->unheard_status, task->watched->unheard, 0);
		return;
	}
	if (busy_ms > 0) {
		task->place_until_ms = 0;
		if (!reserve(task, there, &busy_ms))
			answer_busy(task, record, busy_ms);
		return;
	}
	task->reserve_at_ms = 0;
	busy_ms = places_busy_ms(task, record);
	if (busy_ms > 0)
		answer_busy(task, record, busy_ms);
	else
		write_grant(task, there);
}

static void on_reserved(struct task *task, enum record_result result, const struct record *record)
{
	const struct record_view view = view_of(task);

	if (result != RECORD_OK) {
		/* Somebody wrote before: it looks again. */
		task->reserved = false;
		places_lost(task);
		answer_busy(task, NULL, pace_place_ms(&task->records->pace));
		return;
	}
	places_written(task, record);
	watched_see(task->records, task->watched, record);
	answer_busy(task, record,
	    record_busy_ms(&task->watched->seen, record, &view, records_now(task->records)));
}

/*
 * Who was quicker is told by the watch; if it does not, the record is read. Not so where it may
 * have been another request of ours.
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

	take_over_write(task, record);
	task->claim->token = record->version;
	places_written(task, record);
	if (reserves && (task->queued || record->next))
		task_watch_while_holding(task);
	else
		task_stop_watching(task);
	task->queued = false;
	task->reserved = false;
	answer_right(task, CLAIM_GRANTED);
}

static void on_attempt_written(
    struct task *task, enum record_result result, const struct record *record)
{
	task->granting = false;
	if (result == RECORD_OK) {
		assert(record);
		on_granted(task, record);
	} else if (++task->races < MOST_RACES && result == RECORD_ABSENT) {
		judge(task, NULL);
	} else if (!task->request.uncertain && awaits_news(task)) {
		answer_busy(task, NULL, pace_place_ms(&task->records->pace));
	} else if (task->races < MOST_RACES) {
		read_record(task, ATTEMPT_READ, true);
	} else {
		task->races = 0;
		answer_busy(task, NULL, pace_place_ms(&task->records->pace));
	}
}

static void on_adopt_read(struct task *task, const struct record *record)
{
	if (task->claim->regain && record)
		task->claim->token = record->token ? record->token : record->version;
	if (!record_is_grant(record, &task->claim->digest, task->claim->token)) {
		answer_gone(task, record);
		return;
	}
	assert(record);
	/* What a shorter one would let pass on early, its holder may believe in (rule 21). */
	if (task->claim->any_ttl && record->ttl_ms <= STORE_LONGEST_TTL_MS)
		task->claim->ttl_ms = (uint32_t)record->ttl_ms;
	if (record->ttl_ms != task->claim->ttl_ms) {
		answer_error(task, RECORD_REFUSED, MPSYNC_E_INVALID, STORE_TTL_IS_FIXED, 0);
		return;
	}
	take_over_version(task, record);
	task->wrote = true;
	free(task->adopted_value);
	task->adopted_value = record->value ? strdup(record->value) : NULL;
	write_renewal(task, ADOPT_WRITE);
}

/* ---- Renewals ---- */

static void on_renew_read(struct task *task, const struct record *record)
{
	const struct record_view view = view_of(task);

	if (!record_is_own(record, &view) || is_of_another_object(task, record)) {
		answer_gone(task, record);
		return;
	}
	/* Only a label changed, or our own lost write is there. Only a new write counts (rule 24). */
	take_over_version(task, record);
	if (record->next)
		task_watch_while_holding(task);
	write_renewal(task, RENEW_WRITE);
}

static void on_renew_written(
    struct task *task, enum record_result result, const struct record *record, enum phase phase)
{
	/* A write that changed nothing is no renewal: nobody can have seen it (rule 18). */
	if (result == RECORD_OK && record && record->version != task->grant->version) {
		take_over_write(task, record);
		answer_right(task, phase == ADOPT_WRITE ? CLAIM_GRANTED : CLAIM_RENEWED);
	} else if (++task->races < MOST_RACES) {
		read_record(task, phase == ADOPT_WRITE ? ADOPT_READ : RENEW_READ, true);
	} else {
		task->races = 0;
		answer_error(task, RECORD_UNKNOWN, MPSYNC_E_UNREACHABLE,
		    "the record changed under each of our writes; trying again", 0);
	}
}

/* ---- Withdrawals ---- */

static void on_withdraw_read(struct task *task, const struct record *record)
{
	const struct record_view view = view_of(task);
	char next[RECORD_NEXT_SIZE];

	if (record_is_own(record, &view)) {
		take_over_version(task, record);
		write_release(task);
	} else if (record && record_next_lists(record->next, &task->claim->digest)) {
		record_next_without(record->next, &task->claim->digest, next);
		write_next(task, UNRESERVE_WRITE, record, next);
	} else {
		answer_freed(task);
	}
}

static void on_unreserved(struct task *task, enum record_result result)
{
	if (result != RECORD_OK && ++task->races < MOST_RACES)
		read_record(task, WITHDRAW_READ, true);
	else
		answer_freed(task);
}

/* A lock leaves no litter: its free record goes, unless somebody waits for it or has taken it. */
static void remove_record(struct task *task, const struct record *record)
{
	struct record_backend *backend = task->records->backend;

	prepare(task, WITHDRAW_REMOVE);
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
	task->next = records->lingering;
	records->lingering = task;
	records_arm(records);
}

static void end_linger(struct task *task)
{
	struct task **link = &task->records->lingering;

	while (*link && *link != task)
		link = &(*link)->next;
	if (*link)
		*link = task->next;
}

void records_remove_lingered(struct records *records)
{
	const uint64_t now = records_now(records);
	struct task *next;

	for (struct task *task = records->lingering; task; task = next) {
		next = task->next;
		if (now < task->remove_at_ms)
			continue;
		end_linger(task);
		remove_record(
		    task, &(struct record){.version = task->grant->version, .uid = task->grant->uid});
	}
}

/* What came in between was told already: it need not be read. */
static bool has_news(const struct task *task)
{
	return newest_version(task) > task->request.version;
}

static void on_withdraw_written(
    struct task *task, enum record_result result, const struct record *record)
{
	if (result != RECORD_OK && ++task->races < MOST_RACES) {
		read_record(task, WITHDRAW_READ, !has_news(task));
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
	answer_freed(task);
}

/* ---- What was asked is done ---- */

/* Litter and a place that nobody takes cost others a moment: no reason to try again. */
static bool matters(const struct task *task)
{
	return task->phase != WITHDRAW_REMOVE && task->phase != UNRESERVE_WRITE &&
	       (task->phase != WITHDRAW_READ || task->wrote);
}

/* May the grant that was asked for appear later? */
static bool may_come_late(const struct task *task, enum record_result result)
{
	return task->granting &&
	       (result == RECORD_UNKNOWN || (task->request.uncertain && result == RECORD_REFUSED));
}

/* Who is to adopt what is held remembers that it was: when it vanishes it is not free (rule 17). */
static void note(const struct task *task, const struct record *there)
{
	if (task->phase == ADOPT_READ && there && there->holder)
		watched_make(task->records, task->claim->name);
	watched_note(task->records, task->claim->name, there);
}

static void on_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct task *task = (struct task *)request;
	const struct record *there = record && record->version ? record : NULL;

	task->late_grant |= may_come_late(task, result);
	if (result != RECORD_REFUSED && result != RECORD_UNKNOWN)
		places_answered(task);
	if ((result == RECORD_REFUSED || result == RECORD_UNKNOWN) && !matters(task)) {
		answer_freed(task);
		return;
	}
	if (result == RECORD_REFUSED || result == RECORD_UNKNOWN) {
		task->granting = false;
		answer_error(task, result, status, message, retry_in_ms);
		return;
	}
	if (result != RECORD_CONFLICT && !is_overtaken(task, there) &&
	    (task->phase == ADOPT_READ || task->phase == RENEW_READ || task->phase == WITHDRAW_READ))
		note(task, there);
	switch (task->phase) {
	case ATTEMPT_READ:
		judge(task, record);
		return;
	case ATTEMPT_WRITE:
		on_attempt_written(task, result, record);
		return;
	case ADOPT_READ:
		on_adopt_read(task, there);
		return;
	case ADOPT_WRITE:
	case RENEW_WRITE:
		on_renew_written(task, result, record, task->phase);
		return;
	case RENEW_READ:
		on_renew_read(task, there);
		return;
	case WITHDRAW_WRITE:
		on_withdraw_written(task, result, record);
		return;
	case WITHDRAW_READ:
		on_withdraw_read(task, there);
		return;
	case WITHDRAW_REMOVE:
	case WITHDRAW_LINGER:
		answer_freed(task);
		return;
	case RESERVE_WRITE:
		on_reserved(task, result, record);
		return;
	case UNRESERVE_WRITE:
		on_unreserved(task, result);
		return;
	case IDLE:
		return;
	}
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
		read_record(task, ADOPT_READ, true);
	} else if (task_start_waiting(task)) {
		watched_sweep_some(records);
		read_record(task, ATTEMPT_READ, is_to_look_again(task) || task->wrote);
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
			write_renewal(task, RENEW_WRITE);
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
	if (task->grant->held)
		write_release(task);
	else if (task->wrote || task->reserved)
		read_record(task, WITHDRAW_READ, true);
	else
		answer_freed(task);
}

static void forget_task(struct records *records, struct task *task)
{
	if (task->phase == WITHDRAW_LINGER)
		end_linger(task);
	else if (task->phase != IDLE)
		records->backend->ops->cancel(records->backend, &task->request);
	if (task->queued)
		records->backend->ops->dequeue(records->backend, task->claim);
	dead_grants_remember(task);
	task_stop_watching(task);
	drop_task(task);
}

void records_forget(struct store *store, struct store_claim *claim)
{
	const struct grant *grant = store_claim_data(claim);

	if (grant->task)
		forget_task(records_of(store), grant->task);
}

/* ---- What is seen meanwhile ---- */

/* Those that may go on attempt again; the others wait for the end that they know of. */
void records_wake_waiting(struct records *records, struct watched_name *watched, bool known)
{
	const struct store_sink *sink = &records->store.sink;
	struct task *next;

	for (struct task *task = watched->waiting; task; task = next) {
		const struct record_view view = view_of(task);
		const struct record *last = watched->has_last ? &watched->last : NULL;

		next = task->next;
		/* Its place counts from the next time that nobody holds it. */
		if (last && last->holder)
			task->place_until_ms = 0;
		if (task->phase != IDLE || !known || places_wanted(task, last) ||
		    record_busy_ms(&watched->seen, last, &view, records_now(records)) == 0)
			sink->answer(sink->engine, task->claim, CLAIM_CHANGED, NULL, NULL);
	}
}

/* Only where no request is under way: that will find out for itself. */
void records_keep_up(struct watched_name *watched, const struct record *record)
{
	struct task *task = watched->holding;
	struct record_view view;

	if (task && task->phase == WITHDRAW_LINGER &&
	    !(record && record->version <= task->grant->version)) {
		end_linger(task);
		answer_freed(task);
		return;
	}
	if (!task || !record || task->phase != IDLE || record->version <= task->grant->version)
		return;
	view = view_of(task);
	if (record_is_own(record, &view))
		take_over_version(task, record);
}
