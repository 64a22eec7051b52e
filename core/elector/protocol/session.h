/*
 * What the files of the sessions share: session.c has the clients, their events and streams,
 * heartbeats.c renews their grants, tickets.c has the life of one claim, ticket_requests.c the
 * requests about it, outcomes.c what the engine tells of it, ticket_events.c what streams tell of
 * it, and answers.c what requests are answered.
 */
#ifndef MPSYNC_ELECTOR_SESSION_H
#define MPSYNC_ELECTOR_SESSION_H

#include "base/heap.h"
#include "id_table.h"
#include "sessions.h"
#include "tombstones.h"

/* How long a place in the queue outlasts its request (rule 13, a place is kept for a moment). */
#define PLACE_KEPT_MS 2000

/*
 *   ASKING ──▶ WAITING ──────────▶ GRANTED ──confirmed──▶ HELD
 *      │          │ ▲  granted by      ▲                   ▲ │ │
 *      │          │ └─ another elector │                   │ │ └─ nobody believes ─▶ EXPIRING
 *      │          ▼    OVERTAKEN ──▶ ADOPTING ─────────────┘ └─── let go ─────────▶ RELEASING
 *      └─▶ CANCELLING, PASSED_OVER      └─ not known ─▶ IN_DOUBT
 *
 * Each ends in ENDED, or in IN_DOUBT where only the store knows what became of the claim.
 */
enum ticket_state {
	TICKET_ASKING,    /* for the name; the store has not said yet that another holds it */
	TICKET_WAITING,   /* another holds the name */
	TICKET_OVERTAKEN, /* another elector granted the claim: adopted when its wait here has ended */
	TICKET_ADOPTING,  /* the grant of another elector, or a former one, is being confirmed */
	TICKET_GRANTED,   /* granted after a wait: the client has to confirm */
	TICKET_HELD,
	TICKET_RELEASING,
	TICKET_EXPIRING,    /* released, because nobody believes any more */
	TICKET_PASSED_OVER, /* its turn came while no request waited, and was given on */
	TICKET_CANCELLING,  /* does not wait any more */
	TICKET_IN_DOUBT,    /* over here; the store knows whether the grant lasts */
	TICKET_ENDED,       /* over, and the engine is not done with it */
};

struct ticket {
	struct id_entry entry; /* by the claim's id */
	struct sessions *sessions;
	struct session *session;
	struct ticket *next; /* of the same session */
	struct ticket *previous;
	struct engine_claim *engine_claim; /* has name, holder, value, ttl and token */
	enum ticket_state state;
	bool queued;     /* the client is told of the grant by an event, not by an answer */
	bool to_release; /* when the grant is adopted it is released at once */
	/* The claim of the anonymous holder, whose callers rely on each answer for 30 s. */
	bool old_wire;
	/* Until when the client may rely on its right, with 5 % for a slower client clock. */
	uint64_t told_until_ms;
	uint64_t overtaking_token;
	uint64_t order;        /* the number of the value that is being stored */
	uint64_t stored_order; /* the number of the value that was stored last */
	int64_t since_ms;
	struct sessions_request *request; /* the one that is held back, or NULL */
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
	bool forgot;         /* unacknowledged events were dropped since the stream was opened */
	uint64_t event_base; /* smaller ids are those of another elector */
	uint64_t event_id;
	uint64_t generation;
	uint64_t fence_generation;
	uint64_t order;         /* of the newest request that sets a value */
	struct heap_item timer; /* rings when the session was idle for too long */
	uint64_t used_ms;
};

struct session_stream {
	struct session *session; /* NULL: a newer stream replaced it */
	void *stream;
	const struct session_event *unsent; /* the first one to send; NULL: all were sent */
	uint64_t generation;
};

struct follower {
	struct follower *next;
	char *holder;
	void *stream;
};

struct sessions {
	struct engine *engine;
	struct store_clock clock;
	struct sessions_host host;
	struct sessions_counters counters;
	char instance[ID_HEX_SIZE];
	struct anonymous anonymous;
	struct id_table tickets;
	struct id_table sessions;
	struct heap ticket_timers;
	struct heap session_timers;
	struct follower *followers;
	struct tombstones tombstones;
	size_t most_tickets;
	uint64_t armed_ms;
	bool in_trouble; /* the store did not answer last time, and the log says so */
};

/* ---- session.c ---- */

uint64_t sessions_now(const struct sessions *sessions);
void sessions_arm(struct sessions *sessions);

/* NULL: there is no session of that id. */
struct session *session_find(const struct sessions *sessions, const struct id *id);
/* The session of that id, made if there is none. NULL: no id, or no memory. */
struct session *session_use(struct sessions *sessions, const struct id *id, const char *holder);
/* Keep an event until the client has acknowledged it, and send it. Takes the data over. */
void session_post(struct session *session, const char *name, cJSON *data);
/* Forget all events up to `seen`. False: the id is another elector's, or was never sent. */
bool session_acknowledge(struct session *session, uint64_t seen);

/* ---- tickets.c ---- */

/* What the engine has of the claim: name, holder, value, ttl and token. */
const struct store_claim *ticket_claim(const struct ticket *ticket);
struct ticket *ticket_find(const struct sessions *sessions, const struct id *claim);
/* A ticket that has joined its session. NULL without memory. */
struct ticket *ticket_new(struct sessions *sessions, const struct put *put);
/*
 * As ticket_new, and holds the request back until the ticket's outcome is known. NULL: no memory;
 * the request was answered with 503.
 */
struct ticket *ticket_for(
    struct sessions *sessions, const struct put *put, struct sessions_request *request);
/* Its client may hold: nothing was done to give it away. */
bool ticket_is_held(const struct ticket *ticket);
/* It asks for the name, and was granted nothing. */
bool ticket_waits(const struct ticket *ticket);
/*
 * Contend for the name; the ticket may end before this returns. adopt_token 0: a new grant is
 * wanted.
 */
void ticket_contend(
    struct ticket *ticket, const struct put *put, uint64_t wait_ms, uint64_t adopt_token);
void ticket_join_session(struct ticket *ticket, struct session *session);
void ticket_set_state(struct ticket *ticket, enum ticket_state state);
void ticket_set_timer(struct ticket *ticket, uint64_t at_ms);
/* Stop waiting, and then adopt the grant that another elector gave this claim meanwhile. */
void ticket_adopt_instead(struct ticket *ticket, uint64_t token);
/*
 * Release what the ticket holds or will have adopted, counted under `cause`, or stop waiting. Does
 * nothing where that was done before.
 */
void ticket_let_go(struct ticket *ticket, uint64_t *cause);
/* The ticket's timer has run out. */
void ticket_ring(struct ticket *ticket);

void ticket_hold_back(struct ticket *ticket, struct sessions_request *request, uint64_t read_ms);
/* Take the request that is held back; NULL: there is none. */
struct sessions_request *ticket_take_request(struct ticket *ticket);
void ticket_drop_request(struct ticket *ticket, struct sessions_request *request);

/* The ticket holds nothing any more and asks for nothing: ENDED, IN_DOUBT or OVERTAKEN. */
void ticket_end(struct ticket *ticket, enum ticket_state state);
/* Requests for this claim that come late are refused from now on. */
void ticket_bury(const struct ticket *ticket);
/* RELEASING or EXPIRING, counted under `cause`. */
void ticket_release(struct ticket *ticket, enum ticket_state state, uint64_t *cause);

/* ---- outcomes.c ---- */

/* The engine has no claim for the ticket any more: the ticket is freed, or goes on with another. */
void ticket_ended(struct ticket *ticket);

/* ---- ticket_events.c ---- */

/* Name, claim and token, as events carry them. */
cJSON *ticket_grant_data(const struct ticket *ticket);
/* Tell those who follow the holder. */
void ticket_tell_followers(const struct ticket *ticket, const char *event);
/* Events to the ticket's session, which are kept until the client has acknowledged them. */
void ticket_post_granted(struct ticket *ticket);
void ticket_post_lost(struct ticket *ticket, enum mpsync_reason reason);
void ticket_post_refused(struct ticket *ticket, const char *code, const char *message);

/* ---- old_wire.c ---- */

/* Its callers give an answer up after 10 s. */
#define OLD_WIRE_TRY_MS 5000

/*
 * Answer every held-back request of the ticket: its grant was made or renewed, or the time to wait
 * for that is over.
 */
void old_wire_answer(struct ticket *ticket);
/*
 * Has another elector of the same identity taken the grant over while requests wait here? They are
 * answered when this elector has adopted the grant.
 */
bool old_wire_follows(const struct ticket *ticket, enum mpsync_reason reason);

/* ---- answers.c ---- */

/*
 * How long the right lasts, told at this moment to a request that was read at read_ms (rule 4, a
 * right counts from the request).
 */
uint64_t ticket_remaining_ms(const struct ticket *ticket, uint64_t read_ms, uint64_t told_ms);
/* The client has just been told that its right lasts so long. */
void ticket_tell_until(struct ticket *ticket, uint64_t told_ms, uint64_t told_remaining_ms);
/* For an event, which answers no request, the right is not bounded by when a request was read. */
uint64_t ticket_whole_remaining_ms(const struct ticket *ticket, uint64_t told_ms);

void ticket_answer_lock(struct ticket *ticket, struct sessions_request *request, uint64_t read_ms);
/*
 * After a wait the time that the answer could tell is over: it only says that there is a grant,
 * which has to be confirmed at once (rule 5, a grant that was waited for is confirmed first).
 */
void ticket_answer_waited(struct ticket *ticket, struct sessions_request *request);
void ticket_answer(struct ticket *ticket, struct sessions_request *request, uint64_t remaining_ms);
void answer_error(struct sessions *sessions, struct sessions_request *request, int status,
    const char *code, const char *message);
void answer_holder(
    struct sessions *sessions, struct sessions_request *request, int status, uint32_t position);
void answer_no_memory(struct sessions *sessions, struct sessions_request *request);
void answer_in_doubt(struct sessions *sessions, struct sessions_request *request);
/*
 * 503: the store still shows the grant, but no renewal was acknowledged in time, so the client may
 * not rely on it yet.
 */
void answer_unconfirmed(struct sessions *sessions, struct sessions_request *request);
void answer_released(struct sessions *sessions, const char *name, struct sessions_request *request);

#endif
