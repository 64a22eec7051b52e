#include "record.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool record_copy(struct record *to, const struct record *from)
{
	*to = *from;
	to->holder = text_copy(from->holder);
	to->value = text_copy(from->value);
	to->next = text_copy(from->next);
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

bool record_same_holding(const struct record *a, const struct record *b)
{
	return id_equal(&a->uid, &b->uid) && id_equal(&a->claim, &b->claim) &&
	       text_same(a->holder, b->holder) && a->since_ms == b->since_ms &&
	       a->renewed_us == b->renewed_us && a->transitions == b->transitions &&
	       a->ttl_ms == b->ttl_ms && a->revoked == b->revoked;
}

static void restart(struct observation *seen, uint64_t now_ms)
{
	seen->unchanged_ms = 0;
	seen->last_ms = now_ms;
	seen->planned_ms = 0;
}

/*
 * A sleep that took far longer than planned may be a clock that jumped: only a little of it is
 * credited.
 */
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
		/*
		 * The record was held a moment ago and is gone without a release: its holder may still
		 * believe.
		 */
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
	/* A record without a duration lasts as long as ours would (rule 23, beside client-go). */
	const uint64_t ttl_ms = seen->ttl_ms ? seen->ttl_ms : view->ttl_ms;

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
		/*
		 * Our own write whose answer was lost: no caller was told of it, so it may be overwritten.
		 */
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
	/*
	 * A granting write cannot contain its own version, which is the token; the first write after it
	 * stores the token.
	 */
	return record->token ? record->token == token : record->version == token;
}

/*
 * Whole seconds, since client-go reads no more than that; each renewal is at least one second
 * later.
 */
static uint64_t next_renewal(const struct record *there, int64_t wall_ms)
{
	const uint64_t second_us = 1000000;
	const uint64_t last_us = RECORD_LAST_RENEWAL_US - second_us;
	const uint64_t wall_s = wall_ms < 0 ? 0 : (uint64_t)wall_ms / 1000;
	const uint64_t wall_us = wall_s > last_us / second_us ? 0 : wall_s * second_us;
	const uint64_t there_us = there ? there->renewed_us : 0;

	if (!there || there_us > last_us || there_us + second_us < wall_us)
		return wall_us;
	return there_us + second_us;
}

static uint32_t next_transition(const struct record *there)
{
	return there && there->transitions < RECORD_MOST_TRANSITIONS ? there->transitions + 1 : 0;
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
	    .transitions = next_transition(there),
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

/* ---- Places ---- */

struct places {
	struct id claims[RECORD_MOST_NEXT];
	uint32_t numbers[RECORD_MOST_NEXT];
	uint32_t count;
};

static const char *parse_place(const char *text, struct id *claim, uint32_t *number)
{
	const size_t digits = ID_HEX_SIZE - 1;
	char hex[ID_HEX_SIZE];
	char *end;
	unsigned long value;

	if (strnlen(text, digits + 2) < digits + 2 || text[digits] != ':' || text[digits + 1] < '0' ||
	    text[digits + 1] > '9')
		return NULL;
	memcpy(hex, text, digits);
	hex[digits] = '\0';
	value = strtoul(text + digits + 1, &end, 10);
	if (!id_from_hex(claim, hex) || value > UINT32_MAX || (*end && *end != ','))
		return NULL;
	*number = (uint32_t)value;
	return *end ? end + 1 : end;
}

static struct places parse_places(const char *next)
{
	struct places places = {.count = 0};

	while (next && *next) {
		if (places.count == RECORD_MOST_NEXT)
			return (struct places){.count = 0};
		next = parse_place(next, &places.claims[places.count], &places.numbers[places.count]);
		if (!next)
			return (struct places){.count = 0};
		places.count++;
	}
	return places;
}

static void print_places(const struct places *places, uint32_t from, char out[RECORD_NEXT_SIZE])
{
	size_t length = 0;

	out[0] = '\0';
	for (uint32_t i = from; i < places->count; i++) {
		char hex[ID_HEX_SIZE];

		id_to_hex(&places->claims[i], hex);
		length += (size_t)snprintf(out + length, RECORD_NEXT_SIZE - length, "%s%s:%u",
		    length ? "," : "", hex, places->numbers[i]);
	}
}

static uint32_t place_of(const struct places *places, const struct id *claim)
{
	uint32_t i = 0;

	while (i < places->count && !id_equal(&places->claims[i], claim))
		i++;
	return i;
}

uint32_t record_next_count(const char *next)
{
	return parse_places(next).count;
}

bool record_next_lists(const char *next, const struct id *claim)
{
	const struct places places = parse_places(next);

	return place_of(&places, claim) < places.count;
}

uint32_t record_next_ahead(const char *next, const struct id *claim)
{
	const struct places places = parse_places(next);
	const uint32_t place = place_of(&places, claim);

	if (places.count == 0)
		return 0;
	return place < places.count ? place : RECORD_MOST_NEXT;
}

bool record_next_add(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE])
{
	struct places places = parse_places(next);

	if (places.count == RECORD_MOST_NEXT)
		return false;
	places.claims[places.count] = *claim;
	places.numbers[places.count++] = 0;
	print_places(&places, 0, out);
	return true;
}

void record_next_without(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE])
{
	struct places places = parse_places(next);
	const uint32_t place = place_of(&places, claim);

	for (uint32_t i = place; i + 1 < places.count; i++) {
		places.claims[i] = places.claims[i + 1];
		places.numbers[i] = places.numbers[i + 1];
	}
	places.count -= place < places.count;
	print_places(&places, 0, out);
}

void record_next_behind(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE])
{
	const struct places places = parse_places(next);

	print_places(&places, place_of(&places, claim) + 1, out);
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
