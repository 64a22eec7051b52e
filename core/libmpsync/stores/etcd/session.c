/*
 * One etcd lease and the places on it. A keep-alive is no quorum write: a member that was deposed
 * answers it from memory. So a keep-alive counts only when a linearizable read that was sent after
 * it shows the session's key, and no other leader was elected in between (rule 35, a keep-alive is
 * confirmed).
 */
#include "store.h"

#include "base/list.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BACKOFF_MS 50
#define MOST_BACKOFF_MS  5000 /* while no place is held */
#define LEAST_TIMEOUT_MS 500

uint64_t etcd_session_right_ms(const struct etcd_session *session)
{
	return claim_right_ms((uint64_t)session->granted_s * 1000);
}

uint64_t etcd_session_timeout_ms(const struct etcd_session *session)
{
	const uint64_t given = session->etcd->request_timeout_ms;
	const uint32_t ttl_s = session->lease ? session->granted_s : session->asked_s;
	const uint64_t timeout = given ? given : claim_further_ms((uint64_t)ttl_s * 1000);

	return (timeout > LEAST_TIMEOUT_MS ? timeout : LEAST_TIMEOUT_MS) * (1 + session->etcd->misses);
}

bool etcd_session_is_open(const struct etcd_session *session)
{
	return session->lease && session->phase != SESSION_GRANTING &&
	       session->phase != SESSION_OPENING;
}

bool etcd_session_is_fresh(const struct etcd_session *session)
{
	return etcd_session_is_open(session) &&
	       etcd_now(session->etcd) < session->confirmed_ms + etcd_session_right_ms(session) / 2;
}

/* ---- Telling ---- */

/*
 * An entry that is told something may end others, or the session. So the entries to be told stand
 * in a list.
 */
void etcd_session_tell_later(struct etcd_session *session, struct etcd_entry *entry)
{
	if (entry->told_link)
		return;
	entry->next_told = session->told;
	if (entry->next_told)
		entry->next_told->told_link = &entry->next_told;
	entry->told_link = &session->told;
	session->told = entry;
}

void etcd_session_untell(struct etcd_entry *entry)
{
	if (!entry->told_link)
		return;
	*entry->told_link = entry->next_told;
	if (entry->next_told)
		entry->next_told->told_link = entry->told_link;
	entry->told_link = NULL;
}

struct etcd_entry *etcd_session_next_told(const struct etcd_session *session)
{
	struct etcd_entry *entry = session->told;

	if (entry)
		etcd_session_untell(entry);
	return entry;
}

/* ---- The lease ---- */

static bool waits_for_session(const struct etcd_entry *entry)
{
	return entry->phase == ETCD_NEEDS_LEASE || entry->phase == ETCD_RENEWING;
}

static void fail_waiting(struct etcd_session *session, const struct etcd_answer *answer)
{
	struct etcd_entry *entry;

	for (entry = session->entries; entry; entry = entry->next)
		if (waits_for_session(entry))
			etcd_session_tell_later(session, entry);
	while ((entry = etcd_session_next_told(session))) {
		if (waits_for_session(entry))
			etcd_entry_fail(entry, answer);
		else /* while all are told that the former lease has gone there was no memory for the next
		      */
			etcd_entry_expire(entry);
	}
}

/* An entry that is told may need the next keep-alive at once. */
static void proceed_needing(struct etcd_session *session)
{
	struct etcd_entry *entry;

	for (entry = session->entries; entry; entry = entry->next)
		if (entry->phase == ETCD_NEEDS_LEASE)
			etcd_session_tell_later(session, entry);
	while ((entry = etcd_session_next_told(session)))
		if (entry->phase == ETCD_NEEDS_LEASE && etcd_session_is_open(session) &&
		    etcd_entry_is_kept(entry))
			etcd_entry_proceed(entry);
	if (session->confirmed_ms < session->wanted_ms)
		etcd_session_need(session);
}

uint64_t etcd_session_interval_ms(const struct etcd_session *session)
{
	return (uint64_t)session->granted_s * 1000 / 6;
}

/* Without a held place it is enough that the waiters' places last. */
static uint64_t step_interval_ms(const struct etcd_session *session)
{
	const uint64_t interval_ms = etcd_session_interval_ms(session);

	return session->held_count > 0 ? interval_ms / etcd_held_parts(session) : 2 * interval_ms;
}

static uint32_t most_backoff_ms(const struct etcd_session *session)
{
	const uint32_t most_ms = session->granted_s * 1000 / 30;

	if (session->held_count == 0 || most_ms > MOST_BACKOFF_MS)
		return MOST_BACKOFF_MS;
	return most_ms > FIRST_BACKOFF_MS ? most_ms : FIRST_BACKOFF_MS;
}

static void try_again_later(struct etcd_session *session, const struct etcd_answer *answer)
{
	const uint32_t most_ms = most_backoff_ms(session);

	etcd_held_put_back(session);
	session->phase = SESSION_IDLE;
	session->backoff_ms = session->backoff_ms ? session->backoff_ms * 2 : FIRST_BACKOFF_MS;
	if (session->backoff_ms > most_ms)
		session->backoff_ms = most_ms;
	session->due_ms = etcd_now(session->etcd) + session->backoff_ms;
	etcd_arm(session->etcd);
	if (answer->result == ETCD_UNKNOWN || answer->status == MPSYNC_E_UNREACHABLE)
		etcd_next_member(session->etcd->rpc);
	fail_waiting(session, answer);
}

static void confirm(struct etcd_session *session, const struct etcd_answer *answer)
{
	session->phase = SESSION_IDLE;
	session->backoff_ms = 0;
	session->confirmed_ms = session->sent_at_ms;
	session->due_ms = session->step_ms + step_interval_ms(session);
	etcd_arm(session->etcd);
	etcd_held_answered(session, answer);
	proceed_needing(session);
}

static void start(
    struct etcd_session *session, enum etcd_session_phase phase, const struct etcd_call *call)
{
	assert(!session->call.flight);
	session->phase = phase;
	session->call = *call;
	session->call.timeout_ms = etcd_session_timeout_ms(session);
	session->call.context = session;
	session->asked_ms = etcd_now(session->etcd);
	etcd_send(session->etcd->rpc, &session->call);
}

static void forget_lease(struct etcd_session *session)
{
	etcd_cancel(&session->call);
	etcd_held_put_back(session);
	etcd_standing_forget(session);
	session->phase = SESSION_IDLE;
	session->lease = 0;
	free(session->path);
	session->path = NULL;
}

void etcd_session_lost(struct etcd_session *session)
{
	struct etcd_entry *entry;

	if (!session->lease)
		return;
	forget_lease(session);
	for (entry = session->entries; entry; entry = entry->next)
		etcd_session_tell_later(session, entry);
	while ((entry = etcd_session_next_told(session)))
		etcd_entry_expire(entry);
}

/* The session's key, which confirmations read. */
static void on_opened(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

	etcd_note_answer(session->etcd, call, answer, session->asked_ms);
	if (answer->result != ETCD_OK) {
		forget_lease(session);
		try_again_later(session, answer);
		return;
	}
	etcd_standing_watch(session, answer->revision);
	session->term = answer->term;
	confirm(session, answer);
}

static void on_granted(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

	etcd_note_answer(session->etcd, call, answer, session->asked_ms);
	if (answer->result != ETCD_OK) {
		forget_lease(session);
		try_again_later(session, answer);
		return;
	}
	session->granted_s = (uint32_t)answer->ttl_s;
	start(session, SESSION_OPENING,
	    &(struct etcd_call){.kind = ETCD_TXN,
	        .then =
	            {{.kind = ETCD_PUT, .key = session->path, .value = "", .lease = session->lease}},
	        .then_count = 1,
	        .done = on_opened});
}

static void grant(struct etcd_session *session)
{
	const struct store_clock *clock = &session->etcd->store.clock;

	/* A number below 2^63 that is not 0. */
	session->lease = (int64_t)clock->random(clock->context) << 31 | 1;
	session->lease ^= (int64_t)(clock->random(clock->context) >> 1) << 1;
	session->path = etcd_session_path(session->etcd->prefix, session->lease);
	session->step_ms = session->sent_at_ms = etcd_now(session->etcd);
	if (!session->path) {
		session->lease = 0;
		try_again_later(session,
		    &(struct etcd_answer){
		        .result = ETCD_REFUSED, .status = MPSYNC_E_NO_MEMORY, .message = "out of memory"});
		return;
	}
	start(session, SESSION_GRANTING,
	    &(struct etcd_call){.kind = ETCD_GRANT,
	        .lease = session->lease,
	        .ttl_s = session->asked_s,
	        .done = on_granted});
}

static void keep_alive(struct etcd_session *session);

static void on_confirmed(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

	etcd_note_answer(session->etcd, call, answer, session->asked_ms);
	if (answer->result != ETCD_OK) {
		try_again_later(session, answer);
	} else if (answer->found[0].count == 0) {
		etcd_session_lost(session);
	} else if (session->term == 0) {
		try_again_later(session, &(struct etcd_answer){.result = ETCD_UNKNOWN,
		                             .status = MPSYNC_E_UNREACHABLE,
		                             .message = "etcd is choosing a leader"});
	} else if (answer->term != session->term) {
		etcd_held_put_back(session);
		keep_alive(session);
	} else {
		confirm(session, answer);
	}
}

/* Reads the session's key, and compares the next part of the held places. */
static void compare_held(struct etcd_session *session)
{
	struct etcd_compare places[ETCD_MOST_FURTHER];
	const struct etcd_op get = {.kind = ETCD_GET, .key = session->path};
	const size_t count = etcd_held_compare(session, places);

	start(session, SESSION_CONFIRMING,
	    &(struct etcd_call){.kind = ETCD_TXN,
	        .then = {get},
	        .then_count = 1,
	        .otherwise = {get},
	        .otherwise_count = 1,
	        .further = places,
	        .further_count = count,
	        .done = on_confirmed});
}

static void on_kept_alive(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

	etcd_note_answer(session->etcd, call, answer, session->asked_ms);
	/* That the lease is gone also counts only when a linearizable read shows it. */
	if (answer->result != ETCD_OK && answer->result != ETCD_NO_LEASE) {
		try_again_later(session, answer);
		return;
	}
	if (answer->result == ETCD_OK && answer->ttl_s > 0 && answer->ttl_s < session->granted_s)
		session->granted_s = (uint32_t)answer->ttl_s;
	/* The term of no leader is 0. */
	session->term = answer->result == ETCD_OK && answer->ttl_s > 0 ? answer->term : 0;
	compare_held(session);
}

static void keep_alive(struct etcd_session *session)
{
	session->sent_at_ms = etcd_now(session->etcd);
	start(session, SESSION_KEEPING,
	    &(struct etcd_call){
	        .kind = ETCD_KEEP_ALIVE, .lease = session->lease, .done = on_kept_alive});
}

/*
 * With many parts, one in each quarter of the interval begins with a keep-alive; with few, each of
 * them does.
 */
static void step(struct etcd_session *session)
{
	const uint64_t now = etcd_now(session->etcd);
	const uint64_t interval_ms = etcd_session_interval_ms(session);

	session->step_ms = now;
	if (session->backoff_ms == 0 && now < session->confirmed_ms + interval_ms / 4 &&
	    session->wanted_ms <= session->confirmed_ms)
		compare_held(session);
	else
		keep_alive(session);
}

void etcd_session_need(struct etcd_session *session)
{
	const uint64_t ttl_ms = (uint64_t)session->granted_s * 1000;

	if (session->phase != SESSION_IDLE)
		return;
	session->due_ms = CLAIM_NEVER;
	/* Nobody kept the lease alive for long: etcd has ended it, or will soon. */
	if (session->lease && etcd_now(session->etcd) > session->confirmed_ms + 2 * ttl_ms)
		etcd_session_lost(session);
	if (session->phase != SESSION_IDLE)
		return;
	if (session->lease)
		step(session);
	else
		grant(session);
}

void etcd_session_need_from(struct etcd_session *session, uint64_t from_ms)
{
	if (session->wanted_ms < from_ms)
		session->wanted_ms = from_ms;
	etcd_session_need(session);
}

void etcd_session_outlast(struct etcd_session *session, uint64_t until_ms)
{
	if (session->believed_ms < until_ms)
		session->believed_ms = until_ms;
}

void etcd_session_run(struct etcd_session *session, uint64_t now_ms)
{
	if (session->due_ms <= now_ms) {
		session->due_ms = CLAIM_NEVER;
		/* Without entries the lease may end. */
		if (session->entries || (session->lease && now_ms < session->believed_ms))
			etcd_session_need(session);
	}
	if (session->read_ms <= now_ms)
		etcd_standing_read(session);
}

struct etcd_session *etcd_session_of(struct etcd *etcd, uint32_t ttl_ms)
{
	const uint32_t ttl_s = (ttl_ms + 999) / 1000;
	struct etcd_session *session = etcd->sessions;

	while (session && session->asked_s != ttl_s)
		session = session->next;
	if (session)
		return session;
	session = calloc(1, sizeof *session);
	if (!session)
		return NULL;
	session->etcd = etcd;
	session->asked_s = ttl_s;
	session->due_ms = CLAIM_NEVER;
	session->read_ms = CLAIM_NEVER;
	TAILQ_INIT(&session->held);
	TAILQ_INIT(&session->asked);
	SINGLY_ADD(etcd->sessions, session);
	return session;
}

void etcd_session_free(struct etcd_session *session)
{
	forget_lease(session);
	free(session);
}
