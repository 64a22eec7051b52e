#include "base/duration.h"
#include "base/wire.h"
#include "session.h"

/* What is left of the rights, for each ttl: few ttls are in use at once. */
#define MOST_TTLS 16

struct beat {
	uint32_t ttl_ms[MOST_TTLS];
	uint64_t most_ms[MOST_TTLS];  /* the most that a grant of the ttl has left */
	uint64_t least_ms[MOST_TTLS]; /* the least, but for those that are listed as low */
	size_t ttls;
	uint64_t grants;
	uint64_t read_ms;
	uint64_t told_ms;
	bool lists_low;
};

/* MOST_TTLS: there is no room for this ttl. */
static size_t slot_of(struct beat *beat, uint32_t ttl_ms)
{
	size_t i = 0;

	while (i < beat->ttls && beat->ttl_ms[i] != ttl_ms)
		i++;
	if (i < beat->ttls || i == MOST_TTLS)
		return i;
	beat->ttl_ms[i] = ttl_ms;
	beat->most_ms[i] = 0;
	beat->least_ms[i] = UINT64_MAX;
	beat->ttls++;
	return i;
}

/* A heartbeat renews only grants that this elector has confirmed. */
static bool is_beaten(const struct ticket *ticket)
{
	return ticket->state == TICKET_HELD;
}

static uint64_t remaining_of(const struct ticket *ticket, const struct beat *beat)
{
	return ticket_remaining_ms(ticket, beat->read_ms, beat->told_ms);
}

/*
 * The store renews other grants of the same ttl, but not this one. One remaining time is sent for
 * all grants of a ttl, so this grant is listed apart and does not shorten theirs.
 */
static bool is_low(const struct ticket *ticket, const struct beat *beat, size_t slot)
{
	const uint32_t ttl_ms = beat->ttl_ms[slot];
	const uint64_t remaining_ms = remaining_of(ticket, beat);

	return beat->lists_low && remaining_ms < ttl_ms / 4 &&
	       remaining_ms + ttl_ms / 3 < beat->most_ms[slot];
}

static void measure(const struct session *session, struct beat *beat)
{
	for (const struct ticket *ticket = session->tickets; ticket; ticket = ticket->next) {
		const size_t slot =
		    is_beaten(ticket) ? slot_of(beat, ticket_claim(ticket)->ttl_ms) : MOST_TTLS;

		if (slot == MOST_TTLS)
			continue;
		beat->grants++;
		if (remaining_of(ticket, beat) > beat->most_ms[slot])
			beat->most_ms[slot] = remaining_of(ticket, beat);
	}
	for (const struct ticket *ticket = session->tickets; ticket; ticket = ticket->next) {
		const size_t slot =
		    is_beaten(ticket) ? slot_of(beat, ticket_claim(ticket)->ttl_ms) : MOST_TTLS;

		if (slot < MOST_TTLS && !is_low(ticket, beat, slot) &&
		    remaining_of(ticket, beat) < beat->least_ms[slot])
			beat->least_ms[slot] = remaining_of(ticket, beat);
	}
}

static void promise(struct session *session, struct beat *beat)
{
	struct ticket *next;

	engine_begin(session->sessions->engine);
	for (struct ticket *ticket = session->tickets; ticket; ticket = next) {
		size_t slot;

		next = ticket->next;
		if (!is_beaten(ticket) || remaining_of(ticket, beat) == 0)
			continue;
		slot = slot_of(beat, ticket_claim(ticket)->ttl_ms);
		/*
		 * The claim of a low grant knows what the store answered, and decides when it is tried
		 * again.
		 */
		if (slot < MOST_TTLS && is_low(ticket, beat, slot))
			continue;
		if (slot < MOST_TTLS)
			ticket_tell_until(ticket, beat->told_ms, beat->least_ms[slot]);
		if (engine_claim_right_ms(ticket->engine_claim) <
		    beat->told_ms + ticket_claim(ticket)->ttl_ms / 2)
			engine_renew(ticket->engine_claim);
	}
	engine_end(session->sessions->engine);
}

/*
 * The body is sent whole or not at all: a client that is not told of a low grant, or of an event,
 * would go on believing.
 */
static bool add_low(cJSON *body, const struct session *session, struct beat *beat)
{
	cJSON *list = cJSON_AddArrayToObject(body, "low");
	bool whole = list;

	for (const struct ticket *ticket = session->tickets; ticket && whole; ticket = ticket->next) {
		char text[DURATION_TEXT_SIZE];
		cJSON *item;
		size_t slot;

		if (!is_beaten(ticket))
			continue;
		slot = slot_of(beat, ticket_claim(ticket)->ttl_ms);
		if (slot == MOST_TTLS || !is_low(ticket, beat, slot))
			continue;
		item = ticket_grant_data(ticket);
		duration_format(text, remaining_of(ticket, beat));
		whole = wire_append(list, wire_whole(item, wire_add_text(item, "remaining", text)));
	}
	return whole;
}

/*
 * The elector has more grants than the client knows of: late requests got them, and the client has
 * to say whether it wants them.
 */
static bool add_claims(cJSON *body, const struct session *session)
{
	cJSON *list = cJSON_AddArrayToObject(body, "claims");
	bool whole = list;

	for (const struct ticket *ticket = session->tickets; ticket && whole; ticket = ticket->next)
		if (is_beaten(ticket))
			whole = wire_append(list, ticket_grant_data(ticket));
	return whole;
}

static bool add_remaining(cJSON *body, const struct beat *beat)
{
	cJSON *list = cJSON_AddArrayToObject(body, "remaining");
	bool whole = list;

	for (size_t i = 0; i < beat->ttls && whole; i++) {
		cJSON *item = cJSON_CreateObject();
		char ttl[DURATION_TEXT_SIZE];
		char remaining[DURATION_TEXT_SIZE];

		duration_format(ttl, beat->ttl_ms[i]);
		duration_format(remaining, beat->least_ms[i]);
		whole =
		    wire_append(list, wire_whole(item, wire_add_text(item, "ttl", ttl) &&
		                                           wire_add_text(item, "remaining", remaining)));
	}
	return whole;
}

static bool add_events(cJSON *body, const struct session *session)
{
	cJSON *list = cJSON_AddArrayToObject(body, "events");
	bool whole = list;

	for (const struct session_event *event = session->events; event && whole; event = event->next) {
		cJSON *item = cJSON_CreateObject();

		whole = wire_append(
		    list, wire_whole(item, wire_add_decimal(item, "id", event->id) &&
		                               wire_add_text(item, "event", event->event) &&
		                               wire_add(item, "data", cJSON_Duplicate(event->data, true))));
	}
	return whole;
}

static cJSON *beat_body(
    const struct session *session, struct beat *beat, const struct heartbeat *heartbeat)
{
	cJSON *body = cJSON_CreateObject();
	/*
	 * The stream that this elector has. A client whose stream broke on the way, without noticing it
	 * at its own end, sees it here.
	 */
	const double stream = session->stream ? (double)session->stream->generation : 0;

	return wire_whole(body,
	    wire_add_text(body, "kind", "Session") && wire_add_text(body, "holder", session->holder) &&
	        wire_add_text(body, "elector", session->sessions->instance) &&
	        wire_add_number(body, "stream", stream) &&
	        wire_add_number(body, "grants", (double)beat->grants) && add_remaining(body, beat) &&
	        add_events(body, session) && (!beat->lists_low || add_low(body, session, beat)) &&
	        (beat->grants <= heartbeat->grants || add_claims(body, session)));
}

void sessions_heartbeat(
    struct sessions *sessions, const struct heartbeat *heartbeat, struct sessions_request *request)
{
	struct session *session = session_find(sessions, &heartbeat->session);
	struct beat beat = {.read_ms = heartbeat->read_ms, .lists_low = heartbeat->low};
	cJSON *body;

	if (!session || session->forgot) {
		answer_error(sessions, request, 404, "unknown_session",
		    "this elector does not know the session; confirm each grant by PUT with its token");
		return;
	}
	session->used_ms = sessions_now(sessions);
	session->fence_generation = heartbeat->stream;
	session_acknowledge(session, heartbeat->seen);
	beat.told_ms = sessions_now(sessions);
	measure(session, &beat);
	promise(session, &beat);
	body = beat_body(session, &beat, heartbeat);
	if (body)
		sessions->host.answer(request, &(struct answer){.status = 200, .body = body});
	else
		answer_error(sessions, request, 503, "too_many", "out of memory; try again later");
}
