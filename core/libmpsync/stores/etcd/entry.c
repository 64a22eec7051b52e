/* One claim on etcd: its answers to the engine, and what its session tells it. */
#include "store.h"

#include "base/list.h"

#include <assert.h>
#include <stdlib.h>

void etcd_entry_answer(struct etcd_entry *entry, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word)
{
	const struct store_sink *sink = &entry->etcd->store.sink;

	entry->phase = ETCD_IDLE;
	entry->withdrawing = false;
	entry->races = 0;
	sink->answer(sink->engine, entry->claim, event, particulars, word);
}

void etcd_entry_tell_changed(struct etcd_entry *entry)
{
	const struct store_sink *sink = &entry->etcd->store.sink;

	sink->answer(sink->engine, entry->claim, CLAIM_CHANGED, NULL, NULL);
}

void etcd_entry_answer_right(struct etcd_entry *entry, enum claim_event event)
{
	const struct etcd_session *session = entry->session;
	char *value = entry->adopted_value;

	entry->adopted_value = NULL;
	entry->claim->token = (uint64_t)entry->created;
	entry->claim->value_stored = entry->value_version;
	etcd_entry_answer(entry, event,
	    &(struct claim_answer){
	        .token = (uint64_t)entry->created,
	        .sent_at_ms = etcd_held_since_ms(entry),
	        .right_ms = etcd_session_right_ms(session),
	        .renew_in_ms = etcd_session_interval_ms(session) + 1,
	        .ttl_ms = entry->claim->ttl_ms,
	    },
	    &(struct store_word){.value = value});
	free(value);
}

void etcd_entry_answer_seen(struct etcd_entry *entry, enum claim_event event)
{
	etcd_hold(entry, entry->asked_ms);
	etcd_entry_answer_right(entry, event);
}

/* Where no member has ever answered, that is an error for a try, and an outage for who waits. */
static bool is_final(const struct etcd_entry *entry, const struct etcd_answer *problem)
{
	return problem->result == ETCD_REFUSED &&
	       !(problem->status == MPSYNC_E_UNREACHABLE && entry->claim->awaits_store);
}

void etcd_entry_fail(struct etcd_entry *entry, const struct etcd_answer *problem)
{
	etcd_entry_answer(entry, is_final(entry, problem) ? CLAIM_REFUSED : CLAIM_UNKNOWN,
	    &(struct claim_answer){.status = problem->status},
	    &(struct store_word){.message = problem->message});
}

void etcd_entry_fail_no_memory(struct etcd_entry *entry)
{
	etcd_entry_answer(entry, CLAIM_REFUSED, &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY},
	    &(struct store_word){.message = "out of memory"});
}

void etcd_entry_lose_place(struct etcd_entry *entry)
{
	etcd_unwatch(&entry->before);
	entry->created = 0;
	entry->facts_created = 0;
	etcd_unhold(entry);
}

void etcd_entry_answer_gone(struct etcd_entry *entry, enum mpsync_reason reason, bool still_there)
{
	etcd_cancel(&entry->call);
	if (!still_there)
		etcd_entry_lose_place(entry);
	etcd_unhold(entry);
	entry->doubtful = !still_there; /* its facts may still be there, and are looked for */
	etcd_entry_answer(entry, CLAIM_GONE,
	    &(struct claim_answer){.reason = reason, .still_there = still_there}, NULL);
}

bool etcd_entry_is_good(struct etcd_entry *entry, const struct etcd_answer *got)
{
	etcd_note_answer(entry->etcd, &entry->call, got, entry->asked_ms);
	if (got->result == ETCD_OK)
		return true;
	if (got->result == ETCD_NO_LEASE) {
		entry->phase = ETCD_NEEDS_LEASE;
		etcd_session_lost(entry->session);
		return false;
	}
	if (got->result == ETCD_UNKNOWN)
		etcd_next_member(entry->etcd->rpc);
	etcd_entry_fail(entry, got);
	return false;
}

void etcd_entry_ask(struct etcd_entry *entry, const struct etcd_call *call)
{
	assert(!entry->call.flight);
	entry->phase = ETCD_ASKING;
	entry->call = *call;
	entry->call.kind = ETCD_TXN;
	entry->call.timeout_ms = etcd_session_timeout_ms(entry->session);
	entry->call.context = entry;
	entry->asked_ms = etcd_now(entry->etcd);
	etcd_send(entry->etcd->rpc, &entry->call);
}

void etcd_entry_join(struct etcd_entry *entry, struct etcd_session *session)
{
	entry->session = session;
	DOUBLY_ADD(session->entries, entry);
}

void etcd_entry_leave_session(struct etcd_entry *entry)
{
	etcd_unhold(entry);
	etcd_session_untell(entry);
	DOUBLY_REMOVE(entry->session->entries, entry);
}

bool etcd_entry_is_kept(const struct etcd_entry *entry)
{
	return entry->session->confirmed_ms >= entry->needs_ms;
}

void etcd_entry_proceed_when_fresh(struct etcd_entry *entry)
{
	entry->phase = ETCD_NEEDS_LEASE;
	if (etcd_session_is_fresh(entry->session) && etcd_entry_is_kept(entry))
		etcd_entry_proceed(entry);
	else
		etcd_session_need_from(entry->session, entry->needs_ms);
}

void etcd_entry_proceed_when_kept(struct etcd_entry *entry)
{
	entry->phase = ETCD_NEEDS_LEASE;
	entry->needs_ms = etcd_now(entry->etcd);
	etcd_session_need_from(entry->session, entry->needs_ms);
}

const struct etcd_key *etcd_only(const struct etcd_found *found)
{
	return found->count > 0 ? &found->keys[0] : NULL;
}

bool etcd_entry_set_keys(struct etcd_entry *entry)
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

/* The value of the key itself, which other clients of the recipe take for the leader's value. */
static const char *public_value(const struct etcd_entry *entry)
{
	const char *value = value_of(entry);

	return entry->claim->election && value ? value : entry->claim->holder;
}

char *etcd_entry_facts(const struct etcd_entry *entry, const char *adopted_key, uint64_t token)
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

bool etcd_entry_owns(const struct etcd_entry *entry, const struct etcd_key *facts_key)
{
	struct etcd_facts facts;
	bool own;

	if (!facts_key || !etcd_facts_read(&facts, facts_key->value))
		return false;
	own = id_equal(&facts.claim, &entry->claim->digest);
	etcd_facts_clear(&facts);
	return own;
}

bool etcd_stands_on_our_lease(const struct etcd_entry *entry, const struct etcd_key *place)
{
	return place->lease == entry->session->lease;
}

struct etcd_op etcd_entry_put_key(const struct etcd_entry *entry)
{
	return (struct etcd_op){.kind = ETCD_PUT,
	    .key = entry->key,
	    .value = public_value(entry),
	    .lease = entry->session->lease};
}

struct etcd_op etcd_entry_put_facts(const struct etcd_entry *entry, const char *facts)
{
	return (struct etcd_op){
	    .kind = ETCD_PUT, .key = entry->facts, .value = facts, .lease = entry->session->lease};
}

/*
 * Was the place written since, by a write of ours that was given up, or by a hand that left the
 * rest as it was?
 */
static bool was_written_meanwhile(struct etcd_entry *entry, const struct etcd_found *found)
{
	const struct etcd_key *key = found->count > 0 ? &found->keys[0] : NULL;

	if (!key || key->create_revision != entry->created || key->lease != entry->session->lease ||
	    key->mod_revision == entry->written)
		return false;
	entry->written = key->mod_revision;
	return true;
}

static void on_value_written(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (!etcd_entry_is_good(entry, got))
		return;
	if (got->succeeded) {
		entry->written = got->revision;
		etcd_entry_answer_seen(entry, CLAIM_RENEWED);
	} else if (was_written_meanwhile(entry, &got->found[0])) {
		etcd_entry_write_value(entry);
	} else {
		/* Find out what has gone: the place, or its facts alone. */
		etcd_entry_gone(entry);
		etcd_entry_fail(entry, &(struct etcd_answer){.result = ETCD_UNKNOWN,
		                           .status = MPSYNC_E_UNREACHABLE,
		                           .message = "its keys in etcd were changed by another hand"});
	}
}

/* Written only over the version that is known, so that a late write does not undo a newer one. */
void etcd_entry_write_value(struct etcd_entry *entry)
{
	const struct store_claim *claim = entry->claim;
	char *facts = etcd_entry_facts(entry, entry->key, claim->token);

	if (!facts) {
		etcd_entry_fail_no_memory(entry);
		return;
	}
	entry->value_version = claim->value_version;
	etcd_entry_ask(entry,
	    &(struct etcd_call){
	        .compares = {{.key = entry->key, .revision = entry->written, .kind = ETCD_WRITTEN_AT},
	            {.key = entry->facts, .revision = entry->facts_created}},
	        .compare_count = 2,
	        .then = {etcd_entry_put_key(entry), etcd_entry_put_facts(entry, facts)},
	        .otherwise = {{.kind = ETCD_GET, .key = entry->key}},
	        .then_count = 2,
	        .otherwise_count = 1,
	        .done = on_value_written});
	free(facts);
}

void etcd_entry_proceed(struct etcd_entry *entry)
{
	if (entry->created)
		etcd_place_look(entry);
	else if (entry->claim->adopt)
		etcd_adopt(entry);
	else
		etcd_place_take(entry);
}

void etcd_entry_expire(struct etcd_entry *entry)
{
	const bool waits = (entry->created || entry->before.flight) && entry->phase == ETCD_IDLE;

	etcd_cancel(&entry->check);
	if (entry->held) {
		etcd_entry_answer_gone(entry, MPSYNC_REASON_EXPIRED, false);
		return;
	}
	etcd_entry_lose_place(entry);
	if (entry->phase == ETCD_ASKING) {
		etcd_cancel(&entry->call);
		entry->phase = ETCD_NEEDS_LEASE;
	}
	if (entry->withdrawing) {
		etcd_entry_answer(entry, CLAIM_FREED, NULL, NULL); /* the place went with its lease */
	} else if (entry->phase == ETCD_NEEDS_LEASE) {
		etcd_session_need(entry->session);
	} else if (waits) {
		etcd_entry_tell_changed(entry);
	}
}

void etcd_entry_see(struct etcd_entry *entry, const struct etcd_facts *facts)
{
	if (facts->revoked && entry->held)
		etcd_entry_answer_gone(entry, MPSYNC_REASON_REVOKED, true);
}

/* Without an answer the transaction is repeated, and its answer comes here again. */
static bool was_answered(struct etcd_entry *entry, const struct etcd_answer *got)
{
	if (got->result == ETCD_OK)
		return true;
	etcd_standing_read_again(entry->session);
	return false;
}

void etcd_entry_check(struct etcd_entry *entry, const struct etcd_call *call)
{
	entry->check = *call;
	entry->check.kind = ETCD_TXN;
	entry->check.timeout_ms = etcd_session_timeout_ms(entry->session);
	entry->check.context = entry;
	etcd_send(entry->etcd->rpc, &entry->check);
}

static void on_restored(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (!was_answered(entry, got) || !entry->held)
		return;
	if (got->succeeded)
		entry->facts_created = got->revision;
	else
		etcd_standing_read_again(entry->session);
}

/*
 * Somebody deleted the facts alone. The grant is the place, which is still there, so the facts are
 * written again.
 */
static void restore_facts(struct etcd_entry *entry)
{
	char *facts = etcd_entry_facts(entry, entry->key, entry->claim->token);

	if (facts)
		etcd_entry_check(
		    entry, &(struct etcd_call){.compares = {{.key = entry->key, .revision = entry->created},
		                                   {.key = entry->facts}},
		               .compare_count = 2,
		               .then = {etcd_entry_put_facts(entry, facts)},
		               .then_count = 1,
		               .done = on_restored});
	else
		etcd_standing_read_again(entry->session);
	free(facts);
}

static void on_checked(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = etcd_only(&got->found[0]);

	if (!was_answered(entry, got) || !entry->held)
		return;
	if (!own || own->create_revision != entry->created)
		etcd_entry_answer_gone(entry, MPSYNC_REASON_DELETED, false);
	else if (own->lease != entry->session->lease)
		etcd_entry_answer_gone(entry, MPSYNC_REASON_OTHER_ELECTOR, false);
	else
		restore_facts(entry);
}

/* Was the place deleted, or adopted by another elector? Its key says which. */
void etcd_entry_gone(struct etcd_entry *entry)
{
	if (entry->withdrawing || entry->check.flight)
		return;
	if (entry->held) {
		etcd_entry_check(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = entry->key}},
		                            .then_count = 1,
		                            .done = on_checked});
	} else if (entry->before.flight && entry->phase == ETCD_IDLE) {
		etcd_entry_lose_place(entry);
		etcd_entry_tell_changed(entry);
	}
	/* Else it was released by force: its place is still there, and is given up when it may be. */
}
