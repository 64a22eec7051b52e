/* Queries of etcd that concern no claim, and releasing a name by force. */
#include "look.h"

#include "base/list.h"

#include <stdlib.h>
#include <string.h>

/* ---- One name ---- */

static void ask_queue(struct etcd_look *look);

static void on_owner_facts(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;
	const struct etcd_key *oldest = etcd_only(&answer->found[0]);
	const struct etcd_key *facts = etcd_only(&answer->found[1]);

	if (!look_is_good(look, answer))
		return;
	if (!oldest || oldest->create_revision != look->created) {
		/* Meanwhile it has left, and perhaps queued again: another may hold by now. */
		ask_queue(look);
		return;
	}
	look_tell(look, look->query->name, oldest, facts ? facts->value : NULL, look->waiters);
	look_end(look, MPSYNC_OK, NULL);
}

static bool remember(struct etcd_look *look, const struct etcd_key *oldest)
{
	free(look->key);
	free(look->facts_key);
	look->created = oldest->create_revision;
	look->key = strdup(oldest->key);
	look->facts_key = etcd_place_facts_key(
	    look->etcd->prefix, look->query->name, oldest->key, oldest->lease, oldest->create_revision);
	if (look->key && look->facts_key)
		return true;
	look_end(look, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

static void on_queue(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;
	const struct etcd_key *oldest = etcd_only(&answer->found[0]);

	if (!look_is_good(look, answer))
		return;
	if (!oldest) {
		look_end(look, MPSYNC_E_NOT_HELD, "nobody holds it");
		return;
	}
	look->waiters = (uint32_t)answer->found[0].count - 1;
	if (remember(look, oldest))
		look_ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = look->key},
		                                       {.kind = ETCD_GET, .key = look->facts_key}},
		                   .then_count = 2,
		                   .done = on_owner_facts});
}

static void ask_queue(struct etcd_look *look)
{
	look_ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET_ALL, .key = look->queue}},
	                   .then_count = 1,
	                   .done = on_queue});
}

/* ---- By force ---- */

static void on_forced(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;

	if (!look_is_good(look, answer))
		return;
	look_end(look, answer->succeeded ? MPSYNC_OK : MPSYNC_E_NOT_HELD,
	    answer->succeeded ? NULL : "its holder has changed meanwhile; look again");
}

static void delete_now(struct etcd_look *look)
{
	look_ask(look, &(struct etcd_call){.compares = {{.key = look->key, .revision = look->created}},
	                   .compare_count = 1,
	                   .then = {{.kind = ETCD_DELETE, .key = look->key},
	                       {.kind = ETCD_DELETE, .key = look->facts_key}},
	                   .then_count = 2,
	                   .done = on_forced});
}

/*
 * The holder's client sees this mark, stops believing, and leaves the queue when nobody can believe
 * any more.
 */
static void revoke(struct etcd_look *look, const struct etcd_key *facts_key)
{
	struct etcd_facts facts;
	char *text = NULL;

	if (etcd_facts_read(&facts, facts_key->value)) {
		facts.revoked = true;
		text = etcd_facts_write(&facts);
		etcd_facts_clear(&facts);
	}
	if (text)
		look_ask(look, &(struct etcd_call){.compares = {{.key = look->facts_key,
		                                       .revision = facts_key->create_revision}},
		                   .compare_count = 1,
		                   .then = {{.kind = ETCD_PUT,
		                       .key = look->facts_key,
		                       .value = text,
		                       .lease = facts_key->lease}},
		                   .then_count = 1,
		                   .done = on_forced});
	else
		look_end(look, MPSYNC_E_CORRUPT,
		    "the holder's facts in etcd were not written by this library, or are damaged");
	free(text);
}

static void on_force_facts(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;

	if (!look_is_good(look, answer))
		return;
	if (look->query->now)
		delete_now(look);
	else if (etcd_only(&answer->found[0]))
		revoke(look, etcd_only(&answer->found[0]));
	else
		look_end(look, MPSYNC_E_UNSUPPORTED,
		    "a client of etcd's own recipe has it, and cannot be told to release it; only --now "
		    "deletes its "
		    "key");
}

static void on_force_oldest(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;
	const struct etcd_key *oldest = etcd_only(&answer->found[0]);

	if (!look_is_good(look, answer))
		return;
	if (!oldest)
		look_end(look, MPSYNC_E_NOT_HELD, "nobody holds it");
	else if (remember(look, oldest))
		look_ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = look->facts_key}},
		                   .then_count = 1,
		                   .done = on_force_facts});
}

/* ---- The store contract ---- */

static void on_checked(struct etcd_call *call, const struct etcd_answer *answer)
{
	if (look_is_good(call->context, answer))
		look_end(call->context, MPSYNC_OK, NULL);
}

void etcd_query(void *context, struct store_query *query)
{
	struct etcd *etcd = context;
	struct etcd_look *look = calloc(1, sizeof *look);
	const bool list = query->kind == STORE_LIST || query->kind == STORE_CHECK;
	char *path =
	    list ? etcd_sessions_path(etcd->prefix) : etcd_queue_path(etcd->prefix, query->name);

	if (!look || !path) {
		free(look);
		free(path);
		query->done(query, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	look->etcd = etcd;
	look->query = query;
	look->queue = path;
	SINGLY_ADD(etcd->looks, look);
	switch (query->kind) {
	case STORE_CHECK:
		look_ask(look,
		    &(struct etcd_call){
		        .then = {{.kind = ETCD_GET, .key = path}}, .then_count = 1, .done = on_checked});
		return;
	case STORE_LIST:
		look_list(look, path);
		return;
	case STORE_GET:
		ask_queue(look);
		return;
	case STORE_FORCE:
		look_ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET_OLDEST, .key = path}},
		                   .then_count = 1,
		                   .done = on_force_oldest});
		return;
	}
}

void etcd_query_cancel(void *context, struct store_query *query)
{
	struct etcd_look *look = ((struct etcd *)context)->looks;

	while (look && look->query != query)
		look = look->next;
	if (look)
		look_drop(look);
}

void etcd_queries_close(struct etcd *etcd)
{
	while (etcd->looks)
		look_drop(etcd->looks);
}
