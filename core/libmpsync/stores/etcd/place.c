/* A place in the queue of a name: taking it, waiting in it, leaving it. */
#include "store.h"

#include "base/container.h"

#include <stdlib.h>
#include <string.h>

/* After so many lost races a request answers "busy" and comes back later. */
#define MOST_RACES 8

static bool is_owner(const struct etcd_entry *entry, const struct etcd_key *oldest)
{
	return oldest->create_revision == entry->owner_created && oldest->lease == entry->owner_lease;
}

static void remember_owner(struct etcd_entry *entry, const struct etcd_key *oldest)
{
	if (is_owner(entry, oldest))
		return;
	free(entry->owner_facts);
	entry->owner_facts = etcd_place_facts_key(entry->etcd->prefix, entry->claim->name, oldest->key,
	    oldest->lease, oldest->create_revision);
	entry->owner_created = oldest->create_revision;
	entry->owner_lease = oldest->lease;
}

static void answer_busy(struct etcd_entry *entry, const struct etcd_key *oldest,
    const struct etcd_key *facts_key, bool next)
{
	struct etcd_facts facts = {0};
	const bool known = facts_key && etcd_facts_read(&facts, facts_key->value);

	etcd_entry_answer(entry, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = CLAIM_NEVER},
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
		etcd_entry_answer(
		    entry, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = ETCD_RACE_MS}, NULL);
}

static void on_before_put(struct etcd_watch *watch, const struct etcd_key *key)
{
	(void)watch, (void)key;
}

static void on_before_gone(struct etcd_watch *watch, const char *key, int64_t revision)
{
	struct etcd_entry *entry = CONTAINER_OF(watch, struct etcd_entry, before);

	(void)key, (void)revision;
	etcd_unwatch(watch);
	etcd_entry_tell_changed(entry);
}

static void on_before_ended(struct etcd_watch *watch)
{
	etcd_entry_tell_changed(CONTAINER_OF(watch, struct etcd_entry, before));
}

static bool watch_before(struct etcd_entry *entry, const struct etcd_key *before, int64_t revision)
{
	char *key = strdup(before->key);

	if (!key)
		return false;
	etcd_unwatch(&entry->before);
	free(entry->before_key);
	entry->before_key = key;
	entry->before_is_ours = etcd_stands_on_our_lease(entry, before);
	entry->before = (struct etcd_watch){.key = key,
	    .revision = revision,
	    .put = on_before_put,
	    .gone = on_before_gone,
	    .ended = on_before_ended};
	etcd_watch(entry->etcd->rpc, &entry->before);
	return true;
}

/* This client's session on that lease; NULL: the lease is another's. */
static const struct etcd_session *session_on(const struct etcd *etcd, int64_t lease)
{
	const struct etcd_session *session = etcd->sessions;

	while (session && session->lease != lease)
		session = session->next;
	return session;
}

/* A place whose claim is in this client: that claim sees to its facts itself. */
static bool is_somebodys(const struct etcd_session *session, const struct etcd_key *place)
{
	const struct etcd_entry *other = session->entries;

	while (other && (other->created != place->create_revision || !other->key ||
	                    strcmp(other->key, place->key) != 0))
		other = other->next;
	return other;
}

bool etcd_place_is_nobodys(const struct etcd_entry *entry, const struct etcd_key *place)
{
	const struct etcd_session *session =
	    place->lease ? session_on(entry->etcd, place->lease) : NULL;

	return session && !is_somebodys(session, place);
}

bool etcd_place_restore_facts(struct etcd_entry *entry, const struct etcd_key *place,
    void (*send)(struct etcd_entry *, const struct etcd_call *),
    void (*done)(struct etcd_call *, const struct etcd_answer *))
{
	const struct etcd *etcd = entry->etcd;
	char *key = etcd_place_facts_key(
	    etcd->prefix, entry->claim->name, place->key, place->lease, place->create_revision);
	char *facts = etcd_facts_write(&(struct etcd_facts){
	    .holder = "unknown",
	    .key = place->key,
	    .token = (uint64_t)place->create_revision,
	    .ttl_ms = entry->claim->ttl_ms,
	    .since_ms = etcd->store.clock.wall_ms(etcd->store.clock.context),
	});
	const bool sent = key && facts;

	if (sent)
		send(entry,
		    &(struct etcd_call){.compares = {{.key = place->key,
		                                         .revision = place->mod_revision,
		                                         .kind = ETCD_WRITTEN_AT},
		                            {.key = key}},
		        .compare_count = 2,
		        .then = {{.kind = ETCD_PUT, .key = key, .value = facts, .lease = place->lease}},
		        .then_count = 1,
		        .done = done});
	free(key);
	free(facts);
	return sent;
}

static void on_facts_restored(struct etcd_call *call, const struct etcd_answer *got)
{
	if (got->result != ETCD_OK)
		etcd_entry_tell_changed(call->context); /* the claim looks again */
}

/* The place stands before this claim, and its facts would end it: it would stay for ever. */
static void restore_facts(struct etcd_entry *entry, const struct etcd_key *place)
{
	if (!entry->check.flight && etcd_place_is_nobodys(entry, place))
		etcd_place_restore_facts(entry, place, etcd_entry_check, on_facts_restored);
}

/* `own` has been shown to be the oldest. */
static void hold(struct etcd_entry *entry, const struct etcd_key *own)
{
	if (own->mod_revision > entry->written)
		etcd_hold_on(entry, own->mod_revision);
	else
		etcd_entry_answer_seen(entry, CLAIM_GRANTED);
}

/*
 * A claim holds if its key is the oldest in the queue, as a linearizable read shows: never because
 * the key before it went (rule 33, look at your own key).
 */
static void on_looked(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = etcd_only(&got->found[0]);
	const struct etcd_key *oldest = etcd_only(&got->found[1]);
	const struct etcd_key *before = etcd_only(&got->found[2]);

	if (!etcd_entry_is_good(entry, got))
		return;
	if (!own || own->create_revision != entry->created || !etcd_stands_on_our_lease(entry, own)) {
		etcd_entry_lose_place(entry);
		race(entry, etcd_entry_proceed);
	} else if (oldest && oldest->create_revision == entry->created) {
		etcd_unwatch(&entry->before);
		hold(entry, own);
	} else if (!oldest || !before) {
		race(entry, etcd_place_look);
	} else if (!watch_before(entry, before, got->revision)) {
		etcd_entry_fail_no_memory(entry);
	} else {
		const bool same = is_owner(entry, oldest);
		const bool next = oldest->create_revision == before->create_revision;

		restore_facts(entry, oldest);
		restore_facts(entry, before);
		remember_owner(entry, oldest);
		answer_busy(entry, oldest, same ? etcd_only(&got->found[3]) : NULL, next);
	}
}

void etcd_place_look(struct etcd_entry *entry)
{
	etcd_entry_ask(
	    entry, &(struct etcd_call){
	               .then = {{.kind = ETCD_GET, .key = entry->key},
	                   {.kind = ETCD_GET_OLDEST, .key = entry->queue},
	                   {.kind = ETCD_GET_BEFORE, .key = entry->queue, .revision = entry->created},
	                   {.kind = ETCD_GET, .key = entry->owner_facts}},
	               .then_count = entry->owner_facts ? 4 : 3,
	               .done = on_looked});
}

/*
 * A claim that is the same at each elector of an identity goes on with the grant that the former
 * elector had.
 */
static bool is_to_regain(const struct etcd_entry *entry, const struct etcd_key *facts_key)
{
	return entry->claim->regain && etcd_entry_owns(entry, facts_key);
}

static void regain(struct etcd_entry *entry)
{
	entry->claim->adopt = true;
	etcd_entry_proceed_when_kept(entry);
}

static void ask_owner(struct etcd_entry *entry);

static void on_owners_facts_restored(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (etcd_entry_is_good(entry, got))
		race(entry, ask_owner);
}

/* As restore_facts does, for a name that is only tried and never waited for. */
static bool restore_owners_facts(
    struct etcd_entry *entry, const struct etcd_key *oldest, const struct etcd_key *facts_key)
{
	return !facts_key && etcd_place_is_nobodys(entry, oldest) &&
	       etcd_place_restore_facts(entry, oldest, etcd_entry_ask, on_owners_facts_restored);
}

/* Another place is the first by now, or another elector has adopted it: it has other facts. */
static void ask_new_owner(struct etcd_entry *entry, const struct etcd_key *oldest)
{
	remember_owner(entry, oldest);
	race(entry, ask_owner);
}

/* A try does not queue; it only asks who holds the name. */
static void on_asked_owner(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *oldest = etcd_only(&got->found[0]);

	if (!etcd_entry_is_good(entry, got))
		return;
	if (!oldest)
		race(entry, etcd_place_take);
	else if (!is_owner(entry, oldest))
		ask_new_owner(entry, oldest);
	else if (is_to_regain(entry, etcd_only(&got->found[1])))
		regain(entry);
	else if (!restore_owners_facts(entry, oldest, etcd_only(&got->found[1])))
		answer_busy(entry, oldest, etcd_only(&got->found[1]), false);
}

static void ask_owner(struct etcd_entry *entry)
{
	etcd_entry_ask(
	    entry, &(struct etcd_call){.then = {{.kind = ETCD_GET_OLDEST, .key = entry->queue},
	                                   {.kind = ETCD_GET, .key = entry->owner_facts}},
	               .then_count = entry->owner_facts ? 2 : 1,
	               .done = on_asked_owner});
}

static void on_cleared(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (etcd_entry_is_good(entry, got))
		race(entry, etcd_place_take);
}

/*
 * Our own key is there, but belongs to an earlier claim of this client whose write came late (rule
 * 40, one contender per name).
 */
static void clear_place(struct etcd_entry *entry, const struct etcd_key *own)
{
	etcd_entry_ask(entry, &(struct etcd_call){.compares = {{.key = entry->key,
	                                              .revision = own ? own->create_revision : 0}},
	                          .compare_count = 1,
	                          .then = {{.kind = ETCD_DELETE, .key = entry->key},
	                              {.kind = ETCD_DELETE, .key = entry->facts}},
	                          .then_count = 2,
	                          .done = on_cleared});
}

static void judge(struct etcd_entry *entry, const struct etcd_key *oldest)
{
	if (oldest && oldest->create_revision == entry->created) {
		hold(entry, oldest);
		return;
	}
	if (oldest)
		remember_owner(entry, oldest);
	etcd_place_look(entry);
}

/*
 * Is the place at our key one that was granted to another claim? It may have gone over to another
 * elector, come back from there, or come too late for its claim; its holder may believe in it.
 * Without facts, which somebody has deleted, it may be any of these.
 */
static bool is_granted_place(
    const struct etcd_entry *entry, const struct etcd_key *own, const struct etcd_key *facts_key)
{
	struct etcd_facts facts;
	bool granted;

	if (!own || !etcd_stands_on_our_lease(entry, own) || !facts_key)
		return own;
	if (!etcd_facts_read(&facts, facts_key->value))
		return false;
	granted = facts.token;
	etcd_facts_clear(&facts);
	return granted;
}

/* There is room when that place has gone, which its facts see to. */
static void wait_for_room(struct etcd_entry *entry, const struct etcd_answer *got)
{
	const struct etcd_key *taken = etcd_only(&got->found[0]);
	const struct etcd_key *facts = etcd_only(&got->found[1]);
	const struct etcd_key *oldest = etcd_only(&got->found[2]);

	if (!facts)
		restore_facts(entry, taken);
	remember_owner(entry, oldest);
	if (entry->claim->once)
		ask_owner(entry);
	else if (watch_before(entry, taken, got->revision))
		answer_busy(entry, oldest, NULL, false);
	else
		etcd_entry_fail_no_memory(entry);
}

static void on_entered(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = etcd_only(&got->found[0]);
	const struct etcd_key *facts = etcd_only(&got->found[1]);
	const struct etcd_key *oldest = etcd_only(&got->found[2]);

	entry->doubtful |= got->result == ETCD_UNKNOWN;
	if (!etcd_entry_is_good(entry, got))
		return;
	if (got->succeeded) {
		entry->created = entry->written = entry->facts_created = got->revision;
		judge(entry, oldest);
	} else if (own && etcd_stands_on_our_lease(entry, own) && etcd_entry_owns(entry, facts)) {
		entry->created = entry->written = own->create_revision;
		entry->facts_created = facts->create_revision;
		entry->value_version = entry->claim->value_version - 1; /* so that it is written again */
		judge(entry, oldest);
	} else if (own && !oldest) {
		race(entry, etcd_place_take); /* contradictory answers: something changed */
	} else if (is_granted_place(entry, own, facts)) {
		wait_for_room(entry, got);
	} else if (own || facts) {
		clear_place(entry, own);
	} else if (oldest) {
		remember_owner(entry, oldest);
		ask_owner(entry);
	} else {
		race(entry, etcd_place_take);
	}
}

void etcd_place_take(struct etcd_entry *entry)
{
	const struct store_claim *claim = entry->claim;
	char *facts = etcd_entry_set_keys(entry) ? etcd_entry_facts(entry, NULL, 0) : NULL;

	if (!facts) {
		etcd_entry_fail_no_memory(entry);
		return;
	}
	entry->value_version = claim->value_version;
	etcd_entry_ask(
	    entry, &(struct etcd_call){
	               .compares = {{.key = claim->once ? entry->queue : entry->key,
	                                .kind = claim->once ? ETCD_NONE_BELOW : ETCD_CREATED_AT},
	                   {.key = entry->facts}},
	               .compare_count = 2,
	               .then = {etcd_entry_put_key(entry), etcd_entry_put_facts(entry, facts),
	                   {.kind = ETCD_GET_OLDEST, .key = entry->queue}},
	               .otherwise = {{.kind = ETCD_GET, .key = entry->key},
	                   {.kind = ETCD_GET, .key = entry->facts},
	                   {.kind = ETCD_GET_OLDEST, .key = entry->queue}},
	               .then_count = 3,
	               .otherwise_count = 3,
	               .done = on_entered});
	free(facts);
}
