#include "store.h"

#include "base/json_number.h"
#include "base/list.h"
#include "base/wire.h"
#include "net/further.h"

#include <stdlib.h>

struct heartbeat {
	struct remote *remote;
	struct heartbeat *next;
	struct http_call *call;
	struct remote_claim *claims;
	uint64_t sent_at_ms;
	uint64_t sent_hellos;
	bool greeted; /* a stream was open when it was sent */
	bool asks_low;
	uint64_t probe_ms; /* the silence that made us send it; 0: none */
};

static void drop_heartbeat(struct heartbeat *heartbeat)
{
	SINGLY_REMOVE(heartbeat->remote->heartbeats, heartbeat);
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

	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(body, "remaining"))
		if (json_duration_ms(item, "ttl") == ttl_ms)
			return json_duration_ms(item, "remaining");
	return 0;
}

/* Grants that are held, and requests whose answers may bring one. */
static uint64_t count_known(const struct remote *remote)
{
	uint64_t count = 0;

	for (const struct remote_claim *claim = remote->claims; claim; claim = claim->next)
		count += claim->held || claim->call;
	return count;
}

/* The elector does not know the session, so each claim is renewed by a request of its own. */
static void renew_one_by_one(struct heartbeat *heartbeat)
{
	struct remote_claim *remote;

	while ((remote = take_beaten(heartbeat))) {
		remote_claim_renew(remote);
	}
}

static void mark_low(struct remote *remote, const cJSON *body)
{
	const cJSON *grant;

	cJSON_ArrayForEach (grant, cJSON_GetObjectItemCaseSensitive(body, "low")) {
		struct remote_claim *claim = remote_claim_named(remote, grant);

		if (claim)
			claim->low = true;
	}
}

/* Renew each claim that this elector has confirmed. A loss since then comes as an event. */
static void renew_all(struct heartbeat *heartbeat, const cJSON *body)
{
	struct remote_claim *remote;

	while ((remote = take_beaten(heartbeat))) {
		const uint64_t remaining = remaining_of(body, remote->claim->ttl_ms);

		if (remote->low || remaining == 0 ||
		    !id_equal(&remote->confirmed_by, &remote->remote->elector))
			remote_claim_renew(remote);
		else if (remote_is_fresh(remote->remote, heartbeat->sent_hellos, body))
			remote_claim_answer_right(remote, CLAIM_RENEWED, remaining);
		else
			remote_claim_renew_again(remote, body);
	}
}

static bool is_stream_of(const struct remote *remote, const cJSON *body)
{
	const cJSON *stream = cJSON_GetObjectItemCaseSensitive(body, "stream");

	return remote_is_current(remote, body) &&
	       (!stream || json_number(stream, UINT64_MAX) == remote->generation);
}

/* Did it find the stream, which has told nothing since, or its connection, silent? */
static bool found_silence(
    const struct heartbeat *heartbeat, const struct http_answer *http, uint64_t seen)
{
	const struct remote *remote = heartbeat->remote;

	return heartbeat->probe_ms && heartbeat->sent_hellos == remote->hellos &&
	       (http->status == 0 || http->further || remote->seen != seen);
}

static void on_heartbeat_done(void *context, const struct http_answer *http)
{
	struct heartbeat *heartbeat = context;
	struct remote *remote = heartbeat->remote;
	cJSON *body = cJSON_Parse(http->body);
	const uint64_t seen = remote->seen;
	struct remote_claim *claim;

	heartbeat->call = NULL;
	if (http->from_elector)
		remote->heard_ms = remote_now(remote);
	if (http->status == 200 && http->from_elector) {
		if (heartbeat->greeted && heartbeat->sent_hellos == remote->hellos &&
		    !is_stream_of(remote, body))
			remote_stream_move(remote);
		if (remote_is_current(remote, body))
			remote_stream_take_events(remote, cJSON_GetObjectItemCaseSensitive(body, "events"));
		mark_low(remote, body);
		renew_all(heartbeat, body);
		if (remote_is_current(remote, body))
			remote_give_back(remote, cJSON_GetObjectItemCaseSensitive(body, "claims"));
	} else if (http->status == 400 && http->from_elector && heartbeat->asks_low) {
		remote->knows_low = false; /* another elector than the one that said so answers now */
		renew_one_by_one(heartbeat);
	} else if (http->status == 404 && http->from_elector) {
		remote_stream_move(remote);
		renew_one_by_one(heartbeat);
	} else {
		while ((claim = take_beaten(heartbeat)))
			remote_claim_answer_problem(claim, http, body);
	}
	if (found_silence(heartbeat, http, seen))
		remote_stream_move(remote);
	cJSON_Delete(body);
	drop_heartbeat(heartbeat);
}

static uint64_t shortest_timeout(const struct heartbeat *heartbeat)
{
	uint64_t shortest = QUERY_TIMEOUT_MS;

	for (const struct remote_claim *claim = heartbeat->claims; claim; claim = claim->next_beaten)
		if (remote_claim_timeout_ms(claim) < shortest)
			shortest = remote_claim_timeout_ms(claim);
	return shortest;
}

/* NULL without memory. */
static cJSON *body_of(const struct remote *remote)
{
	cJSON *body = cJSON_CreateObject();

	return wire_whole(
	    body, wire_add_decimal(body, "seen", remote->seen) &&
	              wire_add_text(body, "fence", remote->fence_stands ? "stream" : "time") &&
	              wire_add_number(body, "grants", (double)count_known(remote)) &&
	              (!remote->fence_stands ||
	                  wire_add_number(body, "stream", (double)remote->generation)) &&
	              (!remote->knows_low || wire_add(body, "low", cJSON_CreateTrue())));
}

/* So that the silence is over after as long again. */
static uint64_t probe_further_ms(const struct heartbeat *heartbeat)
{
	const uint64_t given_ms = heartbeat->remote->request_timeout_ms;

	return given_ms ? given_ms : heartbeat->probe_ms / FURTHER_MOST;
}

static void send_heartbeat(struct heartbeat *heartbeat)
{
	struct remote *remote = heartbeat->remote;
	cJSON *body;
	char *text;
	struct http_request request = {.method = "PUT",
	    .path = remote->holder_path,
	    .session = remote->session,
	    .timeout_ms = shortest_timeout(heartbeat),
	    .urgent = true,
	    .done = on_heartbeat_done,
	    .context = heartbeat};

	if (heartbeat->probe_ms) {
		request.further_ms = probe_further_ms(heartbeat);
		request.whole_ms = request.timeout_ms = request.further_ms * FURTHER_MOST;
	}
	heartbeat->asks_low = remote->knows_low;
	body = body_of(remote);
	text = body ? cJSON_PrintUnformatted(body) : NULL;
	cJSON_Delete(body);
	request.body = text;
	heartbeat->sent_at_ms = remote_now(remote);
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
	SINGLY_ADD(remote->heartbeats, heartbeat);
	return heartbeat;
}

/* There was no memory for it, or nothing to say. */
static void fail_unsent(struct heartbeat *heartbeat)
{
	struct remote_claim *claim;

	while ((claim = take_beaten(heartbeat)))
		remote_claim_answer(
		    claim, CLAIM_UNKNOWN, &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY}, NULL);
	drop_heartbeat(heartbeat);
}

void elector_renew(struct store *store, struct store_claim *const *claims, size_t count)
{
	struct remote *remote = remote_of(store);
	struct heartbeat *heartbeat = heartbeat_new(remote);
	struct remote_claim *claim;

	for (size_t i = 0; i < count; i++) {
		claim = store_claim_data(claims[i]);
		if (!heartbeat || claim->low || claims[i]->value_version != claims[i]->value_stored) {
			remote_claim_renew(claim);
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
	if (!heartbeat->call)
		fail_unsent(heartbeat);
}

void heartbeats_send_again(struct remote *remote)
{
	struct heartbeat *next;

	for (struct heartbeat *heartbeat = remote->heartbeats; heartbeat; heartbeat = next) {
		next = heartbeat->next;
		if (!heartbeat->claims || heartbeat->sent_hellos == remote->hellos)
			continue;
		http_cancel(heartbeat->call);
		send_heartbeat(heartbeat);
		if (!heartbeat->call)
			fail_unsent(heartbeat);
	}
}

void heartbeat_send_probe(struct remote *remote, uint64_t silence_ms)
{
	struct heartbeat *heartbeat = heartbeat_new(remote);

	if (!heartbeat)
		return;
	heartbeat->probe_ms = silence_ms;
	send_heartbeat(heartbeat);
	if (!heartbeat->call)
		drop_heartbeat(heartbeat);
}

void heartbeat_send_bare(struct remote *remote)
{
	heartbeat_send_probe(remote, 0);
}

void heartbeat_leave(struct remote_claim *claim)
{
	struct remote_claim **link = &claim->heartbeat->claims;

	while (*link != claim)
		link = &(*link)->next_beaten;
	*link = claim->next_beaten;
	claim->heartbeat = NULL;
}

void heartbeats_clear(struct remote *remote)
{
	while (remote->heartbeats)
		drop_heartbeat(remote->heartbeats);
}
