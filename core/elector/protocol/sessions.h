/*
 * What an elector knows of its clients: which claims each has, what each was told, and when it may
 * give away what somebody was told that he has. HTTP is elsewhere; time and sending are given from
 * outside.
 *
 * A ticket is one claim for one name. The engine contends for it at the store; the ticket remembers
 * until when its client may believe (told_until). Before that moment the elector gives nothing
 * away, but for a goodbye or a proof of death (rules 1 to 8).
 */
#ifndef MPSYNC_SESSIONS_H
#define MPSYNC_SESSIONS_H

#include "anonymous.h"

#include "protocol/engine.h"

#include <cjson/cJSON.h>

struct sessions;
struct session_stream;

/* Stands inside of the server's request; `ticket` NULL when nothing here waits to answer it. */
struct sessions_request {
	struct ticket *ticket;
	uint64_t read_ms; /* when it was read, while it waits here */
	/* Of the old wire, whose callers have one claim: */
	struct sessions_request *behind; /* it waits for the same answer */
	bool create;                     /* refuse what is held, also by this very claim */
};

/* An answer to a request. `body` NULL: an error object of code and message, or want_lock. */
struct answer {
	int status;
	const char *code;
	const char *message;
	cJSON *body;         /* taken over by who is answered */
	bool want_lock;      /* the body is the name's lock object, as the store has it */
	uint32_t position;   /* with want_lock: the place in the queue, 0: none */
	const char *elector; /* with want_lock: the instance that answers */
};

struct sessions_host {
	/* Each request is answered once, at once or later, unless it was abandoned before. */
	void (*answer)(struct sessions_request *request, struct answer *answer);
	/* id 0: the event has none. The data is taken over. */
	void (*send)(void *stream, uint64_t id, const char *event, cJSON *data);
	/* Its reader has much to read: what follows is sent after sessions_stream_drained. May be NULL.
	 */
	bool (*is_behind)(void *stream);
	/* The last event of the stream was sent; it must be ended. */
	void (*end)(void *stream);
	void (*wake_at)(void *context, uint64_t at_ms);
	/* For whoever runs this elector; or NULL. */
	void (*log)(void *context, const char *message);
	void *context;
	struct id seed;       /* that clients do not know: it spreads what they name */
	size_t most_sessions; /* 0: as many as there is memory for */
};

struct sessions_counters {
	uint64_t grants;
	uint64_t releases;
	uint64_t losses[MPSYNC_REASON_OTHER_ELECTOR + 1];
	uint64_t takeovers_goodbye;
	uint64_t takeovers_proof;
	uint64_t takeovers_expiry;
	size_t held;
	size_t waiters;
	size_t sessions;
	size_t streams;
};

struct put {
	const char *name;
	const char *holder;
	const char *value;
	struct id claim;
	struct id session;
	uint64_t token;
	uint64_t wait_ms;
	uint64_t read_ms; /* when the request was read: e1 */
	uint64_t order;   /* of the requests that set a value, in the session; 0: not said */
	uint64_t stream;  /* with order: the generation that its client reads from */
	uint32_t ttl_ms;
	bool ttl_given;
	bool has_value;
	bool queue;
	bool election;
};

/* What the engine that is given to sessions_new tells. */
extern const struct engine_owner sessions_owner;

struct sessions *sessions_new(struct engine *engine, const struct store_clock *clock,
    const struct sessions_host *host, const struct id *instance, const struct anonymous *anonymous,
    size_t most_tickets);
void sessions_free(struct sessions *sessions);
void sessions_run(struct sessions *sessions);
const struct sessions_counters *sessions_counters(const struct sessions *sessions);

void sessions_put(
    struct sessions *sessions, const struct put *put, struct sessions_request *request);
void sessions_delete(
    struct sessions *sessions, const struct put *put, struct sessions_request *request);

/* ---- old_wire.c ---- */

/* A PUT or POST without a holder. `create`: refuse what is held, also by ourselves. */
void sessions_put_anonymous(struct sessions *sessions, const char *name, bool create,
    uint64_t read_ms, struct sessions_request *request);

/* The client of a request that was not yet answered is gone. */
void sessions_abandon(struct sessions *sessions, struct sessions_request *request);

struct heartbeat {
	const char *holder;
	struct id session;
	uint64_t seen;
	uint64_t stream; /* the generation that is the fence; 0: time is */
	uint64_t grants; /* how many the client knows of; UINT64_MAX: it did not say */
	bool low;        /* the client confirms by themselves those that are listed as low */
	uint64_t read_ms;
};
void sessions_heartbeat(
    struct sessions *sessions, const struct heartbeat *heartbeat, struct sessions_request *request);

/* What a client may ask for beyond the first version of the wire. Owned by the caller. */
cJSON *sessions_features(void);

/* Is there a place for this session, or is it there? One that has nothing gives its place up. */
bool sessions_have_room(struct sessions *sessions, const struct id *session);

/* The session's stream; the newest ends the earlier. NULL without memory. */
struct session_stream *sessions_stream_open(struct sessions *sessions, const struct id *session,
    const char *holder, uint64_t last_event, const char *peer, void *stream);

/* All that was sent on it has been written. */
void sessions_stream_drained(struct session_stream *stream);

/*
 * clean_end: the client's own kernel end of the connection was closed. process_ended: its process
 * is gone. Either is proof, if the client declared this very stream its fence.
 */
void sessions_stream_closed(
    struct sessions *sessions, struct session_stream *stream, bool clean_end, bool process_ended);

/* Told of what one holder gets and loses from now on. */
void sessions_follow(struct sessions *sessions, const char *holder, void *stream);
void sessions_unfollow(struct sessions *sessions, void *stream);

/* Tells `stopping` on every session's stream. Nothing is released. */
void sessions_stop(struct sessions *sessions);

#endif
