/*
 * What stands on a lease: which claim of this client it belongs to, and removing what belongs to
 * none.
 */
#include "store.h"

#include "base/container.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

#define READ_AGAIN_MS 50

/* The next entry, from `entry` on, whose facts are at that key, or would be. */
static struct etcd_entry *next_at(struct etcd_entry *entry, const char *facts_key)
{
	while (entry && (!entry->facts || strcmp(entry->facts, facts_key) != 0))
		entry = entry->next;
	return entry;
}

void etcd_standing_read_again(struct etcd_session *session)
{
	if (!etcd_session_is_open(session))
		return; /* nothing is on the lease */
	session->read_ms = etcd_now(session->etcd) + READ_AGAIN_MS;
	etcd_arm(session->etcd);
}

static void on_ghost_gone(struct etcd_call *call, const struct etcd_answer *answer)
{
	(void)answer;
	/* More may have to be removed, or this removal may have failed. */
	etcd_standing_read_again(call->context);
}

static void change_keys(struct etcd_session *session, const struct etcd_call *call)
{
	session->changing = *call;
	session->changing.kind = ETCD_TXN;
	session->changing.timeout_ms = etcd_session_timeout_ms(session);
	session->changing.context = session;
	etcd_send(session->etcd->rpc, &session->changing);
}

/* The place has gone, or is another claim's by now: only the facts are left to remove. */
static void on_ghost_removed(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;

	if (answer->result != ETCD_OK || answer->succeeded)
		on_ghost_gone(call, answer);
	else
		change_keys(session, &(struct etcd_call){.compares = {{.key = session->ghost,
		                                             .revision = session->ghost_created}},
		                         .compare_count = 1,
		                         .then = {{.kind = ETCD_DELETE, .key = session->ghost}},
		                         .then_count = 1,
		                         .done = on_ghost_gone});
}

/*
 * The key of the place that these facts describe, owned by the caller; NULL: they describe none, or
 * no memory.
 */
static char *place_of(
    const struct etcd_session *session, const struct etcd_key *key, const struct etcd_facts *facts)
{
	const char *prefix = session->etcd->prefix;
	char *name = etcd_facts_name(prefix, key->key);
	char *place = NULL;

	if (name)
		place = facts->key ? strdup(facts->key) : etcd_queue_key(prefix, name, session->lease);
	free(name);
	return place;
}

/* A place that a cancelled claim got late (rule 40, one contender per name) is removed on sight. */
static void remove_ghost(
    struct etcd_session *session, const struct etcd_key *key, const struct etcd_facts *facts)
{
	const int64_t created = facts->token ? (int64_t)facts->token : key->create_revision;
	char *place = place_of(session, key, facts);
	char *ghost = place ? strdup(key->key) : NULL;

	if (!ghost || session->changing.flight) {
		free(ghost);
		if (place)
			etcd_standing_read_again(session);
	} else {
		free(session->ghost);
		session->ghost = ghost;
		session->ghost_created = key->create_revision;
		change_keys(session,
		    &(struct etcd_call){.compares = {{.key = ghost, .revision = key->create_revision},
		                            {.key = place, .revision = created}},
		        .compare_count = 2,
		        .then = {{.kind = ETCD_DELETE, .key = place}, {.kind = ETCD_DELETE, .key = ghost}},
		        .then_count = 2,
		        .done = on_ghost_removed});
	}
	free(place);
}

static void free_orphan(struct etcd_orphan *orphan)
{
	free(orphan->place);
	free(orphan->facts_key);
	free(orphan->facts);
	free(orphan);
}

static struct etcd_orphan *orphan_of(
    struct etcd_session *session, const struct etcd_key *key, const struct etcd_facts *facts)
{
	struct etcd_orphan *orphan = session->orphans;

	while (orphan && orphan->facts_created != key->create_revision)
		orphan = orphan->next;
	if (orphan)
		return orphan;
	orphan = calloc(1, sizeof *orphan);
	if (!orphan)
		return NULL;
	orphan->facts_created = key->create_revision;
	orphan->seen_ms = etcd_now(session->etcd);
	orphan->created = (int64_t)facts->token;
	orphan->place = place_of(session, key, facts);
	orphan->facts_key = strdup(key->key);
	orphan->facts = strdup(key->value);
	if (!orphan->place || !orphan->facts_key || !orphan->facts) {
		free_orphan(orphan);
		return NULL;
	}
	SINGLY_ADD(session->orphans, orphan);
	return orphan;
}

static void drop_orphans(struct etcd_session *session)
{
	while (session->orphans) {
		struct etcd_orphan *orphan = session->orphans;

		session->orphans = orphan->next;
		free_orphan(orphan);
	}
}

/* The orphan whose facts are being written again. */
static struct etcd_orphan **being_restored(struct etcd_session *session)
{
	struct etcd_orphan **link = &session->orphans;

	while (*link && (*link)->facts_created != session->ghost_created)
		link = &(*link)->next;
	return link;
}

/*
 * The watch shows it again with its facts; or its place has gone too, perhaps to another elector.
 */
static void on_orphan_restored(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;
	struct etcd_orphan **link = being_restored(session);
	struct etcd_orphan *orphan = *link;

	if (answer->result != ETCD_OK) {
		etcd_standing_read_again(session);
	} else if (orphan) {
		*link = orphan->next;
		free_orphan(orphan);
	}
}

static void on_orphans_place(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;
	const struct etcd_orphan *orphan = *being_restored(session);
	const struct etcd_key *place = etcd_only(&answer->found[0]);

	if (answer->result != ETCD_OK || !orphan || !place || place->lease != session->lease ||
	    place->create_revision != orphan->created)
		on_orphan_restored(call, answer);
	else
		change_keys(session, &(struct etcd_call){.compares = {{.key = orphan->place,
		                                                          .revision = place->mod_revision,
		                                                          .kind = ETCD_WRITTEN_AT},
		                                             {.key = orphan->facts_key}},
		                         .compare_count = 2,
		                         .then = {{.kind = ETCD_PUT,
		                             .key = orphan->facts_key,
		                             .value = orphan->facts,
		                             .lease = session->lease}},
		                         .then_count = 1,
		                         .done = on_orphan_restored});
}

/*
 * The facts of an adopted place have gone. Without them nothing would end the place, so they are
 * written again; a claim of this client sees to its own.
 */
static void restore_orphan(struct etcd_session *session, const struct etcd_orphan *orphan)
{
	if (next_at(session->entries, orphan->facts_key))
		return;
	if (session->changing.flight) {
		etcd_standing_read_again(session);
		return;
	}
	session->ghost_created = orphan->facts_created;
	change_keys(session, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = orphan->place}},
	                         .then_count = 1,
	                         .done = on_orphans_place});
}

/* The holder may come back for the place, and believes in it for a ttl from now at most. */
static bool may_be_believed(
    struct etcd_session *session, const struct etcd_key *key, const struct etcd_facts *facts)
{
	const struct etcd_orphan *orphan = orphan_of(session, key, facts);
	const uint64_t now = etcd_now(session->etcd);
	const uint64_t until_ms = orphan ? orphan->seen_ms + facts->ttl_ms : CLAIM_NEVER;

	if (until_ms <= now)
		return false;
	if (orphan)
		etcd_session_outlast(session, until_ms);
	if (orphan && until_ms < session->read_ms) {
		session->read_ms = until_ms;
		etcd_arm(session->etcd);
	}
	return true;
}

static void see(struct etcd_session *session, const struct etcd_key *key)
{
	struct etcd_entry *entry = next_at(session->entries, key->key);
	struct etcd_entry *own = NULL;
	struct etcd_facts facts;
	bool late = false; /* the news is of a place that has gone already */

	if (strcmp(key->key, session->path) == 0 || !etcd_facts_read(&facts, key->value))
		return;
	/*
	 * A claim that has adopted its place and one that waits for that place may have the same key.
	 */
	for (; entry; entry = next_at(entry->next, key->key)) {
		late |= entry->facts_created > key->create_revision;
		if (id_equal(&entry->claim->digest, &facts.claim))
			own = entry;
	}
	if (own && !late)
		etcd_entry_see(own, &facts);
	else if (!late && !(facts.token && may_be_believed(session, key, &facts)))
		remove_ghost(session, key, &facts);
	etcd_facts_clear(&facts);
}

/* Does another claim's place stand at this claim's key, so that this claim waits for it to go? */
static bool waits_for_room(const struct etcd_entry *entry)
{
	return !entry->created && entry->before.flight;
}

/* created 0: whatever its creation. */
static bool is_there(const struct etcd_found *found, const char *key, int64_t created)
{
	for (size_t i = 0; i < found->count; i++)
		if (strcmp(found->keys[i].key, key) == 0 &&
		    (created == 0 || found->keys[i].create_revision == created))
			return true;
	return false;
}

/* A place before theirs may have lost its facts, or the claim that would have restored them. */
static void let_look_again(struct etcd_session *session)
{
	struct etcd_entry *entry;

	for (entry = session->entries; entry; entry = entry->next)
		if (entry->before.flight && entry->before_is_ours && entry->phase == ETCD_IDLE)
			etcd_session_tell_later(session, entry);
	while ((entry = etcd_session_next_told(session)))
		etcd_entry_tell_changed(entry);
}

/* Handle everything that the broken watch did not tell. */
static void on_read(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_session *session = call->context;
	const int64_t lease = session->lease;
	struct etcd_entry *entry;

	if (answer->result != ETCD_OK) {
		etcd_standing_read_again(session);
		return;
	}
	session->watch.revision = answer->revision;
	etcd_watch(session->etcd->rpc, &session->watch);
	for (entry = session->entries; entry; entry = entry->next)
		if ((waits_for_room(entry) || entry->facts_created) &&
		    entry->facts_created <= answer->revision &&
		    !is_there(&answer->found[0], entry->facts, entry->facts_created))
			etcd_session_tell_later(session, entry);
	while ((entry = etcd_session_next_told(session)))
		etcd_entry_gone(entry);
	for (const struct etcd_orphan *orphan = session->orphans; orphan; orphan = orphan->next)
		if (!is_there(&answer->found[0], orphan->facts_key, orphan->facts_created))
			restore_orphan(session, orphan);
	for (size_t i = 0; i < answer->found[0].count && session->lease == lease; i++)
		see(session, &answer->found[0].keys[i]);
	if (session->lease == lease)
		let_look_again(session);
}

void etcd_standing_read(struct etcd_session *session)
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
	see(CONTAINER_OF(watch, struct etcd_session, watch), key);
}

static void on_gone(struct etcd_watch *watch, const char *key, int64_t revision)
{
	struct etcd_session *session = CONTAINER_OF(watch, struct etcd_session, watch);
	struct etcd_entry *entry = session->entries;

	if (strcmp(key, session->path) == 0) {
		etcd_session_lost(session);
		return;
	}
	for (entry = next_at(entry, key); entry; entry = next_at(entry->next, key))
		if (waits_for_room(entry) || (entry->facts_created && entry->facts_created < revision))
			etcd_session_tell_later(session, entry);
	while ((entry = etcd_session_next_told(session)))
		etcd_entry_gone(entry);
	for (const struct etcd_orphan *orphan = session->orphans; orphan; orphan = orphan->next)
		if (strcmp(orphan->facts_key, key) == 0 && orphan->facts_created < revision)
			restore_orphan(session, orphan);
}

static void on_watch_ended(struct etcd_watch *watch)
{
	etcd_standing_read_again(CONTAINER_OF(watch, struct etcd_session, watch));
}

void etcd_standing_watch(struct etcd_session *session, int64_t revision)
{
	session->watch = (struct etcd_watch){.key = session->path,
	    .all = true,
	    .revision = revision,
	    .put = on_put,
	    .gone = on_gone,
	    .ended = on_watch_ended};
	etcd_watch(session->etcd->rpc, &session->watch);
}

void etcd_standing_forget(struct etcd_session *session)
{
	etcd_cancel(&session->reading);
	etcd_cancel(&session->changing);
	etcd_unwatch(&session->watch);
	session->read_ms = CLAIM_NEVER;
	drop_orphans(session);
	free(session->ghost);
	session->ghost = NULL;
}
