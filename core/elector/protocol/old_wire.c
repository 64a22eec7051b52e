/*
 * Callers of the old wire name no holder, so all callers of one identity are one holder. They look
 * only at the status of an answer, believe in it for 30 s, and have neither session nor token: a
 * grant that a former elector of this identity made for them is adopted by its claim alone.
 */
#include "session.h"

/* Four fifths of the ttl are the right, and these callers count on 30 s of it. */
#define TTL_MS   38000
#define RIGHT_MS 30000
/*
 * A right this fresh is not renewed; the time that it lacks is added to how long the name is kept.
 */
#define FRESH_MS 27000
#define KEPT_MS  (RIGHT_MS + (RIGHT_MS - FRESH_MS))
/* Old clients give up on an answer after 10 s, so a request must not wait longer than this. */
#define PATIENCE_MS 3000

static uint64_t right_left_ms(const struct ticket *ticket)
{
	const uint64_t now = sessions_now(ticket->sessions);
	const uint64_t until = engine_claim_right_ms(ticket->engine_claim);

	return until > now ? until - now : 0;
}

static void answer(struct ticket *ticket, struct sessions_request *request)
{
	struct sessions *sessions = ticket->sessions;

	if (right_left_ms(ticket) == 0) {
		answer_unconfirmed(sessions, request);
		return;
	}
	ticket_set_state(ticket, TICKET_HELD);
	ticket_tell_until(ticket, sessions_now(sessions), KEPT_MS);
	ticket_answer(ticket, request, RIGHT_MS);
}

void old_wire_answer(struct ticket *ticket)
{
	struct sessions_request *request;

	while ((request = ticket_take_request(ticket))) {
		if (request->create && ticket_claim(ticket)->adopt)
			answer_holder(ticket->sessions, request, 409, 0);
		else
			answer(ticket, request);
	}
}

/* Each request counts for 30 s from when it was read, whatever becomes of this elector. */
static void renew(struct ticket *ticket, struct sessions_request *request, uint64_t read_ms)
{
	ticket_hold_back(ticket, request, read_ms);
	if (right_left_ms(ticket) >= FRESH_MS) {
		old_wire_answer(ticket);
		return;
	}
	if (!request->behind)
		ticket_set_timer(ticket, read_ms + PATIENCE_MS);
	engine_renew(ticket->engine_claim);
}

bool old_wire_follows(const struct ticket *ticket, enum mpsync_reason reason)
{
	return ticket->old_wire && ticket->request && reason == MPSYNC_REASON_OTHER_ELECTOR;
}

void sessions_put_anonymous(struct sessions *sessions, const char *name, bool create,
    uint64_t read_ms, struct sessions_request *request)
{
	struct put put = {
	    .name = name,
	    .holder = sessions->anonymous.holder,
	    .ttl_ms = TTL_MS,
	    .read_ms = read_ms,
	};
	struct ticket *ticket;

	request->create = create;
	request->releases = false;
	if (!anonymous_claim(&sessions->anonymous.key, name, &put.claim)) {
		answer_no_memory(sessions, request);
		return;
	}
	ticket = ticket_find(sessions, &put.claim);
	if (!ticket) {
		ticket = ticket_for(sessions, &put, request);
		if (!ticket)
			return;
		ticket->old_wire = true;
		ticket_contend(ticket, &put, 0, 0);
	} else if (ticket_is_held(ticket) && !create) {
		renew(ticket, request, read_ms);
	} else if (ticket_waits(ticket) && (!create || !ticket->request)) {
		ticket_hold_back(ticket, request, read_ms);
	} else {
		answer_holder(sessions, request, 409, 0);
	}
}
