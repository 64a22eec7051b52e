#include "etcd.h"

#include "base/status.h"
#include "store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_TTL_MS 1000

static struct etcd *of(struct store *store)
{
	return (struct etcd *)store;
}

uint64_t etcd_now(const struct etcd *etcd)
{
	return etcd->store.clock.boot_ms(etcd->store.clock.context);
}

void etcd_note_answer(struct etcd *etcd, const struct etcd_call *call,
    const struct etcd_answer *answer, uint64_t asked_ms)
{
	const uint64_t took_ms = etcd_now(etcd) - asked_ms;
	const uint64_t usual_ms = call->timeout_ms / (1 + etcd->misses);

	if (answer->result != ETCD_UNKNOWN)
		etcd->misses = took_ms < usual_ms ? 0 : etcd->misses;
	else if (took_ms >= call->timeout_ms && etcd->misses < ETCD_MOST_MISSES)
		etcd->misses++;
}

void etcd_arm(struct etcd *etcd)
{
	const struct store_sink *sink = &etcd->store.sink;
	uint64_t at_ms = etcd_observe_due_ms(etcd);

	for (const struct etcd_session *session = etcd->sessions; session; session = session->next) {
		if (session->due_ms < at_ms)
			at_ms = session->due_ms;
		if (session->read_ms < at_ms)
			at_ms = session->read_ms;
	}
	sink->wake_at(sink->engine, at_ms);
}

/* False without memory. */
static bool begin_entry(struct etcd *etcd, struct store_claim *claim)
{
	struct etcd_entry *entry = store_claim_data(claim);
	struct etcd_session *session;

	if (entry->etcd)
		return true;
	session = etcd_session_of(etcd, claim->ttl_ms);
	entry->queue = session ? etcd_queue_path(etcd->prefix, claim->name) : NULL;
	if (!entry->queue)
		return false;
	entry->etcd = etcd;
	entry->claim = claim;
	etcd_entry_join(entry, session);
	return true;
}

static void etcd_attempt(struct store *store, struct store_claim *claim)
{
	struct etcd_entry *entry = store_claim_data(claim);

	if (!begin_entry(of(store), claim)) {
		store->sink.answer(store->sink.engine, claim, CLAIM_REFUSED,
		    &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY},
		    &(struct store_word){.message = "out of memory"});
		return;
	}
	etcd_unhold(entry); /* the answer came after the right had ended: it was no grant */
	if (claim->adopt && !entry->created)
		etcd_entry_proceed_when_kept(entry);
	else
		etcd_entry_proceed_when_fresh(entry);
}

static void etcd_renew(struct store *store, struct store_claim *const *claims, size_t count)
{
	(void)store;
	for (size_t i = 0; i < count; i++) {
		struct etcd_entry *entry = store_claim_data(claims[i]);
		struct etcd_session *session = entry->session;

		assert(entry->held);
		if (claims[i]->value_version != claims[i]->value_stored)
			etcd_entry_write_value(entry);
		else
			entry->phase = ETCD_RENEWING;
		if (entry->phase == ETCD_RENEWING &&
		    etcd_now(entry->etcd) <
		        etcd_held_since_ms(entry) + etcd_session_interval_ms(session) / 2)
			etcd_entry_answer_right(entry, CLAIM_RENEWED); /* a transaction has just shown it */
		else if (entry->phase == ETCD_RENEWING)
			etcd_session_need(session);
	}
}

static void etcd_withdraw(struct store *store, struct store_claim *claim)
{
	struct etcd_entry *entry = store_claim_data(claim);

	if (!entry->etcd || !entry->session->lease || (!entry->created && !entry->doubtful)) {
		store->sink.answer(store->sink.engine, claim, CLAIM_FREED, NULL, NULL);
		return;
	}
	etcd_leave(entry);
}

static void etcd_forget(struct store *store, struct store_claim *claim)
{
	struct etcd_entry *entry = store_claim_data(claim);

	(void)store;
	if (!entry->etcd)
		return;
	etcd_cancel(&entry->call);
	etcd_cancel(&entry->check);
	etcd_unwatch(&entry->before);
	etcd_entry_leave_session(entry);
	if (entry->created ||
	    entry->doubtful) /* the watch took facts that are nobody's now for this claim's */
		etcd_standing_read_again(entry->session);
	free(entry->queue);
	free(entry->key);
	free(entry->facts);
	free(entry->before_key);
	free(entry->owner_facts);
	free(entry->adopted_value);
}

static void etcd_run(struct store *store)
{
	struct etcd *etcd = of(store);
	const uint64_t now = etcd_now(etcd);

	etcd_observe_run(etcd, now);
	for (struct etcd_session *session = etcd->sessions; session; session = session->next)
		etcd_session_run(session, now);
	etcd_arm(etcd);
}

static void store_query(struct store *store, struct store_query *query)
{
	etcd_query(store, query);
}

static void store_query_cancel(struct store *store, struct store_query *query)
{
	etcd_query_cancel(store, query);
}

/* Leases are not revoked: nothing stands on them any more, and they end by themselves. */
static void etcd_close(struct store *store)
{
	struct etcd *etcd = of(store);

	etcd_observe_close(etcd);
	etcd_queries_close(etcd);
	while (etcd->sessions) {
		struct etcd_session *session = etcd->sessions;

		etcd->sessions = session->next;
		etcd_session_free(session);
	}
	etcd_rpc_free(etcd->rpc);
	free(etcd->prefix);
	free(etcd);
}

static const struct store_ops etcd_ops = {
    .attempt = etcd_attempt,
    .renew = etcd_renew,
    .withdraw = etcd_withdraw,
    .forget = etcd_forget,
    .query = store_query,
    .query_cancel = store_query_cancel,
    .observe = etcd_observe,
    .observe_stop = etcd_observe_stop,
    .run = etcd_run,
    .close = etcd_close,
};

struct store *etcd_open(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error)
{
	const char *prefix = options_text(options, OPTION_PREFIX);
	const int64_t timeout = options_ms(options, OPTION_REQUEST_TIMEOUT);
	const int64_t ttl = options_ms(options, OPTION_TTL);
	struct etcd *etcd = calloc(1, sizeof *etcd);

	if (!etcd) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	etcd->store.ops = &etcd_ops;
	etcd->store.claim_size = sizeof(struct etcd_entry);
	etcd->store.clock = *clock;
	etcd->store.kind = "etcd";
	etcd->store.shortest_ttl_ms = LEAST_TTL_MS;
	etcd->store.outlives_process = true;
	etcd->request_timeout_ms = timeout > 0 ? (uint64_t)timeout : 0;
	etcd->quiet_ms = (uint32_t)(ttl > LEAST_TTL_MS ? ttl : LEAST_TTL_MS);
	etcd->observers =
	    (struct observers){.query = etcd_query, .query_cancel = etcd_query_cancel, .context = etcd};
	etcd->prefix = strdup(prefix ? prefix : "");
	if (etcd->prefix)
		etcd->rpc = etcd_rpc_new(url, options, loop, clock, error);
	else
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	if (etcd->rpc)
		return &etcd->store;
	free(etcd->prefix);
	free(etcd);
	return NULL;
}
