#include "sessions.h"

#include "duration.h"
#include "heap.h"
#include "id_table.h"
#include "wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A place in the queue outlives its connection by this. */
#define PLACE_KEPT_MS    2000
#define ANONYMOUS_TTL_MS 30000
#define IDLE_SESSION_MS  60000
#define TOMBSTONE_MS     (10 * 60 * 1000)
#define MOST_TOMBSTONES  65536
#define MOST_EVENTS      100000
#define EVENT_BITS       21
#define GENERATION_BITS  8

enum ticket_state {
	TICKET_WAITING,
	TICKET_ADOPTING,
	TICKET_GRANTED, /* after a wait: the client has to confirm */
	TICKET_HELD,
	TICKET_LEAVING, /* released or cancelled; the engine has not finished */
};

struct ticket {
	struct id_entry entry; /* the claim */
	struct sessions *sessions;
	struct session *session;
	struct ticket *next; /* of the session */
	struct ticket *previous;
	struct engine_claim *engine_claim; /* it has the name, the holder, the value, ttl and token */
	enum ticket_state state;
	bool queued; /* its grant is told by an event */
	bool waited;
	bool granted;
	bool told; /* `granted` or 200 went out */
	bool deleting;
	bool expiring;
	bool release_when_held;
	uint64_t told_until_ms;
	int64_t since_ms;
	struct sessions_request *request; /* held back, or NULL */
	struct heap_item timer;
};

struct session_event {
	struct session_event *next;
	uint64_t id;
	const char *event;
	cJSON *data;
};

struct session {
	struct id_entry entry;
	struct sessions *sessions;
	char *holder;
	struct ticket *tickets;
	struct session_stream *stream;
	struct session_event *events;
	struct session_event *last_event;
	size_t event_count;
	bool forgot;         /* events that were never acknowledged, since the stream was opened */
	uint64_t event_base; /* ids of another elector for the same session are not ours */
	uint64_t event_id;
	uint64_t generation;
	uint64_t fence_generation;
	struct heap_item timer; /* when it is idle for too long */
	uint64_t used_ms;
};

struct session_stream {
	struct session *session; /* NULL: replaced */
	void *stream;
	uint64_t generation;
};

struct follower {
	struct follower *next;
	char *holder;
	void *stream;
};

struct tombstone {
	struct id_entry entry; /* the claim */
	uint64_t until_ms;
};

struct sessions {
	struct engine *engine;
	struct store_clock clock;
	struct sessions_host host;
	struct sessions_counters counters;
	char instance[ID_HEX_SIZE];
	char *anonymous;
	struct id_table tickets;
	struct id_table sessions;
	struct heap ticket_timers;
	struct heap session_timers;
	struct follower *followers;
	struct tombstone *tombstones; /* a ring */
	size_t tombstone_next;
	struct id_table tombstone_index; /* of those in the ring */
	size_t most_tickets;
	uint64_t armed_ms;
};

static uint64_t now_ms(const struct sessions *sessions)
{
	return sessions->clock.boot_ms(sessions->clock.context);
}

static struct ticket *find_ticket(const struct sessions *sessions, const struct id *claim)
{
	return (struct ticket *)id_table_find(&sessions->tickets, claim);
}

static struct session *find_session(const struct sessions *sessions, const struct id *id)
{
	return (struct session *)id_table_find(&sessions->sessions, id);
}

static const struct store_claim *claim_of(const struct ticket *ticket)
{
	return engine_claim_stored(ticket->engine_claim);
}

static void arm(struct sessions *sessions)
{
	const uint64_t ticket_ms = heap_next_ms(&sessions->ticket_timers);
	const uint64_t session_ms = heap_next_ms(&sessions->session_timers);
	const uint64_t at_ms = ticket_ms < session_ms ? ticket_ms : session_ms;

	if (at_ms == sessions->armed_ms)
		return;
	sessions->armed_ms = at_ms;
	sessions->host.wake_at(sessions->host.context, at_ms);
}

static void set_timer(struct ticket *ticket, uint64_t at_ms)
{
	heap_set(&ticket->sessions->ticket_timers, &ticket->timer, at_ms);
	arm(ticket->sessions);
}

static void set_session_timer(struct session *session, uint64_t at_ms)
{
	heap_set(&session->sessions->session_timers, &session->timer, at_ms);
	arm(session->sessions);
}

/* ---- Answers ---- */

static void answer_error(struct sessions *sessions, struct sessions_request *request, int status,
    const char *code, const char *message)
{
	sessions->host.answer(
	    request, &(struct answer){.status = status, .code = code, .message = message});
}

static void answer_holder(
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

static void no_memory(struct sessions *sessions, struct sessions_request *request)
{
	answer_error(sessions, request, 503, "too_many", "out of memory; try again later");
}

/* ---- What a client may believe ---- */

/* How long the right lasts, told at this moment, of a request read at read_ms (rule 4). */
static uint64_t remaining_ms(const struct ticket *ticket, uint64_t read_ms, uint64_t told_ms)
{
	const uint64_t by_request = read_ms + claim_right_ms(claim_of(ticket)->ttl_ms);
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
static void tell_until(struct ticket *ticket, uint64_t told_ms, uint64_t told_remaining_ms)
{
	const uint64_t until = told_ms + told_remaining_ms + told_remaining_ms / 20 + 1;

	ticket->told = true;
	if (until > ticket->told_until_ms)
		ticket->told_until_ms = until;
	/* Mostly it rings too early, and is set anew then: cheaper than to move it each time. */
	if (ticket->timer.index == HEAP_ABSENT || ticket->timer.at_ms > ticket->told_until_ms)
		set_timer(ticket, ticket->told_until_ms);
}

static cJSON *lock_object(const struct ticket *ticket, uint64_t remaining)
{
	const struct sessions *sessions = ticket->sessions;
	const struct store_claim *claim = claim_of(ticket);
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

	/* A heartbeat renews what this very elector has confirmed. */
	wire_add_text(object, "elector", sessions->instance);
	duration_format(text, remaining);
	wire_add_text(cJSON_GetObjectItem(object, "spec"), "remaining", text);
	return object;
}

static void answer_lock(struct ticket *ticket, struct sessions_request *request, uint64_t read_ms)
{
	const uint64_t told_ms = now_ms(ticket->sessions);
	const uint64_t remaining = remaining_ms(ticket, read_ms, told_ms);

	tell_until(ticket, told_ms, remaining);
	ticket->sessions->host.answer(
	    request, &(struct answer){.status = 200, .body = lock_object(ticket, remaining)});
}

/* After a wait the answer's own time is over: it says that there is a grant, to be confirmed at
 * once. */
static void answer_waited(struct ticket *ticket, struct sessions_request *request)
{
	const uint64_t told_ms = now_ms(ticket->sessions);

	tell_until(ticket, told_ms, whole_remaining_ms(ticket, told_ms));
	ticket->sessions->host.answer(
	    request, &(struct answer){.status = 200, .body = lock_object(ticket, 0)});
}

/* ---- Events of sessions ---- */

static void send_event(struct session *session, const struct session_event *event)
{
	if (session->stream)
		session->sessions->host.send(
		    session->stream->stream, event->id, event->event, cJSON_Duplicate(event->data, true));
}

static void drop_event(struct session *session)
{
	struct session_event *event = session->events;

	session->events = event->next;
	if (!session->events)
		session->last_event = NULL;
	session->event_count--;
	cJSON_Delete(event->data);
	free(event);
}

static uint64_t draw_base(const struct sessions *sessions, unsigned bits);

/* Its client has read nothing for long: it confirms each of its grants before it is believed. */
static void forget_events(struct session *session)
{
	while (session->events)
		drop_event(session);
	session->event_base = session->event_id = draw_base(session->sessions, EVENT_BITS);
	session->forgot = true;
}

static void post(struct session *session, const char *name, cJSON *data)
{
	struct session_event *event = calloc(1, sizeof *event);

	if (!event || !data) {
		cJSON_Delete(data);
		free(event);
		return;
	}
	event->id = ++session->event_id;
	event->event = name;
	event->data = data;
	if (session->last_event)
		session->last_event->next = event;
	else
		session->events = event;
	session->last_event = event;
	session->event_count++;
	send_event(session, event);
	if (session->event_count > MOST_EVENTS)
		forget_events(session);
}

static void add_token(cJSON *data, uint64_t token)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, token);
	cJSON_AddStringToObject(data, "token", text);
}

static cJSON *event_data(const struct ticket *ticket)
{
	cJSON *data = cJSON_CreateObject();
	char claim[ID_HEX_SIZE];

	id_to_hex(&ticket->entry.id, claim);
	cJSON_AddStringToObject(data, "name", claim_of(ticket)->name);
	cJSON_AddStringToObject(data, "claim", claim);
	return data;
}

static void tell_followers(const struct ticket *ticket, const char *event)
{
	struct sessions *sessions = ticket->sessions;
	const struct store_claim *claim = claim_of(ticket);

	for (struct follower *follower = sessions->followers; follower; follower = follower->next) {
		cJSON *data;
		char since[WIRE_TIME_SIZE];

		if (strcmp(follower->holder, claim->holder) != 0)
			continue;
		data = cJSON_CreateObject();
		cJSON_AddStringToObject(data, "name", claim->name);
		add_token(data, claim->token);
		wire_time(since, ticket->since_ms);
		cJSON_AddStringToObject(data, "since", since);
		sessions->host.send(follower->stream, 0, event, data);
	}
}

static void post_granted(struct ticket *ticket)
{
	const uint64_t told_ms = now_ms(ticket->sessions);
	cJSON *data = event_data(ticket);

	add_token(data, claim_of(ticket)->token);
	tell_until(ticket, told_ms, whole_remaining_ms(ticket, told_ms));
	post(ticket->session, "granted", data);
}

static void post_lost(struct ticket *ticket, enum mpsync_reason reason)
{
	cJSON *data = event_data(ticket);

	add_token(data, claim_of(ticket)->token);
	cJSON_AddStringToObject(data, "reason", mpsync_reason_text((int32_t)reason));
	post(ticket->session, "lost", data);
}

static void post_refused(struct ticket *ticket, const char *code, const char *message)
{
	cJSON *data = event_data(ticket);

	cJSON_AddStringToObject(data, "code", code);
	cJSON_AddStringToObject(data, "message", message);
	post(ticket->session, "refused", data);
}

/* ---- Tombstones ---- */

static void bury(struct sessions *sessions, const struct id *claim)
{
	struct tombstone *stone = &sessions->tombstones[sessions->tombstone_next];

	if (id_table_find(&sessions->tombstone_index, claim))
		return;
	if (stone->until_ms)
		id_table_remove(&sessions->tombstone_index, &stone->entry);
	stone->entry.id = *claim;
	stone->until_ms = now_ms(sessions) + TOMBSTONE_MS;
	id_table_add(&sessions->tombstone_index, &stone->entry);
	sessions->tombstone_next = (sessions->tombstone_next + 1) % MOST_TOMBSTONES;
}

static bool is_buried(const struct sessions *sessions, const struct id *claim)
{
	const struct tombstone *stone =
	    (struct tombstone *)id_table_find(&sessions->tombstone_index, claim);

	return stone && now_ms(sessions) < stone->until_ms;
}

/* ---- Sessions ---- */

static void free_session(struct session *session)
{
	while (session->events)
		drop_event(session);
	free(session->holder);
	free(session);
}

static void on_session_timer(struct session *session)
{
	struct sessions *sessions = session->sessions;
	const uint64_t idle_at = session->used_ms + IDLE_SESSION_MS;
	const uint64_t now = now_ms(sessions);

	if (session->tickets || session->stream || now < idle_at) {
		set_session_timer(session, idle_at > now ? idle_at : now + IDLE_SESSION_MS);
		return;
	}
	set_session_timer(session, HEAP_NEVER);
	id_table_remove(&sessions->sessions, &session->entry);
	sessions->counters.sessions--;
	free_session(session);
}

/*
 * Where a session's numbers begin: below 2^53, and elsewhere at each elector. A client that is
 * passed from one to another would else declare the one's stream, and acknowledge its events, to
 * the other.
 */
static uint64_t draw_base(const struct sessions *sessions, unsigned bits)
{
	const uint64_t random = sessions->clock.random(sessions->clock.context) >> 1;

	return random << bits;
}

static struct session *session_use(
    struct sessions *sessions, const struct id *id, const char *holder)
{
	struct session *session;

	if (id_is_none(id))
		return NULL;
	session = find_session(sessions, id);
	if (session) {
		session->used_ms = now_ms(sessions);
		return session;
	}
	session = calloc(1, sizeof *session);
	if (!session)
		return NULL;
	session->entry.id = *id;
	session->sessions = sessions;
	session->timer.index = HEAP_ABSENT;
	session->used_ms = now_ms(sessions);
	session->event_base = session->event_id = draw_base(sessions, EVENT_BITS);
	session->generation = draw_base(sessions, GENERATION_BITS);
	session->holder = strdup(holder);
	if (!session->holder ||
	    !heap_reserve(&sessions->session_timers, sessions->counters.sessions + 1)) {
		free_session(session);
		return NULL;
	}
	id_table_add(&sessions->sessions, &session->entry);
	sessions->counters.sessions++;
	set_session_timer(session, session->used_ms + IDLE_SESSION_MS);
	return session;
}

/* ---- Tickets ---- */

static void join_session(struct ticket *ticket, struct session *session)
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

static void count_state(struct ticket *ticket, enum ticket_state state)
{
	struct sessions_counters *counters = &ticket->sessions->counters;
	const bool was = ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED;
	const bool is = state == TICKET_HELD || state == TICKET_GRANTED;

	counters->held += (size_t)is - (size_t)was;
	counters->waiters +=
	    (size_t)(state == TICKET_WAITING) - (size_t)(ticket->state == TICKET_WAITING);
	ticket->state = state;
}

static void hold_back(struct ticket *ticket, struct sessions_request *request, uint64_t read_ms)
{
	ticket->request = request;
	request->ticket = ticket;
	request->read_ms = read_ms;
}

/* NULL: nobody waits for an answer. */
static struct sessions_request *take_request(struct ticket *ticket)
{
	struct sessions_request *request = ticket->request;

	ticket->request = NULL;
	if (request)
		request->ticket = NULL;
	return request;
}

/* It holds nothing any more and asks for nothing: only the engine has yet to let go. */
static void end_ticket(struct ticket *ticket)
{
	count_state(ticket, TICKET_LEAVING);
	leave_session(ticket);
	set_timer(ticket, HEAP_NEVER);
}

static void release_ticket(struct ticket *ticket, uint64_t *cause)
{
	++*cause;
	bury(ticket->sessions, &ticket->entry.id);
	engine_release(ticket->engine_claim);
}

static void on_held(struct ticket *ticket, const struct engine_event *event)
{
	struct sessions *sessions = ticket->sessions;
	struct sessions_request *request;

	ticket->granted = true;
	ticket->since_ms = sessions->clock.wall_ms(sessions->clock.context);
	sessions->counters.grants++;
	if (ticket->state == TICKET_ADOPTING && ticket->release_when_held) {
		count_state(ticket, TICKET_HELD);
		release_ticket(ticket, &sessions->counters.takeovers_goodbye);
		return;
	}
	/* What a former elector has said is believed as well, and for up to a right's length. */
	if (claim_of(ticket)->adopt)
		tell_until(ticket, now_ms(sessions), claim_right_ms(event->ttl_ms));
	request = take_request(ticket);
	count_state(ticket, ticket->waited || !request ? TICKET_GRANTED : TICKET_HELD);
	tell_followers(ticket, "held");
	if (request && ticket->waited)
		answer_waited(ticket, request);
	else if (request)
		answer_lock(ticket, request, request->read_ms);
	else if (ticket->queued && ticket->session)
		post_granted(ticket);
	else if (!claim_of(ticket)->adopt) /* nobody to tell: keep it for a moment */
		set_timer(ticket, now_ms(sessions) + PLACE_KEPT_MS);
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
	request = take_request(ticket);
	bury(sessions, &ticket->entry.id);
	end_ticket(ticket);
	if (request)
		answer_error(sessions, request, 409, "lost", "the grant has ended");
}

static cJSON *released_object(const char *name)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddStringToObject(body, "kind", "Released");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(body, "metadata"), "name", name);
	return body;
}

static void answer_released(
    struct sessions *sessions, const char *name, struct sessions_request *request)
{
	sessions->host.answer(request, &(struct answer){.status = 200, .body = released_object(name)});
}

/* It has gone, as its client asked. */
static void finish_delete(struct ticket *ticket)
{
	struct sessions_request *request = take_request(ticket);

	end_ticket(ticket);
	if (request)
		answer_released(ticket->sessions, claim_of(ticket)->name, request);
}

static void on_released(struct ticket *ticket)
{
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

static void answer_in_doubt(struct sessions *sessions, struct sessions_request *request)
{
	answer_error(sessions, request, 503, "store_unreachable",
	    "whether the grant lasts is not known yet; ask again");
}

/* Busy, cancelled or refused: the claim never held. */
static void on_not_held(struct ticket *ticket, const struct engine_event *event)
{
	struct sessions *sessions = ticket->sessions;
	const char *message = event->message ? event->message : mpsync_status_text(event->status);
	struct sessions_request *request;

	if (ticket->deleting) {
		finish_delete(ticket);
		return;
	}
	request = take_request(ticket);
	if (!request && ticket->queued && ticket->session)
		post_end_of_wait(ticket, event, message);
	end_ticket(ticket);
	if (!request)
		return;
	if (event->type == MPSYNC_EVENT_BUSY && claim_of(ticket)->adopt)
		answer_in_doubt(sessions, request);
	else if (event->type == MPSYNC_EVENT_BUSY)
		answer_holder(sessions, request, 409, 0);
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

static void on_value_stored(struct ticket *ticket, const struct engine_event *event)
{
	struct sessions_request *request;

	request = take_request(ticket);
	if (!request)
		return;
	if (event->status == MPSYNC_OK)
		answer_lock(ticket, request, request->read_ms);
	else
		answer_error(ticket->sessions, request, 409, "lost", "the grant has ended");
}

/* The first word that another has it: who asked with a wait of none is answered, others go on. */
static void on_waiting(struct ticket *ticket)
{
	struct sessions_request *request;

	ticket->waited = true;
	if (!ticket->queued || !ticket->request || ticket->state != TICKET_WAITING)
		return;
	request = take_request(ticket);
	answer_holder(ticket->sessions, request, 202, engine_claim_position(ticket->engine_claim) + 1);
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
	default:
		on_not_held(ticket, event);
		return;
	}
}

static void on_ended(void *owner)
{
	struct ticket *ticket = owner;
	struct sessions *sessions = ticket->sessions;

	if (ticket->state != TICKET_LEAVING)
		end_ticket(ticket);
	id_table_remove(&sessions->tickets, &ticket->entry);
	free(ticket);
}

const struct engine_owner sessions_owner = {.event = on_event, .ended = on_ended};

static struct ticket *ticket_new(struct sessions *sessions, const struct put *put)
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
	join_session(ticket, session_use(sessions, &put->session, put->holder));
	return ticket;
}

static void contend(
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
	    .any_ttl = !put->ttl_given,
	    .election = put->election,
	    .owner = ticket,
	};
	struct sessions_request *request;

	count_state(ticket, adopt_token ? TICKET_ADOPTING : TICKET_WAITING);
	/* The engine may call back, and even end the ticket, before it returns. */
	if (engine_acquire(ticket->sessions->engine, &wish, &ticket->engine_claim))
		return;
	request = take_request(ticket);
	if (request)
		no_memory(ticket->sessions, request);
	on_ended(ticket);
}

/* Only the store knows: this elector could not confirm a former one's grant, or lets one run out.
 */
static bool is_in_doubt(const struct ticket *ticket)
{
	return ticket->expiring ||
	       (ticket->state == TICKET_LEAVING && claim_of(ticket)->adopt && !ticket->granted);
}

/* ---- PUT ---- */

/* Without a stream here nobody could be told of a queued claim's grant. */
static bool has_stream(const struct sessions *sessions, const struct id *id)
{
	const struct session *session = find_session(sessions, id);

	return session && session->stream;
}

static void put_new(
    struct sessions *sessions, const struct put *put, struct sessions_request *request)
{
	struct ticket *ticket;

	/* Of a grant the store knows: what ended here may live on at another elector. */
	if (!put->token && is_buried(sessions, &put->claim)) {
		answer_error(sessions, request, 409, "cancelled",
		    "this claim was cancelled or has ended; draw a new one");
		return;
	}
	if (sessions->tickets.count >= sessions->most_tickets) {
		answer_error(sessions, request, 503, "too_many", "too many waiters; raise --max-waiters");
		return;
	}
	ticket = ticket_new(sessions, put);
	if (!ticket) {
		no_memory(sessions, request);
		return;
	}
	hold_back(ticket, request, put->read_ms);
	/* A ticket outlives its connection: the engine waits for ever, the request does not. */
	if (put->token) {
		contend(ticket, put, claim_request_timeout_ms(put->ttl_ms) * 2, put->token);
	} else if (put->wait_ms == 0 && !put->queue) {
		contend(ticket, put, 0, 0);
	} else {
		if (!put->queue)
			set_timer(ticket, put->read_ms + put->wait_ms);
		contend(ticket, put, CLAIM_NEVER, 0);
	}
}

static void put_value(
    struct ticket *ticket, const struct put *put, struct sessions_request *request)
{
	struct sessions_request *earlier;

	earlier = take_request(ticket);
	if (earlier)
		answer_error(ticket->sessions, earlier, 503, "store_unreachable",
		    "a newer value was set before this one was stored");
	hold_back(ticket, request, put->read_ms);
	if (!engine_set_value(ticket->engine_claim, put->value)) {
		take_request(ticket);
		no_memory(ticket->sessions, request);
	}
}

static void put_held(struct ticket *ticket, const struct put *put, struct sessions_request *request)
{
	struct sessions *sessions = ticket->sessions;
	const uint64_t now = now_ms(sessions);

	if (put->token && put->token != claim_of(ticket)->token) {
		answer_error(sessions, request, 400, "invalid", "this token was never given to this claim");
		return;
	}
	if (put->ttl_given && put->ttl_ms != claim_of(ticket)->ttl_ms) {
		answer_error(sessions, request, 400, "invalid", "the ttl of a grant is fixed");
		return;
	}
	join_session(ticket, session_use(sessions, &put->session, put->holder));
	count_state(ticket, TICKET_HELD);
	if (put->token && put->has_value) {
		put_value(ticket, put, request);
		return;
	}
	if (remaining_ms(ticket, put->read_ms, now) == 0) {
		answer_error(sessions, request, 503, "store_unreachable",
		    "the store has not confirmed the grant in time; ask again");
		return;
	}
	answer_lock(ticket, request, put->read_ms);
	if (engine_claim_right_ms(ticket->engine_claim) < now + claim_of(ticket)->ttl_ms / 2)
		engine_renew(ticket->engine_claim);
}

static void put_waiting(
    struct ticket *ticket, const struct put *put, struct sessions_request *request)
{
	struct sessions *sessions = ticket->sessions;
	const uint32_t position = engine_claim_position(ticket->engine_claim) + 1;
	struct sessions_request *earlier;

	if (ticket->state == TICKET_ADOPTING) {
		answer_in_doubt(sessions, request);
		return;
	}
	earlier = take_request(ticket);
	if (earlier)
		answer_holder(sessions, earlier, 409, position);
	join_session(ticket, session_use(sessions, &put->session, put->holder));
	ticket->queued |= put->queue;
	if (put->queue) {
		set_timer(ticket, HEAP_NEVER);
		answer_holder(sessions, request, 202, position);
	} else if (put->wait_ms == 0) {
		set_timer(ticket, put->read_ms + PLACE_KEPT_MS);
		answer_holder(sessions, request, 409, position);
	} else {
		hold_back(ticket, request, put->read_ms);
		set_timer(ticket, put->read_ms + put->wait_ms);
	}
}

void sessions_put(
    struct sessions *sessions, const struct put *put, struct sessions_request *request)
{
	struct ticket *ticket = find_ticket(sessions, &put->claim);

	if (put->queue && !has_stream(sessions, &put->session))
		answer_error(sessions, request, 404, "unknown_session",
		    "the session has no stream here, which queue needs; open it first");
	else if (!ticket)
		put_new(sessions, put, request);
	else if (strcmp(claim_of(ticket)->name, put->name) != 0)
		answer_error(sessions, request, 400, "invalid", "this claim is for another name");
	else if (ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED)
		put_held(ticket, put, request);
	else if (is_in_doubt(ticket))
		answer_in_doubt(sessions, request);
	else if (ticket->state == TICKET_LEAVING || ticket->deleting)
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
		bury(sessions, &put->claim);
		answer_released(sessions, put->name, request);
		return;
	}
	/* A grant of a former elector: adopt it, to release it. */
	ticket = ticket_new(sessions, put);
	if (!ticket) {
		no_memory(sessions, request);
		return;
	}
	hold_back(ticket, request, put->read_ms);
	ticket->release_when_held = true;
	contend(ticket, put, claim_request_timeout_ms(put->ttl_ms) * 2, put->token);
}

/* What has not been adopted cannot be released yet. */
static void release_adopted(
    struct ticket *ticket, const struct put *put, struct sessions_request *request)
{
	struct sessions_request *earlier = take_request(ticket);

	if (earlier)
		answer_in_doubt(ticket->sessions, earlier);
	hold_back(ticket, request, put->read_ms);
	ticket->release_when_held = true;
}

void sessions_delete(
    struct sessions *sessions, const struct put *put, struct sessions_request *request)
{
	struct ticket *ticket = find_ticket(sessions, &put->claim);
	struct sessions_request *earlier;

	if (!ticket) {
		delete_unknown(sessions, put, request);
		return;
	}
	if (is_in_doubt(ticket)) {
		answer_in_doubt(sessions, request);
		return;
	}
	if (ticket->state == TICKET_ADOPTING) {
		release_adopted(ticket, put, request);
		return;
	}
	if (ticket->state == TICKET_LEAVING || ticket->deleting) {
		answer_released(sessions, put->name, request);
		return;
	}
	if (put->token && ticket->granted && put->token != claim_of(ticket)->token) {
		answer_error(sessions, request, 400, "invalid", "this token was never given to this claim");
		return;
	}
	earlier = take_request(ticket);
	if (earlier)
		answer_error(sessions, earlier, 409, "cancelled", "this claim was cancelled");
	hold_back(ticket, request, put->read_ms);
	ticket->deleting = true;
	if (ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED) {
		release_ticket(ticket, &sessions->counters.takeovers_goodbye);
	} else {
		bury(sessions, &ticket->entry.id);
		engine_cancel(ticket->engine_claim);
	}
}

/* ---- The old wire ---- */

/* One claim a name, the same for each elector of this identity, so that a restart adopts it. */
static struct id anonymous_claim(const struct sessions *sessions, const char *name)
{
	struct id claim = {{0}};
	uint64_t hash[2] = {14695981039346656037u, 1099511628211u};

	for (const char *text = sessions->anonymous; text; text = text == name ? NULL : name)
		for (const char *c = text; *c; c++) {
			hash[0] = (hash[0] ^ (unsigned char)*c) * 1099511628211u;
			hash[1] = (hash[1] + (unsigned char)*c) * 6364136223846793005u + hash[0];
		}
	memcpy(claim.bytes, hash, sizeof claim.bytes);
	return claim;
}

void sessions_put_anonymous(struct sessions *sessions, const char *name, bool create,
    uint64_t read_ms, struct sessions_request *request)
{
	const struct put put = {
	    .name = name,
	    .holder = sessions->anonymous,
	    .claim = anonymous_claim(sessions, name),
	    .ttl_ms = ANONYMOUS_TTL_MS,
	    .read_ms = read_ms,
	};
	struct ticket *ticket = find_ticket(sessions, &put.claim);

	if (ticket && ticket->state == TICKET_HELD && create) {
		answer_holder(sessions, request, 409, 0);
	} else if (ticket && ticket->state == TICKET_HELD) {
		put_held(ticket, &put, request);
	} else if (ticket) {
		answer_holder(sessions, request, 409, 0);
	} else {
		ticket = ticket_new(sessions, &put);
		if (!ticket) {
			no_memory(sessions, request);
			return;
		}
		hold_back(ticket, request, read_ms);
		contend(ticket, &put, 0, 0);
	}
}

/* ---- Requests whose client is gone ---- */

void sessions_abandon(struct sessions *sessions, struct sessions_request *request)
{
	struct ticket *ticket = request->ticket;

	if (!ticket)
		return;
	take_request(ticket);
	/* The wait has ended, not the claim: its place is kept for a moment. */
	if (ticket->state == TICKET_WAITING && !ticket->queued)
		set_timer(ticket, now_ms(sessions) + PLACE_KEPT_MS);
}

/* ---- Heartbeats ---- */

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
		const uint64_t remaining = remaining_ms(ticket, read_ms, told_ms);
		size_t slot;

		/* What has not been confirmed is not renewed by this. */
		if (ticket->state != TICKET_HELD || ticket->deleting)
			continue;
		slot = slot_of(beat, claim_of(ticket)->ttl_ms);
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
		    remaining_ms(ticket, read_ms, told_ms) == 0)
			continue;
		slot = slot_of(beat, claim_of(ticket)->ttl_ms);
		if (slot < MOST_TTLS)
			tell_until(ticket, told_ms, beat->remaining_ms[slot]);
		if (engine_claim_right_ms(ticket->engine_claim) < told_ms + claim_of(ticket)->ttl_ms / 2)
			engine_renew(ticket->engine_claim);
	}
	engine_end(session->sessions->engine);
}

/* More than the client knows of: a late request got them, and it has to say that it wants them. */
static void add_claims(cJSON *body, const struct session *session)
{
	cJSON *list = cJSON_AddArrayToObject(body, "claims");

	for (const struct ticket *ticket = session->tickets; ticket; ticket = ticket->next) {
		cJSON *item;

		if (ticket->state != TICKET_HELD || ticket->deleting)
			continue;
		item = event_data(ticket);
		add_token(item, claim_of(ticket)->token);
		cJSON_AddItemToArray(list, item);
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

		snprintf(text, sizeof text, "%" PRIu64, event->id);
		cJSON_AddStringToObject(item, "id", text);
		cJSON_AddStringToObject(item, "event", event->event);
		cJSON_AddItemToObject(item, "data", cJSON_Duplicate(event->data, true));
		cJSON_AddItemToArray(list, item);
	}
	if (beat->grants > heartbeat->grants)
		add_claims(body, session);
	return body;
}

/* False: an id of another elector, or of none. */
static bool acknowledge(struct session *session, uint64_t seen)
{
	if (seen < session->event_base || seen > session->event_id)
		return false;
	while (session->events && session->events->id <= seen)
		drop_event(session);
	return true;
}

void sessions_heartbeat(
    struct sessions *sessions, const struct heartbeat *heartbeat, struct sessions_request *request)
{
	struct session *session = find_session(sessions, &heartbeat->session);
	struct beat beat = {.grants = 0};
	uint64_t told_ms;

	if (!session || session->forgot) {
		answer_error(sessions, request, 404, "unknown_session",
		    "this elector does not know the session; confirm each grant by PUT with its token");
		return;
	}
	session->used_ms = now_ms(sessions);
	session->fence_generation = heartbeat->stream;
	acknowledge(session, heartbeat->seen);
	told_ms = now_ms(sessions);
	measure(session, &beat, heartbeat->read_ms, told_ms);
	promise(session, &beat, heartbeat->read_ms, told_ms);
	sessions->host.answer(
	    request, &(struct answer){.status = 200, .body = beat_body(session, &beat, heartbeat)});
}

/* ---- Streams ---- */

static void send_hello(
    struct session_stream *stream, const struct sessions *sessions, const char *peer, bool resumed)
{
	cJSON *data = cJSON_CreateObject();

	cJSON_AddStringToObject(data, "elector", sessions->instance);
	cJSON_AddNumberToObject(data, "stream", (double)stream->generation);
	cJSON_AddStringToObject(data, "peer", peer);
	cJSON_AddBoolToObject(data, "resumed", resumed);
	sessions->host.send(stream->stream, 0, "hello", data);
}

static void end_stream(struct session_stream *stream, const char *last_event)
{
	struct session *session = stream->session;
	struct sessions *sessions = session->sessions;

	sessions->host.send(stream->stream, 0, last_event, cJSON_CreateObject());
	stream->session = NULL;
	session->stream = NULL;
	sessions->counters.streams--;
	sessions->host.end(stream->stream);
}

struct session_stream *sessions_stream_open(struct sessions *sessions, const struct id *id,
    const char *holder, uint64_t last_event, const char *peer, void *connection)
{
	struct session *session = session_use(sessions, id, holder);
	struct session_stream *stream = session ? calloc(1, sizeof *stream) : NULL;

	if (!stream)
		return NULL;
	if (session->stream)
		end_stream(session->stream, "replaced");
	stream->session = session;
	stream->stream = connection;
	stream->generation = ++session->generation;
	session->stream = stream;
	session->forgot = false;
	sessions->counters.streams++;
	send_hello(stream, sessions, peer, acknowledge(session, last_event));
	for (const struct session_event *event = session->events; event; event = event->next)
		send_event(session, event);
	return stream;
}

/* Proof that nobody believes any more: hand everything over now (rule 1). */
static void hand_over(struct session *session)
{
	struct sessions *sessions = session->sessions;
	struct ticket *next;

	engine_begin(sessions->engine);
	for (struct ticket *ticket = session->tickets; ticket; ticket = next) {
		next = ticket->next;
		if (ticket->deleting)
			continue;
		ticket->deleting = true;
		if (ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED) {
			release_ticket(ticket, &sessions->counters.takeovers_proof);
		} else if (ticket->state == TICKET_WAITING) {
			bury(sessions, &ticket->entry.id);
			engine_cancel(ticket->engine_claim);
		}
	}
	engine_end(sessions->engine);
}

static void keep_places_for_a_moment(struct session *session)
{
	const uint64_t until = now_ms(session->sessions) + PLACE_KEPT_MS;

	for (struct ticket *ticket = session->tickets; ticket; ticket = ticket->next)
		if (ticket->state == TICKET_WAITING && !ticket->request)
			set_timer(ticket, until);
}

void sessions_stream_closed(
    struct sessions *sessions, struct session_stream *stream, bool clean_end, bool process_ended)
{
	struct session *session = stream->session;

	if (session) {
		const bool fenced = session->fence_generation == stream->generation;

		session->stream = NULL;
		sessions->counters.streams--;
		if (fenced && (process_ended || clean_end))
			hand_over(session);
		else
			keep_places_for_a_moment(session);
	}
	free(stream);
}

void sessions_follow(struct sessions *sessions, const char *holder, void *stream)
{
	struct follower *follower = calloc(1, sizeof *follower);

	if (follower)
		follower->holder = strdup(holder);
	if (!follower || !follower->holder) {
		free(follower);
		return;
	}
	follower->stream = stream;
	follower->next = sessions->followers;
	sessions->followers = follower;
}

void sessions_unfollow(struct sessions *sessions, void *stream)
{
	struct follower **link = &sessions->followers;
	struct follower *follower;

	while (*link && (*link)->stream != stream)
		link = &(*link)->next;
	follower = *link;
	if (!follower)
		return;
	*link = follower->next;
	free(follower->holder);
	free(follower);
}

static void stop_stream(struct id_entry *entry)
{
	const struct session *session = (struct session *)entry;

	if (session->stream)
		end_stream(session->stream, "stopping");
}

void sessions_stop(struct sessions *sessions)
{
	id_table_each(&sessions->sessions, stop_stream);
}

/* ---- Time ---- */

static void on_wait_over(struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;
	struct sessions_request *request;

	request = take_request(ticket);
	if (request) {
		/* The place is kept, for the client may ask again at once (rule 13). */
		set_timer(ticket, now_ms(sessions) + PLACE_KEPT_MS);
		answer_holder(sessions, request, 409, engine_claim_position(ticket->engine_claim) + 1);
	} else if (ticket->queued && ticket->session && ticket->session->stream) {
		set_timer(ticket, HEAP_NEVER);
	} else {
		engine_cancel(ticket->engine_claim);
	}
}

static void on_ticket_timer(struct ticket *ticket)
{
	struct sessions *sessions = ticket->sessions;
	const uint64_t now = now_ms(sessions);

	if (ticket->state == TICKET_WAITING) {
		on_wait_over(ticket);
	} else if (ticket->told && now < ticket->told_until_ms) {
		set_timer(ticket, ticket->told_until_ms);
	} else if (ticket->state == TICKET_HELD || ticket->state == TICKET_GRANTED) {
		/* Nobody believes any more: release at once, do not let it run out (rule 6). */
		ticket->expiring = true;
		set_timer(ticket, HEAP_NEVER);
		release_ticket(ticket, &sessions->counters.takeovers_expiry);
	} else {
		set_timer(ticket, HEAP_NEVER);
	}
}

void sessions_run(struct sessions *sessions)
{
	sessions->armed_ms = HEAP_NEVER;
	while (heap_next_ms(&sessions->ticket_timers) <= now_ms(sessions))
		on_ticket_timer((struct ticket *)((char *)heap_first(&sessions->ticket_timers) -
		                                  offsetof(struct ticket, timer)));
	while (heap_next_ms(&sessions->session_timers) <= now_ms(sessions))
		on_session_timer((struct session *)((char *)heap_first(&sessions->session_timers) -
		                                    offsetof(struct session, timer)));
	arm(sessions);
}

const struct sessions_counters *sessions_counters(const struct sessions *sessions)
{
	return &sessions->counters;
}

/* ---- Beginning and end ---- */

struct sessions *sessions_new(struct engine *engine, const struct store_clock *clock,
    const struct sessions_host *host, const struct id *instance, const char *anonymous,
    size_t most_tickets)
{
	struct sessions *sessions = calloc(1, sizeof *sessions);

	if (!sessions)
		return NULL;
	sessions->engine = engine;
	sessions->clock = *clock;
	sessions->host = *host;
	sessions->most_tickets = most_tickets;
	sessions->armed_ms = HEAP_NEVER;
	id_to_hex(instance, sessions->instance);
	sessions->anonymous = strdup(anonymous);
	sessions->tombstones = calloc(MOST_TOMBSTONES, sizeof *sessions->tombstones);
	if (sessions->anonymous && sessions->tombstones &&
	    id_table_init(&sessions->tickets, &host->seed) &&
	    id_table_init(&sessions->sessions, &host->seed) &&
	    id_table_init(&sessions->tombstone_index, &host->seed))
		return sessions;
	sessions_free(sessions);
	return NULL;
}

static void free_session_entry(struct id_entry *entry)
{
	struct session *session = (struct session *)entry;

	free(session->stream);
	free_session(session);
}

static void free_ticket_entry(struct id_entry *entry)
{
	free(entry);
}

void sessions_free(struct sessions *sessions)
{
	if (!sessions)
		return;
	while (sessions->followers)
		sessions_unfollow(sessions, sessions->followers->stream);
	id_table_each(&sessions->tickets, free_ticket_entry);
	id_table_each(&sessions->sessions, free_session_entry);
	id_table_clear(&sessions->tickets);
	id_table_clear(&sessions->sessions);
	id_table_clear(&sessions->tombstone_index);
	heap_clear(&sessions->ticket_timers);
	heap_clear(&sessions->session_timers);
	free(sessions->tombstones);
	free(sessions->anonymous);
	free(sessions);
}
