/*
 * Adopting the grant that a former instance made (rule 9, a restart loses nothing and invents
 * nothing). Its holder believes what that instance told, which by any clock ends at most 0.84 ttl
 * after the adoption. Neither the place nor the right here, which the engine is told, may end
 * before that. So our lease is kept alive right before the place goes over to it, and once more
 * before the grant is answered, whose right counts from that keep-alive.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define MOST_RACES 8

/* The place was written since it was read: its value, or its elector, may be another by now. */
static void adopt_anew(struct etcd_entry *entry)
{
	if (++entry->races < MOST_RACES)
		etcd_adopt(entry);
	else
		etcd_entry_fail(entry, &(struct etcd_answer){.result = ETCD_UNKNOWN,
		                           .status = MPSYNC_E_UNREACHABLE,
		                           .message = "the grant to adopt changes all the time"});
}

static void on_adopted(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (!etcd_entry_is_good(entry, got))
		return;
	entry->doubtful = false;
	if (!got->succeeded) {
		const struct etcd_key *place = etcd_only(&got->found[0]);

		if (place && place->mod_revision != entry->written)
			adopt_anew(entry);
		else
			etcd_entry_answer_gone(entry, MPSYNC_REASON_DELETED, false);
		return;
	}
	entry->created = (int64_t)entry->claim->token;
	entry->written = got->revision;
	if (!entry->facts_created)
		entry->facts_created = got->revision;
	etcd_entry_proceed_when_kept(entry);
}

/* Does the lease last as long as anybody may believe in a place that goes over to it now? */
static bool lasts_long_enough(const struct etcd_session *session)
{
	return etcd_now(session->etcd) <=
	       session->confirmed_ms + (uint64_t)session->granted_s * 1000 / 10;
}

/* Take over value and ttl of the grant. Returns the ttl. */
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

/*
 * The holder may believe in its grant for that ttl, so the lease has to last at least as long (rule
 * 21, the ttl of a grant is fixed).
 */
static void adopt_with_ttl(struct etcd_entry *entry, uint32_t ttl_ms)
{
	struct etcd_session *session = etcd_session_of(entry->etcd, ttl_ms);

	if (!entry->claim->any_ttl || ttl_ms == 0) {
		etcd_entry_fail(entry,
		    &(struct etcd_answer){
		        .result = ETCD_REFUSED, .status = MPSYNC_E_INVALID, .message = STORE_TTL_IS_FIXED});
	} else if (!session) {
		etcd_entry_fail_no_memory(entry);
	} else {
		entry->claim->ttl_ms = ttl_ms;
		etcd_entry_leave_session(entry);
		etcd_entry_join(entry, session);
		etcd_entry_proceed_when_kept(entry);
	}
}

/* The key goes over to our lease; its creation revision, and so its place and token, stay. */
static void adopt(struct etcd_entry *entry, const struct etcd_key *former_facts)
{
	const struct store_claim *claim = entry->claim;
	const bool same_facts = strcmp(former_facts->key, entry->facts) == 0;
	const uint32_t ttl_ms = take_terms(entry, former_facts);
	char *facts;

	if (ttl_ms != claim->ttl_ms) {
		adopt_with_ttl(entry, ttl_ms);
		return;
	}
	if (!lasts_long_enough(entry->session)) {
		etcd_entry_fail(entry, &(struct etcd_answer){.result = ETCD_UNKNOWN,
		                           .status = MPSYNC_E_UNREACHABLE,
		                           .message = "etcd answers too slowly to adopt the grant"});
		return;
	}
	facts = etcd_entry_facts(entry, entry->key, claim->token);
	if (!facts) {
		etcd_entry_fail_no_memory(entry);
		return;
	}
	entry->facts_created = same_facts ? former_facts->create_revision : 0;
	entry->doubtful = true;
	etcd_session_outlast(entry->session, etcd_now(entry->etcd) + 2 * (uint64_t)ttl_ms);
	etcd_entry_ask(entry,
	    &(struct etcd_call){
	        .compares = {{.key = entry->key, .revision = entry->written, .kind = ETCD_WRITTEN_AT},
	            {.key = former_facts->key, .revision = former_facts->create_revision}},
	        .compare_count = 2,
	        .then = {etcd_entry_put_key(entry), etcd_entry_put_facts(entry, facts),
	            {.kind = ETCD_DELETE, .key = former_facts->key}},
	        .then_count = same_facts ? 2 : 3,
	        .otherwise = {{.kind = ETCD_GET, .key = entry->key}},
	        .otherwise_count = 1,
	        .done = on_adopted});
	free(facts);
}

static void on_former_facts(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *facts = etcd_only(&got->found[0]);
	const struct etcd_key *place = etcd_only(&got->found[1]);

	if (!etcd_entry_is_good(entry, got))
		return;
	if (got->succeeded && etcd_entry_owns(entry, facts)) {
		entry->written = got->revision;
		adopt(entry, facts);
	} else if (place && place->mod_revision != entry->written) {
		adopt_anew(entry);
	} else {
		etcd_entry_answer_gone(entry, MPSYNC_REASON_DELETED, false);
	}
}

/* The key of the place, and the key of its facts on our lease. */
static bool set_keys(struct etcd_entry *entry, const struct etcd_key *place)
{
	const struct etcd *etcd = entry->etcd;

	free(entry->key);
	free(entry->facts);
	entry->key = strdup(place->key);
	entry->written = place->mod_revision;
	entry->facts = etcd_place_facts_key(etcd->prefix, entry->claim->name, place->key,
	    entry->session->lease, place->create_revision);
	return entry->key && entry->facts;
}

/*
 * The place is written as it is. An elector that still serves it writes it once more before it
 * gives any further right, and what we ask for then is not done, however late etcd comes to it.
 * Only the first place is a grant: otherwise a token that was never given could be adopted by a
 * waiter.
 */
static void announce(struct etcd_entry *entry, const struct etcd_key *place)
{
	char *former = etcd_place_facts_key(
	    entry->etcd->prefix, entry->claim->name, place->key, place->lease, place->create_revision);

	if (former && set_keys(entry, place))
		etcd_entry_ask(entry, &(struct etcd_call){.compares = {{.key = entry->key,
		                                                           .revision = place->mod_revision,
		                                                           .kind = ETCD_WRITTEN_AT},
		                                              {.key = former, .kind = ETCD_THERE},
		                                              {.key = entry->queue,
		                                                  .revision = place->create_revision,
		                                                  .kind = ETCD_NONE_BEFORE}},
		                          .compare_count = 3,
		                          .then = {{.kind = ETCD_GET, .key = former},
		                              {.kind = ETCD_TOUCH, .key = entry->key}},
		                          .then_count = 2,
		                          .otherwise = {{.kind = ETCD_GET, .key = former},
		                              {.kind = ETCD_GET, .key = entry->key}},
		                          .otherwise_count = 2,
		                          .done = on_former_facts});
	else
		etcd_entry_fail_no_memory(entry);
	free(former);
}

/* The first place is the one that may be regained. */
static void take_oldest_token(struct store_claim *claim, const struct etcd_found *all)
{
	const struct etcd_key *oldest = etcd_only(all);

	for (size_t i = 1; i < all->count; i++)
		if (all->keys[i].create_revision < oldest->create_revision)
			oldest = &all->keys[i];
	claim->token = oldest ? (uint64_t)oldest->create_revision : 0;
}

static void on_found(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_found *all = &got->found[0];
	const struct etcd_key *place = NULL;

	if (!etcd_entry_is_good(entry, got))
		return;
	if (entry->claim->regain)
		take_oldest_token(entry->claim, all);
	for (size_t i = 0; i < all->count; i++)
		if ((uint64_t)all->keys[i].create_revision == entry->claim->token)
			place = &all->keys[i];
	if (place)
		announce(entry, place);
	else
		etcd_entry_answer_gone(entry, MPSYNC_REASON_DELETED, false);
}

void etcd_adopt(struct etcd_entry *entry)
{
	etcd_entry_ask(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET_ALL, .key = entry->queue}},
	                          .then_count = 1,
	                          .done = on_found});
}
