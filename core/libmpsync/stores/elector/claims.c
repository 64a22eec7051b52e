#include "base/identity.h"
#include "store.h"

#include "base/duration.h"
#include "base/json_number.h"
#include "base/text.h"
#include "base/wire.h"
#include "net/further.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_TIMEOUT_MS 1000

/* ---- Answers to the engine ---- */

void remote_claim_answer(struct remote_claim *remote, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word)
{
	const struct store_sink *sink = &remote->remote->store.sink;

	remote->phase = IDLE;
	remote->call = NULL;
	sink->answer(sink->engine, remote->claim, event, particulars, word);
}

const char *remote_explain(struct remote *remote, const struct http_answer *http, const cJSON *body)
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

/*
 * An elector takes the end of the client's stream for a proof of death and releases the client's
 * grants, whatever it answered before (rule 1, proof of death). So only the elector of the open
 * stream is believed.
 */
bool remote_is_current(const struct remote *remote, const cJSON *body)
{
	const struct id elector = json_elector(body);

	return id_equal(&elector, &remote->elector);
}

/*
 * The request must also be younger than the open stream: when the stream before ended, the elector
 * may have released grants that it had confirmed, even if the new stream leads to the same elector.
 */
bool remote_is_fresh(const struct remote *remote, uint64_t sent_hellos, const cJSON *body)
{
	return sent_hellos == remote->hellos && remote_is_current(remote, body);
}

void remote_claim_answer_problem(
    struct remote_claim *remote, const struct http_answer *http, const cJSON *body)
{
	const bool untrusted = http->untrusted && !remote->remote->answered;
	const enum mpsync_status status =
	    untrusted ? MPSYNC_E_UNAUTHENTICATED : json_status(http->status, json_text(body, "code"));
	/*
	 * Where no elector has ever answered, none may be running: that is an error for a try, and an
	 * outage for who waits.
	 */
	const bool unknown =
	    status == MPSYNC_E_UNREACHABLE &&
	    (http->status != 0 || remote->remote->answered || remote->claim->awaits_store);

	remote_claim_answer(remote, unknown ? CLAIM_UNKNOWN : CLAIM_REFUSED,
	    &(struct claim_answer){
	        .status = http->status != 0 && !http->from_elector ? MPSYNC_E_INVALID : status,
	        .retry_in_ms = (uint64_t)http->retry_after_s * 1000,
	    },
	    &(struct store_word){.message = remote_explain(remote->remote, http, body)});
}

/*
 * Time from the sending until the next request: shorter, and steady, when little of the right is
 * left or a value was not taken.
 */
static uint64_t renew_in_ms(const struct remote_claim *remote, uint64_t right_ms)
{
	const struct store_claim *claim = remote->claim;
	const bool soon = right_ms < claim->ttl_ms / 4 || remote->value_version != claim->value_version;

	return (soon ? claim->ttl_ms / 60 : right_ms / 3) + 1;
}

/*
 * The right counts from before the request; the elector said how long it lasts (rule 4, a right
 * counts from the request). One that says more than any store gives for this ttl is not believed.
 */
void remote_claim_answer_right(
    struct remote_claim *remote, enum claim_event event, uint64_t told_ms)
{
	const uint32_t ttl_ms = remote->claim->ttl_ms;
	const uint64_t most_ms = claim_right_ms(ttl_ms);
	const uint64_t right_ms = told_ms < most_ms ? told_ms : most_ms;

	if (right_ms >= ttl_ms / 4)
		remote->low = false;
	remote->held = true;
	remote->granted = false;
	remote->claim->token = remote->token;
	remote->claim->value_stored = remote->value_version;
	remote_claim_answer(remote, event,
	    &(struct claim_answer){
	        .token = remote->token,
	        .sent_at_ms = remote->sent_at_ms,
	        .right_ms = right_ms,
	        .renew_in_ms = renew_in_ms(remote, right_ms),
	    },
	    NULL);
}

void remote_claim_answer_gone(struct remote_claim *remote, enum mpsync_reason reason)
{
	remote->held = false;
	remote->sent = false;
	remote_claim_answer(remote, CLAIM_GONE, &(struct claim_answer){.reason = reason}, NULL);
}

void remote_claim_tell(struct remote_claim *remote, enum claim_event event)
{
	const struct store_sink *sink = &remote->remote->store.sink;

	sink->answer(sink->engine, remote->claim, event, NULL, NULL);
}

/* ---- Requests ---- */

static void on_attempt_done(void *context, const struct http_answer *http);
static void on_renew_done(void *context, const struct http_answer *http);
static void on_withdraw_done(void *context, const struct http_answer *http);

/* A renewal is repeated soon; any other request may take as long as the elector's store takes. */
uint64_t remote_claim_timeout_ms(const struct remote_claim *remote)
{
	const uint64_t given = remote->remote->request_timeout_ms;
	const uint32_t ttl_ms = remote->claim->ttl_ms;
	uint64_t timeout;

	if (remote->held)
		return given ? given : claim_further_ms(ttl_ms);
	timeout = given ? given * FURTHER_MOST : claim_request_timeout_ms(ttl_ms);
	return timeout > LEAST_TIMEOUT_MS ? timeout : LEAST_TIMEOUT_MS;
}

/* What is sent is whole: a renewal without its token would be a wish for a new grant. */
static cJSON *body_of(const struct remote_claim *remote)
{
	cJSON *body = cJSON_CreateObject();
	char claim[ID_HEX_SIZE];

	id_to_hex(&remote->secret, claim);
	return wire_whole(body, wire_add_text(body, "holder", remote->claim->holder) &&
	                            wire_add_text(body, "claim", claim));
}

struct http_call *remote_start_for_name(
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

/* Takes the body over; NULL: there was no memory for it. */
static void send_request(struct remote_claim *remote, enum phase phase, const char *method,
    cJSON *body, void (*done)(void *context, const struct http_answer *http))
{
	struct http_request request = {.method = method,
	    .session = remote->remote->session,
	    .timeout_ms = remote_claim_timeout_ms(remote),
	    .done = done,
	    .context = remote};

	remote->phase = phase;
	remote->sent = true;
	remote->ended = false;
	remote->sent_at_ms = remote_now(remote->remote);
	remote->sent_hellos = remote->remote->hellos;
	remote->call =
	    body ? remote_start_for_name(remote->remote, &request, remote->claim->name, body) : NULL;
	cJSON_Delete(body);
	if (!remote->call)
		remote_claim_answer(remote, CLAIM_UNKNOWN,
		    &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY},
		    &(struct store_word){.message = "out of memory"});
}

static bool add_ttl(cJSON *body, const struct store_claim *claim)
{
	char ttl[DURATION_TEXT_SIZE];

	duration_format(ttl, claim->ttl_ms);
	return wire_add_text(body, "ttl", ttl);
}

static bool add_terms(cJSON *body, const struct store_claim *claim)
{
	return add_ttl(body, claim) &&
	       wire_add_text(body, "type", claim->election ? "election" : "lock");
}

void remote_claim_attempt(struct remote_claim *remote)
{
	const struct store_claim *claim = remote->claim;
	cJSON *body = body_of(remote);
	const bool whole = add_terms(body, claim) &&
	                   (!claim->value || wire_add_text(body, "value", claim->value)) &&
	                   (claim->once || wire_add(body, "queue", cJSON_CreateTrue()));

	remote->value_version = claim->value_version;
	send_request(remote, ATTEMPT, "PUT", wire_whole(body, whole), on_attempt_done);
}

void remote_claim_await_stream(struct remote_claim *remote)
{
	remote->phase = NEEDS_STREAM;
	remote_expect_word(remote);
}

void remote_claim_confirm(struct remote_claim *remote)
{
	cJSON *body = body_of(remote);
	const bool whole =
	    add_ttl(body, remote->claim) && wire_add_decimal(body, "token", remote->granted_token);

	send_request(remote, CONFIRM, "PUT", wire_whole(body, whole), on_attempt_done);
}

/*
 * A request may be carried out long after later ones, or by an elector that this client has left.
 * So each value has a number and the stream it was sent under, and the elector stores the newest
 * only. Without a stream the value waits for one.
 */
static bool add_value(cJSON *body, struct remote_claim *claim)
{
	struct remote *remote = claim->remote;
	const char *value = claim->claim->value;

	if (remote->knows_order && !remote->greeted)
		return true;
	if (remote->knows_order) {
		claim->order = ++remote->orders;
		if (!wire_add_number(body, "order", (double)claim->order) ||
		    !wire_add_number(body, "stream", (double)remote->generation))
			return false;
	}
	claim->value_version = claim->claim->value_version;
	return wire_add(body, "value", value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

void remote_claim_renew(struct remote_claim *remote)
{
	const struct store_claim *claim = remote->claim;
	cJSON *body = body_of(remote);
	bool whole = add_terms(body, claim) && wire_add_decimal(body, "token", remote->token);

	remote->order = 0;
	remote->value_version = claim->value_stored;
	if (claim->value_version != claim->value_stored)
		whole = whole && add_value(body, remote);
	send_request(remote, RENEW, "PUT", wire_whole(body, whole), on_renew_done);
}

void remote_claim_renew_now(struct remote_claim *remote)
{
	http_cancel(remote->call);
	remote->call = NULL;
	remote_claim_renew(remote);
}

void remote_claim_withdraw(struct remote_claim *remote)
{
	cJSON *body;
	bool whole;

	if (!remote->sent) {
		remote_claim_answer(remote, CLAIM_FREED, NULL, NULL);
		return;
	}
	/* A confirmation that an event started, and that the engine did not ask for. */
	http_cancel(remote->call);
	remote->call = NULL;
	body = body_of(remote);
	whole = !remote->held || wire_add_decimal(body, "token", remote->token);
	send_request(remote, WITHDRAW, "DELETE", wire_whole(body, whole), on_withdraw_done);
}

/* ---- What the elector answers ---- */

bool remote_claim_draw_secret(struct remote_claim *remote)
{
	remote->granted = false;
	remote->sent = false;
	return id_random(&remote->secret);
}

static void answer_busy(struct remote_claim *remote, const cJSON *body)
{
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(body, "status");
	const char *owner = json_text(cJSON_GetObjectItemCaseSensitive(body, "spec"), "owner");

	if (remote->claim->once)
		remote->sent = false;
	else
		remote_expect_word(remote);
	remote_claim_answer(remote, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = CLAIM_NEVER},
	    &(struct store_word){
	        .holder = *owner ? owner : NULL,
	        .position = json_count(status, "position"),
	    });
}

static void retry_with_new_claim(struct remote_claim *remote)
{
	if (remote_claim_draw_secret(remote))
		remote_claim_answer(remote, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = 1}, NULL);
	else
		remote_claim_answer(
		    remote, CLAIM_REFUSED, &(struct claim_answer){.status = MPSYNC_E_INTERNAL}, NULL);
}

static void take_grant(struct remote_claim *remote, const cJSON *body, const cJSON *spec)
{
	const bool is_here = remote_is_current(remote->remote, body);

	if (remote_is_fresh(remote->remote, remote->sent_hellos, body) && !remote->ended) {
		remote->token = json_token(spec, "token");
		remote->confirmed_by = remote->remote->elector;
		remote_claim_answer_right(remote, CLAIM_GRANTED, json_duration_ms(spec, "remaining"));
		return;
	}
	remote->granted = true;
	remote->granted_token = json_token(spec, "token");
	if (is_here) {
		remote_claim_confirm(remote); /* an event came first: the grant may be over */
		return;
	}
	remote_claim_await_stream(remote); /* and then be confirmed */
	remote_stream_move(remote->remote);
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
		remote_claim_confirm(remote); /* an event came before the answer */
	} else if (http->status == 202 && http->from_elector &&
	           !remote_is_current(remote->remote, body)) {
		remote_claim_await_stream(remote); /* no stream, no way to tell us our turn */
		remote_stream_move(remote->remote);
	} else if (http->status == 202 &&
	           (remote->ended || !remote_is_fresh(remote->remote, remote->sent_hellos, body))) {
		remote_claim_answer(remote, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = 1}, NULL);
	} else if (http->from_elector &&
	           (http->status == 202 ||
	               (http->status == 409 && strcmp(code, "held") == 0 && remote->claim->once))) {
		answer_busy(remote, body);
	} else if (http->status == 404 && http->from_elector) {
		remote_claim_await_stream(remote);
		remote_stream_move(remote->remote);
	} else if (http->status == 409 && http->from_elector) {
		retry_with_new_claim(remote);
	} else {
		remote_claim_answer_problem(remote, http, body);
	}
	cJSON_Delete(body);
}

void remote_claim_renew_again(struct remote_claim *remote, const cJSON *body)
{
	if (!remote_is_current(remote->remote, body))
		remote_stream_move(remote->remote);
	remote_claim_answer(
	    remote, CLAIM_UNKNOWN, &(struct claim_answer){.status = MPSYNC_E_UNREACHABLE}, NULL);
}

/*
 * Does the elector show that it took the value? One that is still adopting the grant may have begun
 * before it got the value; and one that got a newer value, or has another stream of ours, did not
 * take it.
 */
static bool shows_value(const struct remote_claim *remote, const cJSON *spec)
{
	const struct store_claim *claim = remote->claim;

	if (remote->order)
		return json_number(cJSON_GetObjectItemCaseSensitive(spec, "order"), UINT64_MAX) ==
		       remote->order;
	return claim->value_version != remote->value_version ||
	       text_same(json_text(spec, "value"), claim->value);
}

static void on_renew_done(void *context, const struct http_answer *http)
{
	struct remote_claim *remote = context;
	cJSON *body = cJSON_Parse(http->body);
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	const uint64_t remaining_ms = json_duration_ms(spec, "remaining");

	remote->call = NULL;
	if (http->status == 200 && http->from_elector &&
	    remote_is_fresh(remote->remote, remote->sent_hellos, body) && remaining_ms > 0) {
		remote->confirmed_by = remote->remote->elector;
		if (!shows_value(remote, spec)) {
			remote->value_version = remote->claim->value_stored;
			heartbeat_send_bare(remote->remote); /* is our stream still its session's? */
		}
		remote_claim_answer_right(remote, CLAIM_RENEWED, remaining_ms);
	} else if (http->status == 200 && http->from_elector) {
		remote_claim_renew_again(remote, body);
	} else if (http->status == 409 && http->from_elector) {
		remote_claim_answer_gone(remote, MPSYNC_REASON_EXPIRED);
	} else if (http->status == 400 && http->from_elector && remote->order) {
		/*
		 * The elector that answered is older than that of our stream: the value waits for the next
		 * stream.
		 */
		remote_stream_move(remote->remote);
		remote_claim_renew(remote);
	} else {
		remote_claim_answer_problem(remote, http, body);
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
		remote_claim_answer(remote, CLAIM_FREED, NULL, NULL);
	} else {
		remote_claim_answer_problem(remote, http, body);
	}
	cJSON_Delete(body);
}
