#include "session.h"

#include <string.h>

/*
 * Only the store knows what became of the claim: this elector could not confirm another elector's
 * grant, lets a grant run out, or gives one back whose client was away.
 */
static bool is_in_doubt(const struct ticket *ticket)
{
	return ticket->state == TICKET_EXPIRING || ticket->state == TICKET_PASSED_OVER ||
	       ticket->state == TICKET_IN_DOUBT;
}

/* Its client asked for the end, or was told of it. */
static bool is_over(const struct ticket *ticket)
{
	return ticket->state == TICKET_RELEASING || ticket->state == TICKET_CANCELLING ||
	       ticket->state == TICKET_ENDED;
}

struct ticket *ticket_for(
    struct sessions *sessions, const struct put *put, struct sessions_request *request)
{
	struct ticket *ticket = ticket_new(sessions, put);

	if (ticket)
		ticket_hold_back(ticket, request, put->read_ms);
	else
		answer_no_memory(sessions, request);
	return ticket;
}

static bool is_adopting(const struct ticket *ticket)
{
	return ticket->state == TICKET_ADOPTING || ticket->state == TICKET_OVERTAKEN;
}

/*
 * The store's answer goes to the latest request. If the claim waits here and comes with a token,
 * its client went to another elector, was granted the claim there, and has come back.
 */
static void await_adoption(
    struct ticket *ticket, const struct put *put, struct sessions_request *request)
{
	struct sessions_request *earlier = ticket_take_request(ticket);

	if (earlier)
		answer_in_doubt(ticket->sessions, earlier);
	ticket_hold_back(ticket, request, put->read_ms);
	if (!is_adopting(ticket))
		ticket_adopt_instead(ticket, put->token);
}

/* ---- PUT ---- */

/* Without a stream here nobody could tell the client of a queued claim that it was granted. */
static bool has_stream(const struct sessions *sessions, const struct id *id)
{
	const struct session *session = session_find(sessions, id);

	return session && session->stream;
}

static void put_new(
    struct sessions *sessions, const struct put *put, struct sessions_request *request)
{
	struct ticket *ticket;

	/*
	 * A tombstone refuses new claims only. A request with a token is checked against the store: the
	 * claim may have moved to another elector, and still hold there.
	 */
	if (!put->token &&
	    tombstones_have(&sessions->tombstones, &put->claim, sessions_now(sessions))) {
		answer_error(sessions, request, 409, "cancelled",
		    "this claim was cancelled or has ended; draw a new one");
		return;
	}
	if (sessions->tickets.count >= sessions->most_tickets) {
		answer_error(sessions, request, 503, "too_many", "too many waiters; raise --max-waiters");
		return;
	}
	ticket = ticket_for(sessions, put, request);
	if (!ticket)
		return;
	/*
	 * A ticket outlives its connection, so the engine waits for ever, and only the request has a
	 * time-out.
	 */
	if (put->token) {
		ticket_contend(ticket, put, claim_try_ms(put->ttl_ms), put->token);
	} else if (put->wait_ms == 0 && !put->queue) {
		ticket_contend(ticket, put, 0, 0);
	} else {
		if (!put->queue)
			ticket_set_timer(ticket, put->read_ms + put->wait_ms);
		ticket_contend(ticket, put, CLAIM_NEVER, 0);
	}
}

static void put_value(
    struct ticket *ticket, const struct put *put, struct sessions_request *request)
{
	struct sessions_request *earlier;

	earlier = ticket_take_request(ticket);
	if (earlier)
		answer_error(ticket->sessions, earlier, 503, "store_unreachable",
		    "a newer value was set before this one was stored");
	ticket_hold_back(ticket, request, put->read_ms);
	ticket->order = put->order;
	if (!engine_set_value(ticket->engine_claim, put->value)) {
		ticket_take_request(ticket);
		answer_no_memory(ticket->sessions, request);
	}
}

static void put_held(struct ticket *ticket, const struct put *put, struct sessions_request *request)
{
	struct sessions *sessions = ticket->sessions;
	const uint64_t now = sessions_now(sessions);

	if (put->token && put->token != ticket_claim(ticket)->token) {
		answer_error(sessions, request, 400, "invalid", "this token was never given to this claim");
		return;
	}
	if (put->ttl_given && put->ttl_ms != ticket_claim(ticket)->ttl_ms) {
		answer_error(sessions, request, 400, "invalid", "the ttl of a grant is fixed");
		return;
	}
	ticket_join_session(ticket, session_use(sessions, &put->session, put->holder));
	ticket_set_state(ticket, TICKET_HELD);
	if (put->token && put->has_value) {
		put_value(ticket, put, request);
		return;
	}
	if (ticket_remaining_ms(ticket, put->read_ms, now) == 0) {
		answer_unconfirmed(sessions, request);
		return;
	}
	ticket_answer_lock(ticket, request, put->read_ms);
	if (engine_claim_right_ms(ticket->engine_claim) < now + ticket_claim(ticket)->ttl_ms / 2)
		engine_renew(ticket->engine_claim);
}

static void put_waiting(
    struct ticket *ticket, const struct put *put, struct sessions_request *request)
{
	struct sessions *sessions = ticket->sessions;
	const uint32_t position = engine_claim_position(ticket->engine_claim);
	struct sessions_request *earlier;

	if (ticket->to_release) {
		answer_in_doubt(sessions, request);
		return;
	}
	if (put->token || is_adopting(ticket)) {
		ticket_join_session(ticket, session_use(sessions, &put->session, put->holder));
		await_adoption(ticket, put, request);
		return;
	}
	earlier = ticket_take_request(ticket);
	if (earlier)
		answer_holder(sessions, earlier, 409, position);
	ticket_join_session(ticket, session_use(sessions, &put->session, put->holder));
	ticket->queued |= put->queue;
	if (put->queue) {
		ticket_set_timer(ticket, HEAP_NEVER);
		answer_holder(sessions, request, 202, position);
	} else if (put->wait_ms == 0) {
		ticket_set_timer(ticket, put->read_ms + PLACE_KEPT_MS);
		answer_holder(sessions, request, 409, position);
	} else {
		ticket_hold_back(ticket, request, put->read_ms);
		ticket_set_timer(ticket, put->read_ms + put->wait_ms);
	}
}

/* No newer value has come, and the client has opened no stream since. */
static bool comes_in_order(const struct sessions *sessions, const struct put *put)
{
	struct session *session = session_find(sessions, &put->session);

	if (!session || !session->stream || session->stream->generation != put->stream ||
	    session->order >= put->order)
		return false;
	session->order = put->order;
	return true;
}

/*
 * A value that comes late would undo the newer ones. If the grant is yet to be adopted, nobody here
 * knows of newer ones, and its client sets the value again.
 */
static void drop_late_value(
    const struct sessions *sessions, const struct ticket *ticket, struct put *put)
{
	if (!put->order || (comes_in_order(sessions, put) && ticket && ticket_is_held(ticket)))
		return;
	put->has_value = false;
	put->value = NULL;
}

void sessions_put(
    struct sessions *sessions, const struct put *asked, struct sessions_request *request)
{
	struct ticket *ticket = ticket_find(sessions, &asked->claim);
	struct put taken = *asked;
	const struct put *put = &taken;

	request->releases = false;
	drop_late_value(sessions, ticket, &taken);
	if (!id_is_none(&put->session) && !sessions_have_room(sessions, &put->session))
		answer_error(
		    sessions, request, 503, "too_many", "too many sessions; raise --max-connections");
	else if (put->queue && !has_stream(sessions, &put->session))
		answer_error(sessions, request, 404, "unknown_session",
		    "the session has no stream here, which queue needs; open it first");
	else if (!ticket)
		put_new(sessions, put, request);
	else if (strcmp(ticket_claim(ticket)->name, put->name) != 0)
		answer_error(sessions, request, 400, "invalid", "this claim is for another name");
	else if (ticket_is_held(ticket))
		put_held(ticket, put, request);
	else if (is_in_doubt(ticket))
		answer_in_doubt(sessions, request);
	else if (is_over(ticket))
		answer_error(sessions, request, 409, put->token ? "lost" : "cancelled",
		    "this claim was cancelled or has ended; draw a new one");
	else
		put_waiting(ticket, put, request);
}

/* ---- DELETE ---- */

static void delete_unknown(
    struct sessions *sessions, const struct put *put, struct sessions_request *request)
{
	struct ticket *ticket;

	if (!put->token) {
		tombstones_bury(&sessions->tombstones, &put->claim, sessions_now(sessions));
		answer_released(sessions, put->name, request);
		return;
	}
	/* The grant of a former elector: adopt it, in order to release it. */
	ticket = ticket_for(sessions, put, request);
	if (!ticket)
		return;
	ticket->to_release = true;
	ticket_contend(ticket, put, claim_try_ms(put->ttl_ms), put->token);
}

void sessions_delete(
    struct sessions *sessions, const struct put *put, struct sessions_request *request)
{
	struct ticket *ticket = ticket_find(sessions, &put->claim);
	struct sessions_request *earlier;

	request->releases = true;
	if (!ticket) {
		delete_unknown(sessions, put, request);
		return;
	}
	if (is_in_doubt(ticket)) {
		answer_in_doubt(sessions, request);
		return;
	}
	if (is_adopting(ticket) || (put->token && ticket_waits(ticket))) {
		/* A grant that is not adopted yet is released when it has been. */
		ticket->to_release = true;
		await_adoption(ticket, put, request);
		return;
	}
	if (is_over(ticket)) {
		answer_released(sessions, put->name, request);
		return;
	}
	if (put->token && ticket_is_held(ticket) && put->token != ticket_claim(ticket)->token) {
		answer_error(sessions, request, 400, "invalid", "this token was never given to this claim");
		return;
	}
	earlier = ticket_take_request(ticket);
	if (earlier)
		answer_error(sessions, earlier, 409, "cancelled", "this claim was cancelled");
	ticket_hold_back(ticket, request, put->read_ms);
	ticket_let_go(ticket, &sessions->counters.takeovers_goodbye);
}

/* ---- Requests whose client is gone ---- */

void sessions_abandon(struct sessions *sessions, struct sessions_request *request)
{
	struct ticket *ticket = request->ticket;

	if (!ticket)
		return;
	ticket_drop_request(ticket, request);
	/* The wait has ended, but not the claim (rule 13, a place is kept for a moment). */
	if (ticket_waits(ticket) && !ticket->request)
		ticket_set_timer(ticket, sessions_now(sessions) + PLACE_KEPT_MS);
}
