#include "session.h"

#include "base/list.h"

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
	DOUBLY_ADD(session->tickets, ticket);
}

static void leave_session(struct ticket *ticket)
{
	if (!ticket->session)
		return;
	DOUBLY_REMOVE(ticket->session->tickets, ticket);
	ticket->session = NULL;
}

bool ticket_is_held(const struct ticket *ticket)
{
	return ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED;
}

bool ticket_waits(const struct ticket *ticket)
{
	return ticket->state == TICKET_ASKING || ticket->state == TICKET_WAITING;
}

/* The ticket counts as held until the store has released the grant. */
static size_t counts_as_held(const struct ticket *ticket)
{
	return ticket_is_held(ticket) || ticket->state == TICKET_RELEASING ||
	       ticket->state == TICKET_EXPIRING;
}

void ticket_set_state(struct ticket *ticket, enum ticket_state state)
{
	struct sessions_counters *counters = &ticket->sessions->counters;

	counters->held -= counts_as_held(ticket);
	counters->waiters -= ticket_waits(ticket);
	ticket->state = state;
	counters->held += counts_as_held(ticket);
	counters->waiters += ticket_waits(ticket);
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
	ticket->state = TICKET_ENDED;
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

	ticket_set_state(ticket, adopt_token ? TICKET_ADOPTING : TICKET_ASKING);
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
	ticket_set_state(ticket, TICKET_OVERTAKEN);
	ticket->overtaking_token = token;
	ticket->queued = false;
	ticket_set_timer(ticket, HEAP_NEVER);
	engine_cancel(ticket->engine_claim);
}

/* ---- Its end ---- */

void ticket_end(struct ticket *ticket, enum ticket_state state)
{
	ticket_set_state(ticket, state);
	leave_session(ticket);
	ticket_set_timer(ticket, HEAP_NEVER);
}

void ticket_bury(const struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;

	tombstones_bury(&sessions->tombstones, &ticket->entry.id, sessions_now(sessions));
}

void ticket_release(struct ticket *ticket, enum ticket_state state, uint64_t *cause)
{
	++*cause;
	ticket_bury(ticket);
	ticket_set_state(ticket, state);
	engine_release(ticket->engine_claim);
}

static void cancel_wait(struct ticket *ticket)
{
	ticket_bury(ticket);
	ticket_set_state(ticket, TICKET_CANCELLING);
	engine_cancel(ticket->engine_claim);
}

/* Nobody waits for the answer any more. */
static void release_when_adopted(struct ticket *ticket)
{
	struct sessions_request *request = ticket_take_request(ticket);

	ticket->to_release = true;
	if (request)
		answer_in_doubt(ticket->sessions, request);
}

void ticket_let_go(struct ticket *ticket, uint64_t *cause)
{
	switch (ticket->state) {
	case TICKET_ASKING:
	case TICKET_WAITING:
		cancel_wait(ticket);
		return;
	case TICKET_OVERTAKEN:
	case TICKET_ADOPTING:
		release_when_adopted(ticket);
		return;
	case TICKET_GRANTED:
	case TICKET_HELD:
		ticket_release(ticket, TICKET_RELEASING, cause);
		return;
	case TICKET_PASSED_OVER:
		ticket_bury(ticket);
		return;
	case TICKET_RELEASING:
	case TICKET_EXPIRING:
	case TICKET_CANCELLING:
	case TICKET_IN_DOUBT:
	case TICKET_ENDED:
		return;
	}
}

/* ---- Time ---- */

static void on_wait_over(struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;
	struct sessions_request *request;

	/* A timer that rang and is not set again would ring for ever. */
	ticket_set_timer(ticket, HEAP_NEVER);
	request = ticket_take_request(ticket);
	if (request) {
		/* The client may ask again at once (rule 13, a place is kept for a moment). */
		ticket_set_timer(ticket, sessions_now(sessions) + PLACE_KEPT_MS);
		answer_holder(sessions, request, 409, engine_claim_position(ticket->engine_claim));
	} else if (!(ticket->queued && ticket->session && ticket->session->stream)) {
		engine_cancel(ticket->engine_claim);
	}
}

void ticket_ring(struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;
	const uint64_t now = sessions_now(sessions);

	if (ticket_waits(ticket)) {
		on_wait_over(ticket);
	} else if (ticket->old_wire && ticket->request) {
		old_wire_answer(ticket);
	} else if (now < ticket->told_until_ms) {
		ticket_set_timer(ticket, ticket->told_until_ms);
	} else {
		ticket_set_timer(ticket, HEAP_NEVER);
		/*
		 * The client no longer relies on the grant: released now, the name is free before the
		 * record's ttl is over (rule 6, release at told_until).
		 */
		if (ticket_is_held(ticket))
			ticket_release(ticket, TICKET_EXPIRING, &sessions->counters.takeovers_expiry);
	}
}
