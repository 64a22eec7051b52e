#include "session.h"

#include "base/container.h"
#include "base/list.h"
#include "base/wire.h"

#include <stdlib.h>
#include <string.h>

#define IDLE_SESSION_MS 60000
/* For a new session so many idle ones are looked at, whether one can end. */
#define MOST_LOOKS      16
#define MOST_EVENTS     100000
#define EVENT_BITS      21
#define GENERATION_BITS 8

uint64_t sessions_now(const struct sessions *sessions)
{
	return sessions->clock.boot_ms(sessions->clock.context);
}

struct session *session_find(const struct sessions *sessions, const struct id *id)
{
	return (struct session *)id_table_find(&sessions->sessions, id);
}

void sessions_arm(struct sessions *sessions)
{
	const uint64_t ticket_ms = heap_next_ms(&sessions->ticket_timers);
	const uint64_t session_ms = heap_next_ms(&sessions->session_timers);
	const uint64_t at_ms = ticket_ms < session_ms ? ticket_ms : session_ms;

	if (at_ms == sessions->armed_ms)
		return;
	sessions->armed_ms = at_ms;
	sessions->host.wake_at(sessions->host.context, at_ms);
}

static void set_session_timer(struct session *session, uint64_t at_ms)
{
	heap_set(&session->sessions->session_timers, &session->timer, at_ms);
	sessions_arm(session->sessions);
}

/* ---- Events ---- */

/* Send as many events as the stream's reader has room for. */
static void send_events(struct session *session)
{
	const struct sessions_host *host = &session->sessions->host;
	struct session_stream *stream = session->stream;

	while (stream && stream->unsent && !(host->is_behind && host->is_behind(stream->stream))) {
		const struct session_event *event = stream->unsent;
		cJSON *data = cJSON_Duplicate(event->data, true);

		/* Without memory the next heartbeat tells it. */
		if (!data)
			return;
		stream->unsent = event->next;
		host->send(stream->stream, event->id, event->event, data);
	}
}

static void drop_event(struct session *session)
{
	struct session_event *event = session->events;

	session->events = event->next;
	if (session->stream && session->stream->unsent == event)
		session->stream->unsent = event->next;
	session->event_count--;
	cJSON_Delete(event->data);
	free(event);
}

/*
 * A random start for event numbers and stream generations, below 2^53 and different at each
 * elector. With the same start a client that moves between electors would acknowledge events that
 * the new elector never sent.
 */
static uint64_t draw_base(const struct sessions *sessions, unsigned bits)
{
	const uint64_t random = sessions->clock.random(sessions->clock.context) >> 1;

	return random << bits;
}

/*
 * Events after this are missing, so the client has to confirm each of its grants before it is
 * believed.
 */
static void forget_events(struct session *session)
{
	while (session->events)
		drop_event(session);
	session->event_base = session->event_id = draw_base(session->sessions, EVENT_BITS);
	session->forgot = true;
}

void session_post(struct session *session, const char *name, cJSON *data)
{
	struct session_event *event = calloc(1, sizeof *event);

	if (!event || !data) {
		cJSON_Delete(data);
		free(event);
		forget_events(session);
		return;
	}
	event->id = ++session->event_id;
	event->event = name;
	event->data = data;
	SINGLY_APPEND(session->events, session->last_event, event);
	session->event_count++;
	if (session->stream && !session->stream->unsent)
		session->stream->unsent = event;
	send_events(session);
	if (session->event_count > MOST_EVENTS)
		forget_events(session);
}

bool session_acknowledge(struct session *session, uint64_t seen)
{
	if (seen < session->event_base || seen > session->event_id)
		return false;
	while (session->events && session->events->id <= seen)
		drop_event(session);
	return true;
}

/* ---- Sessions ---- */

static void free_session(struct session *session)
{
	while (session->events)
		drop_event(session);
	free(session->holder);
	free(session);
}

static bool has_nothing(const struct session *session)
{
	return !session->tickets && !session->stream;
}

static void end_session(struct session *session)
{
	struct sessions *sessions = session->sessions;

	set_session_timer(session, HEAP_NEVER);
	id_table_remove(&sessions->sessions, &session->entry);
	sessions->counters.sessions--;
	free_session(session);
}

static void on_session_timer(struct session *session)
{
	const uint64_t idle_at = session->used_ms + IDLE_SESSION_MS;
	const uint64_t now = sessions_now(session->sessions);

	if (has_nothing(session) && now >= idle_at)
		end_session(session);
	else
		set_session_timer(session, idle_at > now ? idle_at : now + IDLE_SESSION_MS);
}

static struct session *next_to_ring(const struct sessions *sessions)
{
	struct heap_item *first = heap_first(&sessions->session_timers);

	return first ? CONTAINER_OF(first, struct session, timer) : NULL;
}

bool sessions_have_room(struct sessions *sessions, const struct id *id)
{
	const size_t most = sessions->host.most_sessions;

	if (!most || sessions->counters.sessions < most || session_find(sessions, id))
		return true;
	/*
	 * The sessions unused for longest come first; one that has grants or claims comes late from
	 * then on.
	 */
	for (int i = 0; i < MOST_LOOKS; i++) {
		struct session *session = next_to_ring(sessions);

		if (session && has_nothing(session)) {
			end_session(session);
			return true;
		}
		if (session)
			set_session_timer(session, sessions_now(sessions) + IDLE_SESSION_MS);
	}
	return false;
}

struct session *session_use(struct sessions *sessions, const struct id *id, const char *holder)
{
	struct session *session;

	if (id_is_none(id))
		return NULL;
	session = session_find(sessions, id);
	if (session) {
		session->used_ms = sessions_now(sessions);
		return session;
	}
	session = calloc(1, sizeof *session);
	if (!session)
		return NULL;
	session->entry.id = *id;
	session->sessions = sessions;
	session->timer.index = HEAP_ABSENT;
	session->used_ms = sessions_now(sessions);
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

/* ---- Streams ---- */

cJSON *sessions_features(void)
{
	cJSON *features = cJSON_CreateArray();

	return wire_whole(features, wire_append(features, cJSON_CreateString("low")) &&
	                                wire_append(features, cJSON_CreateString("order")));
}

static void send_hello(
    struct session_stream *stream, const struct sessions *sessions, const char *peer, bool resumed)
{
	cJSON *data = cJSON_CreateObject();
	const bool whole = wire_add_text(data, "elector", sessions->instance) &&
	                   wire_add_number(data, "stream", (double)stream->generation) &&
	                   wire_add_text(data, "peer", peer) &&
	                   wire_add(data, "resumed", cJSON_CreateBool(resumed)) &&
	                   wire_add(data, "features", sessions_features());

	sessions->host.send(stream->stream, 0, "hello", wire_whole(data, whole));
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
	send_hello(stream, sessions, peer, session_acknowledge(session, last_event));
	stream->unsent = session->events;
	send_events(session);
	return stream;
}

void sessions_stream_drained(struct session_stream *stream)
{
	if (stream->session)
		send_events(stream->session);
}

/*
 * Proof that nobody believes in the session's grants any more: release them now (rule 1, proof of
 * death).
 */
static void hand_over(struct session *session)
{
	struct sessions *sessions = session->sessions;
	struct ticket *next;

	engine_begin(sessions->engine);
	for (struct ticket *ticket = session->tickets; ticket; ticket = next) {
		next = ticket->next;
		ticket_let_go(ticket, &sessions->counters.takeovers_proof);
	}
	engine_end(sessions->engine);
}

static void keep_places_for_a_moment(struct session *session)
{
	const uint64_t until = sessions_now(session->sessions) + PLACE_KEPT_MS;

	for (struct ticket *ticket = session->tickets; ticket; ticket = ticket->next)
		if (ticket_waits(ticket) && !ticket->request)
			ticket_set_timer(ticket, until);
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
	SINGLY_ADD(sessions->followers, follower);
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
	const struct session *session = CONTAINER_OF(entry, struct session, entry);

	if (session->stream)
		end_stream(session->stream, "stopping");
}

void sessions_stop(struct sessions *sessions)
{
	id_table_each(&sessions->sessions, stop_stream);
}

/* ---- Time ---- */

void sessions_run(struct sessions *sessions)
{
	sessions->armed_ms = HEAP_NEVER;
	while (heap_next_ms(&sessions->ticket_timers) <= sessions_now(sessions))
		ticket_ring(CONTAINER_OF(heap_first(&sessions->ticket_timers), struct ticket, timer));
	while (heap_next_ms(&sessions->session_timers) <= sessions_now(sessions))
		on_session_timer(next_to_ring(sessions));
	sessions_arm(sessions);
}

const struct sessions_counters *sessions_counters(const struct sessions *sessions)
{
	return &sessions->counters;
}

/* ---- Beginning and end ---- */

struct sessions *sessions_new(struct engine *engine, const struct store_clock *clock,
    const struct sessions_host *host, const struct id *instance, const struct anonymous *anonymous,
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
	sessions->anonymous = *anonymous;
	if (tombstones_init(&sessions->tombstones, &host->seed) &&
	    id_table_init(&sessions->tickets, &host->seed) &&
	    id_table_init(&sessions->sessions, &host->seed))
		return sessions;
	sessions_free(sessions);
	return NULL;
}

static void free_session_entry(struct id_entry *entry)
{
	struct session *session = CONTAINER_OF(entry, struct session, entry);

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
	tombstones_clear(&sessions->tombstones);
	heap_clear(&sessions->ticket_timers);
	heap_clear(&sessions->session_timers);
	free(sessions);
}
