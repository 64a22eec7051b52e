/*
 * One etcd lease and what stands on it. A keep-alive is no quorum write: a member that leads no
 * more answers it from memory. It counts when a linearizable read sent after it shows the session's
 * key, and no other leader was elected in between (rule 35).
 */
#include "etcd_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BACKOFF_MS 50
#define MOST_BACKOFF_MS  5000
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

	return timeout > LEAST_TIMEOUT_MS ? timeout : LEAST_TIMEOUT_MS;
}

static bool is_open(const struct etcd_session *session)
{
	return session->lease && session->phase != SESSION_GRANTING &&
	       session->phase != SESSION_OPENING;
}

bool etcd_session_is_fresh(const struct etcd_session *session)
{
	return is_open(session) &&
	       etcd_now(session->etcd) < session->confirmed_ms + etcd_session_right_ms(session) / 2;
}

/* ---- What stands on the lease ---- */

static struct etcd_entry *entry_of(const struct etcd_session *session, const char *key)
{
	struct etcd_entry *entry = session->entries;

	while (entry && (!entry->facts || strcmp(entry->facts, key) != 0))
		entry = entry->next;
	return entry;
}

static void read_again(struct etcd_session *session)
{
	session->read_ms = etcd_now(session->etcd) + FIRST_BACKOFF_MS;
	etcd_arm(session->etcd);
}

static void on_removed(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

	(void)answer;
	/* There may be more, or this one still. */
	read_again(session);
}

/* A place that a cancelled claim got late (rule 40): given back on sight. */
static void remove_ghost(
    struct etcd_session *session, const struct etcd_key *key, const struct etcd_facts *facts)
{
	struct etcd *etcd = session->etcd;
	struct etcd_call *call = &session->removing;
	char *name = etcd_facts_name(etcd->prefix, key->key);
	char *queue_key = NULL;

	if (name && !call->flight)
		queue_key =
		    facts->key ? strdup(facts->key) : etcd_queue_key(etcd->prefix, name, session->lease);
	if (queue_key) {
		*call = (struct etcd_call){.kind = ETCD_TXN,
		    .compares = {{.key = key->key, .created = key->create_revision}},
		    .compare_count = 1,
		    .then = {{.kind = ETCD_DELETE, .key = queue_key},
		        {.kind = ETCD_DELETE, .key = key->key}},
		    .then_count = 2,
		    .timeout_ms = etcd_session_timeout_ms(session),
		    .done = on_removed,
		    .context = session};
		etcd_send(etcd->rpc, call);
	} else if (name) {
		read_again(session);
	}
	free(queue_key);
	free(name);
}

static struct etcd_orphan *orphan_of(struct etcd_session *session, int64_t facts_created)
{
	struct etcd_orphan *orphan = session->orphans;

	while (orphan && orphan->facts_created != facts_created)
		orphan = orphan->next;
	if (orphan)
		return orphan;
	orphan = calloc(1, sizeof *orphan);
	if (!orphan)
		return NULL;
	orphan->facts_created = facts_created;
	orphan->seen_ms = etcd_now(session->etcd);
	orphan->next = session->orphans;
	session->orphans = orphan;
	return orphan;
}

static void drop_orphans(struct etcd_session *session)
{
	while (session->orphans) {
		struct etcd_orphan *orphan = session->orphans;

		session->orphans = orphan->next;
		free(orphan);
	}
}

/* Its holder may come back for it, and believes in it until a ttl from now at most. */
static bool may_be_believed(
    struct etcd_session *session, const struct etcd_key *key, const struct etcd_facts *facts)
{
	const struct etcd_orphan *orphan = orphan_of(session, key->create_revision);
	const uint64_t now = etcd_now(session->etcd);
	const uint64_t until_ms = orphan ? orphan->seen_ms + facts->ttl_ms : CLAIM_NEVER;

	if (until_ms <= now)
		return false;
	if (orphan && until_ms < session->read_ms) {
		session->read_ms = until_ms;
		etcd_arm(session->etcd);
	}
	return true;
}

static void see(struct etcd_session *session, const struct etcd_key *key)
{
	struct etcd_entry *entry = entry_of(session, key->key);
	struct etcd_facts facts;

	if (strcmp(key->key, session->path) == 0 || !etcd_facts_read(&facts, key->value))
		return;
	if (entry && entry->facts_created > key->create_revision) {
		etcd_facts_clear(&facts); /* late news of what has gone already */
		return;
	}
	if ((!entry || !etcd_entry_see(entry, &facts)) &&
	    !(facts.token && may_be_believed(session, key, &facts)))
		remove_ghost(session, key, &facts);
	etcd_facts_clear(&facts);
}

/* Whoever is told something may end others, or the session: so those to be told stand in a list. */
static void tell_later(struct etcd_session *session, struct etcd_entry *entry)
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

static struct etcd_entry *next_told(const struct etcd_session *session)
{
	struct etcd_entry *entry = session->told;

	if (entry)
		etcd_session_untell(entry);
	return entry;
}

static bool is_there(const struct etcd_found *found, const char *key, int64_t created)
{
	for (size_t i = 0; i < found->count; i++)
		if (strcmp(found->keys[i].key, key) == 0 && found->keys[i].create_revision == created)
			return true;
	return false;
}

/* What the watch would have told. */
static void on_read(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;
	const int64_t lease = session->lease;
	struct etcd_entry *entry;

	if (answer->result != ETCD_OK) {
		read_again(session);
		return;
	}
	session->watch.revision = answer->revision;
	etcd_watch(session->etcd->rpc, &session->watch);
	for (entry = session->entries; entry; entry = entry->next)
		if (entry->facts_created && entry->facts_created <= answer->revision &&
		    !is_there(&answer->found[0], entry->facts, entry->facts_created))
			tell_later(session, entry);
	while ((entry = next_told(session)))
		etcd_entry_gone(entry);
	for (size_t i = 0; i < answer->found[0].count && session->lease == lease; i++)
		see(session, &answer->found[0].keys[i]);
}

static void read_all(struct etcd_session *session)
{
	session->read_ms = CLAIM_NEVER;
	etcd_cancel(&session->reading);
	etcd_unwatch(&session->watch);
	session->reading = (struct etcd_call){.kind = ETCD_TXN,
	    .then = {{.kind = ETCD_GET_ALL, .key = session->path}},
	    .then_count = 1,
	    .timeout_ms = etcd_session_timeout_ms(session),
	    .done = on_read,
	    .context = session};
	etcd_send(session->etcd->rpc, &session->reading);
}

static void on_put(struct etcd_watch *watch, const struct etcd_key *key)
{
	see((struct etcd_session *)((char *)watch - offsetof(struct etcd_session, watch)), key);
}

static void on_gone(struct etcd_watch *watch, const char *key, int64_t revision)
{
	struct etcd_session *session =
	    (struct etcd_session *)((char *)watch - offsetof(struct etcd_session, watch));
	struct etcd_entry *entry = entry_of(session, key);

	if (strcmp(key, session->path) == 0)
		etcd_session_lost(session);
	else if (entry && entry->facts_created && entry->facts_created < revision)
		etcd_entry_gone(entry);
}

static void on_watch_ended(struct etcd_watch *watch)
{
	read_again((struct etcd_session *)((char *)watch - offsetof(struct etcd_session, watch)));
}

/* ---- The lease ---- */

static bool needs_session(const struct etcd_entry *entry)
{
	return entry->phase == ETCD_NEEDS_LEASE || entry->phase == ETCD_RENEWING;
}

/* Those that need it now: one that is told may need the next keep-alive at once. */
static void list_needing(struct etcd_session *session)
{
	for (struct etcd_entry *entry = session->entries; entry; entry = entry->next)
		if (needs_session(entry))
			tell_later(session, entry);
}

static void fail_needing(struct etcd_session *session, const struct etcd_answer *answer)
{
	struct etcd_entry *entry;

	list_needing(session);
	while ((entry = next_told(session)))
		if (needs_session(entry))
			etcd_entry_fail(entry, answer);
}

static void proceed_needing(struct etcd_session *session)
{
	struct etcd_entry *entry;

	list_needing(session);
	while ((entry = next_told(session)))
		if (needs_session(entry) && session->lease)
			etcd_entry_proceed(entry);
}

static void try_again_later(struct etcd_session *session, const struct etcd_answer *answer)
{
	session->phase = SESSION_IDLE;
	session->backoff_ms = session->backoff_ms ? session->backoff_ms * 2 : FIRST_BACKOFF_MS;
	if (session->backoff_ms > MOST_BACKOFF_MS)
		session->backoff_ms = MOST_BACKOFF_MS;
	session->due_ms = etcd_now(session->etcd) + session->backoff_ms;
	etcd_arm(session->etcd);
	if (answer->result == ETCD_UNKNOWN)
		etcd_next_member(session->etcd->rpc);
	fail_needing(session, answer);
}

static void confirm(struct etcd_session *session)
{
	session->phase = SESSION_IDLE;
	session->backoff_ms = 0;
	session->confirmed_ms = session->sent_at_ms;
	session->due_ms = session->sent_at_ms + (uint64_t)session->granted_s * 1000 / 3;
	etcd_arm(session->etcd);
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
	etcd_send(session->etcd->rpc, &session->call);
}

static void forget_lease(struct etcd_session *session)
{
	etcd_cancel(&session->call);
	etcd_cancel(&session->reading);
	etcd_cancel(&session->removing);
	etcd_unwatch(&session->watch);
	session->phase = SESSION_IDLE;
	session->lease = 0;
	session->read_ms = CLAIM_NEVER;
	free(session->path);
	session->path = NULL;
	drop_orphans(session);
}

void etcd_session_lost(struct etcd_session *session)
{
	struct etcd_entry *entry;

	if (!session->lease)
		return;
	forget_lease(session);
	for (entry = session->entries; entry; entry = entry->next)
		tell_later(session, entry);
	while ((entry = next_told(session)))
		etcd_entry_expire(entry);
}

/* The key that a confirmation reads. */
static void on_opened(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

	if (answer->result != ETCD_OK) {
		forget_lease(session);
		try_again_later(session, answer);
		return;
	}
	session->watch = (struct etcd_watch){.key = session->path,
	    .all = true,
	    .revision = answer->revision,
	    .put = on_put,
	    .gone = on_gone,
	    .ended = on_watch_ended};
	etcd_watch(session->etcd->rpc, &session->watch);
	confirm(session);
}

static void on_granted(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

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

	/* Below 2^63, and not 0. */
	session->lease = (int64_t)clock->random(clock->context) << 31 | 1;
	session->lease ^= (int64_t)(clock->random(clock->context) >> 1) << 1;
	session->path = etcd_session_path(session->etcd->prefix, session->lease);
	session->sent_at_ms = etcd_now(session->etcd);
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

	if (answer->result != ETCD_OK)
		try_again_later(session, answer);
	else if (answer->found[0].count == 0)
		etcd_session_lost(session);
	else if (session->term == 0)
		try_again_later(session, &(struct etcd_answer){.result = ETCD_UNKNOWN,
		                             .status = MPSYNC_E_UNREACHABLE,
		                             .message = "etcd is choosing a leader"});
	else if (answer->term != session->term)
		keep_alive(session);
	else
		confirm(session);
}

static void on_kept_alive(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

	/* That it is gone counts, too, only when a linearizable read shows it. */
	if (answer->result != ETCD_OK && answer->result != ETCD_NO_LEASE) {
		try_again_later(session, answer);
		return;
	}
	if (answer->result == ETCD_OK && answer->ttl_s > 0 && answer->ttl_s < session->granted_s)
		session->granted_s = (uint32_t)answer->ttl_s;
	/* 0 is no leader's. */
	session->term = answer->result == ETCD_OK && answer->ttl_s > 0 ? answer->term : 0;
	start(session, SESSION_CONFIRMING,
	    &(struct etcd_call){.kind = ETCD_TXN,
	        .then = {{.kind = ETCD_GET, .key = session->path}},
	        .then_count = 1,
	        .done = on_confirmed});
}

static void keep_alive(struct etcd_session *session)
{
	session->sent_at_ms = etcd_now(session->etcd);
	start(session, SESSION_KEEPING,
	    &(struct etcd_call){
	        .kind = ETCD_KEEP_ALIVE, .lease = session->lease, .done = on_kept_alive});
}

void etcd_session_need(struct etcd_session *session)
{
	const uint64_t ttl_ms = (uint64_t)session->granted_s * 1000;

	if (session->phase != SESSION_IDLE)
		return;
	session->due_ms = CLAIM_NEVER;
	/* Long left alone: etcd has ended it by now, or will. */
	if (session->lease && etcd_now(session->etcd) > session->confirmed_ms + 2 * ttl_ms)
		etcd_session_lost(session);
	if (session->phase != SESSION_IDLE)
		return;
	if (session->lease)
		keep_alive(session);
	else
		grant(session);
}

void etcd_session_run(struct etcd_session *session, uint64_t now_ms)
{
	if (session->due_ms <= now_ms) {
		session->due_ms = CLAIM_NEVER;
		/* Nobody needs it: it may end. */
		if (session->entries)
			etcd_session_need(session);
	}
	if (session->read_ms <= now_ms)
		read_all(session);
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
	session->next = etcd->sessions;
	etcd->sessions = session;
	return session;
}

void etcd_session_free(struct etcd_session *session)
{
	forget_lease(session);
	free(session);
}
