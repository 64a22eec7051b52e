/*
 * The places that are held. A lease that is alive does not show that a place is still there:
 * somebody may have deleted its key, or another elector may have adopted it. So in each interval
 * all places are compared with how they were last written, in as many parts as transactions need,
 * and a right counts from the transaction that showed its place.
 */
#include "store.h"

#include <string.h>

static void move(struct etcd_entry *entry, struct etcd_entries *list)
{
	if (entry->list)
		TAILQ_REMOVE(entry->list, entry, held_entry);
	entry->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, entry, held_entry);
}

void etcd_hold(struct etcd_entry *entry, uint64_t seen_ms)
{
	struct etcd_session *session = entry->session;

	session->held_count += !entry->list;
	move(entry, &session->held);
	entry->held = true;
	entry->seen_ms = seen_ms;
	entry->taken = MPSYNC_REASON_NONE;
}

void etcd_unhold(struct etcd_entry *entry)
{
	entry->session->held_count -= entry->list != NULL;
	move(entry, NULL);
	entry->held = false;
}

uint64_t etcd_held_since_ms(const struct etcd_entry *entry)
{
	const uint64_t confirmed_ms = entry->session->confirmed_ms;

	return entry->seen_ms < confirmed_ms ? entry->seen_ms : confirmed_ms;
}

size_t etcd_held_parts(const struct etcd_session *session)
{
	const size_t parts = (session->held_count + ETCD_MOST_FURTHER - 1) / ETCD_MOST_FURTHER;

	return parts > 0 ? parts : 1;
}

size_t etcd_held_compare(
    struct etcd_session *session, struct etcd_compare compares[ETCD_MOST_FURTHER])
{
	const size_t parts = etcd_held_parts(session);
	const size_t most = (session->held_count + parts - 1) / parts;
	size_t count = 0;

	while (count < most && !TAILQ_EMPTY(&session->held)) {
		struct etcd_entry *entry = TAILQ_FIRST(&session->held);

		move(entry, &session->asked);
		compares[count++] = (struct etcd_compare){
		    .key = entry->key, .revision = entry->written, .kind = ETCD_WRITTEN_AT};
	}
	session->compared_ms = etcd_now(session->etcd);
	return count;
}

void etcd_held_put_back(struct etcd_session *session)
{
	while (!TAILQ_EMPTY(&session->asked)) {
		struct etcd_entry *entry = TAILQ_LAST(&session->asked, etcd_entries);

		TAILQ_REMOVE(&session->asked, entry, held_entry);
		TAILQ_INSERT_HEAD(&session->held, entry, held_entry);
		entry->list = &session->held;
	}
}

static const struct etcd_key *key_of(
    const struct etcd_entry *entry, const struct etcd_answer *answer)
{
	for (size_t i = 0; i < answer->further.count; i++)
		if (strcmp(answer->further.keys[i].key, entry->key) == 0)
			return &answer->further.keys[i];
	return NULL;
}

/* The place was written meanwhile, or has gone. */
static void judge(struct etcd_entry *entry, const struct etcd_answer *answer)
{
	const struct etcd_key *key = key_of(entry, answer);

	if (!key || key->create_revision != entry->created)
		entry->taken = MPSYNC_REASON_DELETED;
	else if (key->lease != entry->session->lease)
		entry->taken = MPSYNC_REASON_OTHER_ELECTOR;
	else
		entry->shown = key->mod_revision;
}

/* By an elector that means to adopt it, or by hand. A write that got no answer is taken for one. */
static bool is_written_by_another(const struct etcd_entry *entry)
{
	return entry->shown > entry->written;
}

static void on_written_again(struct etcd_call *call, const struct etcd_answer *got)
{
	struct etcd_entry *entry = call->context;

	if (!etcd_entry_is_good(entry, got))
		return;
	if (got->succeeded) {
		entry->written = got->revision;
		etcd_entry_answer_seen(entry, entry->held ? CLAIM_RENEWED : CLAIM_GRANTED);
	} else {
		etcd_entry_fail(entry, &(struct etcd_answer){.result = ETCD_UNKNOWN,
		                           .status = MPSYNC_E_UNREACHABLE,
		                           .message = "another elector writes its key in etcd"});
	}
}

void etcd_hold_on(struct etcd_entry *entry, int64_t written)
{
	etcd_entry_ask(
	    entry, &(struct etcd_call){
	               .compares = {{.key = entry->key, .revision = written, .kind = ETCD_WRITTEN_AT}},
	               .compare_count = 1,
	               .then = {{.kind = ETCD_TOUCH, .key = entry->key}},
	               .then_count = 1,
	               .done = on_written_again});
}

static void tell(struct etcd_entry *entry)
{
	if (!entry->held)
		return;
	if (entry->taken != MPSYNC_REASON_NONE)
		etcd_entry_answer_gone(entry, entry->taken, false);
	else if (entry->phase == ETCD_RENEWING && is_written_by_another(entry))
		etcd_hold_on(entry, entry->shown);
	else if (entry->phase == ETCD_RENEWING)
		etcd_entry_answer_right(entry, CLAIM_RENEWED);
}

void etcd_held_answered(struct etcd_session *session, const struct etcd_answer *answer)
{
	struct etcd_entry *entry;

	while ((entry = TAILQ_FIRST(&session->asked))) {
		move(entry, &session->held);
		entry->shown = entry->written;
		if (!answer->succeeded)
			judge(entry, answer);
		if (entry->taken == MPSYNC_REASON_NONE && !is_written_by_another(entry))
			entry->seen_ms = session->compared_ms;
		if (entry->taken != MPSYNC_REASON_NONE || entry->phase == ETCD_RENEWING)
			etcd_session_tell_later(session, entry);
	}
	while ((entry = etcd_session_next_told(session)))
		tell(entry);
}
