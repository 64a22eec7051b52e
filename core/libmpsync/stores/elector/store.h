/*
 * What the files of the store for http:// share: claims.c sends requests for one claim,
 * heartbeats.c renews all of them, stream.c receives the elector's events, query.c asks what
 * concerns no claim, and elector.c brings them together.
 */
#ifndef MPSYNC_STORES_ELECTOR_STORE_H
#define MPSYNC_STORES_ELECTOR_STORE_H

#include "json.h"
#include "net/http.h"
#include "net/sse.h"
#include "protocol/store.h"

/* The time-out of a request that concerns no claim. */
#define QUERY_TIMEOUT_MS 10000

enum phase { IDLE, NEEDS_STREAM, ATTEMPT, CONFIRM, RENEW, HEARTBEAT, WITHDRAW };

/* One claim as the elector knows it. */
struct remote_claim {
	struct remote *remote; /* NULL before its first attempt */
	struct store_claim *claim;
	struct remote_claim *next;
	struct remote_claim *previous;
	struct http_call *call;
	struct heartbeat *heartbeat; /* the one that renews the claim, while phase is HEARTBEAT */
	struct remote_claim *next_beaten;
	enum phase phase;
	struct id secret; /* drawn here; a secret that the elector refuses for ever is replaced */
	bool sent;        /* the elector may know of it */
	bool held;
	bool granted; /* an event told of a grant, which has to be confirmed */
	bool ended;   /* an event told of the end before the attempt was answered */
	bool low; /* the elector could not renew it with the others, so it gets a request of its own */
	uint64_t token;
	uint64_t granted_token;
	uint64_t sent_at_ms;
	uint64_t sent_hellos;   /* the remote's hellos when the request was sent */
	struct id confirmed_by; /* the elector that last answered for this very grant */
	uint32_t value_version;
	uint64_t order; /* of the value in the request under way; 0: it has no value */
};

struct heartbeat;
struct errand;
struct query_run;
struct watch;

struct remote {
	struct store store;
	struct http *http;
	char *url; /* for people */
	char *holder;
	char *holder_path;
	char session[ID_HEX_SIZE];
	struct remote_claim *claims;
	struct heartbeat *heartbeats;
	struct errand *errands;
	struct query_run *queries;
	struct watch *watches;
	struct http_call *stream;
	struct sse sse;
	uint64_t heard_ms;        /* when the stream, or a heartbeat's answer, last told anything */
	uint64_t check_at_ms;     /* CLAIM_NEVER: no claim expects a word */
	uint64_t reconnect_at_ms; /* CLAIM_NEVER: no connection is planned */
	uint64_t moved_ms;        /* when this client last went to another elector */
	uint32_t reconnect_ms;
	uint64_t generation;
	uint64_t hellos; /* how many streams said hello */
	uint64_t seen;
	uint64_t request_timeout_ms; /* 0: a sixth of the ttl */
	uint32_t quiet_ms;           /* a watch that tells nothing for so long is dead */
	bool fence_wanted;
	bool fence_stands; /* the fence is our own socket, directly to the elector */
	bool greeted;      /* the present stream has said hello */
	bool known;        /* an elector has had this session before */
	bool knows_low;    /* the elector of the present stream lists low grants when asked to */
	bool knows_order;  /* it stores values in the order of their numbers */
	uint64_t orders;   /* how many values were sent */
	struct id elector; /* the instance at the other end of the stream, or of the last one */
	bool answered;     /* an elector has answered at least once */
	char message[300];
};

/* ---- elector.c ---- */

static inline struct remote *remote_of(struct store *store)
{
	return (struct remote *)store;
}

uint64_t remote_now(const struct remote *remote);
/* Ask the engine for the next call of `run`. */
void remote_arm(struct remote *remote);
/* The claim waits: if the elector is silent for long, ask whether the stream is alive. */
void remote_expect_word(struct remote_claim *claim);
/* A stream is asked for: if it says nothing for long, ask for another. */
void remote_expect_hello(struct remote *remote);

/* ---- claims.c ---- */

void remote_claim_attempt(struct remote_claim *remote);
/* The attempt is made when the stream stands. */
void remote_claim_await_stream(struct remote_claim *remote);
/*
 * A grant that was waited for counts only after one more request (rule 5, a grant that was waited
 * for is confirmed first).
 */
void remote_claim_confirm(struct remote_claim *remote);
void remote_claim_renew(struct remote_claim *remote);
/* As heartbeats_send_again. */
void remote_claim_renew_now(struct remote_claim *remote);
void remote_claim_withdraw(struct remote_claim *remote);
/* Draw a new secret: the elector refuses the former one for ever. */
bool remote_claim_draw_secret(struct remote_claim *remote);
uint64_t remote_claim_timeout_ms(const struct remote_claim *remote);

/* Answer the engine's request; the claim may be freed then. */
void remote_claim_answer(struct remote_claim *remote, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word);
void remote_claim_answer_problem(
    struct remote_claim *remote, const struct http_answer *http, const cJSON *body);
void remote_claim_answer_right(
    struct remote_claim *remote, enum claim_event event, uint64_t told_ms);
void remote_claim_answer_gone(struct remote_claim *remote, enum mpsync_reason reason);
/* The answer came from another elector than the stream's, or its right is over: ask again. */
void remote_claim_renew_again(struct remote_claim *remote, const cJSON *body);
/* Tell the engine of something that it did not ask for. */
void remote_claim_tell(struct remote_claim *remote, enum claim_event event);

/* NULL without memory. */
struct http_call *remote_start_for_name(
    struct remote *remote, struct http_request *request, const char *name, const cJSON *body);
/* A sentence for people. Borrowed until the next call. */
const char *remote_explain(
    struct remote *remote, const struct http_answer *http, const cJSON *body);
bool remote_is_current(const struct remote *remote, const cJSON *body);
bool remote_is_fresh(const struct remote *remote, uint64_t sent_hellos, const cJSON *body);

/* ---- heartbeats.c ---- */

void elector_renew(struct store *store, struct store_claim *const *claims, size_t count);
/* A heartbeat that renews nothing: it says which stream is the fence, and asks for events. */
void heartbeat_send_bare(struct remote *remote);
/*
 * The stream has been silent for so long. Another stream takes its place if an answer comes over
 * another connection only, or tells what the stream has not told, or if none comes for as long.
 */
void heartbeat_send_probe(struct remote *remote, uint64_t silence_ms);
/*
 * Another stream has said hello: no answer to what was sent before is believed, so it is sent again
 * at once.
 */
void heartbeats_send_again(struct remote *remote);
void heartbeat_leave(struct remote_claim *claim);
void heartbeats_clear(struct remote *remote);

/* ---- stream.c ---- */

void remote_stream_init(struct remote *remote);
/* Open a stream, unless there is one, or it is too soon. */
void remote_stream_connect(struct remote *remote);
/*
 * Another elector answers now than the one that has our stream: open a stream there. Behind a load
 * balancer that sends every request to another elector this must not become a busy loop, so it is
 * limited.
 */
void remote_stream_move(struct remote *remote);
/* Open another stream in place of one that says nothing. */
void remote_stream_replace(struct remote *remote);
void remote_stream_close(struct remote *remote);
/* The claim that an event, or an item of an answer, is about; NULL: it is not ours. */
struct remote_claim *remote_claim_named(struct remote *remote, const cJSON *data);
/* The events that a heartbeat's answer repeats. */
void remote_stream_take_events(struct remote *remote, const cJSON *events);
/*
 * Grants that the elector holds for this session: those that no claim here knows or asks for are
 * given back.
 */
void remote_give_back(struct remote *remote, const cJSON *claims);
void remote_clear_errands(struct remote *remote);

/* ---- query.c ---- */

void elector_query(struct store *store, struct store_query *query);
void elector_query_cancel(struct store *store, struct store_query *query);
void queries_clear(struct remote *remote);
void elector_observe(struct store *store, struct store_observer *observer);
void elector_observe_stop(struct store *store, struct store_observer *observer);
/* How long a watch may be silent, by the options. */
uint32_t watches_quiet_ms(const struct mpsync_options *options);
/* When a watch has to be opened again, or has been silent for too long; CLAIM_NEVER: none has. */
uint64_t watches_next_ms(const struct remote *remote);
void watches_run(struct remote *remote);
void watches_clear(struct remote *remote);

#endif
