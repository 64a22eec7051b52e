#include "look.h"

#include "base/list.h"

#include <stdlib.h>

#define QUERY_TIMEOUT_MS 10000

void look_drop(struct etcd_look *look)
{
	SINGLY_REMOVE(look->etcd->looks, look);
	etcd_cancel(&look->call);
	for (size_t i = 0; i < look->place_count; i++) {
		free(look->places[i].name);
		free(look->places[i].key);
		free(look->places[i].facts);
	}
	free(look->places);
	free(look->queue);
	free(look->facts_key);
	free(look->key);
	free(look);
}

void look_end(struct etcd_look *look, enum mpsync_status status, const char *message)
{
	struct store_query *query = look->query;

	look_drop(look);
	query->done(query, status, message);
}

bool look_is_good(struct etcd_look *look, const struct etcd_answer *answer)
{
	if (answer->result == ETCD_OK)
		return true;
	if (answer->result == ETCD_UNKNOWN)
		etcd_next_member(look->etcd->rpc);
	look_end(look, answer->status, answer->message);
	return false;
}

void look_ask(struct etcd_look *look, const struct etcd_call *call)
{
	look->call = *call;
	look->call.kind = ETCD_TXN;
	look->call.timeout_ms = QUERY_TIMEOUT_MS;
	look->call.context = look;
	etcd_send(look->etcd->rpc, &look->call);
}

void look_tell(struct etcd_look *look, const char *name, const struct etcd_key *oldest,
    const char *facts_text, uint32_t waiters)
{
	struct etcd_facts facts = {0};
	const bool known = facts_text && etcd_facts_read(&facts, facts_text);
	const char *foreign = *oldest->value ? oldest->value : "another client of etcd";
	const char *value = known ? facts.value : *oldest->value ? oldest->value : NULL;
	/* What is known by now is another version of what was not known before. */
	const uint64_t version = observed_version((uint64_t)oldest->create_revision, value);
	const struct store_lock lock = {
	    .name = name,
	    .holder = known ? facts.holder : foreign,
	    .value = value,
	    .token = (uint64_t)oldest->create_revision,
	    .version = known ? version : ~version,
	    .ttl_ms = facts.ttl_ms,
	    .since_ms = facts.since_ms,
	    .waiters = waiters,
	    .election = facts.election,
	};

	look->query->found(look->query, &lock);
	etcd_facts_clear(&facts);
}
