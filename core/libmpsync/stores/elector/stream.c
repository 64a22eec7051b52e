#include "store.h"

#include "base/json_number.h"
#include "base/list.h"
#include "base/socket_name.h"
#include "base/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_RECONNECT_MS 50
#define MOST_RECONNECT_MS  5000

/* A request that gives back a grant that no claim here wants. */
struct errand {
	struct remote *remote;
	struct errand *next;
	struct http_call *call;
};

struct remote_claim *remote_claim_named(struct remote *remote, const cJSON *data)
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
	SINGLY_REMOVE(errand->remote->errands, errand);
	free(errand);
}

/* The answer does not matter: if the grant is still there, a later heartbeat shows it again. */
static void on_errand_done(void *context, const struct http_answer *http)
{
	(void)http;
	drop_errand(context);
}

/* NULL without memory: a later heartbeat shows the grant again. */
static cJSON *back_body(const struct remote *remote, const cJSON *grant)
{
	cJSON *body = cJSON_CreateObject();

	return wire_whole(body, wire_add_text(body, "holder", remote->holder) &&
	                            wire_add_text(body, "claim", json_text(grant, "claim")) &&
	                            wire_add_decimal(body, "token", json_token(grant, "token")));
}

static void give_back(struct remote *remote, const cJSON *grant)
{
	struct errand *errand = calloc(1, sizeof *errand);
	struct http_request request = {.method = "DELETE",
	    .session = remote->session,
	    .timeout_ms = QUERY_TIMEOUT_MS,
	    .done = on_errand_done,
	    .context = errand};
	cJSON *body;

	if (!errand)
		return;
	errand->remote = remote;
	SINGLY_ADD(remote->errands, errand);
	body = back_body(remote, grant);
	if (body)
		errand->call = remote_start_for_name(remote, &request, json_text(grant, "name"), body);
	cJSON_Delete(body);
	if (!errand->call)
		drop_errand(errand);
}

void remote_give_back(struct remote *remote, const cJSON *claims)
{
	const cJSON *grant;

	cJSON_ArrayForEach (grant, claims) {
		struct remote_claim *claim = remote_claim_named(remote, grant);

		if (!claim)
			give_back(remote, grant);
		else if (!claim->held && claim->phase == IDLE)
			remote_claim_tell(claim, CLAIM_CHANGED);
	}
}

/* ---- Events ---- */

/*
 * The event is about an earlier grant of the same claim, told late by an elector that the claim was
 * with before.
 */
static bool is_of_earlier_grant(const struct remote_claim *claim, const cJSON *data)
{
	const uint64_t token = json_token(data, "token");

	return claim->granted && token != 0 && token < claim->granted_token;
}

static void on_granted(struct remote_claim *claim, const cJSON *data)
{
	if (claim->held || is_of_earlier_grant(claim, data))
		return;
	claim->granted = true;
	claim->granted_token = json_token(data, "token");
	if (claim->phase == IDLE)
		remote_claim_confirm(claim);
}

static void drop_request(struct remote_claim *claim)
{
	http_cancel(claim->call);
	claim->call = NULL;
	if (claim->heartbeat)
		heartbeat_leave(claim);
}

/*
 * A grant that another elector has taken over since is not lost: the present elector is asked for
 * it.
 */
static void lose_held(struct remote_claim *claim, enum mpsync_reason reason)
{
	struct remote *remote = claim->remote;
	const bool confirmed_here = id_equal(&claim->confirmed_by, &remote->elector);

	drop_request(claim);
	if (confirmed_here && reason != MPSYNC_REASON_OTHER_ELECTOR) {
		remote_claim_answer_gone(claim, reason);
		return;
	}
	claim->confirmed_by = (struct id){{0}};
	if (claim->phase == IDLE)
		remote_claim_tell(claim, CLAIM_RENEW_NOW);
	else
		remote_claim_renew(claim);
}

static void on_lost(struct remote_claim *claim, const cJSON *data)
{
	if (is_of_earlier_grant(claim, data))
		return;
	if (!claim->held && claim->phase == IDLE) {
		remote_claim_draw_secret(claim);
		remote_claim_tell(claim, CLAIM_CHANGED);
	} else if (claim->held && claim->phase != WITHDRAW &&
	           json_token(data, "token") == claim->token) {
		lose_held(claim, json_reason(data));
	} else {
		claim->ended = true;
	}
}

static void on_refused(struct remote_claim *claim, const cJSON *data)
{
	/* The event came before the answer, which then leads nowhere: ask again. */
	if (claim->phase != IDLE)
		claim->ended = true;
	if (claim->held || claim->phase != IDLE)
		return;
	claim->sent = false;
	remote_claim_answer(claim, CLAIM_REFUSED,
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
	claim = remote_claim_named(remote, data);
	if (!claim)
		return;
	if (strcmp(event, "granted") == 0)
		on_granted(claim, data);
	else if (strcmp(event, "lost") == 0)
		on_lost(claim, data);
	else if (strcmp(event, "refused") == 0)
		on_refused(claim, data);
}

void remote_stream_take_events(struct remote *remote, const cJSON *events)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, events)
		take_event(remote, json_token(item, "id"), json_text(item, "event"),
		    cJSON_GetObjectItemCaseSensitive(item, "data"));
}

/* ---- The stream ---- */

static bool is_loopback(const char *peer)
{
	return strncmp(peer, "127.", 4) == 0 || strncmp(peer, "[::1]", 5) == 0 ||
	       strncmp(peer, "unix:@", 6) == 0;
}

/*
 * Claims that waited for the stream proceed. If the elector is new to this session, the others
 * confirm their grants.
 */
static void resume_claims(struct remote *remote, bool confirm_all)
{
	struct remote_claim *next;

	heartbeats_send_again(remote);
	for (struct remote_claim *claim = remote->claims; claim; claim = next) {
		next = claim->next;
		if (claim->phase == NEEDS_STREAM && claim->granted)
			remote_claim_confirm(claim);
		else if (claim->phase == NEEDS_STREAM)
			remote_claim_attempt(claim);
		else if (claim->phase == RENEW)
			remote_claim_renew_now(claim);
		else if (confirm_all && claim->held && claim->phase == IDLE)
			remote_claim_tell(claim, CLAIM_RENEW_NOW);
		else if (confirm_all && !claim->held && claim->sent && claim->phase == IDLE)
			remote_claim_tell(claim, CLAIM_CHANGED);
	}
}

/* Is there a grant that is believed, or that will be once it is confirmed? */
static bool may_hold(const struct remote *remote)
{
	for (const struct remote_claim *claim = remote->claims; claim; claim = claim->next)
		if ((claim->held || claim->granted) && claim->phase != WITHDRAW)
			return true;
	return false;
}

/* When the stream comes back to an elector, what that elector had confirmed may be over. */
static void forget_confirmations(struct remote *remote)
{
	for (struct remote_claim *claim = remote->claims; claim; claim = claim->next)
		claim->confirmed_by = (struct id){{0}};
}

static bool has_feature(const cJSON *data, const char *name)
{
	const cJSON *feature;

	cJSON_ArrayForEach (feature, cJSON_GetObjectItemCaseSensitive(data, "features"))
		if (cJSON_IsString(feature) && strcmp(feature->valuestring, name) == 0)
			return true;
	return false;
}

static void on_hello(struct remote *remote, const cJSON *data)
{
	const cJSON *generation = cJSON_GetObjectItemCaseSensitive(data, "stream");
	const bool resumed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(data, "resumed"));
	const bool again = remote->known;
	const bool is_same = remote_is_current(remote, data);
	const bool holding = may_hold(remote);
	const char *peer = json_text(data, "peer");
	const int descriptor = http_descriptor(remote->stream);
	char own[SOCKET_NAME_SIZE];

	socket_own_name(descriptor, own);
	remote->reconnect_ms = 0;
	remote->greeted = remote->known = true;
	remote->answered = true;
	remote->elector = json_elector(data);
	remote->hellos++;
	if (!is_same)
		forget_confirmations(remote);
	if (!holding)
		store_fence_forget(remote->store.fence);
	remote->generation = json_number(generation, UINT64_MAX);
	remote->knows_low = has_feature(data, "low");
	remote->knows_order = has_feature(data, "order");
	if (!resumed)
		remote->seen = 0;
	/*
	 * A former elector that is alive must not see its stream end while it may have told of a grant:
	 * its socket stays open.
	 */
	remote->fence_stands = store_fence_replace(remote->store.fence,
	    remote->fence_wanted && is_loopback(peer) && strcmp(peer, own) == 0 ? descriptor : -1,
	    holding && !is_same);
	if (remote->fence_stands)
		heartbeat_send_bare(remote);
	resume_claims(remote, again && !resumed);
}

static void on_stream_event(void *context, const char *id, const char *event, const char *text)
{
	struct remote *remote = context;
	cJSON *data = cJSON_Parse(text);
	uint64_t number = 0;

	remote->heard_ms = remote_now(remote);
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

/* Without a stream there is no place in a queue: claims that wait for the stream are told why. */
static void fail_those_without_stream(struct remote *remote, const struct http_answer *http)
{
	cJSON *body = cJSON_Parse(http->body);
	struct remote_claim *next;

	for (struct remote_claim *claim = remote->claims; claim; claim = next) {
		next = claim->next;
		if (claim->phase == NEEDS_STREAM)
			remote_claim_answer_problem(claim, http, body);
	}
	cJSON_Delete(body);
}

static void on_stream_done(void *context, const struct http_answer *http)
{
	struct remote *remote = context;

	remote->stream = NULL;
	remote->greeted = false;
	sse_clear(&remote->sse);
	/*
	 * The fence stays: its socket is still open here, and the elector has no newer stream of ours.
	 */
	if (http->status != 200)
		fail_those_without_stream(remote, http);
	if (!remote->claims)
		return;
	remote->reconnect_ms = remote->reconnect_ms ? remote->reconnect_ms * 2 : FIRST_RECONNECT_MS;
	if (remote->reconnect_ms > MOST_RECONNECT_MS)
		remote->reconnect_ms = MOST_RECONNECT_MS;
	remote->reconnect_at_ms = remote_now(remote) + remote->reconnect_ms;
	remote_arm(remote);
}

void remote_stream_connect(struct remote *remote)
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
	if (remote->stream) {
		remote_expect_hello(remote);
		return;
	}
	remote->reconnect_at_ms = remote_now(remote) + FIRST_RECONNECT_MS;
	remote_arm(remote);
}

static void leave_stream(struct remote *remote)
{
	http_cancel(remote->stream);
	remote->stream = NULL;
	remote->greeted = false;
	sse_clear(&remote->sse);
}

void remote_stream_move(struct remote *remote)
{
	const uint64_t now = remote_now(remote);

	if (remote->greeted) {
		leave_stream(remote);
		if (now < remote->moved_ms + MOST_RECONNECT_MS) {
			remote->reconnect_at_ms = now + FIRST_RECONNECT_MS;
			remote_arm(remote);
		}
		remote->moved_ms = now;
	}
	remote_stream_connect(remote);
}

void remote_stream_replace(struct remote *remote)
{
	leave_stream(remote);
	remote_stream_connect(remote);
}

void remote_stream_close(struct remote *remote)
{
	remote->reconnect_at_ms = CLAIM_NEVER;
	leave_stream(remote);
	remote->fence_stands = store_fence_replace(remote->store.fence, -1, false);
	store_fence_forget(remote->store.fence);
}

void remote_stream_init(struct remote *remote)
{
	remote->reconnect_at_ms = CLAIM_NEVER;
	remote->sse = (struct sse){.event = on_stream_event, .context = remote};
}

void remote_clear_errands(struct remote *remote)
{
	while (remote->errands)
		drop_errand(remote->errands);
}
