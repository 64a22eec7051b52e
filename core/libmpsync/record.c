#include "record.h"

#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text)
{
	return text ? strdup(text) : NULL;
}

bool record_copy(struct record *to, const struct record *from)
{
	*to = *from;
	to->holder = copy_text(from->holder);
	to->value = copy_text(from->value);
	to->next = copy_text(from->next);
	if ((from->holder && !to->holder) || (from->value && !to->value) || (from->next && !to->next)) {
		record_clear(to);
		return false;
	}
	return true;
}

void record_clear(struct record *record)
{
	free(record->holder);
	free(record->value);
	free(record->next);
	*record = (struct record){0};
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool record_same_holding(const struct record *a, const struct record *b)
{
	return id_equal(&a->uid, &b->uid) && id_equal(&a->claim, &b->claim) &&
	       same_text(a->holder, b->holder) && a->since_ms == b->since_ms &&
	       a->renewed_us == b->renewed_us && a->transitions == b->transitions &&
	       a->ttl_ms == b->ttl_ms && a->revoked == b->revoked;
}

static void restart(struct observation *seen, uint64_t now_ms)
{
	seen->unchanged_ms = 0;
	seen->last_ms = now_ms;
	seen->planned_ms = 0;
}

/* A sleep that took far longer than planned may be a clock that jumped: credit little of it. */
static void credit(struct observation *seen, uint64_t now_ms)
{
	const uint64_t most = seen->planned_ms + seen->planned_ms / 2;
	uint64_t passed = now_ms - seen->last_ms;

	if (seen->planned_ms && passed > most)
		passed = most;
	seen->unchanged_ms += passed;
	seen->last_ms = now_ms;
	seen->planned_ms = 0;
}

static void observe_absent(
    struct observation *seen, const struct record_view *view, uint64_t now_ms)
{
	if (view->absent_is_free || seen->state == UNSEEN || seen->state == SEEN_FREE) {
		seen->state = SEEN_FREE;
		restart(seen, now_ms);
	} else if (seen->state == SEEN_VANISHED) {
		credit(seen, now_ms);
	} else {
		/* Held a moment ago and now gone without a release: somebody may still believe. */
		seen->state = SEEN_VANISHED;
		restart(seen, now_ms);
	}
}

void record_observe(struct observation *seen, const struct record *before,
    const struct record *record, const struct record_view *view, uint64_t now_ms)
{
	if (!record) {
		observe_absent(seen, view, now_ms);
		return;
	}
	if (!record->holder && !record->revoked) {
		seen->state = SEEN_FREE;
		restart(seen, now_ms);
		return;
	}
	if (before && record_same_holding(before, record) &&
	    (seen->state == SEEN_HELD || seen->state == SEEN_REVOKED)) {
		credit(seen, now_ms);
		return;
	}
	seen->state = record->holder ? SEEN_HELD : SEEN_REVOKED;
	seen->ttl_ms = record->ttl_ms;
	restart(seen, now_ms);
}

static bool same_clock(const struct record_host *a, const struct record_host *b)
{
	return !id_is_none(&a->boot) && id_equal(&a->boot, &b->boot) && a->timens == b->timens;
}

/* One millisecond more than the ttl, because both ends of the observation are rounded down. */
static uint64_t observed_busy_ms(const struct observation *seen, const struct record_view *view)
{
	/* A record that does not say how long it lasts lasts as long as ours would (rule 23). */
	const uint32_t ttl_ms = seen->ttl_ms ? seen->ttl_ms : view->ttl_ms;

	return seen->unchanged_ms > ttl_ms ? 0 : ttl_ms + 1 - seen->unchanged_ms;
}

bool record_is_own(const struct record *record, const struct record_view *view)
{
	return record && record->holder && id_equal(&record->claim, &view->claim) &&
	       id_equal(&record->instance, &view->instance);
}

uint64_t record_busy_ms(const struct observation *seen, const struct record *record,
    const struct record_view *view, uint64_t now_ms)
{
	if (seen->state == SEEN_FREE)
		return 0;
	if (record && record->holder) {
		/* Our own write whose answer was lost: nobody was told of it. */
		if (record_is_own(record, view))
			return 0;
		if (record->holder_dead)
			return 0;
	}
	if (record && same_clock(&record->host, &view->host))
		return now_ms > record->deadline_ms ? 0 : record->deadline_ms + 1 - now_ms;
	return observed_busy_ms(seen, view);
}

bool record_is_grant(const struct record *record, const struct id *claim, uint64_t token)
{
	if (!record || !record->holder || !id_equal(&record->claim, claim))
		return false;
	/* A granting write may not know its own version; the first renewal adds it. */
	return record->token ? record->token == token : record->version == token;
}

/* Whole seconds, which is all that some contenders read of it; one more each time at least. */
static uint64_t next_renewal(const struct record *there, int64_t wall_ms)
{
	const uint64_t second_us = 1000000;
	const uint64_t wall_us = wall_ms < 0 ? 0 : (uint64_t)wall_ms / 1000 * second_us;

	const uint64_t least_us = there ? there->renewed_us + second_us : 0;

	return least_us > wall_us ? least_us : wall_us;
}

struct record record_grant(const struct record *there, const struct record_view *view,
    const char *holder, const char *value, uint32_t ttl_ms, bool election, uint64_t sent_at_ms,
    int64_t wall_ms)
{
	return (struct record){
	    .claim = view->claim,
	    .instance = view->instance,
	    .holder = (char *)holder,
	    .value = (char *)value,
	    .renewed_us = next_renewal(there, wall_ms),
	    .deadline_ms = sent_at_ms + ttl_ms,
	    .host = view->host,
	    .since_ms = wall_ms,
	    .transitions = there ? there->transitions + 1 : 0,
	    .ttl_ms = ttl_ms,
	    .election = election,
	};
}

struct record record_renewal(const struct record *stored, const struct record_view *view,
    const char *value, uint64_t token, uint64_t sent_at_ms, int64_t wall_ms)
{
	struct record next = *stored;

	next.instance = view->instance;
	next.host = view->host;
	next.deadline_ms = sent_at_ms + stored->ttl_ms;
	next.renewed_us = next_renewal(stored, wall_ms);
	next.value = (char *)value;
	next.token = token;
	return next;
}

uint32_t record_next_count(const char *next)
{
	(void)next;
	return 0;
}

struct record record_release(const struct record *stored, bool revoked)
{
	struct record next = *stored;

	next.holder = NULL;
	next.value = NULL;
	next.claim = (struct id){{0}};
	next.revoked = revoked;
	return next;
}
