/*
 * What is inside of the store for http://, for the files that it consists of: claims.c asks
 * for one claim, heartbeats.c renews all of them, stream.c hears what the elector
 * tells, query.c asks for no claim, and elector.c brings them together.
 */
#ifndef MPSYNC_STORES_ELECTOR_STORE_H
#define MPSYNC_STORES_ELECTOR_STORE_H

#include "json.h"
#include "net/http.h"
#include "net/sse.h"
#include "protocol/store.h"

/* Of what concerns no claim. */
#define QUERY_TIMEOUT_MS 10000

enum phase { IDLE, NEEDS_STREAM, ATTEMPT, CONFIRM, RENEW, HEARTBEAT, WITHDRAW };

/* One claim, as the elector knows it. */
struct remote_claim {
	struct remote *remote; /* NULL before its first attempt */
	struct store_claim *claim;
	struct remote_claim *next;
	struct remote_claim *previous;
	struct http_call *call;
	struct heartbeat *heartbeat; /* the one that renews it, while phase is HEARTBEAT */
	struct remote_claim *next_beaten;
	enum phase phase;
	struct id secret; /* drawn here: one that was used up is replaced */
	bool sent;        /* the elector may know of it */
	bool held;
	bool granted; /* told by an event, to be confirmed */
	bool ended;   /* told by an event that overtook the answer of an attempt */
	bool low;     /* the elector could not renew it with the others: it is asked for by itself */
	uint64_t token;
	uint64_t granted_token;
	uint64_t sent_at_ms;
	uint64_t sent_hellos;   /* the remote's, when the request was sent */
	struct id confirmed_by; /* the elector that last answered for this very grant */
	uint32_t value_version;
	uint64_t order; /* of the request under way, where it sets a value; 0: it has none */
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
	uint64_t heard_ms;        /* when the elector last said anything */
	uint64_t check_at_ms;     /* CLAIM_NEVER: nobody waits */
	uint64_t reconnect_at_ms; /* CLAIM_NEVER: no reconnection is due */
	uint64_t moved_ms;        /* when it last went to another elector */
	uint32_t reconnect_ms;
	uint64_t generation;
	uint64_t hellos; /* how many streams have been opened */
	uint64_t seen;
	uint64_t request_timeout_ms; /* 0: a sixth of the ttl */
	bool fence_wanted;
	bool fence_stands; /* the present stream is our own socket to the elector itself */
	bool greeted;      /* the present stream has said hello */
	bool known;        /* an elector had this session before */
	bool knows_low;    /* the elector of the present stream lists low grants when asked to */
	bool knows_order;  /* and takes values in the order in which they are set */
	uint64_t orders;   /* how many requests that set a value were sent */
	struct id elector; /* the instance that the stream is of, or was */
	bool answered;     /* an elector did, once */
	char message[300];
};

/* ---- elector.c ---- */

static inline struct remote *remote_of(struct store *store)
{
	return (struct remote *)store;
}

uint64_t remote_now(const struct remote *remote);
/* Asks for the next call of `run`. */
void remote_arm(struct remote *remote);
/* Somebody waits: the elector is asked after if it says nothing for long. */
void remote_expect_word(struct remote *remote);

/* ---- claims.c ---- */

void remote_claim_attempt(struct remote_claim *remote);
/* A grant that was waited for counts only from a request of its own (rule 5). */
void remote_claim_confirm(struct remote_claim *remote);
void remote_claim_renew(struct remote_claim *remote);
void remote_claim_withdraw(struct remote_claim *remote);
/* The elector has no use for this claim any more: the next attempt is a new one. */
bool remote_claim_draw_secret(struct remote_claim *remote);
uint64_t remote_claim_timeout_ms(const struct remote_claim *remote);

/* What was asked is answered; the claim may be gone then. */
void remote_claim_answer(struct remote_claim *remote, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word);
void remote_claim_answer_problem(
    struct remote_claim *remote, const struct http_answer *http, const cJSON *body);
void remote_claim_answer_right(
    struct remote_claim *remote, enum claim_event event, uint64_t told_ms);
void remote_claim_answer_gone(struct remote_claim *remote, enum mpsync_reason reason);
/* By another elector than ours, or of a right that is over: it has to be asked for again. */
void remote_claim_renew_again(struct remote_claim *remote, const cJSON *body);
/* What was not asked. */
void remote_claim_tell(struct remote_claim *remote, enum claim_event event);

/* NULL without memory. */
struct http_call *remote_start_for_name(
    struct remote *remote, struct http_request *request, const char *name, const cJSON *body);
/* For people. Borrowed until the next call. */
const char *remote_explain(
    struct remote *remote, const struct http_answer *http, const cJSON *body);
bool remote_is_current(const struct remote *remote, const cJSON *body);
bool remote_is_fresh(const struct remote *remote, uint64_t sent_hellos, const cJSON *body);

/* ---- heartbeats.c ---- */

void elector_renew(struct store *store, struct store_claim *const *claims, size_t count);
/* Renews nothing: says which stream is the fence, and asks what there is to tell. */
void heartbeat_send_bare(struct remote *remote);
void heartbeat_leave(struct remote_claim *claim);
void heartbeats_clear(struct remote *remote);

/* ---- stream.c ---- */

void remote_stream_init(struct remote *remote);
/* Unless there is one, or its time has not come. */
void remote_stream_connect(struct remote *remote);
/*
 * Another elector answers now than the one that has our stream: go there with it. Behind a switch
 * that sends every request elsewhere that must not become a loop.
 */
void remote_stream_move(struct remote *remote);
void remote_stream_close(struct remote *remote);
/* The claim that an event, or an item of an answer, is about; NULL: not ours. */
struct remote_claim *remote_claim_named(struct remote *remote, const cJSON *data);
/* Those that a heartbeat's answer repeats. */
void remote_stream_take_events(struct remote *remote, const cJSON *events);
/* Grants that the elector has for us: of those that nobody here knows, or asks for, it is rid. */
void remote_give_back(struct remote *remote, const cJSON *claims);
void remote_clear_errands(struct remote *remote);

/* ---- query.c ---- */

void elector_query(struct store *store, struct store_query *query);
void elector_query_cancel(struct store *store, struct store_query *query);
void queries_clear(struct remote *remote);
void elector_observe(struct store *store, struct store_observer *observer);
void elector_observe_stop(struct store *store, struct store_observer *observer);
/* CLAIM_NEVER: no watch has to be opened again. */
uint64_t watches_next_ms(const struct remote *remote);
void watches_run(struct remote *remote);
void watches_clear(struct remote *remote);

#endif
