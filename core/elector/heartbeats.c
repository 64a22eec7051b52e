#include "duration.h"
#include "tickets.h"
#include "wire.h"

/* The smallest remaining of each ttl; few ttls are in use at once. */
#define MOST_TTLS 16

struct beat {
	uint32_t ttl_ms[MOST_TTLS];
	uint64_t remaining_ms[MOST_TTLS];
	size_t ttls;
	uint64_t grants;
};

static size_t slot_of(struct beat *beat, uint32_t ttl_ms)
{
	size_t i = 0;

	while (i < beat->ttls && beat->ttl_ms[i] != ttl_ms)
		i++;
	if (i < beat->ttls || i == MOST_TTLS)
		return i;
	beat->ttl_ms[i] = ttl_ms;
	beat->remaining_ms[i] = UINT64_MAX;
	beat->ttls++;
	return i;
}

static void measure(struct session *session, struct beat *beat, uint64_t read_ms, uint64_t told_ms)
{
	for (struct ticket *ticket = session->tickets; ticket; ticket = ticket->next) {
		const uint64_t remaining = ticket_remaining_ms(ticket, read_ms, told_ms);
		size_t slot;

		/* What has not been confirmed is not renewed by this. */
		if (ticket->state != TICKET_HELD || ticket->deleting)
			continue;
		slot = slot_of(beat, ticket_claim(ticket)->ttl_ms);
		if (slot == MOST_TTLS)
			continue;
		beat->grants++;
		if (remaining < beat->remaining_ms[slot])
			beat->remaining_ms[slot] = remaining;
	}
}

static void promise(struct session *session, struct beat *beat, uint64_t read_ms, uint64_t told_ms)
{
	struct ticket *next;

	engine_begin(session->sessions->engine);
	for (struct ticket *ticket = session->tickets; ticket; ticket = next) {
		size_t slot;

		next = ticket->next;
		if (ticket->state != TICKET_HELD || ticket->deleting ||
		    ticket_remaining_ms(ticket, read_ms, told_ms) == 0)
			continue;
		slot = slot_of(beat, ticket_claim(ticket)->ttl_ms);
		if (slot < MOST_TTLS)
			ticket_tell_until(ticket, told_ms, beat->remaining_ms[slot]);
		if (engine_claim_right_ms(ticket->engine_claim) <
		    told_ms + ticket_claim(ticket)->ttl_ms / 2)
			engine_renew(ticket->engine_claim);
	}
	engine_end(session->sessions->engine);
}

/* More than the client knows of: a late request got them, and it has to say that it wants them. */
static void add_claims(cJSON *body, const struct session *session)
{
	cJSON *list = cJSON_AddArrayToObject(body, "claims");

	for (const struct ticket *ticket = session->tickets; ticket; ticket = ticket->next) {
		if (ticket->state != TICKET_HELD || ticket->deleting)
			continue;
		cJSON_AddItemToArray(list, ticket_grant_data(ticket));
	}
}

static cJSON *beat_body(
    const struct session *session, const struct beat *beat, const struct heartbeat *heartbeat)
{
	cJSON *body = cJSON_CreateObject();
	cJSON *list;
	char text[DURATION_TEXT_SIZE];

	cJSON_AddStringToObject(body, "kind", "Session");
	cJSON_AddStringToObject(body, "holder", session->holder);
	cJSON_AddStringToObject(body, "elector", session->sessions->instance);
	/* A client whose stream broke in the middle, unnoticed at its end, sees it here. */
	cJSON_AddNumberToObject(
	    body, "stream", session->stream ? (double)session->stream->generation : 0);
	cJSON_AddNumberToObject(body, "grants", (double)beat->grants);
	list = cJSON_AddArrayToObject(body, "remaining");
	for (size_t i = 0; i < beat->ttls; i++) {
		cJSON *item = cJSON_CreateObject();

		duration_format(text, beat->ttl_ms[i]);
		cJSON_AddStringToObject(item, "ttl", text);
		duration_format(text, beat->remaining_ms[i]);
		cJSON_AddStringToObject(item, "remaining", text);
		cJSON_AddItemToArray(list, item);
	}
	list = cJSON_AddArrayToObject(body, "events");
	for (const struct session_event *event = session->events; event; event = event->next) {
		cJSON *item = cJSON_CreateObject();

		wire_add_decimal(item, "id", event->id);
		cJSON_AddStringToObject(item, "event", event->event);
		cJSON_AddItemToObject(item, "data", cJSON_Duplicate(event->data, true));
		cJSON_AddItemToArray(list, item);
	}
	if (beat->grants > heartbeat->grants)
		add_claims(body, session);
	return body;
}

void sessions_heartbeat(
    struct sessions *sessions, const struct heartbeat *heartbeat, struct sessions_request *request)
{
	struct session *session = session_find(sessions, &heartbeat->session);
	struct beat beat = {.grants = 0};
	uint64_t told_ms;

	if (!session || session->forgot) {
		answer_error(sessions, request, 404, "unknown_session",
		    "this elector does not know the session; confirm each grant by PUT with its token");
		return;
	}
	session->used_ms = sessions_now(sessions);
	session->fence_generation = heartbeat->stream;
	session_acknowledge(session, heartbeat->seen);
	told_ms = sessions_now(sessions);
	measure(session, &beat, heartbeat->read_ms, told_ms);
	promise(session, &beat, heartbeat->read_ms, told_ms);
	sessions->host.answer(
	    request, &(struct answer){.status = 200, .body = beat_body(session, &beat, heartbeat)});
}
