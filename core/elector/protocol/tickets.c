#include "session.h"

#include <stdlib.h>

const struct store_claim *ticket_claim(const struct ticket *ticket)
{
	return engine_claim_stored(ticket->engine_claim);
}

struct ticket *ticket_find(const struct sessions *sessions, const struct id *claim)
{
	return (struct ticket *)id_table_find(&sessions->tickets, claim);
}

void ticket_set_timer(struct ticket *ticket, uint64_t at_ms)
{
	heap_set(&ticket->sessions->ticket_timers, &ticket->timer, at_ms);
	sessions_arm(ticket->sessions);
}

void ticket_join_session(struct ticket *ticket, struct session *session)
{
	if (!session || ticket->session)
		return;
	ticket->session = session;
	ticket->next = session->tickets;
	if (ticket->next)
		ticket->next->previous = ticket;
	session->tickets = ticket;
}

static void leave_session(struct ticket *ticket)
{
	if (!ticket->session)
		return;
	if (ticket->next)
		ticket->next->previous = ticket->previous;
	if (ticket->previous)
		ticket->previous->next = ticket->next;
	else
		ticket->session->tickets = ticket->next;
	ticket->session = NULL;
	ticket->next = ticket->previous = NULL;
}

void ticket_set_state(struct ticket *ticket, enum ticket_state state)
{
	struct sessions_counters *counters = &ticket->sessions->counters;
	const bool was = ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED;
	const bool is = state == TICKET_HELD || state == TICKET_GRANTED;

	counters->held += (size_t)is - (size_t)was;
	counters->waiters +=
	    (size_t)(state == TICKET_WAITING) - (size_t)(ticket->state == TICKET_WAITING);
	ticket->state = state;
}

void ticket_hold_back(struct ticket *ticket, struct sessions_request *request, uint64_t read_ms)
{
	request->behind = ticket->request;
	ticket->request = request;
	request->ticket = ticket;
	request->read_ms = read_ms;
}

void ticket_drop_request(struct ticket *ticket, struct sessions_request *request)
{
	struct sessions_request **link = &ticket->request;

	while (*link != request)
		link = &(*link)->behind;
	*link = request->behind;
	request->ticket = NULL;
}

struct sessions_request *ticket_take_request(struct ticket *ticket)
{
	struct sessions_request *request = ticket->request;

	if (request)
		ticket_drop_request(ticket, request);
	return request;
}

/* ---- Its beginning ---- */

struct ticket *ticket_new(struct sessions *sessions, const struct put *put)
{
	struct ticket *ticket = calloc(1, sizeof *ticket);

	if (!ticket)
		return NULL;
	ticket->entry.id = put->claim;
	ticket->sessions = sessions;
	ticket->timer.index = HEAP_ABSENT;
	ticket->queued = put->queue;
	ticket->state = TICKET_LEAVING;
	if (!heap_reserve(&sessions->ticket_timers, sessions->tickets.count + 1)) {
		free(ticket);
		return NULL;
	}
	id_table_add(&sessions->tickets, &ticket->entry);
	ticket_join_session(ticket, session_use(sessions, &put->session, put->holder));
	return ticket;
}

void ticket_contend(
    struct ticket *ticket, const struct put *put, uint64_t wait_ms, uint64_t adopt_token)
{
	const struct engine_wish wish = {
	    .name = put->name,
	    .holder = put->holder,
	    .value = put->value,
	    .secret = ticket->entry.id,
	    .ttl_ms = put->ttl_ms,
	    .wait_ms = wait_ms,
	    .adopt_token = adopt_token,
	    .regain = ticket->old_wire,
	    .try_ms = ticket->old_wire ? OLD_WIRE_TRY_MS : 0,
	    .any_ttl = !put->ttl_given,
	    .election = put->election,
	    .owner = ticket,
	};
	struct sessions_request *request;

	ticket_set_state(ticket, adopt_token ? TICKET_ADOPTING : TICKET_WAITING);
	/* The engine may call back, and even end the ticket, before it returns. */
	if (engine_acquire(ticket->sessions->engine, &wish, &ticket->engine_claim))
		return;
	request = ticket_take_request(ticket);
	if (request)
		answer_no_memory(ticket->sessions, request);
	ticket_ended(ticket);
}

void ticket_adopt_instead(struct ticket *ticket, uint64_t token)
{
	ticket->overtaken = true;
	ticket->overtaking_token = token;
	ticket->queued = false;
	ticket_set_timer(ticket, HEAP_NEVER);
	engine_cancel(ticket->engine_claim);
}

/* ---- Its end ---- */

/* The ticket holds nothing and asks for nothing any more; only the engine is not done with it. */
void ticket_end(struct ticket *ticket)
{
	ticket_set_state(ticket, TICKET_LEAVING);
	leave_session(ticket);
	ticket_set_timer(ticket, HEAP_NEVER);
}

void ticket_bury(const struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;

	tombstones_bury(&sessions->tombstones, &ticket->entry.id, sessions_now(sessions));
}

void ticket_release(struct ticket *ticket, uint64_t *cause)
{
	++*cause;
	ticket_bury(ticket);
	engine_release(ticket->engine_claim);
}

void ticket_let_go(struct ticket *ticket, uint64_t *cause)
{
	ticket->deleting = true;
	if (ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED) {
		ticket_release(ticket, cause);
	} else if (ticket->state == TICKET_WAITING) {
		ticket_bury(ticket);
		engine_cancel(ticket->engine_claim);
	}
}

/* ---- Time ---- */

static void on_wait_over(struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;
	struct sessions_request *request;

	/* A timer that rang and is not set again would ring for ever. */
	ticket_set_timer(ticket, HEAP_NEVER);
	if (ticket->overtaken)
		return; /* cancelled already, but the engine is not done with it */
	request = ticket_take_request(ticket);
	if (request) {
		/* The place is kept, since the client may ask again at once (rule 13). */
		ticket_set_timer(ticket, sessions_now(sessions) + PLACE_KEPT_MS);
		answer_holder(sessions, request, 409, engine_claim_position(ticket->engine_claim) + 1);
	} else if (!(ticket->queued && ticket->session && ticket->session->stream)) {
		engine_cancel(ticket->engine_claim);
	}
}

void ticket_ring(struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;
	const uint64_t now = sessions_now(sessions);

	if (ticket->state == TICKET_WAITING) {
		on_wait_over(ticket);
	} else if (ticket->old_wire && ticket->request) {
		old_wire_answer(ticket);
	} else if (ticket->told && now < ticket->told_until_ms) {
		ticket_set_timer(ticket, ticket->told_until_ms);
	} else if (ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED) {
		/*
		 * Nobody believes any more: release the name at once, instead of letting it run out (rule
		 * 6).
		 */
		ticket->expiring = true;
		ticket_set_timer(ticket, HEAP_NEVER);
		ticket_release(ticket, &sessions->counters.takeovers_expiry);
	} else {
		ticket_set_timer(ticket, HEAP_NEVER);
	}
}
