#include "records.h"

#include "../text.h"
#include "observers.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* How long a place in the order is left to its owner when the name is free (rule 49, delta). */
#define PLACE_MS 50
/* Where nobody has a place: each race that is lost spreads those who contend by so much more. */
#define SPREAD_MS   25
#define MOST_SPREAD 20
/* Those who come together do not write together. */
#define RESERVE_JITTER_MS 100
/* Each race that is lost doubles it, up to this. */
#define LONGEST_JITTER_MS 3200
/* A free record that somebody may wait for without a place is left to them so long. */
#define REMOVE_AFTER_MS 20
/* A contended name is watched a little longer: whoever let go of it may come back. */
#define CONTENDED_LINGER_MS 2000
/* Lost races before a request says "busy" and comes back later. */
#define MOST_RACES 8
/* Names that are looked at, with each attempt, whether their watching is over. */
#define SWEEP_AT_ONCE 4
/* A granting write may still be done so long after its answer was given up. */
#define LATE_GRANT_MS 70000
/* What a crashed holder left of a lock that nobody asks for is removed after so long (rule 26). */
#define LITTER_MS        3600000
#define LITTER_TTLS      10
#define LITTER_EVERY_MS  600000
#define FIRST_CHECK_MS   500
#define LONGEST_CHECK_MS 8000

enum phase {
	IDLE,
	ATTEMPT_READ,
	ATTEMPT_WRITE,
	ADOPT_READ,
	ADOPT_WRITE,
	RENEW_WRITE,
	RENEW_READ,
	WITHDRAW_WRITE,
	WITHDRAW_READ,
	WITHDRAW_LINGER, /* no request: the free record is left for others to take */
	WITHDRAW_REMOVE,
	RESERVE_WRITE,
	UNRESERVE_WRITE
};

/*
 * A name that somebody waits for, and what was seen of it. It lingers for a while after the last
 * waiter has left, so that those who try again and again do not observe anew each time (rules 17,
 * 25).
 */
struct watched_name {
	struct watched_name *next;
	struct watched_name *previous;
	char *name;
	struct task *waiting;
	uint32_t users;       /* tasks that point here */
	struct task *holding; /* ours, which keeps up with what others write into its record */
	struct record last;
	bool has_last;
	struct observation seen;
	uint64_t newest_version;
	uint64_t linger_until_ms;
	uint32_t contention; /* races that a claim of ours is likely to lose here */
};

/*
 * What is kept for one claim as long as it lives. Version and uid are those of its last write that
 * is known to be there.
 */
struct grant {
	struct task *task; /* NULL: it is held, and nothing is asked for it */
	bool held;
	uint32_t value_version;
	uint64_t version;
	struct id uid;
	uint64_t renewed_us;
	int64_t since_ms;
};

/* What one claim is doing at the backend. */
struct task {
	struct record_request request;
	struct records *records;
	struct store_claim *claim;
	struct grant *grant;
	struct watched_name *watched;
	struct task *next; /* waiting for the same name */
	enum phase phase;
	unsigned races;
	uint64_t sent_at_ms; /* of the latest write that grants or renews */
	bool queued;         /* stands in the backend's order */
	bool wrote;          /* a grant may be there */
	bool granting;       /* a granting write is in flight */
	bool late_grant;     /* one was given up and may yet be done, if nobody else writes before */
	bool reserved;       /* its place may stand in the record */
	uint64_t reserve_at_ms;
	uint32_t reserve_window_ms; /* 0: the first */
	uint32_t lost_races;        /* for the record, while it waits */
	uint64_t lost_version;      /* of the record that somebody else wrote first */
	uint64_t remove_at_ms;
	uint64_t asked_version; /* the newest that was known of the name when it was read last */
	uint64_t place_until_ms;
	char *adopted_value; /* until it is answered */
};

/*
 * A granting write without an answer, whose claim is gone: its record is removed when it appears. A
 * create is guarded by no version at all (rule 16), an update only until somebody else writes.
 */
struct dead_grant {
	struct dead_grant *next;
	struct id claim;
	struct watched_name *watched;
	uint64_t until_ms;
	uint64_t check_at_ms;
	uint64_t check_every_ms; /* doubles */
	bool checked_late;
};

/* Removing a record, or freeing it by force, on behalf of no claim. */
struct errand {
	struct record_request request;
	struct records *records;
	struct errand *next;
	struct store_query *query;
	char *name;
	bool reading;
	unsigned races;
};

struct records {
	struct store store;
	struct record_backend *backend;
	struct id instance;
	void *names;                  /* tsearch tree of struct watched_name */
	struct watched_name *watched; /* all of them */
	struct watched_name *cursor;
	struct watched_name *sweep; /* the next to be looked at, whether it still lingers */
	uint64_t sweep_at_ms;       /* when all of them are; CLAIM_NEVER: not by itself */
	uint64_t litter_at_ms;      /* when litter is looked for; CLAIM_NEVER: it is others' to do */
	struct dead_grant *dead;
	struct task *lingering; /* by `next` */
	struct errand *errands;
	/* Those that were needed last; all zero. Made anew between what stays they would leave holes.
	 */
	struct task *spare;
	struct watched_name *spare_watched;
	struct observers observers;
};

uint64_t records_now(const struct records *records)
{
	return records->store.clock.boot_ms(records->store.clock.context);
}

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

/* ---- Names that are waited for ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct watched_name *)a)->name, ((const struct watched_name *)b)->name);
}

static struct watched_name *find_watched(struct records *records, const char *name)
{
	struct watched_name probe = {.name = (char *)name};
	struct watched_name **found = tfind(&probe, &records->names, compare_names);

	return found ? *found : NULL;
}

static void free_watched(void *node)
{
	struct watched_name *watched = node;

	record_clear(&watched->last);
	free(watched->name);
	free(watched);
}

static struct watched_name *watch_name(struct records *records, const char *name)
{
	struct watched_name *watched = find_watched(records, name);

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
	watched->next = records->watched;
	if (watched->next)
		watched->next->previous = watched;
	records->watched = watched;
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
	free(watched->name);
	*watched = (struct watched_name){.users = 0};
	records->spare_watched = watched;
}

static bool awaits_dead_grant(const struct records *records, const struct watched_name *watched)
{
	const struct dead_grant *dead = records->dead;

	while (dead && dead->watched != watched)
		dead = dead->next;
	return dead;
}

/* On this kernel's own clock the record itself says when it ends; elsewhere only watching tells. */
static bool worth_watching(const struct records *records, const struct watched_name *watched)
{
	return watched->seen.state > SEEN_FREE &&
	       (id_is_none(&records->backend->host.boot) || !watched->has_last ||
	           !id_equal(&records->backend->host.boot, &watched->last.host.boot));
}

static void arm_timer(struct records *records);

/* Whoever comes later need not see it again (rule 25), and litter is removed in the end. */
static bool is_to_be_remembered(const struct records *records, const struct watched_name *watched)
{
	return records->backend->sees_all &&
	       (watched->seen.state == SEEN_HELD || watched->seen.state == SEEN_REVOKED ||
	           (watched->has_last && !watched->last.election));
}

static void unwatch_if_idle(struct records *records, struct watched_name *watched)
{
	if (watched->users > 0 || records_now(records) < watched->linger_until_ms ||
	    awaits_dead_grant(records, watched) || is_to_be_remembered(records, watched))
		return;
	records->backend->ops->watch(records->backend, watched->name, false);
	if (records->cursor == watched)
		records->cursor = watched->next;
	if (records->sweep == watched)
		records->sweep = watched->next;
	if (watched->next)
		watched->next->previous = watched->previous;
	if (watched->previous)
		watched->previous->next = watched->next;
	else
		records->watched = watched->next;
	tdelete(watched, &records->names, compare_names);
	drop_watched(records, watched);
}

/* A few at a time, whenever something is attempted: lingering needs no timer. */
static void sweep_lingering(struct records *records)
{
	for (int i = 0; i < SWEEP_AT_ONCE; i++) {
		struct watched_name *watched = records->sweep ? records->sweep : records->watched;

		if (!watched)
			return;
		records->sweep = watched->next;
		unwatch_if_idle(records, watched);
	}
}

/* Where watching costs the service something, its end is not left to the next attempt. */
static void plan_sweep(struct records *records, const struct watched_name *watched)
{
	if (!records->backend->reserves || watched->linger_until_ms <= records_now(records) ||
	    watched->linger_until_ms >= records->sweep_at_ms)
		return;
	records->sweep_at_ms = watched->linger_until_ms;
	arm_timer(records);
}

static void leave_line(struct watched_name *watched, struct task *task)
{
	struct task **link = &watched->waiting;

	while (*link && *link != task)
		link = &(*link)->next;
	if (*link)
		*link = task->next;
}

/* The name is nothing to this task any more. */
static void stop_watching(struct task *task)
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
	unwatch_if_idle(task->records, watched);
}

static bool watch(struct task *task)
{
	if (task->watched)
		return true;
	task->watched = watch_name(task->records, task->claim->name);
	if (task->watched)
		task->watched->users++;
	return task->watched;
}

/* Others write into the record while it is held: what they write must not cost a lost race. */
static void watch_while_holding(struct task *task)
{
	if (!watch(task))
		return;
	leave_line(task->watched, task);
	task->watched->holding = task;
}

static bool start_waiting(struct task *task)
{
	if (task->watched)
		return true;
	if (!watch(task))
		return false;
	task->next = task->watched->waiting;
	task->watched->waiting = task;
	task->lost_races = task->watched->contention;
	return true;
}

/* An answer that was overtaken by a newer event would undo what that event told. */
static bool is_stale(const struct watched_name *watched, const struct record *record)
{
	return record && record->version < watched->newest_version;
}

static uint64_t linger_until(
    const struct records *records, const struct watched_name *watched, const struct record *record)
{
	const uint64_t now = records_now(records);

	if (worth_watching(records, watched))
		return now - watched->seen.unchanged_ms + 2 * (uint64_t)watched->seen.ttl_ms;
	return watched->contention > 0 || (record && record->next) ? now + CONTENDED_LINGER_MS : 0;
}

static void see(struct records *records, struct watched_name *watched, const struct record *record)
{
	const struct record_view view = {.absent_is_free = records->backend->absent_is_free};
	const struct record *before = watched->has_last ? &watched->last : NULL;

	if (is_stale(watched, record))
		return;
	if (record)
		watched->newest_version = record->version;
	record_observe(&watched->seen, before, record, &view, records_now(records));
	watched->linger_until_ms = linger_until(records, watched, record);
	if (record && before && record_same_holding(before, record) &&
	    text_same(before->next, record->next)) {
		watched->last.version = record->version;
		watched->last.deadline_ms = record->deadline_ms;
		return;
	}
	if (watched->has_last)
		record_clear(&watched->last);
	watched->has_last = record && record_copy(&watched->last, record);
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
	        .ttl_ms = task->claim->ttl_ms,
	    },
	    &(struct store_word){.value = value});
	free(value);
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
		return MPSYNC_REASON_OTHER_ELECTOR;
	return MPSYNC_REASON_TAKEN;
}

static void let_go(struct task *task)
{
	task->grant->held = false;
	task->wrote = false;
	stop_watching(task);
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
	    task->watched ? task->watched : find_watched(task->records, task->claim->name);

	return watched ? watched->newest_version : 0;
}

static void prepare(struct task *task, enum phase phase)
{
	task->phase = phase;
	task->request = (struct record_request){
	    .name = task->claim->name,
	    .claim = task->claim->digest,
	    .ttl_ms = task->claim->ttl_ms,
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
	task->grant->value_version = claim->value_version;
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
	task->request.create = !there;
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
	task->request.durable = task->grant->value_version != claim->value_version;
	task->request.renewal = phase == RENEW_WRITE && !task->request.durable;
	task->grant->value_version = claim->value_version;
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

/* ---- Attempts ---- */

static uint32_t random_below(const struct records *records, uint32_t bound)
{
	return records->store.clock.random(records->store.clock.context) % bound;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Those without a place come after all places, and not all at once. */
static uint64_t place_ms(const struct task *task, const struct record *record)
{
	const struct records *records = task->records;
	uint32_t ahead = record->ahead;

	if (!records->backend->reserves)
		return (uint64_t)ahead * PLACE_MS;
	ahead = record_next_ahead(record->next, &task->claim->digest);
	/* Nobody has a place, but others were quicker before: there are many. */
	if (record_next_count(record->next) == 0 && task->lost_races > 0)
		return random_below(records, SPREAD_MS * smaller(task->lost_races, MOST_SPREAD));
	return (uint64_t)ahead * PLACE_MS +
	       (ahead == RECORD_MOST_NEXT ? random_below(records, PLACE_MS) : 0);
}

static uint64_t place_busy_ms(struct task *task, const struct record *record)
{
	const uint64_t now = records_now(task->records);

	if (!record || task->claim->once)
		return 0;
	if (task->place_until_ms == 0)
		task->place_until_ms = now + place_ms(task, record);
	return now >= task->place_until_ms ? 0 : task->place_until_ms - now;
}

static bool wants_place(const struct task *task, const struct record *record)
{
	return task->records->backend->reserves && !task->claim->once && !task->claim->brief &&
	       !task->reserved && record && record->holder &&
	       record_next_count(record->next) < RECORD_MOST_NEXT;
}

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

	if (!wants_place(task, there)) {
		task->reserve_at_ms = 0;
		return false;
	}
	if (record_next_lists(there->next, &task->claim->digest)) {
		task->reserved = true;
		return false;
	}
	if (task->reserve_at_ms == 0)
		task->reserve_at_ms =
		    now + random_below(task->records,
		              task->reserve_window_ms ? task->reserve_window_ms : RESERVE_JITTER_MS);
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

static void answer_busy(struct task *task, const struct record *record, uint64_t busy_ms)
{
	struct record_backend *backend = task->records->backend;
	const struct store_claim *claim = task->claim;

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

static void judge(struct task *task, const struct record *record)
{
	const struct record_view view = view_of(task);
	const struct record *there = record && record->version ? record : NULL;
	uint64_t busy_ms;

	if (is_stale(task->watched, there) || is_overtaken(task, there)) {
		answer_busy(task, NULL, PLACE_MS);
		return;
	}
	see(task->records, task->watched, there);
	if (is_elsewhere(there, &view)) {
		answer_gone(task, there);
		return;
	}
	busy_ms = record_busy_ms(&task->watched->seen, there, &view, records_now(task->records));
	if (busy_ms > 0) {
		task->place_until_ms = 0;
		if (!reserve(task, there, &busy_ms))
			answer_busy(task, record, busy_ms);
		return;
	}
	busy_ms = place_busy_ms(task, record);
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
		task->reserve_window_ms = task->reserve_window_ms
		                              ? smaller(task->reserve_window_ms * 2, LONGEST_JITTER_MS)
		                              : 2 * RESERVE_JITTER_MS;
		answer_busy(task, NULL, PLACE_MS);
		return;
	}
	see(task->records, task->watched, record);
	answer_busy(task, record,
	    record_busy_ms(&task->watched->seen, record, &view, records_now(task->records)));
}

/* Who was quicker is told by the watch; if it does not, the record is read. */
static bool awaits_news(struct task *task)
{
	const bool first = task->lost_version != task->request.version;

	task->lost_version = task->request.version;
	task->lost_races++;
	task->wrote = task->late_grant;
	return first && task->queued && task->records->backend->reserves;
}

static void on_granted(struct task *task, const struct record *record)
{
	const bool reserves = task->records->backend->reserves;

	take_over_version(task, record);
	task->claim->token = record->version;
	/* Less each time, so that a name where nobody contends any more is quick again. */
	if (reserves && task->watched)
		task->watched->contention = task->lost_races * 3 / 4;
	if (reserves && (task->queued || record->next))
		watch_while_holding(task);
	else
		stop_watching(task);
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
	} else if (awaits_news(task)) {
		answer_busy(task, NULL, PLACE_MS);
	} else if (task->races < MOST_RACES) {
		read_record(task, ATTEMPT_READ, true);
	} else {
		task->races = 0;
		answer_busy(task, NULL, PLACE_MS);
	}
}

static void on_adopt_read(struct task *task, const struct record *record)
{
	if (!record_is_grant(record, &task->claim->digest, task->claim->token)) {
		answer_gone(task, record);
		return;
	}
	assert(record);
	/* What a shorter one would let pass on early, its holder may believe in (rule 21). */
	if (task->claim->any_ttl)
		task->claim->ttl_ms = record->ttl_ms;
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

	if (!record_is_own(record, &view)) {
		answer_gone(task, record);
		return;
	}
	/* Only a label changed, or our own lost write is there. Only a new write counts (rule 24). */
	take_over_version(task, record);
	if (record->next)
		watch_while_holding(task);
	write_renewal(task, RENEW_WRITE);
}

static void on_renew_written(
    struct task *task, enum record_result result, const struct record *record, enum phase phase)
{
	/* A write that changed nothing is no renewal: nobody can have seen it (rule 18). */
	if (result == RECORD_OK && record && record->version != task->grant->version) {
		take_over_version(task, record);
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

static void remove_later(struct records *records, const char *name, const struct record *record);

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
	task->remove_at_ms = records_now(records) + REMOVE_AFTER_MS;
	task->next = records->lingering;
	records->lingering = task;
	arm_timer(records);
}

static void end_linger(struct task *task)
{
	struct task **link = &task->records->lingering;

	while (*link && *link != task)
		link = &(*link)->next;
	if (*link)
		*link = task->next;
}

static void remove_what_lingered(struct records *records)
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

static void on_withdraw_written(
    struct task *task, enum record_result result, const struct record *record)
{
	if (result != RECORD_OK && ++task->races < MOST_RACES) {
		read_record(task, WITHDRAW_READ, true);
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

/* Whatever a read was for, it is an observation to those who wait. */
static void note(struct records *records, const char *name, const struct record *there)
{
	struct watched_name *watched = find_watched(records, name);

	if (watched)
		see(records, watched, there);
}

/* Litter and a place that nobody takes cost others a moment: no reason to try again. */
static bool matters(const struct task *task)
{
	return task->phase != WITHDRAW_REMOVE && task->phase != UNRESERVE_WRITE &&
	       (task->phase != WITHDRAW_READ || task->wrote);
}

static void on_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct task *task = (struct task *)request;
	const struct record *there = record && record->version ? record : NULL;

	if ((result == RECORD_REFUSED || result == RECORD_UNKNOWN) && !matters(task)) {
		answer_freed(task);
		return;
	}
	if (result == RECORD_REFUSED || result == RECORD_UNKNOWN) {
		task->late_grant |= task->granting && result == RECORD_UNKNOWN;
		task->granting = false;
		answer_error(task, result, status, message, retry_in_ms);
		return;
	}
	if (result != RECORD_CONFLICT && !is_overtaken(task, there) &&
	    (task->phase == ADOPT_READ || task->phase == RENEW_READ || task->phase == WITHDRAW_READ))
		note(task->records, task->claim->name, there);
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

static struct records *of(struct store *store)
{
	return (struct records *)store;
}

/* The anonymous holder's claim is the same for every name. */
static bool is_of_claim(const struct dead_grant *dead, const char *name, const struct id *claim)
{
	return id_equal(&dead->claim, claim) && strcmp(dead->watched->name, name) == 0;
}

/* A claim that comes back answers for its own late grant: that may be what it holds by then. */
static bool take_back_dead_grant(struct records *records, const struct store_claim *claim)
{
	struct dead_grant **link = &records->dead;
	bool taken = false;

	while (*link) {
		struct dead_grant *dead = *link;

		if (!is_of_claim(dead, claim->name, &claim->digest)) {
			link = &dead->next;
			continue;
		}
		*link = dead->next;
		unwatch_if_idle(records, dead->watched);
		free(dead);
		taken = true;
	}
	return taken;
}

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
	task->late_grant = !grant->held && take_back_dead_grant(records, claim);
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

static void records_attempt(struct store *store, struct store_claim *claim)
{
	struct records *records = of(store);
	struct task *task = task_of(records, claim);

	if (!task) {
		no_memory(records, claim, CLAIM_REFUSED);
		return;
	}
	task->races = 0;
	if (claim->adopt) {
		read_record(task, ADOPT_READ, true);
	} else if (start_waiting(task)) {
		sweep_lingering(records);
		read_record(task, ATTEMPT_READ, task->wrote);
	} else {
		no_memory(records, claim, CLAIM_REFUSED);
	}
}

static void records_renew(struct store *store, struct store_claim *const *claims, size_t count)
{
	struct record_backend *backend = of(store)->backend;

	backend->ops->batch_begin(backend);
	for (size_t i = 0; i < count; i++) {
		struct task *task = task_of(of(store), claims[i]);

		if (task) {
			task->races = 0;
			write_renewal(task, RENEW_WRITE);
		} else {
			no_memory(of(store), claims[i], CLAIM_UNKNOWN);
		}
	}
	backend->ops->batch_end(backend);
}

static void records_withdraw(struct store *store, struct store_claim *claim)
{
	struct records *records = of(store);
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
		stop_watching(task);
	if (task->grant->held)
		write_release(task);
	else if (task->wrote || task->reserved)
		read_record(task, WITHDRAW_READ, true);
	else
		answer_freed(task);
}

static void check_dead_grant(struct dead_grant *dead, struct records *records);

static void arm_timer(struct records *records)
{
	uint64_t at_ms = records->sweep_at_ms;

	if (records->litter_at_ms < at_ms)
		at_ms = records->litter_at_ms;
	for (const struct task *task = records->lingering; task; task = task->next)
		if (task->remove_at_ms < at_ms)
			at_ms = task->remove_at_ms;
	for (const struct dead_grant *dead = records->dead; dead; dead = dead->next)
		if (dead->check_at_ms < at_ms)
			at_ms = dead->check_at_ms;
	records->store.sink.wake_at(records->store.sink.engine, at_ms);
}

static void sweep_all(struct records *records)
{
	struct watched_name *next;

	records->sweep_at_ms = CLAIM_NEVER;
	for (struct watched_name *watched = records->watched; watched; watched = next) {
		next = watched->next;
		if (watched->users == 0)
			plan_sweep(records, watched);
		unwatch_if_idle(records, watched);
	}
}

/* Locks only: an election's record stays. Only records that say so are locks of ours. */
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
	least_ms = (uint64_t)seen->ttl_ms * LITTER_TTLS;
	return seen->unchanged_ms > (least_ms > LITTER_MS ? least_ms : LITTER_MS);
}

static void remove_litter(struct records *records)
{
	struct watched_name *next;

	records->litter_at_ms = records_now(records) + LITTER_EVERY_MS;
	for (struct watched_name *watched = records->watched; watched; watched = next) {
		next = watched->next;
		if (is_litter(records, watched))
			remove_later(records, watched->name, &watched->last);
		else
			unwatch_if_idle(records, watched);
	}
}

static void records_run(struct store *store)
{
	struct records *records = of(store);
	struct dead_grant **link = &records->dead;
	const uint64_t now = records_now(records);

	if (now >= records->sweep_at_ms)
		sweep_all(records);
	if (now >= records->litter_at_ms)
		remove_litter(records);
	remove_what_lingered(records);
	while (*link) {
		struct dead_grant *dead = *link;

		/* A process that stood still looks once more before it forgets. */
		if (now >= dead->check_at_ms && dead->checked_late) {
			*link = dead->next;
			unwatch_if_idle(records, dead->watched);
			free(dead);
			continue;
		}
		if (now >= dead->check_at_ms) {
			dead->checked_late = now >= dead->until_ms;
			check_dead_grant(dead, records);
		}
		link = &dead->next;
	}
	arm_timer(records);
}

static void remember_dead_grant(struct task *task)
{
	struct records *records = task->records;
	struct dead_grant *dead;
	struct watched_name *watched;

	if (!(task->granting || task->late_grant) || !records->backend->late_grants)
		return;
	watched = watch_name(records, task->claim->name);
	dead = watched ? calloc(1, sizeof *dead) : NULL;
	if (!dead)
		return; /* its record then runs out by itself */
	dead->claim = task->claim->digest;
	dead->watched = watched;
	dead->until_ms = records_now(records) + LATE_GRANT_MS;
	dead->check_every_ms = FIRST_CHECK_MS;
	dead->check_at_ms = records_now(records) + FIRST_CHECK_MS;
	dead->next = records->dead;
	records->dead = dead;
	arm_timer(records);
}

static void forget_task(struct records *records, struct task *task)
{
	if (task->phase == WITHDRAW_LINGER)
		end_linger(task);
	else if (task->phase != IDLE)
		records->backend->ops->cancel(records->backend, &task->request);
	if (task->queued)
		records->backend->ops->dequeue(records->backend, task->claim);
	remember_dead_grant(task);
	stop_watching(task);
	drop_task(task);
}

static void records_forget(struct store *store, struct store_claim *claim)
{
	const struct grant *grant = store_claim_data(claim);

	if (grant->task)
		forget_task(of(store), grant->task);
}

/* ---- Errands ---- */

static void drop_errand(struct errand *errand)
{
	struct errand **link = &errand->records->errands;

	while (*link != errand)
		link = &(*link)->next;
	*link = errand->next;
	free(errand->name);
	free(errand);
}

static struct errand *errand_new(struct records *records, const char *name)
{
	struct errand *errand = calloc(1, sizeof *errand);

	if (!errand)
		return NULL;
	errand->name = strdup(name);
	if (!errand->name) {
		free(errand);
		return NULL;
	}
	errand->records = records;
	errand->request.name = errand->name;
	errand->next = records->errands;
	records->errands = errand;
	return errand;
}

static void on_removed(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	(void)result, (void)record, (void)status, (void)message, (void)retry_in_ms;
	drop_errand((struct errand *)request);
}

static void remove_later(struct records *records, const char *name, const struct record *record)
{
	struct errand *errand = errand_new(records, name);

	assert(record);
	if (!errand)
		return;
	errand->request.version = record->version;
	errand->request.uid = record->uid;
	errand->request.done = on_removed;
	records->backend->ops->remove(records->backend, &errand->request);
}

static bool is_dead_grant(
    const struct records *records, const char *name, const struct record *record)
{
	const struct dead_grant *dead = records->dead;

	if (!record || !record->holder || !id_equal(&record->instance, &records->instance))
		return false;
	while (dead && !is_of_claim(dead, name, &record->claim))
		dead = dead->next;
	return dead;
}

static void on_checked(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct errand *errand = (struct errand *)request;

	(void)status, (void)message, (void)retry_in_ms;
	if (result == RECORD_OK || result == RECORD_ABSENT)
		note(errand->records, errand->name, result == RECORD_OK ? record : NULL);
	if (result == RECORD_OK && is_dead_grant(errand->records, errand->name, record))
		remove_later(errand->records, errand->name, record);
	drop_errand(errand);
}

static void check_dead_grant(struct dead_grant *dead, struct records *records)
{
	struct errand *errand = errand_new(records, dead->watched->name);

	dead->check_at_ms = records_now(records) + dead->check_every_ms;
	if (dead->check_every_ms < LONGEST_CHECK_MS)
		dead->check_every_ms *= 2;
	if (!errand)
		return;
	errand->request.fresh = true;
	errand->request.done = on_checked;
	records->backend->ops->read(records->backend, &errand->request);
}

static void on_forced(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms);

static void force_read(struct errand *errand)
{
	struct record_backend *backend = errand->records->backend;

	errand->reading = true;
	errand->request.record = (struct record){0};
	errand->request.fresh = true;
	errand->request.done = on_forced;
	backend->ops->read(backend, &errand->request);
}

static void force_write(struct errand *errand, const struct record *record)
{
	struct record_backend *backend = errand->records->backend;

	errand->reading = false;
	errand->request.version = record->version;
	errand->request.uid = record->uid;
	errand->request.durable = true;
	if (errand->query->now && backend->absent_is_free) {
		backend->ops->remove(backend, &errand->request);
		return;
	}
	errand->request.record = record_release(record, !errand->query->now);
	backend->ops->write(backend, &errand->request);
}

static void end_force(struct errand *errand, enum mpsync_status status, const char *message)
{
	struct store_query *query = errand->query;

	drop_errand(errand);
	query->done(query, status, message);
}

static void on_forced(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct errand *errand = (struct errand *)request;
	const bool reading = errand->reading;

	(void)retry_in_ms;
	if (result == RECORD_REFUSED || result == RECORD_UNKNOWN)
		end_force(errand, status, message);
	else if (reading && record && record->holder)
		force_write(errand, record);
	else if (reading)
		end_force(errand, MPSYNC_E_NOT_HELD, "nobody holds it");
	else if (result == RECORD_OK)
		end_force(errand, MPSYNC_OK, NULL);
	else if (++errand->races < MOST_RACES)
		force_read(errand);
	else
		end_force(errand, MPSYNC_E_UNREACHABLE, "the record changes all the time; try again");
}

static void records_query(struct store *store, struct store_query *query)
{
	struct records *records = of(store);
	struct errand *errand;

	if (query->kind != STORE_FORCE) {
		records->backend->ops->query(records->backend, query);
		return;
	}
	errand = errand_new(records, query->name);
	if (!errand) {
		query->done(query, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	errand->query = query;
	force_read(errand);
}

static void cancel_at_backend(void *context, struct store_query *query)
{
	struct record_backend *backend = ((struct records *)context)->backend;

	if (backend->ops->query_cancel)
		backend->ops->query_cancel(backend, query);
}

static void records_query_cancel(struct store *store, struct store_query *query)
{
	struct records *records = of(store);

	for (struct errand *errand = records->errands; errand; errand = errand->next) {
		if (errand->query != query)
			continue;
		records->backend->ops->cancel(records->backend, &errand->request);
		drop_errand(errand);
		return;
	}
	cancel_at_backend(records, query);
}

/* ---- Observers ---- */

struct store_lock record_as_lock(
    const struct record *record, const char *name, uint64_t now_ms, uint32_t waiters)
{
	uint64_t version = record->token ? record->token : record->version;

	for (const char *c = record->value; c && *c; c++)
		version = (version ^ (unsigned char)*c) * 1099511628211u;
	return (struct store_lock){
	    .name = name,
	    .holder = record->holder,
	    .value = record->value,
	    .token = record->token,
	    .version = version,
	    .ttl_ms = record->ttl_ms,
	    .since_ms = record->since_ms,
	    .expires_in_ms = record->deadline_ms > now_ms ? record->deadline_ms - now_ms : 0,
	    .waiters = waiters,
	    .election = record->election,
	};
}

static void records_observe(struct store *store, struct store_observer *observer)
{
	struct records *records = of(store);

	records->backend->ops->watch(records->backend, observer->name, true);
	observers_add(&records->observers, observer);
}

static void records_observe_stop(struct store *store, struct store_observer *observer)
{
	struct records *records = of(store);

	if (!observer->data)
		return;
	observers_remove(&records->observers, observer);
	records->backend->ops->watch(records->backend, observer->name, false);
}

static void query_backend(void *context, struct store_query *query)
{
	struct record_backend *backend = ((struct records *)context)->backend;

	backend->ops->query(backend, query);
}

/* ---- Changes ---- */

/* Those that may go on attempt again; the others wait for the end that they know of. */
static void wake_waiting(struct records *records, struct watched_name *watched, bool known)
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
		if (task->phase != IDLE || !known || wants_place(task, last) ||
		    record_busy_ms(&watched->seen, last, &view, records_now(records)) == 0)
			sink->answer(sink->engine, task->claim, CLAIM_CHANGED, NULL, NULL);
	}
}

/* Waking may end claims, and so the watching of names: the cursor steps over those that go. */
static void wake_everyone(struct records *records)
{
	records->cursor = records->watched;
	while (records->cursor) {
		struct watched_name *watched = records->cursor;

		records->cursor = watched->next;
		wake_waiting(records, watched, false);
	}
}

/* One that sees everything remembers what is held, so that whoever comes later need not (rule 25).
 */
static struct watched_name *find_or_remember(
    struct records *records, const char *name, const struct record *record)
{
	struct watched_name *watched = find_watched(records, name);

	if (watched || !records->backend->sees_all || !record || (!record->holder && record->election))
		return watched;
	if (records->litter_at_ms == CLAIM_NEVER) {
		records->litter_at_ms = records_now(records) + LITTER_EVERY_MS;
		arm_timer(records);
	}
	return watch_name(records, name);
}

/* Only where no request is under way: that will find out for itself. */
static void keep_up(struct watched_name *watched, const struct record *record)
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

void records_seen(struct records *records, const char *name, const struct record *record)
{
	struct watched_name *watched = find_or_remember(records, name, record);

	if (!watched)
		return;
	see(records, watched, record);
	if (is_dead_grant(records, name, record))
		remove_later(records, name, record);
	wake_waiting(records, watched, true);
	watched = find_watched(records, name);
	if (watched)
		keep_up(watched, record);
}

void records_unwatched(
    struct records *records, const char *name, enum mpsync_status status, const char *message)
{
	observers_failed(&records->observers, name, status, message);
}

void records_changed(
    struct records *records, const char *name, bool known, const struct record *record)
{
	struct watched_name *watched;

	observers_changed(&records->observers, name);
	if (!name) {
		wake_everyone(records);
	} else if (known) {
		records_seen(records, name, record);
	} else {
		watched = find_watched(records, name);
		if (watched)
			wake_waiting(records, watched, false);
	}
}

static void free_dead(struct records *records)
{
	while (records->dead) {
		struct dead_grant *dead = records->dead;

		records->dead = dead->next;
		free(dead);
	}
}

static void records_close(struct store *store)
{
	struct records *records = of(store);

	while (records->errands) {
		records->backend->ops->cancel(records->backend, &records->errands->request);
		drop_errand(records->errands);
	}
	observers_clear(&records->observers);
	free_dead(records);
	tdestroy(records->names, free_watched);
	records->backend->ops->close(records->backend);
	free(records->spare);
	free(records->spare_watched);
	free(records);
}

static bool records_finishing(const struct store *store)
{
	const struct record_backend *backend = ((const struct records *)store)->backend;

	return backend->ops->finishing && backend->ops->finishing(backend);
}

static const struct store_ops records_ops = {
    .attempt = records_attempt,
    .renew = records_renew,
    .withdraw = records_withdraw,
    .forget = records_forget,
    .query = records_query,
    .query_cancel = records_query_cancel,
    .observe = records_observe,
    .observe_stop = records_observe_stop,
    .run = records_run,
    .close = records_close,
    .finishing = records_finishing,
};

struct store *records_new(struct record_backend *backend, const struct store_clock *clock)
{
	struct records *records = calloc(1, sizeof *records);

	if (!records || !id_random(&records->instance)) {
		backend->ops->close(backend);
		free(records);
		return NULL;
	}
	records->store.ops = &records_ops;
	records->store.clock = *clock;
	atomic_init(&records->store.fence.descriptor, -1);
	records->store.kind = backend->kind;
	records->store.claim_size = sizeof(struct grant);
	records->store.shortest_ttl_ms = backend->shortest_ttl_ms;
	records->store.ttl_step_ms = backend->ttl_step_ms;
	records->backend = backend;
	records->sweep_at_ms = CLAIM_NEVER;
	records->litter_at_ms = CLAIM_NEVER;
	records->observers = (struct observers){
	    .query = query_backend, .query_cancel = cancel_at_backend, .context = records};
	backend->records = records;
	return &records->store;
}
