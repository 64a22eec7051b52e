/*
 * What an elector knows of its clients: which claims each has, what each was told, and when the
 * elector may give a name away that a client was told it holds. Nothing here knows HTTP; time and
 * sending are handed in.
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

/* A member of the server's request. `ticket` is NULL when no ticket will answer the request. */
struct sessions_request {
	struct ticket *ticket;
	uint64_t read_ms; /* when it was read, of a request that waits here */
	bool releases;    /* it asks for the end of a claim */
	/* Of the old wire, whose callers have one claim: */
	struct sessions_request *behind; /* it waits for the same answer */
	bool create;                     /* refuse what is held, also by this very claim */
};

/*
 * An answer to a request. `body` NULL: an error object of code and message, or the lock object
 * (want_lock).
 */
struct answer {
	int status;
	const char *code;
	const char *message;
	cJSON *body;         /* owned by whoever gets the answer */
	bool want_lock;      /* the body is the lock object of the name, from the store */
	uint32_t position;   /* with want_lock: the place in the queue; 0: none */
	const char *elector; /* with want_lock: the instance of this elector */
};

struct sessions_host {
	/* Each request is answered once, at once or later, unless its client has gone before. */
	void (*answer)(struct sessions_request *request, struct answer *answer);
	/* id 0: the event has no id. Takes the data over. */
	void (*send)(void *stream, uint64_t id, const char *event, cJSON *data);
	/*
	 * The stream's reader is behind: further events are sent after sessions_stream_drained. May be
	 * NULL.
	 */
	bool (*is_behind)(void *stream);
	/* The last event was sent: the stream must be ended. */
	void (*end)(void *stream);
	void (*wake_at)(void *context, uint64_t at_ms);
	/* A sentence for the operator of this elector. May be NULL. */
	void (*log)(void *context, const char *message);
	void *context;
	struct id seed;       /* secret, so that clients cannot choose ids that meet in a hash table */
	size_t most_sessions; /* 0: no bound */
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
	uint64_t read_ms; /* e1: when the request was read */
	uint64_t order;   /* its number among the session's values; 0: none was given */
	uint64_t stream;  /* with order: the generation that its client reads from */
	uint32_t ttl_ms;
	bool ttl_given;
	bool has_value;
	bool queue;
	bool election;
};

/* What the engine given to sessions_new tells, and where. */
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

/* The client of an unanswered request has gone. */
void sessions_abandon(struct sessions *sessions, struct sessions_request *request);

struct heartbeat {
	const char *holder;
	struct id session;
	uint64_t seen;
	uint64_t stream; /* generation of the stream that is the fence; 0: the fence is time */
	uint64_t grants; /* how many grants the client knows of; UINT64_MAX: not said */
	bool low;        /* the client confirms each low grant by a request of its own */
	uint64_t read_ms;
};
void sessions_heartbeat(
    struct sessions *sessions, const struct heartbeat *heartbeat, struct sessions_request *request);

/* What the elector can do beyond the first version of the new wire. Owned by the caller. */
cJSON *sessions_features(void);

/*
 * Does the session exist, or is there room for it? An idle session without claims ends to make
 * room.
 */
bool sessions_have_room(struct sessions *sessions, const struct id *session);

/* Open the session's stream; it replaces an earlier one. NULL without memory. */
struct session_stream *sessions_stream_open(struct sessions *sessions, const struct id *session,
    const char *holder, uint64_t last_event, const char *peer, void *stream);

/* Everything that was sent on the stream has been written. */
void sessions_stream_drained(struct session_stream *stream);

/*
 * clean_end: the client's kernel closed its end of the connection. process_ended: the client's
 * process is gone. Either proves that nobody believes, if the client declared this very stream its
 * fence (rule 1, proof of death).
 */
void sessions_stream_closed(
    struct sessions *sessions, struct session_stream *stream, bool clean_end, bool process_ended);

/* Tell `stream` what one holder gets and loses from now on. */
void sessions_follow(struct sessions *sessions, const char *holder, void *stream);
void sessions_unfollow(struct sessions *sessions, void *stream);

/* Send `stopping` on each stream. Nothing is released (rule 9, a restart loses nothing). */
void sessions_stop(struct sessions *sessions);

#endif
