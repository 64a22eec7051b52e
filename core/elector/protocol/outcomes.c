/* What becomes of tickets, as the engine tells it. */
#include "session.h"

#include <stdlib.h>

/*
 * An elector that adopts the grant after a restart verifies it by its token. Where the granting
 * write cannot contain the token, the first renewal stores it; until then a write of others that
 * know nothing of it, as of a label, would make the grant unrecognisable (rule 10, the token stands
 * in the record).
 */
static void store_token(const struct ticket *ticket)
{
	if (engine_store(ticket->sessions->engine)->bears_token_late && !ticket_claim(ticket)->adopt)
		engine_renew(ticket->engine_claim);
}

/* Its wait has ended and its place is kept for a moment, so nobody could be told of a grant. */
static bool is_absent(const struct ticket *ticket)
{
	return ticket_waits(ticket) && !ticket->request && !ticket_claim(ticket)->adopt &&
	       !(ticket->queued && ticket->session);
}

/*
 * The claim's turn has come, but its client has not asked again: the name goes on to the next
 * waiter, at once.
 */
static void pass_over(struct ticket *ticket)
{
	ticket_set_state(ticket, TICKET_PASSED_OVER);
	engine_release(ticket->engine_claim);
}

static void on_held(struct ticket *ticket, const struct engine_event *event)
{
	struct sessions *sessions = ticket->sessions;
	const bool waited = ticket->state == TICKET_WAITING;
	struct sessions_request *request;

	if (is_absent(ticket)) {
		pass_over(ticket);
		return;
	}
	ticket->since_ms = sessions->clock.wall_ms(sessions->clock.context);
	sessions->counters.grants++;
	if (ticket->to_release) {
		ticket_release(ticket, TICKET_RELEASING, &sessions->counters.takeovers_goodbye);
		return;
	}
	store_token(ticket);
	/* The client also believes what a former elector told it, for up to the length of a right. */
	if (ticket_claim(ticket)->adopt)
		ticket_tell_until(ticket, sessions_now(sessions), claim_right_ms(event->ttl_ms));
	request = ticket->old_wire ? NULL : ticket_take_request(ticket);
	ticket_set_state(ticket, waited || !request ? TICKET_GRANTED : TICKET_HELD);
	ticket_tell_followers(ticket, "held");
	if (ticket->old_wire)
		old_wire_answer(ticket);
	else if (request && waited)
		ticket_answer_waited(ticket, request);
	else if (request)
		ticket_answer_lock(ticket, request, request->read_ms);
	else if (ticket->queued && ticket->session)
		ticket_post_granted(ticket);
}

static void on_lost(struct ticket *ticket, const struct engine_event *event)
{
	struct sessions *sessions = ticket->sessions;
	struct sessions_request *request;

	sessions->counters.losses[event->reason]++;
	ticket_tell_followers(ticket, "lost");
	/*
	 * If another elector has adopted the grant, its client has lost nothing, but heartbeats here do
	 * not renew it any more (rule 3, write only on top of your own write).
	 */
	if (ticket->session)
		ticket_post_lost(ticket, event->reason);
	ticket_bury(ticket);
	if (old_wire_follows(ticket, event->reason)) {
		ticket_end(ticket, TICKET_OVERTAKEN);
		return;
	}
	ticket_end(ticket, TICKET_ENDED);
	while ((request = ticket_take_request(ticket))) {
		if (event->reason == MPSYNC_REASON_OTHER_ELECTOR)
			answer_in_doubt(sessions, request);
		else
			answer_error(sessions, request, 409, "lost", "the grant has ended");
	}
}

/* The grant was released: requests for the release are answered 200, all others 409. */
static void answer_end(struct ticket *ticket, struct sessions_request *request)
{
	if (request->releases)
		answer_released(ticket->sessions, ticket_claim(ticket)->name, request);
	else if (ticket->old_wire)
		answer_holder(ticket->sessions, request, 409, 0);
	else
		answer_error(ticket->sessions, request, 409, "lost", "the grant has ended");
}

static void finish(struct ticket *ticket, enum ticket_state state)
{
	struct sessions_request *request;

	ticket_end(ticket, state);
	while ((request = ticket_take_request(ticket)))
		answer_end(ticket, request);
}

static void on_released(struct ticket *ticket)
{
	const bool expired = ticket->state == TICKET_EXPIRING;

	if (ticket->state == TICKET_PASSED_OVER) {
		finish(ticket, TICKET_IN_DOUBT); /* its client was never told that it held */
		return;
	}
	ticket->sessions->counters.releases++;
	ticket_tell_followers(ticket, expired ? "lost" : "released");
	if (expired && ticket->session)
		ticket_post_lost(ticket, MPSYNC_REASON_EXPIRED);
	finish(ticket, expired ? TICKET_IN_DOUBT : TICKET_ENDED);
}

/*
 * The place was kept for as long as the session had no stream to be told by; or a former elector's
 * late write got the name for this claim. The client queues again with a new claim.
 */
static void post_end_of_wait(
    struct ticket *ticket, const struct engine_event *event, const char *message)
{
	if (event->type == MPSYNC_EVENT_CANCELLED)
		ticket_post_lost(ticket, MPSYNC_REASON_EXPIRED);
	else if (event->type == MPSYNC_EVENT_FAILED && event->status == MPSYNC_E_LOST)
		ticket_post_lost(ticket, MPSYNC_REASON_OTHER_ELECTOR);
	else if (event->type == MPSYNC_EVENT_FAILED)
		ticket_post_refused(ticket,
		    event->status == MPSYNC_E_FORBIDDEN ? "forbidden" : "store_unreachable", message);
}

static void answer_not_held(
    struct ticket *ticket, const struct engine_event *event, struct sessions_request *request)
{
	struct sessions *sessions = ticket->sessions;
	const char *message = event->message ? event->message : mpsync_status_text(event->status);

	if (event->type == MPSYNC_EVENT_BUSY && ticket_claim(ticket)->adopt)
		answer_in_doubt(sessions, request);
	else if (event->type == MPSYNC_EVENT_BUSY)
		answer_holder(sessions, request, 409, 0);
	else if (event->status == MPSYNC_E_LOST && ticket->old_wire)
		answer_holder(sessions, request, 409, 0); /* there was nothing to regain */
	else if (event->status == MPSYNC_E_LOST)
		answer_error(sessions, request, 409, "lost", "the store shows that the grant has ended");
	else if (event->status == MPSYNC_E_INVALID)
		answer_error(sessions, request, 400, "invalid", message);
	else if (event->status == MPSYNC_E_FORBIDDEN)
		answer_error(sessions, request, 403, "forbidden", message);
	else if (event->status == MPSYNC_E_UNAUTHENTICATED)
		answer_error(sessions, request, 401, "unauthenticated", message);
	else
		answer_error(sessions, request, 503, "store_unreachable", message);
}

/* The claim was busy, cancelled or refused: it never held. */
static void on_not_held(struct ticket *ticket, const struct engine_event *event)
{
	const char *message = event->message ? event->message : mpsync_status_text(event->status);
	struct sessions_request *request;

	if (ticket->state == TICKET_OVERTAKEN)
		return; /* adopted when the wait has ended */
	if (ticket->state == TICKET_CANCELLING) {
		finish(ticket, TICKET_ENDED);
		return;
	}
	if (!ticket->request && ticket->queued && ticket->session)
		post_end_of_wait(ticket, event, message);
	ticket_end(ticket, ticket_claim(ticket)->adopt ? TICKET_IN_DOUBT : TICKET_ENDED);
	while ((request = ticket_take_request(ticket)))
		answer_not_held(ticket, event, request);
}

static void on_value_stored(struct ticket *ticket, const struct engine_event *event)
{
	struct sessions_request *request;

	request = ticket_take_request(ticket);
	if (!request)
		return;
	ticket->stored_order = ticket->order;
	/* Without it, another elector may have adopted the grant, so 503 and not 409. */
	if (event->status == MPSYNC_OK)
		ticket_answer_lock(ticket, request, request->read_ms);
	else
		answer_in_doubt(ticket->sessions, request);
}

/*
 * The store has said for the first time that another holds the name: a request without a wait is
 * answered, others wait on.
 */
static void on_waiting(struct ticket *ticket)
{
	struct sessions_request *request;

	if (!ticket_waits(ticket))
		return;
	ticket_set_state(ticket, TICKET_WAITING);
	if (!ticket->queued || !ticket->request)
		return;
	request = ticket_take_request(ticket);
	answer_holder(ticket->sessions, request, 202, engine_claim_position(ticket->engine_claim));
}

/* ---- How the store does ---- */

/* Told once, until the trouble is over. */
static void on_trouble(void *owner, const char *message)
{
	struct sessions *sessions = ((struct ticket *)owner)->sessions;

	if (sessions->in_trouble || !message)
		return;
	sessions->in_trouble = true;
	if (sessions->host.log)
		sessions->host.log(sessions->host.context, message);
}

/* The store acknowledges again. */
static void on_right(void *owner, uint64_t until_ms, int64_t wall_ahead_ms)
{
	struct ticket *ticket = owner;
	struct sessions *sessions = ticket->sessions;

	(void)wall_ahead_ms;
	if (until_ms != 0 && ticket->old_wire && ticket_is_held(ticket))
		old_wire_answer(ticket);
	if (until_ms == 0 || !sessions->in_trouble)
		return;
	sessions->in_trouble = false;
	if (sessions->host.log)
		sessions->host.log(sessions->host.context, "the store answers again");
}

/* ---- The engine's word ---- */

static void on_event(void *owner, const struct engine_event *event)
{
	struct ticket *ticket = owner;

	switch (event->type) {
	case MPSYNC_EVENT_HELD:
		on_held(ticket, event);
		return;
	case MPSYNC_EVENT_LOST:
		on_lost(ticket, event);
		return;
	case MPSYNC_EVENT_RELEASED:
		on_released(ticket);
		return;
	case MPSYNC_EVENT_WAITING:
		on_waiting(ticket);
		return;
	case MPSYNC_EVENT_DONE:
		on_value_stored(ticket, event);
		return;
	case MPSYNC_EVENT_LOG:
		on_trouble(ticket, event->message);
		return;
	default:
		on_not_held(ticket, event);
		return;
	}
}

/*
 * The claim here has ended. The engine frees its claim after this, so the texts are copied before.
 */
static void adopt_now(struct ticket *ticket)
{
	const struct store_claim *waited = ticket_claim(ticket);
	const struct put put = {
	    .name = waited->name,
	    .holder = waited->holder,
	    .ttl_ms = waited->ttl_ms,
	    .ttl_given = !ticket->old_wire,
	    .election = waited->election,
	};

	ticket_contend(ticket, &put, ticket->old_wire ? 0 : claim_request_timeout_ms(put.ttl_ms) * 2,
	    ticket->overtaking_token);
}

void ticket_ended(struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;
	const bool wanted = ticket->request || ticket->to_release;

	/* An elector that was stopped adopts nothing more: whoever asked for it is gone. */
	if (ticket->state == TICKET_OVERTAKEN && wanted && !engine_is_ending(sessions->engine)) {
		adopt_now(ticket);
		return;
	}
	if (ticket->state != TICKET_ENDED && ticket->state != TICKET_IN_DOUBT)
		ticket_end(ticket, TICKET_ENDED);
	id_table_remove(&sessions->tickets, &ticket->entry);
	free(ticket);
}

static void on_ended(void *owner)
{
	ticket_ended(owner);
}

const struct engine_owner sessions_owner = {
    .event = on_event, .right = on_right, .ended = on_ended, .trouble = on_trouble};
