#include "session.h"

#include "base/duration.h"
#include "base/wire.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- Answers ---- */

void answer_error(struct sessions *sessions, struct sessions_request *request, int status,
    const char *code, const char *message)
{
	sessions->host.answer(
	    request, &(struct answer){.status = status, .code = code, .message = message});
}

void answer_holder(
    struct sessions *sessions, struct sessions_request *request, int status, uint32_t position)
{
	sessions->host.answer(
	    request, &(struct answer){.status = status,
	                 .code = status == 409 ? "held" : NULL,
	                 .message = status == 409 ? "held by another; wait, or try again later" : NULL,
	                 .want_lock = true,
	                 .position = position,
	                 .elector = sessions->instance});
}

void answer_no_memory(struct sessions *sessions, struct sessions_request *request)
{
	answer_error(sessions, request, 503, "too_many", "out of memory; try again later");
}

void answer_in_doubt(struct sessions *sessions, struct sessions_request *request)
{
	answer_error(sessions, request, 503, "store_unreachable",
	    "whether the grant lasts is not known yet; ask again");
}

static cJSON *released_object(const char *name)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddStringToObject(body, "kind", "Released");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(body, "metadata"), "name", name);
	return body;
}

void answer_released(struct sessions *sessions, const char *name, struct sessions_request *request)
{
	sessions->host.answer(request, &(struct answer){.status = 200, .body = released_object(name)});
}

/* ---- What a client may believe ---- */

uint64_t ticket_remaining_ms(const struct ticket *ticket, uint64_t read_ms, uint64_t told_ms)
{
	const uint64_t by_request = read_ms + claim_right_ms(ticket_claim(ticket)->ttl_ms);
	const uint64_t right_until = engine_claim_right_ms(ticket->engine_claim);
	const uint64_t end = right_until < by_request ? right_until : by_request;

	return end > told_ms ? end - told_ms : 0;
}

/* Told by what is no answer to a request of the client's, and so has no other bound. */
static uint64_t whole_remaining_ms(const struct ticket *ticket, uint64_t told_ms)
{
	const uint64_t until = engine_claim_right_ms(ticket->engine_claim);

	return until > told_ms ? until - told_ms : 0;
}

/* The client's clock may be slower than ours by 5 %: it believes for that much longer. */
void ticket_tell_until(struct ticket *ticket, uint64_t told_ms, uint64_t told_remaining_ms)
{
	const uint64_t until = told_ms + told_remaining_ms + told_remaining_ms / 20 + 1;

	ticket->told = true;
	if (until > ticket->told_until_ms)
		ticket->told_until_ms = until;
	/* Mostly it rings too early, and is set anew then: cheaper than to move it each time. */
	if (ticket->timer.index == HEAP_ABSENT || ticket->timer.at_ms > ticket->told_until_ms)
		ticket_set_timer(ticket, ticket->told_until_ms);
}

static cJSON *lock_object(const struct ticket *ticket, uint64_t remaining)
{
	const struct sessions *sessions = ticket->sessions;
	const struct store_claim *claim = ticket_claim(ticket);
	const struct store_lock lock = {
	    .name = claim->name,
	    .holder = claim->holder,
	    .value = claim->value,
	    .token = claim->token,
	    .ttl_ms = claim->ttl_ms,
	    .since_ms = ticket->since_ms,
	    .expires_in_ms = remaining,
	    .election = claim->election,
	};
	cJSON *object = wire_lock(&lock, sessions->clock.wall_ms(sessions->clock.context));
	char text[DURATION_TEXT_SIZE];
	cJSON *spec;

	/* A heartbeat renews what this very elector has confirmed. */
	duration_format(text, remaining);
	spec = cJSON_GetObjectItem(object, "spec");
	return wire_whole(object, wire_add_text(object, "elector", sessions->instance) &&
	                              wire_add_text(spec, "remaining", text) &&
	                              (!ticket->stored_order || cJSON_AddNumberToObject(spec, "order",
	                                                            (double)ticket->stored_order)));
}

void ticket_answer(struct ticket *ticket, struct sessions_request *request, uint64_t remaining_ms)
{
	ticket->sessions->host.answer(
	    request, &(struct answer){.status = 200, .body = lock_object(ticket, remaining_ms)});
}

void ticket_answer_lock(struct ticket *ticket, struct sessions_request *request, uint64_t read_ms)
{
	const uint64_t told_ms = sessions_now(ticket->sessions);
	const uint64_t remaining = ticket_remaining_ms(ticket, read_ms, told_ms);

	ticket_tell_until(ticket, told_ms, remaining);
	ticket_answer(ticket, request, remaining);
}

/* After a wait the answer's own time is over: it says that there is a grant, to be confirmed at
 * once. */
static void answer_waited(struct ticket *ticket, struct sessions_request *request)
{
	const uint64_t told_ms = sessions_now(ticket->sessions);

	ticket_tell_until(ticket, told_ms, whole_remaining_ms(ticket, told_ms));
	ticket_answer(ticket, request, 0);
}

/* ---- What is told of it ---- */

static cJSON *event_data(const struct ticket *ticket)
{
	cJSON *data = cJSON_CreateObject();
	char claim[ID_HEX_SIZE];

	id_to_hex(&ticket->entry.id, claim);
	return wire_whole(data, wire_add_text(data, "name", ticket_claim(ticket)->name) &&
	                            wire_add_text(data, "claim", claim));
}

cJSON *ticket_grant_data(const struct ticket *ticket)
{
	cJSON *data = event_data(ticket);

	return wire_whole(data, wire_add_decimal(data, "token", ticket_claim(ticket)->token));
}

static void tell_followers(const struct ticket *ticket, const char *event)
{
	struct sessions *sessions = ticket->sessions;
	const struct store_claim *claim = ticket_claim(ticket);

	for (struct follower *follower = sessions->followers; follower; follower = follower->next) {
		cJSON *data;
		char since[WIRE_TIME_SIZE];

		if (strcmp(follower->holder, claim->holder) != 0)
			continue;
		data = cJSON_CreateObject();
		wire_time(since, ticket->since_ms);
		sessions->host.send(follower->stream, 0, event,
		    wire_whole(data, wire_add_text(data, "name", claim->name) &&
		                         wire_add_decimal(data, "token", claim->token) &&
		                         wire_add_text(data, "since", since)));
	}
}

static void post_granted(struct ticket *ticket)
{
	const uint64_t told_ms = sessions_now(ticket->sessions);
	cJSON *data = ticket_grant_data(ticket);

	ticket_tell_until(ticket, told_ms, whole_remaining_ms(ticket, told_ms));
	session_post(ticket->session, "granted", data);
}

static void post_lost(struct ticket *ticket, enum mpsync_reason reason)
{
	cJSON *data = ticket_grant_data(ticket);

	session_post(ticket->session, "lost",
	    wire_whole(data, wire_add_text(data, "reason", mpsync_reason_text((int32_t)reason))));
}

static void post_refused(struct ticket *ticket, const char *code, const char *message)
{
	cJSON *data = event_data(ticket);

	session_post(ticket->session, "refused",
	    wire_whole(
	        data, wire_add_text(data, "code", code) && wire_add_text(data, "message", message)));
}

/* ---- Its life ---- */

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

struct sessions_request *ticket_take_request(struct ticket *ticket)
{
	struct sessions_request *request = ticket->request;

	if (request)
		ticket_drop_request(ticket, request);
	return request;
}

void ticket_drop_request(struct ticket *ticket, struct sessions_request *request)
{
	struct sessions_request **link = &ticket->request;

	while (*link != request)
		link = &(*link)->behind;
	*link = request->behind;
	request->ticket = NULL;
}

/* It holds nothing any more and asks for nothing: only the engine has yet to let go. */
static void end_ticket(struct ticket *ticket)
{
	ticket_set_state(ticket, TICKET_LEAVING);
	leave_session(ticket);
	ticket_set_timer(ticket, HEAP_NEVER);
}

static void bury(const struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;

	tombstones_bury(&sessions->tombstones, &ticket->entry.id, sessions_now(sessions));
}

static void release_ticket(struct ticket *ticket, uint64_t *cause)
{
	++*cause;
	bury(ticket);
	engine_release(ticket->engine_claim);
}

void ticket_let_go(struct ticket *ticket, uint64_t *cause)
{
	ticket->deleting = true;
	if (ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED) {
		release_ticket(ticket, cause);
	} else if (ticket->state == TICKET_WAITING) {
		bury(ticket);
		engine_cancel(ticket->engine_claim);
	}
}

/*
 * Whoever adopts the grant after a restart of this elector verifies it by its token. Where the
 * granting write cannot bear it, the first renewal does, and until then any other hand's write, a
 * label's or a waiter's, makes the grant unknowable (rule 10).
 */
static void store_token(const struct ticket *ticket)
{
	if (engine_store(ticket->sessions->engine)->bears_token_late && !ticket_claim(ticket)->adopt)
		engine_renew(ticket->engine_claim);
}

/* Its wait has ended, and its place is kept for a moment; nobody could be told of a grant. */
static bool is_absent(const struct ticket *ticket)
{
	return ticket->state == TICKET_WAITING && !ticket->request && !ticket_claim(ticket)->adopt &&
	       !(ticket->queued && ticket->session);
}

/* Its turn has come, and its client has not asked again: the next one's, at once. */
static void pass_over(struct ticket *ticket)
{
	ticket->passed_over = true;
	engine_release(ticket->engine_claim);
}

static void on_held(struct ticket *ticket, const struct engine_event *event)
{
	struct sessions *sessions = ticket->sessions;
	struct sessions_request *request;

	if (is_absent(ticket)) {
		pass_over(ticket);
		return;
	}
	ticket->granted = true;
	ticket->since_ms = sessions->clock.wall_ms(sessions->clock.context);
	sessions->counters.grants++;
	if (ticket->state == TICKET_ADOPTING && ticket->release_when_held) {
		ticket_set_state(ticket, TICKET_HELD);
		release_ticket(ticket, &sessions->counters.takeovers_goodbye);
		return;
	}
	store_token(ticket);
	/* What a former elector has said is believed as well, and for up to a right's length. */
	if (ticket_claim(ticket)->adopt)
		ticket_tell_until(ticket, sessions_now(sessions), claim_right_ms(event->ttl_ms));
	request = ticket->old_wire ? NULL : ticket_take_request(ticket);
	ticket_set_state(ticket, ticket->waited || !request ? TICKET_GRANTED : TICKET_HELD);
	tell_followers(ticket, "held");
	if (ticket->old_wire)
		old_wire_answer(ticket);
	else if (request && ticket->waited)
		answer_waited(ticket, request);
	else if (request)
		ticket_answer_lock(ticket, request, request->read_ms);
	else if (ticket->queued && ticket->session)
		post_granted(ticket);
}

static void on_lost(struct ticket *ticket, const struct engine_event *event)
{
	struct sessions *sessions = ticket->sessions;
	struct sessions_request *request;

	sessions->counters.losses[event->reason]++;
	tell_followers(ticket, "lost");
	/* With another elector its client has lost nothing, but no heartbeat here renews it (rule 3).
	 */
	if (ticket->session)
		post_lost(ticket, event->reason);
	bury(ticket);
	ticket->overtaken = old_wire_follows(ticket, event->reason);
	end_ticket(ticket);
	while (!ticket->overtaken && (request = ticket_take_request(ticket))) {
		if (event->reason == MPSYNC_REASON_OTHER_ELECTOR)
			answer_in_doubt(sessions, request);
		else
			answer_error(sessions, request, 409, "lost", "the grant has ended");
	}
}

/* It has gone, as its client asked. */
static void finish_delete(struct ticket *ticket)
{
	struct sessions_request *request = ticket_take_request(ticket);

	end_ticket(ticket);
	if (request)
		answer_released(ticket->sessions, ticket_claim(ticket)->name, request);
}

static void on_released(struct ticket *ticket)
{
	if (ticket->passed_over) {
		end_ticket(ticket); /* nobody was told that it was held */
		return;
	}
	ticket->sessions->counters.releases++;
	tell_followers(ticket, ticket->expiring ? "lost" : "released");
	if (ticket->expiring && ticket->session)
		post_lost(ticket, MPSYNC_REASON_EXPIRED);
	finish_delete(ticket);
}

/*
 * Lost: its place was kept for as long as the session had no stream to be told by, or a former
 * elector's late write got it for this claim. Its client queues again with a new one.
 */
static void post_end_of_wait(
    struct ticket *ticket, const struct engine_event *event, const char *message)
{
	if (event->type == MPSYNC_EVENT_CANCELLED)
		post_lost(ticket, MPSYNC_REASON_EXPIRED);
	else if (event->type == MPSYNC_EVENT_FAILED && event->status == MPSYNC_E_LOST)
		post_lost(ticket, MPSYNC_REASON_OTHER_ELECTOR);
	else if (event->type == MPSYNC_EVENT_FAILED)
		post_refused(ticket,
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

/* Busy, cancelled or refused: the claim never held. */
static void on_not_held(struct ticket *ticket, const struct engine_event *event)
{
	const char *message = event->message ? event->message : mpsync_status_text(event->status);
	struct sessions_request *request;

	if (ticket->overtaken)
		return; /* it goes on when the wait has ended */
	if (ticket->deleting) {
		finish_delete(ticket);
		return;
	}
	if (!ticket->request && ticket->queued && ticket->session)
		post_end_of_wait(ticket, event, message);
	end_ticket(ticket);
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
	if (event->status == MPSYNC_OK)
		ticket_answer_lock(ticket, request, request->read_ms);
	else
		answer_in_doubt(ticket->sessions, request); /* with another elector it may go on */
}

/* The first word that another has it: who asked with a wait of none is answered, others go on. */
static void on_waiting(struct ticket *ticket)
{
	struct sessions_request *request;

	ticket->waited = true;
	if (!ticket->queued || !ticket->request || ticket->state != TICKET_WAITING)
		return;
	request = ticket_take_request(ticket);
	answer_holder(ticket->sessions, request, 202, engine_claim_position(ticket->engine_claim) + 1);
}

/* Told once, until it is over. */
static void on_trouble(void *owner, const char *message)
{
	struct sessions *sessions = ((struct ticket *)owner)->sessions;

	if (sessions->in_trouble || !message)
		return;
	sessions->in_trouble = true;
	if (sessions->host.log)
		sessions->host.log(sessions->host.context, message);
}

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

void ticket_adopt_instead(struct ticket *ticket, uint64_t token)
{
	ticket->overtaken = true;
	ticket->overtaking_token = token;
	ticket->queued = false;
	ticket_set_timer(ticket, HEAP_NEVER);
	engine_cancel(ticket->engine_claim);
}

/* Its claim here has ended: the engine's is freed after this, but its texts are copied before. */
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

	ticket->overtaken = false;
	ticket_contend(ticket, &put, ticket->old_wire ? 0 : claim_request_timeout_ms(put.ttl_ms) * 2,
	    ticket->overtaking_token);
}

static void on_ended(void *owner)
{
	struct ticket *ticket = owner;
	struct sessions *sessions = ticket->sessions;

	if (ticket->overtaken && ticket->request) {
		adopt_now(ticket);
		return;
	}
	if (ticket->state != TICKET_LEAVING)
		end_ticket(ticket);
	id_table_remove(&sessions->tickets, &ticket->entry);
	free(ticket);
}

/* The store answers well. */
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

const struct engine_owner sessions_owner = {
    .event = on_event, .right = on_right, .ended = on_ended, .trouble = on_trouble};

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
	on_ended(ticket);
}

/* ---- Time ---- */

static void on_wait_over(struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;
	struct sessions_request *request;

	/* What rang and is not set anew would ring for ever. */
	ticket_set_timer(ticket, HEAP_NEVER);
	if (ticket->overtaken)
		return; /* cancelled already, and not yet free */
	request = ticket_take_request(ticket);
	if (request) {
		/* The place is kept, for the client may ask again at once (rule 13). */
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
		/* Nobody believes any more: release at once, do not let it run out (rule 6). */
		ticket->expiring = true;
		ticket_set_timer(ticket, HEAP_NEVER);
		release_ticket(ticket, &sessions->counters.takeovers_expiry);
	} else {
		ticket_set_timer(ticket, HEAP_NEVER);
	}
}
