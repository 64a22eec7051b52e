#include "etcd.h"

#include "../status.h"
#include "etcd_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Lost races before a request says "busy" and comes back later. */
#define MOST_RACES   8
#define RACE_MS      50
#define LEAST_TTL_MS 1000

static struct etcd *of(struct store *store)
{
	return (struct etcd *)store;
}

uint64_t etcd_now(const struct etcd *etcd)
{
	return etcd->store.clock.boot_ms(etcd->store.clock.context);
}

void etcd_arm(struct etcd *etcd)
{
	const struct store_sink *sink = &etcd->store.sink;
	uint64_t at_ms = etcd_queries_due_ms(etcd);

	for (const struct etcd_session *session = etcd->sessions; session; session = session->next) {
		if (session->due_ms < at_ms)
			at_ms = session->due_ms;
		if (session->read_ms < at_ms)
			at_ms = session->read_ms;
	}
	sink->wake_at(sink->engine, at_ms);
}

/* ---- Answers to the engine ---- */

static void answer(struct etcd_entry *entry, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word)
{
	const struct store_sink *sink = &entry->etcd->store.sink;

	entry->phase = ETCD_IDLE;
	entry->withdrawing = false;
	entry->races = 0;
	sink->answer(sink->engine, entry->claim, event, particulars, word);
}

static void tell_changed(struct etcd_entry *entry)
{
	const struct store_sink *sink = &entry->etcd->store.sink;

	sink->answer(sink->engine, entry->claim, CLAIM_CHANGED, NULL, NULL);
}

/* The right counts from the last keep-alive that was confirmed (rule 33). */
static void answer_right(struct etcd_entry *entry, enum claim_event event)
{
	const struct etcd_session *session = entry->session;
	char *value = entry->adopted_value;

	entry->adopted_value = NULL;
	entry->held = true;
	entry->claim->token = (uint64_t)entry->created;
	entry->claim->value_stored = entry->value_version;
	answer(entry, event,
	    &(struct claim_answer){
	        .token = (uint64_t)entry->created,
	        .sent_at_ms = session->confirmed_ms,
	        .right_ms = etcd_session_right_ms(session),
	        .renew_in_ms = (uint64_t)session->granted_s * 1000 / 3 + 1,
	        .ttl_ms = entry->claim->ttl_ms,
	    },
	    &(struct store_word){.value = value});
	free(value);
}

static void answer_problem(struct etcd_entry *entry, const struct etcd_answer *problem)
{
	answer(entry, problem->result == ETCD_REFUSED ? CLAIM_REFUSED : CLAIM_UNKNOWN,
	    &(struct claim_answer){.status = problem->status},
	    &(struct store_word){.message = problem->message});
}

static void answer_no_memory(struct etcd_entry *entry)
{
	answer(entry, CLAIM_REFUSED, &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY},
	    &(struct store_word){.message = "out of memory"});
}

/* It stands nowhere any more, as far as is known. */
static void leave_queue(struct etcd_entry *entry)
{
	etcd_unwatch(&entry->before);
	entry->created = 0;
	entry->facts_created = 0;
	entry->held = false;
}

/* `still_there`: its key is left to be withdrawn when nobody believes in it any more. */
static void answer_gone(struct etcd_entry *entry, enum mpsync_reason reason, bool still_there)
{
	etcd_cancel(&entry->call);
	if (!still_there)
		leave_queue(entry);
	entry->held = false;
	entry->doubtful = false;
	answer(entry, CLAIM_GONE, &(struct claim_answer){.reason = reason, .still_there = still_there},
	    NULL);
}

/* Says if the entry goes on with a good answer; else it has been told. */
static bool is_good(struct etcd_entry *entry, const struct etcd_answer *got)
{
	if (got->result == ETCD_OK)
		return true;
	if (got->result == ETCD_NO_LEASE) {
		entry->phase = ETCD_NEEDS_LEASE;
		etcd_session_lost(entry->session);
		return false;
	}
	if (got->result == ETCD_UNKNOWN)
		etcd_next_member(entry->etcd->rpc);
	answer_problem(entry, got);
	return false;
}

static void ask(struct etcd_entry *entry, const struct etcd_call *call)
{
	assert(!entry->call.flight);
	entry->phase = ETCD_ASKING;
	entry->call = *call;
	entry->call.kind = ETCD_TXN;
	entry->call.timeout_ms = etcd_session_timeout_ms(entry->session);
	entry->call.context = entry;
	etcd_send(entry->etcd->rpc, &entry->call);
}

static void join_session(struct etcd_entry *entry, struct etcd_session *session)
{
	entry->session = session;
	entry->previous = NULL;
	entry->next = session->entries;
	if (entry->next)
		entry->next->previous = entry;
	session->entries = entry;
}

static void leave_session(struct etcd_entry *entry)
{
	etcd_session_untell(entry);
	if (entry->next)
		entry->next->previous = entry->previous;
	if (entry->previous)
		entry->previous->next = entry->next;
	else
		entry->session->entries = entry->next;
}

static void proceed_when_fresh(struct etcd_entry *entry)
{
	entry->phase = ETCD_NEEDS_LEASE;
	if (etcd_session_is_fresh(entry->session))
		etcd_entry_proceed(entry);
	else
		etcd_session_need(entry->session);
}

static const struct etcd_key *only(const struct etcd_found *found)
{
	return found->count > 0 ? &found->keys[0] : NULL;
}

/* ---- Texts ---- */

static bool set_keys(struct etcd_entry *entry)
{
	const struct etcd *etcd = entry->etcd;
	const int64_t lease = entry->session->lease;

	free(entry->key);
	free(entry->facts);
	entry->key = etcd_queue_key(etcd->prefix, entry->claim->name, lease);
	entry->facts = etcd_facts_key(etcd->prefix, lease, entry->claim->name);
	return entry->key && entry->facts;
}

static const char *value_of(const struct etcd_entry *entry)
{
	return entry->claim->value ? entry->claim->value : entry->adopted_value;
}

/* What other clients of the recipe show as the leader's value. */
static const char *public_value(const struct etcd_entry *entry)
{
	const char *value = value_of(entry);

	return entry->claim->election && value ? value : entry->claim->holder;
}

static char *facts_of(const struct etcd_entry *entry, const char *adopted_key, uint64_t token)
{
	const struct etcd *etcd = entry->etcd;
	const struct store_claim *claim = entry->claim;

	return etcd_facts_write(&(struct etcd_facts){
	    .holder = claim->holder,
	    .value = value_of(entry),
	    .key = adopted_key,
	    .claim = claim->digest,
	    .token = token,
	    .ttl_ms = claim->ttl_ms,
	    .since_ms = etcd->store.clock.wall_ms(etcd->store.clock.context),
	    .election = claim->election,
	});
}

static void remember_owner(struct etcd_entry *entry, const struct etcd_key *oldest)
{
	if (oldest->create_revision == entry->owner_created)
		return;
	free(entry->owner_facts);
	entry->owner_facts = etcd_facts_key(entry->etcd->prefix, oldest->lease, entry->claim->name);
	entry->owner_created = oldest->create_revision;
}

/* ---- Attempts ---- */

static void enter(struct etcd_entry *entry);
static void look(struct etcd_entry *entry);

static void answer_busy(struct etcd_entry *entry, const struct etcd_key *oldest,
    const struct etcd_key *facts_key, bool next)
{
	struct etcd_facts facts = {0};
	const bool known = facts_key && etcd_facts_read(&facts, facts_key->value);

	answer(entry, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = CLAIM_NEVER},
	    &(struct store_word){
	        .holder = known            ? facts.holder
	                  : *oldest->value ? oldest->value
	                                   : "another client of etcd",
	        .position = next ? 1 : 0,
	    });
	etcd_facts_clear(&facts);
}

static void race(struct etcd_entry *entry, void (*again)(struct etcd_entry *entry))
{
	if (++entry->races < MOST_RACES)
		again(entry);
	else
		answer(entry, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = RACE_MS}, NULL);
}

static void on_before_put(struct etcd_watch *watch, const struct etcd_key *key)
{
	(void)watch, (void)key;
}

static void on_before_gone(struct etcd_watch *watch, const char *key, int64_t revision)
{
	struct etcd_entry *entry =
	    (struct etcd_entry *)((char *)watch - offsetof(struct etcd_entry, before));

	(void)key, (void)revision;
	etcd_unwatch(watch);
	tell_changed(entry);
}

static void on_before_ended(struct etcd_watch *watch)
{
	tell_changed((struct etcd_entry *)((char *)watch - offsetof(struct etcd_entry, before)));
}

static bool watch_before(struct etcd_entry *entry, const struct etcd_key *before, int64_t revision)
{
	char *key = strdup(before->key);

	if (!key)
		return false;
	etcd_unwatch(&entry->before);
	free(entry->before_key);
	entry->before_key = key;
	entry->before = (struct etcd_watch){.key = key,
	    .revision = revision,
	    .put = on_before_put,
	    .gone = on_before_gone,
	    .ended = on_before_ended};
	etcd_watch(entry->etcd->rpc, &entry->before);
	return true;
}

/* It is held when the own key is there, and is the oldest: never because another one went (rule
 * 33). */
static void on_looked(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = only(&got->found[0]);
	const struct etcd_key *oldest = only(&got->found[1]);
	const struct etcd_key *before = only(&got->found[2]);

	if (!is_good(entry, got))
		return;
	if (!own || own->create_revision != entry->created) {
		leave_queue(entry);
		race(entry, enter);
	} else if (oldest && oldest->create_revision == entry->created) {
		etcd_unwatch(&entry->before);
		answer_right(entry, CLAIM_GRANTED);
	} else if (!oldest || !before) {
		race(entry, look);
	} else if (!watch_before(entry, before, got->revision)) {
		answer_no_memory(entry);
	} else {
		const bool same = oldest->create_revision == entry->owner_created;
		const bool next = oldest->create_revision == before->create_revision;

		remember_owner(entry, oldest);
		answer_busy(entry, oldest, same ? only(&got->found[3]) : NULL, next);
	}
}

static void look(struct etcd_entry *entry)
{
	ask(entry, &(struct etcd_call){
	               .then = {{.kind = ETCD_GET, .key = entry->key},
	                   {.kind = ETCD_GET_OLDEST, .key = entry->queue},
	                   {.kind = ETCD_GET_BEFORE, .key = entry->queue, .revision = entry->created},
	                   {.kind = ETCD_GET, .key = entry->owner_facts}},
	               .then_count = entry->owner_facts ? 4 : 3,
	               .done = on_looked});
}

/* A try has not queued; it only asks who has the name. */
static void on_asked_owner(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *oldest = only(&got->found[0]);

	if (!is_good(entry, got))
		return;
	if (oldest)
		answer_busy(entry, oldest, only(&got->found[1]), false);
	else
		race(entry, enter);
}

static void ask_owner(struct etcd_entry *entry)
{
	ask(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET_OLDEST, .key = entry->queue},
	                                   {.kind = ETCD_GET, .key = entry->owner_facts}},
	               .then_count = entry->owner_facts ? 2 : 1,
	               .done = on_asked_owner});
}

static void on_cleared(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (is_good(entry, got))
		race(entry, enter);
}

/* What stands at our own place is of an earlier claim of this client, done late (rule 40). */
static void clear_place(struct etcd_entry *entry, const struct etcd_key *own)
{
	ask(entry, &(struct etcd_call){
	               .compares = {{.key = entry->key, .created = own ? own->create_revision : 0}},
	               .compare_count = 1,
	               .then = {{.kind = ETCD_DELETE, .key = entry->key},
	                   {.kind = ETCD_DELETE, .key = entry->facts}},
	               .then_count = 2,
	               .done = on_cleared});
}

static bool is_own(const struct etcd_entry *entry, const struct etcd_key *facts_key)
{
	struct etcd_facts facts;
	bool own;

	if (!facts_key || !etcd_facts_read(&facts, facts_key->value))
		return false;
	own = id_equal(&facts.claim, &entry->claim->digest);
	etcd_facts_clear(&facts);
	return own;
}

static void judge(struct etcd_entry *entry, const struct etcd_key *oldest)
{
	if (oldest && oldest->create_revision == entry->created) {
		answer_right(entry, CLAIM_GRANTED);
		return;
	}
	if (oldest)
		remember_owner(entry, oldest);
	look(entry);
}

static void on_entered(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = only(&got->found[0]);
	const struct etcd_key *facts = only(&got->found[1]);
	const struct etcd_key *oldest = only(&got->found[2]);

	entry->doubtful |= got->result == ETCD_UNKNOWN;
	if (!is_good(entry, got))
		return;
	if (got->succeeded) {
		entry->created = entry->facts_created = got->revision;
		judge(entry, oldest);
	} else if (own && is_own(entry, facts)) {
		entry->created = own->create_revision;
		entry->facts_created = facts->create_revision;
		judge(entry, oldest);
	} else if (own || facts) {
		clear_place(entry, own);
	} else if (oldest) {
		remember_owner(entry, oldest);
		ask_owner(entry);
	} else {
		race(entry, enter);
	}
}

/* Into the queue; a try only where nobody stands in it. */
static void enter(struct etcd_entry *entry)
{
	const struct store_claim *claim = entry->claim;
	char *facts = set_keys(entry) ? facts_of(entry, NULL, 0) : NULL;
	const int64_t lease = entry->session->lease;

	if (!facts) {
		answer_no_memory(entry);
		return;
	}
	entry->value_version = claim->value_version;
	ask(entry, &(struct etcd_call){.compares = {{.key = claim->once ? entry->queue : entry->key,
	                                                .all = claim->once},
	                                   {.key = entry->facts}},
	               .compare_count = 2,
	               .then = {{.kind = ETCD_PUT,
	                            .key = entry->key,
	                            .value = public_value(entry),
	                            .lease = lease},
	                   {.kind = ETCD_PUT, .key = entry->facts, .value = facts, .lease = lease},
	                   {.kind = ETCD_GET_OLDEST, .key = entry->queue}},
	               .otherwise = {{.kind = ETCD_GET, .key = entry->key},
	                   {.kind = ETCD_GET, .key = entry->facts},
	                   {.kind = ETCD_GET_OLDEST, .key = entry->queue}},
	               .then_count = 3,
	               .otherwise_count = 3,
	               .done = on_entered});
	free(facts);
}

/* ---- Adopting a former instance's grant (rule 9) ---- */

static void on_adopted(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (!is_good(entry, got))
		return;
	if (!got->succeeded) {
		answer_gone(entry, MPSYNC_REASON_DELETED, false);
		return;
	}
	entry->created = (int64_t)entry->claim->token;
	if (!entry->facts_created)
		entry->facts_created = got->revision;
	answer_right(entry, CLAIM_GRANTED);
}

/* Its value stays. Returns its ttl. */
static uint32_t take_terms(struct etcd_entry *entry, const struct etcd_key *former_facts)
{
	struct etcd_facts facts;
	uint32_t ttl_ms;

	free(entry->adopted_value);
	entry->adopted_value = NULL;
	if (!etcd_facts_read(&facts, former_facts->value))
		return 0;
	if (facts.value)
		entry->adopted_value = strdup(facts.value);
	ttl_ms = facts.ttl_ms;
	etcd_facts_clear(&facts);
	return ttl_ms;
}

/* Its holder may believe in it for that long: so long its lease has to last at least (rule 21). */
static void adopt_with_ttl(struct etcd_entry *entry, uint32_t ttl_ms)
{
	struct etcd_session *session = etcd_session_of(entry->etcd, ttl_ms);

	if (!entry->claim->any_ttl || ttl_ms == 0) {
		answer_problem(entry,
		    &(struct etcd_answer){
		        .result = ETCD_REFUSED, .status = MPSYNC_E_INVALID, .message = STORE_TTL_IS_FIXED});
	} else if (!session) {
		answer_no_memory(entry);
	} else {
		entry->claim->ttl_ms = ttl_ms;
		leave_session(entry);
		join_session(entry, session);
		proceed_when_fresh(entry);
	}
}

/* The key goes over to our lease. Its creation, and so its place and token, stay. */
static void adopt(struct etcd_entry *entry, const struct etcd_key *former_facts)
{
	const struct store_claim *claim = entry->claim;
	const int64_t lease = entry->session->lease;
	const bool same_place = strcmp(former_facts->key, entry->facts) == 0;
	const uint32_t ttl_ms = take_terms(entry, former_facts);
	char *facts;

	if (ttl_ms != claim->ttl_ms) {
		adopt_with_ttl(entry, ttl_ms);
		return;
	}
	facts = facts_of(entry, entry->key, claim->token);
	if (!facts) {
		answer_no_memory(entry);
		return;
	}
	entry->facts_created = same_place ? former_facts->create_revision : 0;
	ask(entry, &(struct etcd_call){
	               .compares = {{.key = entry->key, .created = (int64_t)claim->token},
	                   {.key = former_facts->key, .created = former_facts->create_revision}},
	               .compare_count = 2,
	               .then = {{.kind = ETCD_PUT,
	                            .key = entry->key,
	                            .value = public_value(entry),
	                            .lease = lease},
	                   {.kind = ETCD_PUT, .key = entry->facts, .value = facts, .lease = lease},
	                   {.kind = ETCD_DELETE, .key = former_facts->key}},
	               .then_count = same_place ? 2 : 3,
	               .done = on_adopted});
	free(facts);
}

static void on_former_facts(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *facts = only(&got->found[0]);

	if (!is_good(entry, got))
		return;
	if (is_own(entry, facts))
		adopt(entry, facts);
	else
		answer_gone(entry, MPSYNC_REASON_DELETED, false);
}

static void on_found(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_found *all = &got->found[0];
	const struct etcd_key *own = NULL;
	char *facts = NULL;

	if (!is_good(entry, got))
		return;
	for (size_t i = 0; i < all->count; i++)
		if ((uint64_t)all->keys[i].create_revision == entry->claim->token)
			own = &all->keys[i];
	if (!own) {
		answer_gone(entry, MPSYNC_REASON_DELETED, false);
		return;
	}
	free(entry->key);
	entry->key = strdup(own->key);
	facts = etcd_facts_key(entry->etcd->prefix, own->lease, entry->claim->name);
	if (!entry->key || !facts)
		answer_no_memory(entry);
	else
		ask(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = facts}},
		               .then_count = 1,
		               .done = on_former_facts});
	free(facts);
}

static void find(struct etcd_entry *entry)
{
	if (!set_keys(entry)) {
		answer_no_memory(entry);
		return;
	}
	ask(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET_ALL, .key = entry->queue}},
	               .then_count = 1,
	               .done = on_found});
}

/* ---- Renewals ---- */

static void on_value_written(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (!is_good(entry, got))
		return;
	if (got->succeeded)
		answer_right(entry, CLAIM_RENEWED);
	else
		answer_gone(entry, MPSYNC_REASON_DELETED, false);
}

static void write_value(struct etcd_entry *entry)
{
	const struct store_claim *claim = entry->claim;
	const int64_t lease = entry->session->lease;
	char *facts = facts_of(entry, entry->key, claim->token);

	if (!facts) {
		answer_no_memory(entry);
		return;
	}
	entry->value_version = claim->value_version;
	ask(entry, &(struct etcd_call){.compares = {{.key = entry->key, .created = entry->created},
	                                   {.key = entry->facts, .created = entry->facts_created}},
	               .compare_count = 2,
	               .then = {{.kind = ETCD_PUT,
	                            .key = entry->key,
	                            .value = public_value(entry),
	                            .lease = lease},
	                   {.kind = ETCD_PUT, .key = entry->facts, .value = facts, .lease = lease}},
	               .then_count = 2,
	               .done = on_value_written});
	free(facts);
}

static void etcd_renew(struct store *store, struct store_claim *const *claims, size_t count)
{
	(void)store;
	for (size_t i = 0; i < count; i++) {
		struct etcd_entry *entry = store_claim_data(claims[i]);
		const struct etcd_session *session = entry->session;

		assert(entry->held);
		if (claims[i]->value_version != claims[i]->value_stored)
			write_value(entry);
		else
			entry->phase = ETCD_RENEWING;
		if (entry->phase == ETCD_RENEWING && session->phase == SESSION_IDLE &&
		    etcd_now(entry->etcd) < session->confirmed_ms + etcd_session_right_ms(session) / 8)
			answer_right(entry, CLAIM_RENEWED); /* others have just been */
		else if (entry->phase == ETCD_RENEWING)
			etcd_session_need(entry->session);
	}
}

/* ---- What the session tells ---- */

void etcd_entry_proceed(struct etcd_entry *entry)
{
	if (entry->phase == ETCD_RENEWING)
		answer_right(entry, CLAIM_RENEWED);
	else if (entry->created)
		look(entry);
	else if (entry->claim->adopt)
		find(entry);
	else
		enter(entry);
}

void etcd_entry_fail(struct etcd_entry *entry, const struct etcd_answer *problem)
{
	answer_problem(entry, problem);
}

void etcd_entry_expire(struct etcd_entry *entry)
{
	const bool queued = entry->created && entry->phase == ETCD_IDLE;

	etcd_cancel(&entry->check);
	if (entry->held) {
		answer_gone(entry, MPSYNC_REASON_EXPIRED, false);
		return;
	}
	leave_queue(entry);
	if (entry->phase == ETCD_ASKING) {
		etcd_cancel(&entry->call);
		entry->phase = ETCD_NEEDS_LEASE;
	}
	if (entry->withdrawing) {
		answer(entry, CLAIM_FREED, NULL, NULL); /* it went with its lease */
	} else if (entry->phase == ETCD_NEEDS_LEASE) {
		etcd_session_need(entry->session);
	} else if (queued) {
		tell_changed(entry);
	}
}

bool etcd_entry_see(struct etcd_entry *entry, const struct etcd_facts *facts)
{
	if (!id_equal(&facts->claim, &entry->claim->digest))
		return false;
	if (facts->revoked && entry->held)
		answer_gone(entry, MPSYNC_REASON_REVOKED, true);
	return true;
}

static void on_checked(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = only(&got->found[0]);
	const bool there = own && own->create_revision == entry->created;

	if (!entry->held)
		return;
	if (got->result != ETCD_OK) {
		entry->session->read_ms = etcd_now(entry->etcd) + RACE_MS; /* and so back to here */
		etcd_arm(entry->etcd);
	} else {
		answer_gone(entry,
		    there && own->lease != entry->session->lease ? MPSYNC_REASON_OTHER_ELECTOR
		                                                 : MPSYNC_REASON_DELETED,
		    false);
	}
}

/* Deleted by others, or adopted by another elector: its key says which. */
void etcd_entry_gone(struct etcd_entry *entry)
{
	if (entry->withdrawing || entry->check.flight)
		return;
	if (entry->held) {
		entry->check = (struct etcd_call){.kind = ETCD_TXN,
		    .then = {{.kind = ETCD_GET, .key = entry->key}},
		    .then_count = 1,
		    .timeout_ms = etcd_session_timeout_ms(entry->session),
		    .done = on_checked,
		    .context = entry};
		etcd_send(entry->etcd->rpc, &entry->check);
	} else if (entry->created && entry->phase == ETCD_IDLE) {
		leave_queue(entry);
		tell_changed(entry);
	}
}

/* ---- The store contract ---- */

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
	join_session(entry, session);
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
	entry->held = false; /* an answer that came too late was no grant */
	proceed_when_fresh(entry);
}

static void answer_freed(struct etcd_entry *entry)
{
	entry->doubtful = false;
	leave_queue(entry);
	answer(entry, CLAIM_FREED, NULL, NULL);
}

static void on_left(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (is_good(entry, got))
		answer_freed(entry);
}

/* The facts say whose it is: a key that another elector has adopted is not ours to delete (rule 3).
 */
static void leave(struct etcd_entry *entry)
{
	ask(entry,
	    &(struct etcd_call){.compares = {{.key = entry->facts, .created = entry->facts_created}},
	        .compare_count = 1,
	        .then = {{.kind = ETCD_DELETE, .key = entry->key},
	            {.kind = ETCD_DELETE, .key = entry->facts}},
	        .then_count = 2,
	        .done = on_left});
}

static void on_doubt_resolved(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = only(&got->found[0]);
	const struct etcd_key *facts = only(&got->found[1]);

	if (!is_good(entry, got))
		return;
	if (own && is_own(entry, facts)) {
		entry->created = own->create_revision;
		entry->facts_created = facts->create_revision;
		leave(entry);
	} else {
		answer_freed(entry); /* if it comes later the session's watch will see it */
	}
}

static void etcd_withdraw(struct store *store, struct store_claim *claim)
{
	struct etcd_entry *entry = store_claim_data(claim);

	if (!entry->etcd || !entry->session->lease || (!entry->created && !entry->doubtful)) {
		store->sink.answer(store->sink.engine, claim, CLAIM_FREED, NULL, NULL);
		return;
	}
	etcd_cancel(&entry->check);
	etcd_unwatch(&entry->before);
	entry->withdrawing = true;
	entry->held = false;
	if (entry->created)
		leave(entry);
	else
		ask(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = entry->key},
		                                   {.kind = ETCD_GET, .key = entry->facts}},
		               .then_count = 2,
		               .done = on_doubt_resolved});
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
	leave_session(entry);
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

	etcd_queries_run(etcd, now);
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

/* Leases are not given back: nothing stands on them any more, and they end by themselves. */
static void etcd_close(struct store *store)
{
	struct etcd *etcd = of(store);

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
	atomic_init(&etcd->store.fence.descriptor, -1);
	etcd->request_timeout_ms = timeout > 0 ? (uint64_t)timeout : 0;
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
