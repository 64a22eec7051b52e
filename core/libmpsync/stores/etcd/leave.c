/* Giving up a place: the claim is released, or waits no longer. */
#include "store.h"

/* Facts that were left behind are looked for when the claim is forgotten. */
static void answer_freed(struct etcd_entry *entry, bool facts_left)
{
	etcd_entry_lose_place(entry);
	entry->doubtful = facts_left;
	etcd_entry_answer(entry, CLAIM_FREED, NULL, NULL);
}

static void leave(struct etcd_entry *entry);
static void resolve_doubt(struct etcd_entry *entry);

static void on_left(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (!etcd_entry_is_good(entry, got))
		return;
	if (got->succeeded)
		answer_freed(entry, false);
	else
		resolve_doubt(entry); /* its facts were written again by a write that was under way */
}

/*
 * Is the key that stands there the place of these facts? An adopted place keeps the key of the
 * lease that it was made on. When somebody has deleted that key, the lease's owner may have made it
 * anew.
 */
static bool is_place_of(
    const struct etcd_entry *entry, const struct etcd_key *own, const struct etcd_key *facts_key)
{
	struct etcd_facts facts;
	bool same;

	if (!own || !etcd_stands_on_our_lease(entry, own) || !etcd_facts_read(&facts, facts_key->value))
		return false;
	same = facts.token == 0 || facts.token == (uint64_t)own->create_revision;
	etcd_facts_clear(&facts);
	return same;
}

/* Remove what is this claim's place according to its facts. */
static bool leave_by_facts(
    struct etcd_entry *entry, const struct etcd_key *own, const struct etcd_key *facts)
{
	if (!facts || !etcd_entry_owns(entry, facts) || !is_place_of(entry, own, facts))
		return false;
	entry->created = own->create_revision;
	entry->facts_created = facts->create_revision;
	leave(entry);
	return true;
}

static void on_left_by_facts(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = etcd_only(&got->found[0]);
	const struct etcd_key *facts = etcd_only(&got->found[1]);
	const bool there = own && own->create_revision == entry->created &&
	                   etcd_stands_on_our_lease(entry, own) && !facts;

	if (!etcd_entry_is_good(entry, got))
		return;
	if (!got->succeeded && leave_by_facts(entry, own, facts))
		return; /* made anew, by a write whose answer was lost */
	if (got->succeeded || !there)
		answer_freed(entry, facts);
	else /* somebody deleted the facts alone; an elector that adopts the place writes it */
		etcd_entry_ask(entry, &(struct etcd_call){.compares = {{.key = entry->key,
		                                                           .revision = own->mod_revision,
		                                                           .kind = ETCD_WRITTEN_AT},
		                                              {.key = entry->facts}},
		                          .compare_count = 2,
		                          .then = {{.kind = ETCD_DELETE, .key = entry->key}},
		                          .then_count = 1,
		                          .done = on_left});
}

/*
 * The facts say whose the key is: one that another elector has adopted must not be deleted here
 * (rule 3, write only on top of your own write).
 */
static void leave(struct etcd_entry *entry)
{
	etcd_entry_ask(entry,
	    &(struct etcd_call){.compares = {{.key = entry->facts, .revision = entry->facts_created},
	                            {.key = entry->key, .revision = entry->created}},
	        .compare_count = 2,
	        .then = {{.kind = ETCD_DELETE, .key = entry->key},
	            {.kind = ETCD_DELETE, .key = entry->facts}},
	        .then_count = 2,
	        .otherwise = {{.kind = ETCD_GET, .key = entry->key},
	            {.kind = ETCD_GET, .key = entry->facts}},
	        .otherwise_count = 2,
	        .done = on_left_by_facts});
}

static void on_left_to_its_facts(struct etcd_call *call, const struct etcd_answer *got)
{
	if (etcd_entry_is_good(call->context, got))
		answer_freed(call->context, false);
}

/*
 * A place whose facts somebody has deleted may be this claim's, or one that a former elector's
 * client believes in. It is not deleted here: with facts it ends when nobody may believe in it.
 */
static bool leave_to_its_facts(
    struct etcd_entry *entry, const struct etcd_key *own, const struct etcd_key *facts)
{
	return own && !facts && etcd_place_is_nobodys(entry, own) &&
	       etcd_place_restore_facts(entry, own, etcd_entry_ask, on_left_to_its_facts);
}

static void on_doubt_resolved(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;
	const struct etcd_key *own = etcd_only(&got->found[0]);
	const struct etcd_key *facts = etcd_only(&got->found[1]);

	if (etcd_entry_is_good(entry, got) && !leave_by_facts(entry, own, facts) &&
	    !leave_to_its_facts(entry, own, facts))
		/* If the key appears later, the session's watch sees it. */
		answer_freed(entry, etcd_entry_owns(entry, facts));
}

static void resolve_doubt(struct etcd_entry *entry)
{
	etcd_entry_ask(entry, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = entry->key},
	                                              {.kind = ETCD_GET, .key = entry->facts}},
	                          .then_count = 2,
	                          .done = on_doubt_resolved});
}

void etcd_leave(struct etcd_entry *entry)
{
	etcd_cancel(&entry->check);
	etcd_unwatch(&entry->before);
	entry->withdrawing = true;
	etcd_unhold(entry);
	if (entry->created)
		leave(entry);
	else
		resolve_doubt(entry);
}
