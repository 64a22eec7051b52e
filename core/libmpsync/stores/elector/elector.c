#include "elector.h"
#include "base/identity.h"
#include "base/list.h"

#include "base/private_key.h"
#include "base/status.h"
#include "base/text.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A client that waits asks whether its stream is alive when it has heard nothing for half of a ttl,
 * but not for less than this: short ttls would make requests without an end.
 */
#define LEAST_SILENCE_MS 1000
/* Nor does a long ttl make it deaf for longer than this. */
#define MOST_SILENCE_MS 15000

uint64_t remote_now(const struct remote *remote)
{
	return remote->store.clock.boot_ms(remote->store.clock.context);
}

/* ---- Time ---- */

void remote_arm(struct remote *remote)
{
	const struct store_sink *sink = &remote->store.sink;
	uint64_t at_ms = watches_next_ms(remote);

	if (remote->reconnect_at_ms < at_ms)
		at_ms = remote->reconnect_at_ms;
	if (remote->check_at_ms < at_ms)
		at_ms = remote->check_at_ms;
	sink->wake_at(sink->engine, at_ms);
}

static uint64_t silence_ms(const struct remote_claim *claim)
{
	const uint64_t half_ms = claim->claim->ttl_ms / 2;

	if (half_ms > MOST_SILENCE_MS)
		return MOST_SILENCE_MS;
	return half_ms > LEAST_SILENCE_MS ? half_ms : LEAST_SILENCE_MS;
}

void remote_expect_word(struct remote_claim *claim)
{
	struct remote *remote = claim->remote;

	/* While others wait, the silence that they hear goes on. */
	if (remote->check_at_ms == CLAIM_NEVER)
		remote->heard_ms = remote_now(remote);
	if (remote->heard_ms + silence_ms(claim) < remote->check_at_ms)
		remote->check_at_ms = remote->heard_ms + silence_ms(claim);
	remote_arm(remote);
}

void remote_expect_hello(struct remote *remote)
{
	remote->heard_ms = remote->check_at_ms = remote_now(remote);
	remote_arm(remote);
}

/* Who holds needs a stream as well: values are sent under its number. */
static bool expects_word(const struct remote_claim *claim)
{
	return !claim->remote->greeted || (claim->sent && !claim->held);
}

/* The longest silence that nobody who expects a word minds; CLAIM_NEVER: nobody expects one. */
static uint64_t longest_silence_ms(const struct remote *remote)
{
	uint64_t longest_ms = CLAIM_NEVER;

	for (const struct remote_claim *claim = remote->claims; claim; claim = claim->next)
		if (expects_word(claim) && silence_ms(claim) < longest_ms)
			longest_ms = silence_ms(claim);
	return longest_ms;
}

static void check_silence(struct remote *remote, uint64_t now)
{
	const uint64_t longest_ms = longest_silence_ms(remote);

	if (longest_ms == CLAIM_NEVER) {
		remote->check_at_ms = CLAIM_NEVER;
	} else if (remote->heard_ms + longest_ms > now) {
		remote->check_at_ms = remote->heard_ms + longest_ms;
	} else {
		remote->check_at_ms = now + longest_ms;
		if (!remote->greeted)
			remote_stream_replace(remote);
		else if (!remote->heartbeats)
			heartbeat_send_probe(remote, longest_ms);
	}
}

static void elector_run(struct store *store)
{
	struct remote *remote = remote_of(store);
	const uint64_t now = remote_now(remote);

	if (remote->reconnect_at_ms <= now) {
		remote->reconnect_at_ms = CLAIM_NEVER;
		remote_stream_connect(remote);
	}
	if (remote->check_at_ms <= now)
		check_silence(remote, now);
	watches_run(remote);
	remote_arm(remote);
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
	DOUBLY_ADD(remote->claims, claim);
	return true;
}

static void elector_attempt(struct store *store, struct store_claim *stored)
{
	struct remote *remote = remote_of(store);
	struct remote_claim *claim = store_claim_data(stored);

	if (!begin_claim(remote, stored)) {
		store->sink.answer(store->sink.engine, stored, CLAIM_REFUSED,
		    &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY}, NULL);
		return;
	}
	claim->held = false; /* the answer came after the right had ended: it was no grant */
	if (claim->phase == CONFIRM)
		return; /* a confirmation is under way since the event: its answer is this attempt's */
	if (claim->granted) {
		remote_claim_confirm(claim);
	} else if (remote->greeted) {
		remote_claim_attempt(claim);
	} else {
		remote_claim_await_stream(claim);
		remote->reconnect_at_ms = CLAIM_NEVER;
		remote_stream_connect(remote);
	}
}

static void elector_withdraw(struct store *store, struct store_claim *stored)
{
	struct remote_claim *claim = store_claim_data(stored);

	if (claim->remote)
		remote_claim_withdraw(claim);
	else
		store->sink.answer(store->sink.engine, stored, CLAIM_FREED, NULL, NULL);
}

static void elector_forget(struct store *store, struct store_claim *stored)
{
	struct remote *remote = remote_of(store);
	struct remote_claim *claim = store_claim_data(stored);

	if (!claim->remote)
		return;
	http_cancel(claim->call);
	if (claim->heartbeat)
		heartbeat_leave(claim);
	DOUBLY_REMOVE(remote->claims, claim);
}

/* ---- Opening and closing ---- */

static void elector_close(struct store *store)
{
	struct remote *remote = remote_of(store);

	watches_clear(remote);
	if (remote->http && remote->store.fence)
		remote_stream_close(remote);
	http_free(remote->http);
	heartbeats_clear(remote);
	queries_clear(remote);
	remote_clear_errands(remote);
	store_fence_drop(remote->store.fence);
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
	const char *identity = options_text(options, OPTION_IDENTITY); /* every client has one */
	char *encoded;
	struct id session;
	int length = -1;

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
	const char *key = options_text(options, OPTION_KEY);
	const int64_t timeout = options_ms(options, OPTION_REQUEST_TIMEOUT);
	struct remote *remote;
	struct http_settings settings;

	if (url->tls && !private_key_is_plain(key, NULL, key, error))
		return NULL;
	remote = calloc(1, sizeof *remote);
	if (!remote) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	remote->store.ops = &elector_ops;
	remote->store.clock = *clock;
	remote->store.kind = "elector";
	remote->store.claim_size = sizeof(struct remote_claim);
	remote->store.shortest_ttl_ms = 50;
	remote->store.fence = store_fence_new();
	remote->check_at_ms = CLAIM_NEVER;
	remote->quiet_ms = watches_quiet_ms(options);
	remote->request_timeout_ms = timeout > 0 ? (uint64_t)timeout : 0;
	remote->fence_wanted = strcmp(options_text(options, OPTION_FENCE), "auto") == 0 && !url->tls;
	remote_stream_init(remote);
	settings = http_settings_of(local ? "http://localhost" : url->target, options);
	settings.socket_path = local ? url->target : NULL;
	remote->http = http_new(loop, &settings);
	if (remote->http && remote->store.fence && set_names(remote, url, options))
		return &remote->store;
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	elector_close(&remote->store);
	return NULL;
}
