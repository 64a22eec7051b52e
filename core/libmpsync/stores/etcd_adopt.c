/* Adopting a former instance's grant (rule 9). */
#include "etcd_store.h"

#include <stdlib.h>
#include <string.h>

static void on_adopted(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (!etcd_entry_is_good(entry, got))
		return;
	if (!got->succeeded) {
		etcd_entry_answer_gone(entry, MPSYNC_REASON_DELETED, false);
		return;
	}
	entry->created = (int64_t)entry->claim->token;
	if (!entry->facts_created)
		entry->facts_created = got->revision;
	etcd_entry_answer_right(entry, CLAIM_GRANTED);
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
		etcd_entry_fail(entry,
		    &(struct etcd_answer){
		        .result = ETCD_REFUSED, .status = MPSYNC_E_INVALID, .message = STORE_TTL_IS_FIXED});
	} else if (!session) {
		etcd_entry_fail_no_memory(entry);
	} else {
		entry->claim->ttl_ms = ttl_ms;
		etcd_entry_leave_session(entry);
		etcd_entry_join(entry, session);
		etcd_entry_proceed_when_fresh(entry);
	}
}

/* The key goes over to our lease. Its creation, and so its place and token, stay. */
static void adopt(struct etcd_entry *entry, const struct etcd_key *former_facts)
{
	const struct store_claim *claim = entry->claim;
	const bool same_place = strcmp(former_facts->key, entry->facts) == 0;
	const uint32_t ttl_ms = take_terms(entry, former_facts);
	char *facts;

	if (ttl_ms != claim->ttl_ms) {
		adopt_with_ttl(entry, ttl_ms);
		return;
	}
	facts = etcd_entry_facts(entry, entry->key, claim->token);
	if (!facts) {
		etcd_entry_fail_no_memory(entry);
		return;
	}
	entry->facts_created = same_place ? former_facts->create_revision : 0;
	etcd_entry_ask(
	    entry, &(struct etcd_call){
	               .compares = {{.key = entry->key, .created = (int64_t)claim->token},
	                   {.key = former_facts->key, .created = former_facts->create_revision}},
	               .compare_count = 2,
	               .then = {etcd_entry_put_key(entry), etcd_entry_put_facts(entry, facts),
	                   {.kind = ETCD_DELETE, .key = former_facts->key}},
	               .then_count = same_place ? 2 : 3,
	               .done = on_adopted});
	free(facts);
}

static void on_former_facts(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *facts = etcd_only(&got->found[0]);

	if (!etcd_entry_is_good(entry, got))
		return;
	if (etcd_entry_owns(entry, facts))
		adopt(entry, facts);
	else
		etcd_entry_answer_gone(entry, MPSYNC_REASON_DELETED, false);
}

static void on_found(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_found *all = &got->found[0];
	const struct etcd_key *own = NULL;
	char *facts = NULL;

	if (!etcd_entry_is_good(entry, got))
		return;
	for (size_t i = 0; i < all->count; i++)
		if ((uint64_t)all->keys[i].create_revision == entry->claim->token)
			own = &all->keys[i];
	if (!own) {
		etcd_entry_answer_gone(entry, MPSYNC_REASON_DELETED, false);
		return;
	}
	free(entry->key);
	entry->key = strdup(own->key);
	facts = etcd_facts_key(entry->etcd->prefix, own->lease, entry->claim->name);
	if (!entry->key || !facts)
		etcd_entry_fail_no_memory(entry);
	else
		etcd_entry_ask(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = facts}},
		                          .then_count = 1,
		                          .done = on_former_facts});
	free(facts);
}

void etcd_adopt(struct etcd_entry *entry)
{
	if (!etcd_entry_set_keys(entry)) {
		etcd_entry_fail_no_memory(entry);
		return;
	}
	etcd_entry_ask(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET_ALL, .key = entry->queue}},
	                          .then_count = 1,
	                          .done = on_found});
}
