#include "elector.h"

#include "../duration.h"
#include "../http.h"
#include "../socket_name.h"
#include "../sse.h"
#include "../status.h"
#include "../text.h"
#include "../wire.h"
#include "elector_json.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_RECONNECT_MS 50
#define MOST_RECONNECT_MS  5000
#define QUERY_TIMEOUT_MS   10000
#define LEAST_TIMEOUT_MS   1000
#define WATCH_RETRY_MS     1000
/* Those who wait ask after their stream when nothing was heard for so long. */
#define SILENCE_MS 15000

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
	uint64_t token;
	uint64_t granted_token;
	uint64_t sent_at_ms;
	uint64_t sent_hellos;   /* the remote's, when the request was sent */
	struct id confirmed_by; /* the elector that last answered for this very grant */
	uint32_t value_version;
};

struct heartbeat {
	struct remote *remote;
	struct heartbeat *next;
	struct http_call *call;
	struct remote_claim *claims;
	uint64_t sent_at_ms;
	uint64_t sent_hellos;
	bool greeted; /* a stream was open when it was sent */
};

/* Gives back what the elector holds for us, and nobody here wants. */
struct errand {
	struct remote *remote;
	struct errand *next;
	struct http_call *call;
};

struct query_run {
	struct remote *remote;
	struct query_run *next;
	struct store_query *query;
	struct http_call *call;
};

struct watch {
	struct remote *remote;
	struct watch *next;
	struct store_observer *observer;
	struct http_call *call;
	struct sse sse;
	uint64_t retry_at_ms; /* CLAIM_NEVER: no retry is due */
};

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
	struct id elector; /* the instance that the stream is of, or was */
	bool answered;     /* an elector did, once */
	char message[300];
};

static struct remote *of(struct store *store)
{
	return (struct remote *)store;
}

static uint64_t now_ms(const struct remote *remote)
{
	return remote->store.clock.boot_ms(remote->store.clock.context);
}

static void arm(const struct remote *remote)
{
	const struct store_sink *sink = &remote->store.sink;
	uint64_t at_ms = remote->reconnect_at_ms;

	if (remote->check_at_ms < at_ms)
		at_ms = remote->check_at_ms;
	for (const struct watch *watch = remote->watches; watch; watch = watch->next)
		if (watch->retry_at_ms < at_ms)
			at_ms = watch->retry_at_ms;
	sink->wake_at(sink->engine, at_ms);
}

/* ---- Answers to the engine ---- */

static void answer(struct remote_claim *remote, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word)
{
	const struct store_sink *sink = &remote->remote->store.sink;

	remote->phase = IDLE;
	remote->call = NULL;
	sink->answer(sink->engine, remote->claim, event, particulars, word);
}

static const char *explain(struct remote *remote, const struct http_answer *http, const cJSON *body)
{
	const char *message = json_text(body, "message");

	if (http->status == 0)
		snprintf(remote->message, sizeof remote->message,
		    "no elector answers at %.80s (%.100s); start one with: mpsync elector", remote->url,
		    http->problem);
	else if (!http->from_elector)
		snprintf(remote->message, sizeof remote->message,
		    "what answers at %.100s is no elector (HTTP %ld, no Mpsync-Wire)", remote->url,
		    http->status);
	else
		snprintf(remote->message, sizeof remote->message, "%.280s",
		    *message ? message : "the elector refuses");
	return remote->message;
}

static struct id elector_of(const cJSON *body)
{
	struct id elector = {{0}};

	if (!id_from_hex(&elector, json_text(body, "elector")))
		elector = (struct id){{0}};
	return elector;
}

/*
 * Only what the elector of the present stream says is believed: one that has lost the stream takes
 * its end for a proof that nobody does, whatever it answered before (rule 1).
 */
static bool is_current(const struct remote *remote, const cJSON *body)
{
	const struct id elector = elector_of(body);

	return id_equal(&elector, &remote->elector);
}

/*
 * And only what was asked after the present stream was opened: an elector that saw the end of the
 * former one takes back what it has answered until then, even if the stream is its own again.
 */
static bool is_fresh(const struct remote *remote, uint64_t sent_hellos, const cJSON *body)
{
	return sent_hellos == remote->hellos && is_current(remote, body);
}

static void answer_problem(
    struct remote_claim *remote, const struct http_answer *http, const cJSON *body)
{
	const enum mpsync_status status = json_status(http->status, json_text(body, "code"));
	/* Where no elector ever answered none may be running: that is an error, not an outage. */
	const bool unknown =
	    status == MPSYNC_E_UNREACHABLE && (http->status != 0 || remote->remote->answered);

	answer(remote, unknown ? CLAIM_UNKNOWN : CLAIM_REFUSED,
	    &(struct claim_answer){
	        .status = http->status != 0 && !http->from_elector ? MPSYNC_E_INVALID : status,
	        .retry_in_ms = (uint64_t)http->retry_after_s * 1000,
	    },
	    &(struct store_word){.message = explain(remote->remote, http, body)});
}

/* The right counts from before the request; the elector said how long it lasts (rule 4). */
static void answer_right(struct remote_claim *remote, enum claim_event event, uint64_t right_ms)
{
	remote->held = true;
	remote->granted = false;
	remote->claim->token = remote->token;
	remote->claim->value_stored = remote->value_version;
	answer(remote, event,
	    &(struct claim_answer){
	        .token = remote->token,
	        .sent_at_ms = remote->sent_at_ms,
	        .right_ms = right_ms,
	        .renew_in_ms = right_ms / 3 + 1,
	    },
	    NULL);
}

static void answer_gone(struct remote_claim *remote, enum mpsync_reason reason)
{
	remote->held = false;
	remote->sent = false;
	answer(remote, CLAIM_GONE, &(struct claim_answer){.reason = reason}, NULL);
}

static void connect_stream(struct remote *remote);

/*
 * Another elector answers now than the one that has our stream: go there with it. Behind a switch
 * that sends every request elsewhere that must not become a loop.
 */
static void move_stream(struct remote *remote)
{
	const uint64_t now = now_ms(remote);

	if (remote->greeted) {
		http_cancel(remote->stream);
		remote->stream = NULL;
		remote->greeted = false;
		sse_clear(&remote->sse);
		if (now < remote->moved_ms + MOST_RECONNECT_MS) {
			remote->reconnect_at_ms = now + FIRST_RECONNECT_MS;
			arm(remote);
		}
		remote->moved_ms = now;
	}
	connect_stream(remote);
}

/* ---- Requests for one claim ---- */

static void on_attempt_done(void *context, const struct http_answer *http);
static void on_renew_done(void *context, const struct http_answer *http);
static void on_withdraw_done(void *context, const struct http_answer *http);

static uint64_t timeout_of(const struct remote_claim *remote)
{
	const uint64_t given = remote->remote->request_timeout_ms;
	const uint64_t timeout = given ? given : claim_request_timeout_ms(remote->claim->ttl_ms);

	return remote->held || timeout > LEAST_TIMEOUT_MS ? timeout : LEAST_TIMEOUT_MS;
}

static cJSON *body_of(const struct remote_claim *remote)
{
	cJSON *body = cJSON_CreateObject();
	char claim[ID_HEX_SIZE];

	id_to_hex(&remote->secret, claim);
	cJSON_AddStringToObject(body, "holder", remote->claim->holder);
	cJSON_AddStringToObject(body, "claim", claim);
	return body;
}

static void add_token(cJSON *body, uint64_t token)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, token);
	cJSON_AddStringToObject(body, "token", text);
}

static struct http_call *start_for_name(
    struct remote *remote, struct http_request *request, const char *name, const cJSON *body)
{
	char *encoded = http_encode(name);
	char *text = cJSON_PrintUnformatted(body);
	char *path = NULL;
	struct http_call *call = NULL;

	if (encoded && text && asprintf(&path, "/locks/%s", encoded) >= 0) {
		request->path = path;
		request->body = text;
		call = http_start(remote->http, request);
	}
	free(path);
	free(encoded);
	cJSON_free(text);
	return call;
}

/* Takes the body over. */
static void send_request(struct remote_claim *remote, enum phase phase, const char *method,
    cJSON *body, void (*done)(void *context, const struct http_answer *http))
{
	struct http_request request = {.method = method,
	    .session = remote->remote->session,
	    .timeout_ms = timeout_of(remote),
	    .done = done,
	    .context = remote};

	remote->phase = phase;
	remote->sent = true;
	remote->ended = false;
	remote->sent_at_ms = now_ms(remote->remote);
	remote->sent_hellos = remote->remote->hellos;
	remote->call = start_for_name(remote->remote, &request, remote->claim->name, body);
	cJSON_Delete(body);
	if (!remote->call)
		answer(remote, CLAIM_UNKNOWN, &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY},
		    &(struct store_word){.message = "out of memory"});
}

static void add_terms(cJSON *body, struct remote_claim *remote)
{
	const struct store_claim *claim = remote->claim;
	char ttl[DURATION_TEXT_SIZE];

	duration_format(ttl, claim->ttl_ms);
	cJSON_AddStringToObject(body, "ttl", ttl);
	cJSON_AddStringToObject(body, "type", claim->election ? "election" : "lock");
	if (claim->value)
		cJSON_AddStringToObject(body, "value", claim->value);
	remote->value_version = claim->value_version;
}

static void send_attempt(struct remote_claim *remote)
{
	cJSON *body = body_of(remote);

	add_terms(body, remote);
	if (!remote->claim->once)
		cJSON_AddTrueToObject(body, "queue");
	send_request(remote, ATTEMPT, "PUT", body, on_attempt_done);
}

/* A grant that was waited for counts only from a request of its own (rule 5). */
static void send_confirm(struct remote_claim *remote)
{
	cJSON *body = body_of(remote);
	char ttl[DURATION_TEXT_SIZE];

	duration_format(ttl, remote->claim->ttl_ms);
	cJSON_AddStringToObject(body, "ttl", ttl);
	add_token(body, remote->granted_token);
	send_request(remote, CONFIRM, "PUT", body, on_attempt_done);
}

static void send_renewal(struct remote_claim *remote)
{
	const struct store_claim *claim = remote->claim;
	cJSON *body = body_of(remote);
	char ttl[DURATION_TEXT_SIZE];

	duration_format(ttl, claim->ttl_ms);
	cJSON_AddStringToObject(body, "ttl", ttl);
	cJSON_AddStringToObject(body, "type", claim->election ? "election" : "lock");
	add_token(body, remote->token);
	if (claim->value_version != claim->value_stored) {
		if (claim->value)
			cJSON_AddStringToObject(body, "value", claim->value);
		else
			cJSON_AddNullToObject(body, "value");
	}
	remote->value_version = claim->value_version;
	send_request(remote, RENEW, "PUT", body, on_renew_done);
}

/* The elector has no use for this claim any more: the next attempt is a new one. */
static bool draw_secret(struct remote_claim *remote)
{
	remote->granted = false;
	remote->sent = false;
	return id_random(&remote->secret);
}

static void expect_word(struct remote *remote)
{
	remote->heard_ms = now_ms(remote);
	if (remote->check_at_ms != CLAIM_NEVER)
		return;
	remote->check_at_ms = remote->heard_ms + SILENCE_MS;
	arm(remote);
}

static void answer_busy(struct remote_claim *remote, const cJSON *body)
{
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(body, "status");
	const cJSON *position = cJSON_GetObjectItemCaseSensitive(status, "position");
	const char *owner = json_text(cJSON_GetObjectItemCaseSensitive(body, "spec"), "owner");

	if (remote->claim->once)
		remote->sent = false;
	else
		expect_word(remote->remote);
	answer(remote, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = CLAIM_NEVER},
	    &(struct store_word){
	        .holder = *owner ? owner : NULL,
	        .position = cJSON_IsNumber(position) ? (uint32_t)position->valuedouble : 0,
	    });
}

static void retry_with_new_claim(struct remote_claim *remote)
{
	if (draw_secret(remote))
		answer(remote, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = 1}, NULL);
	else
		answer(remote, CLAIM_REFUSED, &(struct claim_answer){.status = MPSYNC_E_INTERNAL}, NULL);
}

static void take_grant(struct remote_claim *remote, const cJSON *body, const cJSON *spec)
{
	const bool is_here = is_current(remote->remote, body);

	if (is_fresh(remote->remote, remote->sent_hellos, body) && !remote->ended) {
		remote->token = json_token(spec, "token");
		remote->confirmed_by = remote->remote->elector;
		answer_right(remote, CLAIM_GRANTED, json_duration_ms(spec, "remaining"));
		return;
	}
	remote->granted = true;
	remote->granted_token = json_token(spec, "token");
	if (is_here) {
		send_confirm(remote); /* what overtook the answer may have undone it */
		return;
	}
	remote->phase = NEEDS_STREAM; /* to be confirmed when the stream is there too */
	move_stream(remote->remote);
}

static void on_attempt_done(void *context, const struct http_answer *http)
{
	struct remote_claim *remote = context;
	cJSON *body = cJSON_Parse(http->body);
	const char *code = json_text(body, "code");
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	const bool confirming = remote->phase == CONFIRM;

	remote->call = NULL;
	if (http->status == 200 && http->from_elector && spec) {
		take_grant(remote, body, spec);
	} else if (remote->granted && !confirming) {
		send_confirm(remote); /* the event overtook the answer */
	} else if (http->status == 202 && http->from_elector && !is_current(remote->remote, body)) {
		remote->phase = NEEDS_STREAM; /* nobody could tell us there */
		move_stream(remote->remote);
	} else if (http->status == 202 &&
	           (remote->ended || !is_fresh(remote->remote, remote->sent_hellos, body))) {
		answer(remote, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = 1}, NULL);
	} else if (http->from_elector &&
	           (http->status == 202 ||
	               (http->status == 409 && strcmp(code, "held") == 0 && remote->claim->once))) {
		answer_busy(remote, body);
	} else if (http->status == 404 && http->from_elector) {
		remote->phase = NEEDS_STREAM;
		move_stream(remote->remote);
	} else if (http->status == 409 && http->from_elector) {
		retry_with_new_claim(remote);
	} else {
		answer_problem(remote, http, body);
	}
	cJSON_Delete(body);
}

/* By another elector than ours, or of a right that is over: it has to be asked for again. */
static void renew_again(struct remote_claim *remote, const cJSON *body)
{
	if (!is_current(remote->remote, body))
		move_stream(remote->remote);
	answer(remote, CLAIM_UNKNOWN, &(struct claim_answer){.status = MPSYNC_E_UNREACHABLE}, NULL);
}

static void on_renew_done(void *context, const struct http_answer *http)
{
	struct remote_claim *remote = context;
	cJSON *body = cJSON_Parse(http->body);
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	const uint64_t remaining_ms = json_duration_ms(spec, "remaining");

	remote->call = NULL;
	if (http->status == 200 && http->from_elector &&
	    is_fresh(remote->remote, remote->sent_hellos, body) && remaining_ms > 0) {
		remote->confirmed_by = remote->remote->elector;
		answer_right(remote, CLAIM_RENEWED, remaining_ms);
	} else if (http->status == 200 && http->from_elector) {
		renew_again(remote, body);
	} else if (http->status == 409 && http->from_elector) {
		answer_gone(remote, MPSYNC_REASON_EXPIRED);
	} else {
		answer_problem(remote, http, body);
	}
	cJSON_Delete(body);
}

static void on_withdraw_done(void *context, const struct http_answer *http)
{
	struct remote_claim *remote = context;
	cJSON *body = cJSON_Parse(http->body);

	remote->call = NULL;
	if (http->from_elector && (http->status == 200 || http->status == 409)) {
		remote->sent = false;
		answer(remote, CLAIM_FREED, NULL, NULL);
	} else {
		answer_problem(remote, http, body);
	}
	cJSON_Delete(body);
}

/* ---- Heartbeats ---- */

static void drop_heartbeat(struct heartbeat *heartbeat)
{
	struct heartbeat **link = &heartbeat->remote->heartbeats;

	while (*link != heartbeat)
		link = &(*link)->next;
	*link = heartbeat->next;
	free(heartbeat);
}

static struct remote_claim *take_beaten(struct heartbeat *heartbeat)
{
	struct remote_claim *remote = heartbeat->claims;

	if (!remote)
		return NULL;
	heartbeat->claims = remote->next_beaten;
	remote->heartbeat = NULL;
	remote->sent_at_ms = heartbeat->sent_at_ms;
	return remote;
}

static uint64_t remaining_of(const cJSON *body, uint32_t ttl_ms)
{
	const cJSON *item;

	cJSON_ArrayForEach(item,
	    cJSON_GetObjectItemCaseSensitive(body,
	        "remaining")) if (json_duration_ms(item, "ttl") == ttl_ms) return json_duration_ms(item,
	    "remaining");
	return 0;
}

/* Something is believed, or will be when it has been confirmed. */
static bool may_hold(const struct remote *remote)
{
	for (const struct remote_claim *claim = remote->claims; claim; claim = claim->next)
		if ((claim->held || claim->granted) && claim->phase != WITHDRAW)
			return true;
	return false;
}

/* What is held, and what an answer that is on its way may say is. */
static uint64_t count_known(const struct remote *remote)
{
	uint64_t count = 0;

	for (const struct remote_claim *claim = remote->claims; claim; claim = claim->next)
		count += claim->held || claim->call;
	return count;
}

static void take_events(struct remote *remote, const cJSON *body);
static void give_back_unknown(struct remote *remote, const cJSON *claims);

/* Each by itself: the elector does not know the session. */
static void renew_one_by_one(struct heartbeat *heartbeat)
{
	struct remote_claim *remote;

	while ((remote = take_beaten(heartbeat))) {
		send_renewal(remote);
	}
}

/* Each that this elector has confirmed, and not told the loss of since: the events say that. */
static void renew_all(struct heartbeat *heartbeat, const cJSON *body)
{
	struct remote_claim *remote;

	while ((remote = take_beaten(heartbeat))) {
		const uint64_t remaining = remaining_of(body, remote->claim->ttl_ms);

		if (remaining == 0 || !id_equal(&remote->confirmed_by, &remote->remote->elector))
			send_renewal(remote);
		else if (is_fresh(remote->remote, heartbeat->sent_hellos, body))
			answer_right(remote, CLAIM_RENEWED, remaining);
		else
			renew_again(remote, body);
	}
}

static bool is_stream_of(const struct remote *remote, const cJSON *body)
{
	const cJSON *stream = cJSON_GetObjectItemCaseSensitive(body, "stream");

	return is_current(remote, body) &&
	       (!cJSON_IsNumber(stream) || (uint64_t)stream->valuedouble == remote->generation);
}

static void on_heartbeat_done(void *context, const struct http_answer *http)
{
	struct heartbeat *heartbeat = context;
	struct remote *remote = heartbeat->remote;
	cJSON *body = cJSON_Parse(http->body);
	struct remote_claim *claim;

	heartbeat->call = NULL;
	if (http->from_elector)
		remote->heard_ms = now_ms(remote);
	if (http->status == 200 && http->from_elector) {
		if (heartbeat->greeted && heartbeat->sent_hellos == remote->hellos &&
		    !is_stream_of(remote, body))
			move_stream(remote);
		if (is_current(remote, body))
			take_events(remote, cJSON_GetObjectItemCaseSensitive(body, "events"));
		renew_all(heartbeat, body);
		if (is_current(remote, body))
			give_back_unknown(remote, cJSON_GetObjectItemCaseSensitive(body, "claims"));
	} else if (http->status == 404 && http->from_elector) {
		move_stream(remote);
		renew_one_by_one(heartbeat);
	} else {
		while ((claim = take_beaten(heartbeat)))
			answer_problem(claim, http, body);
	}
	cJSON_Delete(body);
	drop_heartbeat(heartbeat);
}

static uint64_t shortest_timeout(const struct heartbeat *heartbeat)
{
	uint64_t shortest = QUERY_TIMEOUT_MS;

	for (const struct remote_claim *claim = heartbeat->claims; claim; claim = claim->next_beaten)
		if (timeout_of(claim) < shortest)
			shortest = timeout_of(claim);
	return shortest;
}

static void send_heartbeat(struct heartbeat *heartbeat)
{
	struct remote *remote = heartbeat->remote;
	cJSON *body = cJSON_CreateObject();
	char seen[24];
	char *text;
	struct http_request request = {.method = "PUT",
	    .path = remote->holder_path,
	    .session = remote->session,
	    .timeout_ms = shortest_timeout(heartbeat),
	    .urgent = true,
	    .done = on_heartbeat_done,
	    .context = heartbeat};

	snprintf(seen, sizeof seen, "%" PRIu64, remote->seen);
	cJSON_AddStringToObject(body, "seen", seen);
	cJSON_AddStringToObject(body, "fence", remote->fence_stands ? "stream" : "time");
	cJSON_AddNumberToObject(body, "grants", (double)count_known(remote));
	if (remote->fence_stands)
		cJSON_AddNumberToObject(body, "stream", (double)remote->generation);
	text = cJSON_PrintUnformatted(body);
	cJSON_Delete(body);
	request.body = text;
	heartbeat->sent_at_ms = now_ms(remote);
	heartbeat->sent_hellos = remote->hellos;
	heartbeat->greeted = remote->greeted;
	heartbeat->call = text ? http_start(remote->http, &request) : NULL;
	cJSON_free(text);
}

static struct heartbeat *heartbeat_new(struct remote *remote)
{
	struct heartbeat *heartbeat = calloc(1, sizeof *heartbeat);

	if (!heartbeat)
		return NULL;
	heartbeat->remote = remote;
	heartbeat->next = remote->heartbeats;
	remote->heartbeats = heartbeat;
	return heartbeat;
}

static void elector_renew(struct store *store, struct store_claim *const *claims, size_t count)
{
	struct remote *remote = of(store);
	struct heartbeat *heartbeat = heartbeat_new(remote);
	struct remote_claim *claim;

	for (size_t i = 0; i < count; i++) {
		claim = store_claim_data(claims[i]);
		if (!heartbeat || claims[i]->value_version != claims[i]->value_stored) {
			send_renewal(claim);
		} else {
			claim->phase = HEARTBEAT;
			claim->heartbeat = heartbeat;
			claim->next_beaten = heartbeat->claims;
			heartbeat->claims = claim;
		}
	}
	if (!heartbeat)
		return;
	if (heartbeat->claims)
		send_heartbeat(heartbeat);
	if (heartbeat->call)
		return;
	while ((claim = take_beaten(heartbeat)))
		answer(claim, CLAIM_UNKNOWN, &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY}, NULL);
	drop_heartbeat(heartbeat);
}

/* ---- The session's stream ---- */

static bool is_loopback(const char *peer)
{
	return strncmp(peer, "127.", 4) == 0 || strncmp(peer, "[::1]", 5) == 0 ||
	       strncmp(peer, "unix:@", 6) == 0;
}

static void tell(struct remote_claim *remote, enum claim_event event)
{
	const struct store_sink *sink = &remote->remote->store.sink;

	sink->answer(sink->engine, remote->claim, event, NULL, NULL);
}

/* Those that waited for the stream go; if the elector is new to us, the others say what they have.
 */
static void resume_claims(struct remote *remote, bool confirm_all)
{
	struct remote_claim *next;

	for (struct remote_claim *claim = remote->claims; claim; claim = next) {
		next = claim->next;
		if (claim->phase == NEEDS_STREAM && claim->granted)
			send_confirm(claim);
		else if (claim->phase == NEEDS_STREAM)
			send_attempt(claim);
		else if (confirm_all && claim->held && claim->phase == IDLE)
			tell(claim, CLAIM_RENEW_NOW);
		else if (confirm_all && !claim->held && claim->sent && claim->phase == IDLE)
			tell(claim, CLAIM_CHANGED);
	}
}

static void send_bare_heartbeat(struct remote *remote)
{
	struct heartbeat *heartbeat = heartbeat_new(remote);

	if (heartbeat)
		send_heartbeat(heartbeat);
	if (heartbeat && !heartbeat->call)
		drop_heartbeat(heartbeat);
}

/* What an elector has confirmed may be over when our stream comes back to it. */
static void forget_confirmations(struct remote *remote)
{
	for (struct remote_claim *claim = remote->claims; claim; claim = claim->next)
		claim->confirmed_by = (struct id){{0}};
}

static void on_hello(struct remote *remote, const cJSON *data)
{
	const cJSON *generation = cJSON_GetObjectItemCaseSensitive(data, "stream");
	const bool resumed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(data, "resumed"));
	const bool again = remote->known;
	const bool is_same = is_current(remote, data);
	const bool holding = may_hold(remote);
	const char *peer = json_text(data, "peer");
	const int descriptor = http_descriptor(remote->stream);
	char own[SOCKET_NAME_SIZE];

	socket_own_name(descriptor, own);
	remote->reconnect_ms = 0;
	remote->greeted = remote->known = true;
	remote->answered = true;
	remote->elector = elector_of(data);
	remote->hellos++;
	if (!is_same)
		forget_confirmations(remote);
	if (!holding)
		store_fence_forget(&remote->store.fence);
	remote->generation = cJSON_IsNumber(generation) ? (uint64_t)generation->valuedouble : 0;
	if (!resumed)
		remote->seen = 0;
	/* A former elector that lives must not see an end while it may have told of something. */
	remote->fence_stands = store_fence_replace(&remote->store.fence,
	    remote->fence_wanted && is_loopback(peer) && strcmp(peer, own) == 0 ? descriptor : -1,
	    holding && !is_same);
	if (remote->fence_stands)
		send_bare_heartbeat(remote);
	resume_claims(remote, again && !resumed);
}

static struct remote_claim *claim_of(struct remote *remote, const cJSON *data)
{
	struct id secret;
	struct remote_claim *claim = remote->claims;

	if (!id_from_hex(&secret, json_text(data, "claim")))
		return NULL;
	while (claim && !id_equal(&claim->secret, &secret))
		claim = claim->next;
	return claim;
}

/* ---- Grants that nobody here knows of ---- */

static void drop_errand(struct errand *errand)
{
	struct errand **link = &errand->remote->errands;

	while (*link != errand)
		link = &(*link)->next;
	*link = errand->next;
	free(errand);
}

/* Whatever the answer is: if it is still there, a later heartbeat shows it again. */
static void on_errand_done(void *context, const struct http_answer *http)
{
	(void)http;
	drop_errand(context);
}

static void give_back(struct remote *remote, const cJSON *grant)
{
	struct errand *errand = calloc(1, sizeof *errand);
	struct http_request request = {.method = "DELETE",
	    .session = remote->session,
	    .timeout_ms = QUERY_TIMEOUT_MS,
	    .done = on_errand_done,
	    .context = errand};
	cJSON *body = cJSON_CreateObject();

	if (errand) {
		errand->remote = remote;
		errand->next = remote->errands;
		remote->errands = errand;
		cJSON_AddStringToObject(body, "holder", remote->holder);
		cJSON_AddStringToObject(body, "claim", json_text(grant, "claim"));
		add_token(body, json_token(grant, "token"));
		errand->call = start_for_name(remote, &request, json_text(grant, "name"), body);
	}
	cJSON_Delete(body);
	if (errand && !errand->call)
		drop_errand(errand);
}

static void give_back_unknown(struct remote *remote, const cJSON *claims)
{
	const cJSON *grant;

	cJSON_ArrayForEach(grant, claims)
	{
		struct remote_claim *claim = claim_of(remote, grant);

		if (!claim)
			give_back(remote, grant);
		else if (!claim->held && claim->phase == IDLE)
			tell(claim, CLAIM_CHANGED);
	}
}

static void on_granted(struct remote_claim *claim, const cJSON *data)
{
	if (claim->held)
		return;
	claim->granted = true;
	claim->granted_token = json_token(data, "token");
	if (claim->phase == IDLE)
		send_confirm(claim);
}

static void leave_heartbeat(struct remote_claim *claim)
{
	struct remote_claim **link = &claim->heartbeat->claims;

	while (*link != claim)
		link = &(*link)->next_beaten;
	*link = claim->next_beaten;
	claim->heartbeat = NULL;
}

static void drop_request(struct remote_claim *claim)
{
	http_cancel(claim->call);
	claim->call = NULL;
	if (claim->heartbeat)
		leave_heartbeat(claim);
}

/* What another elector has taken over since is not lost: ask the present one for it by itself. */
static void lose_held(struct remote_claim *claim, enum mpsync_reason reason)
{
	struct remote *remote = claim->remote;
	const bool confirmed_here = id_equal(&claim->confirmed_by, &remote->elector);

	drop_request(claim);
	if (confirmed_here && reason != MPSYNC_REASON_OTHER_ELECTOR) {
		answer_gone(claim, reason);
		return;
	}
	claim->confirmed_by = (struct id){{0}};
	if (claim->phase == IDLE)
		tell(claim, CLAIM_RENEW_NOW);
	else
		send_renewal(claim);
}

static void on_lost(struct remote_claim *claim, const cJSON *data)
{
	if (!claim->held && claim->phase == IDLE) {
		draw_secret(claim);
		tell(claim, CLAIM_CHANGED);
	} else if (claim->held && claim->phase != WITHDRAW &&
	           json_token(data, "token") == claim->token) {
		lose_held(claim, json_reason(data));
	} else {
		claim->ended = true;
	}
}

static void on_refused(struct remote_claim *claim, const cJSON *data)
{
	/* It overtook the answer, which then leaves nothing to wait for: ask again. */
	if (claim->phase != IDLE)
		claim->ended = true;
	if (claim->held || claim->phase != IDLE)
		return;
	claim->sent = false;
	answer(claim, CLAIM_REFUSED,
	    &(struct claim_answer){.status = strcmp(json_text(data, "code"), "forbidden") == 0
	                                         ? MPSYNC_E_FORBIDDEN
	                                         : MPSYNC_E_UNREACHABLE},
	    &(struct store_word){.message = json_text(data, "message")});
}

static void take_event(struct remote *remote, uint64_t id, const char *event, const cJSON *data)
{
	struct remote_claim *claim;

	if (id <= remote->seen)
		return;
	remote->seen = id;
	claim = claim_of(remote, data);
	if (!claim)
		return;
	if (strcmp(event, "granted") == 0)
		on_granted(claim, data);
	else if (strcmp(event, "lost") == 0)
		on_lost(claim, data);
	else if (strcmp(event, "refused") == 0)
		on_refused(claim, data);
}

static void take_events(struct remote *remote, const cJSON *events)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, events) take_event(remote, json_token(item, "id"),
	    json_text(item, "event"), cJSON_GetObjectItemCaseSensitive(item, "data"));
}

static void on_stream_event(void *context, const char *id, const char *event, const char *text)
{
	struct remote *remote = context;
	cJSON *data = cJSON_Parse(text);
	uint64_t number = 0;

	remote->heard_ms = now_ms(remote);
	if (strcmp(event, "hello") == 0)
		on_hello(remote, data);
	else if (id && wire_token_parse(id, &number))
		take_event(remote, number, event, data);
	cJSON_Delete(data);
}

static bool on_stream_data(void *context, const char *bytes, size_t size)
{
	return sse_feed(&((struct remote *)context)->sse, bytes, size);
}

/* No stream, no queue: those that wait for it hear why. */
static void fail_those_without_stream(struct remote *remote, const struct http_answer *http)
{
	cJSON *body = cJSON_Parse(http->body);
	struct remote_claim *next;

	for (struct remote_claim *claim = remote->claims; claim; claim = next) {
		next = claim->next;
		if (claim->phase == NEEDS_STREAM)
			answer_problem(claim, http, body);
	}
	cJSON_Delete(body);
}

static void on_stream_done(void *context, const struct http_answer *http)
{
	struct remote *remote = context;

	remote->stream = NULL;
	remote->greeted = false;
	sse_clear(&remote->sse);
	/* The fence stays: its socket is still open here, and the elector has no newer one of ours. */
	if (http->status != 200)
		fail_those_without_stream(remote, http);
	if (!remote->claims)
		return;
	remote->reconnect_ms = remote->reconnect_ms ? remote->reconnect_ms * 2 : FIRST_RECONNECT_MS;
	if (remote->reconnect_ms > MOST_RECONNECT_MS)
		remote->reconnect_ms = MOST_RECONNECT_MS;
	remote->reconnect_at_ms = now_ms(remote) + remote->reconnect_ms;
	arm(remote);
}

static void connect_stream(struct remote *remote)
{
	char last[24];
	struct http_request request = {.method = "GET",
	    .path = remote->holder_path,
	    .session = remote->session,
	    .done = on_stream_done,
	    .data = on_stream_data,
	    .context = remote};

	if (remote->stream || remote->reconnect_at_ms != CLAIM_NEVER)
		return;
	snprintf(last, sizeof last, "%" PRIu64, remote->seen);
	request.last_event = last;
	remote->stream = http_start(remote->http, &request);
}

/* ---- The store contract ---- */

/* False without randomness. */
static bool begin_claim(struct remote *remote, struct store_claim *stored)
{
	struct remote_claim *claim = store_claim_data(stored);

	if (claim->remote)
		return true;
	if (!id_random(&claim->secret))
		return false;
	claim->remote = remote;
	claim->claim = stored;
	claim->next = remote->claims;
	if (claim->next)
		claim->next->previous = claim;
	remote->claims = claim;
	return true;
}

static void elector_attempt(struct store *store, struct store_claim *stored)
{
	struct remote *remote = of(store);
	struct remote_claim *claim = store_claim_data(stored);

	if (!begin_claim(remote, stored)) {
		store->sink.answer(store->sink.engine, stored, CLAIM_REFUSED,
		    &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY}, NULL);
		return;
	}
	claim->held = false; /* an answer that came too late was no grant */
	if (claim->phase == CONFIRM)
		return; /* under way since the event came: its answer is this attempt's */
	if (claim->granted) {
		send_confirm(claim);
	} else if (remote->greeted) {
		send_attempt(claim);
	} else {
		claim->phase = NEEDS_STREAM;
		remote->reconnect_at_ms = CLAIM_NEVER;
		connect_stream(remote);
	}
}

static void elector_withdraw(struct store *store, struct store_claim *stored)
{
	struct remote_claim *claim = store_claim_data(stored);
	cJSON *body;

	(void)store;
	if (!claim->sent) {
		store->sink.answer(store->sink.engine, stored, CLAIM_FREED, NULL, NULL);
		return;
	}
	/* A confirmation that an event set off, which the engine did not ask for. */
	http_cancel(claim->call);
	claim->call = NULL;
	body = body_of(claim);
	if (claim->held)
		add_token(body, claim->token);
	send_request(claim, WITHDRAW, "DELETE", body, on_withdraw_done);
}

static void close_stream(struct remote *remote)
{
	remote->reconnect_at_ms = CLAIM_NEVER;
	http_cancel(remote->stream);
	remote->stream = NULL;
	remote->greeted = false;
	sse_clear(&remote->sse);
	remote->fence_stands = store_fence_replace(&remote->store.fence, -1, false);
	store_fence_forget(&remote->store.fence);
}

static void elector_forget(struct store *store, struct store_claim *stored)
{
	struct remote *remote = of(store);
	struct remote_claim *claim = store_claim_data(stored);

	if (!claim->remote)
		return;
	http_cancel(claim->call);
	if (claim->heartbeat)
		leave_heartbeat(claim);
	if (claim->next)
		claim->next->previous = claim->previous;
	if (claim->previous)
		claim->previous->next = claim->next;
	else
		remote->claims = claim->next;
}

/* ---- Queries ---- */

static void drop_query(struct query_run *run)
{
	struct query_run **link = &run->remote->queries;

	while (*link != run)
		link = &(*link)->next;
	*link = run->next;
	free(run);
}

static void end_query(struct query_run *run, enum mpsync_status status, const char *message)
{
	struct store_query *query = run->query;

	drop_query(run);
	query->done(query, status, message);
}

static bool ask(struct query_run *run, const char *after);

static void take_list(struct query_run *run, const cJSON *body)
{
	const cJSON *item;
	const char *after = json_text(body, "continue");

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(body, "items"))
	{
		const struct store_lock lock = json_lock(item);

		run->query->found(run->query, &lock);
	}
	if (!*after)
		end_query(run, MPSYNC_OK, NULL);
	else if (!ask(run, after))
		end_query(run, MPSYNC_E_NO_MEMORY, "out of memory");
}

static void on_query_done(void *context, const struct http_answer *http)
{
	struct query_run *run = context;
	cJSON *body = cJSON_Parse(http->body);

	run->call = NULL;
	if (http->status == 200 && http->from_elector && body) {
		if (run->query->kind == STORE_LIST) {
			take_list(run, body);
		} else {
			const struct store_lock lock = json_lock(body);

			if (run->query->kind == STORE_GET)
				run->query->found(run->query, &lock);
			end_query(run, MPSYNC_OK, NULL);
		}
	} else {
		const enum mpsync_status status = json_status(http->status, json_text(body, "code"));

		end_query(run, http->status && !http->from_elector ? MPSYNC_E_INVALID : status,
		    explain(run->remote, http, body));
	}
	cJSON_Delete(body);
}

static char *query_path(const struct store_query *query, const char *after)
{
	char *name = http_encode(query->kind == STORE_LIST ? query->prefix
	                         : query->name             ? query->name
	                                                   : "");
	char *start = after ? http_encode(after) : NULL;
	char *path = NULL;
	int length = -1;

	if (name && query->kind == STORE_CHECK)
		length = asprintf(&path, "/readyz");
	else if (name && query->kind == STORE_LIST)
		length = asprintf(
		    &path, "/locks?prefix=%s%s%s", name, start ? "&continue=" : "", start ? start : "");
	else if (name)
		length = asprintf(&path, "/locks/%s", name);
	free(name);
	free(start);
	return length < 0 ? NULL : path;
}

static bool ask(struct query_run *run, const char *after)
{
	const struct store_query *query = run->query;
	const bool force = query->kind == STORE_FORCE;
	char *path = query_path(query, after);
	const struct http_request request = {.method = force ? "DELETE" : "GET",
	    .path = path,
	    .body = !force       ? NULL
	            : query->now ? "{\"force\":true,\"now\":true}"
	                         : "{\"force\":true}",
	    .timeout_ms = QUERY_TIMEOUT_MS,
	    .done = on_query_done,
	    .context = run};

	run->call = path ? http_start(run->remote->http, &request) : NULL;
	free(path);
	return run->call;
}

static void elector_query(struct store *store, struct store_query *query)
{
	struct remote *remote = of(store);
	struct query_run *run = calloc(1, sizeof *run);

	if (!run) {
		query->done(query, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	run->remote = remote;
	run->query = query;
	run->next = remote->queries;
	remote->queries = run;
	if (!ask(run, query->after))
		end_query(run, MPSYNC_E_NO_MEMORY, "out of memory");
}

static void elector_query_cancel(struct store *store, struct store_query *query)
{
	struct query_run *run = of(store)->queries;

	while (run && run->query != query)
		run = run->next;
	if (!run)
		return;
	http_cancel(run->call);
	drop_query(run);
}

/* ---- Observers ---- */

static void connect_watch(struct watch *watch);

static void on_watch_event(void *context, const char *id, const char *event, const char *text)
{
	struct store_observer *observer = ((struct watch *)context)->observer;
	cJSON *data = cJSON_Parse(text);

	(void)id;
	if (strcmp(event, "lock") == 0) {
		const struct store_lock lock = json_lock(data);

		observer->changed(observer, &lock);
	} else if (strcmp(event, "gone") == 0) {
		observer->gone(observer, json_text(data, "name"));
	} else if (strcmp(event, "synced") == 0) {
		observer->synced(observer);
	}
	cJSON_Delete(data);
}

static bool on_watch_data(void *context, const char *bytes, size_t size)
{
	return sse_feed(&((struct watch *)context)->sse, bytes, size);
}

static void on_watch_done(void *context, const struct http_answer *http)
{
	struct watch *watch = context;
	cJSON *body = cJSON_Parse(http->body);

	watch->call = NULL;
	sse_clear(&watch->sse);
	if (http->status != 200)
		watch->observer->failed(watch->observer, json_status(http->status, json_text(body, "code")),
		    explain(watch->remote, http, body));
	cJSON_Delete(body);
	watch->retry_at_ms = now_ms(watch->remote) + WATCH_RETRY_MS;
	arm(watch->remote);
}

static void connect_watch(struct watch *watch)
{
	const char *name = watch->observer->name;
	char *encoded = name ? http_encode(name) : NULL;
	char *path = NULL;
	struct http_request request = {
	    .method = "GET", .done = on_watch_done, .data = on_watch_data, .context = watch};

	if (asprintf(&path, "/locks%s%s?watch=1", encoded ? "/" : "", encoded ? encoded : "") >= 0) {
		request.path = path;
		watch->call = http_start(watch->remote->http, &request);
	}
	free(path);
	free(encoded);
}

static void drop_watch(struct watch *watch)
{
	struct watch **link = &watch->remote->watches;

	while (*link != watch)
		link = &(*link)->next;
	*link = watch->next;
	http_cancel(watch->call);
	sse_clear(&watch->sse);
	watch->observer->data = NULL;
	free(watch);
}

static void elector_observe(struct store *store, struct store_observer *observer)
{
	struct remote *remote = of(store);
	struct watch *watch = calloc(1, sizeof *watch);

	if (!watch) {
		observer->failed(observer, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	watch->remote = remote;
	watch->observer = observer;
	watch->retry_at_ms = CLAIM_NEVER;
	watch->sse = (struct sse){.event = on_watch_event, .context = watch};
	watch->next = remote->watches;
	remote->watches = watch;
	observer->data = watch;
	connect_watch(watch);
}

static void elector_observe_stop(struct store *store, struct store_observer *observer)
{
	(void)store;
	if (observer->data)
		drop_watch(observer->data);
}

/* ---- Opening and closing ---- */

static bool anyone_waits(const struct remote *remote)
{
	for (const struct remote_claim *claim = remote->claims; claim; claim = claim->next)
		if (claim->sent && !claim->held)
			return true;
	return false;
}

static void check_silence(struct remote *remote, uint64_t now)
{
	if (!anyone_waits(remote)) {
		remote->check_at_ms = CLAIM_NEVER;
	} else if (remote->heard_ms + SILENCE_MS > now) {
		remote->check_at_ms = remote->heard_ms + SILENCE_MS;
	} else {
		remote->check_at_ms = now + SILENCE_MS;
		if (remote->greeted && !remote->heartbeats)
			send_bare_heartbeat(remote);
	}
}

static void elector_run(struct store *store)
{
	struct remote *remote = of(store);
	const uint64_t now = now_ms(remote);

	if (remote->reconnect_at_ms <= now) {
		remote->reconnect_at_ms = CLAIM_NEVER;
		connect_stream(remote);
	}
	if (remote->check_at_ms <= now)
		check_silence(remote, now);
	for (struct watch *watch = remote->watches; watch; watch = watch->next) {
		if (watch->retry_at_ms > now)
			continue;
		watch->retry_at_ms = CLAIM_NEVER;
		connect_watch(watch);
	}
	arm(remote);
}

static void elector_close(struct store *store)
{
	struct remote *remote = of(store);

	while (remote->watches)
		drop_watch(remote->watches);
	if (remote->http)
		close_stream(remote);
	http_free(remote->http);
	while (remote->heartbeats)
		drop_heartbeat(remote->heartbeats);
	while (remote->queries)
		drop_query(remote->queries);
	while (remote->errands)
		drop_errand(remote->errands);
	free(remote->holder);
	free(remote->holder_path);
	free(remote->url);
	free(remote);
}

static const struct store_ops elector_ops = {
    .attempt = elector_attempt,
    .renew = elector_renew,
    .withdraw = elector_withdraw,
    .forget = elector_forget,
    .query = elector_query,
    .query_cancel = elector_query_cancel,
    .observe = elector_observe,
    .observe_stop = elector_observe_stop,
    .run = elector_run,
    .close = elector_close,
};

static bool set_names(
    struct remote *remote, const struct url *url, const struct mpsync_options *options)
{
	const char *identity = options_text(options, OPTION_IDENTITY);
	char own[HOLDER_MOST + 1];
	char *encoded;
	struct id session;
	int length = -1;

	if (!identity) {
		identity_default(own, sizeof own);
		identity = own;
	}
	encoded = http_encode(identity);
	if (encoded)
		length = asprintf(&remote->holder_path, "/holders/%s", encoded);
	if (length < 0)
		remote->holder_path = NULL;
	free(encoded);
	remote->holder = strdup(identity);
	remote->url = strdup(url->text);
	if (!id_random(&session))
		return false;
	id_to_hex(&session, remote->session);
	return remote->holder && remote->holder_path && remote->url;
}

struct store *elector_open(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error)
{
	const bool local = url->scheme == URL_HTTP_UNIX;
	struct remote *remote = calloc(1, sizeof *remote);
	const int64_t timeout = options_ms(options, OPTION_REQUEST_TIMEOUT);
	struct http_settings settings;

	if (!remote) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	remote->store.ops = &elector_ops;
	remote->store.clock = *clock;
	remote->store.kind = "elector";
	remote->store.claim_size = sizeof(struct remote_claim);
	remote->store.shortest_ttl_ms = 50;
	atomic_init(&remote->store.fence.descriptor, -1);
	remote->reconnect_at_ms = CLAIM_NEVER;
	remote->check_at_ms = CLAIM_NEVER;
	remote->request_timeout_ms = timeout > 0 ? (uint64_t)timeout : 0;
	remote->fence_wanted = strcmp(options_text(options, OPTION_FENCE), "auto") == 0 && !url->tls;
	remote->sse = (struct sse){.event = on_stream_event, .context = remote};
	settings = http_settings_of(local ? "http://localhost" : url->target, options);
	settings.socket_path = local ? url->target : NULL;
	remote->http = http_new(loop, &settings);
	if (remote->http && set_names(remote, url, options))
		return &remote->store;
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	elector_close(&remote->store);
	return NULL;
}
