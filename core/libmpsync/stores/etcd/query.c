/* Looking into etcd, and taking a name by force: what concerns no claim. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define QUERY_TIMEOUT_MS 10000
#define WATCH_RETRY_MS   1000

/* A place in a queue, as its facts say; or of another client, which has none. */
struct place {
	char *name;
	char *key; /* of the facts; NULL: another client's */
	char *facts;
};

/* A query under way. */
struct etcd_look {
	struct etcd_look *next;
	struct etcd *etcd;
	struct store_query *query;
	struct etcd_call call;
	char *queue; /* GET, FORCE */
	char *facts_key;
	char *key;
	int64_t created; /* of the key */
	uint32_t waiters;
	struct place *places; /* LIST: sorted by name */
	size_t place_count;
	size_t told; /* so many of them have been */
	size_t found;
};

struct etcd_observing {
	struct etcd_watch watch;
	struct etcd_observing *next;
	struct etcd *etcd;
	struct store_observer *observer;
	char *path;
	uint64_t retry_ms; /* CLAIM_NEVER: it watches */
};

static void drop(struct etcd_look *look)
{
	struct etcd_look **link = &look->etcd->looks;

	while (*link != look)
		link = &(*link)->next;
	*link = look->next;
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

static void end(struct etcd_look *look, enum mpsync_status status, const char *message)
{
	struct store_query *query = look->query;

	drop(look);
	query->done(query, status, message);
}

static bool is_good(struct etcd_look *look, const struct etcd_answer *answer)
{
	if (answer->result == ETCD_OK)
		return true;
	if (answer->result == ETCD_UNKNOWN)
		etcd_next_member(look->etcd->rpc);
	end(look, answer->status, answer->message);
	return false;
}

static void ask(struct etcd_look *look, const struct etcd_call *call)
{
	look->call = *call;
	look->call.kind = ETCD_TXN;
	look->call.timeout_ms = QUERY_TIMEOUT_MS;
	look->call.context = look;
	etcd_send(look->etcd->rpc, &look->call);
}

static const struct etcd_key *only(const struct etcd_found *found)
{
	return found->count > 0 ? &found->keys[0] : NULL;
}

static void tell(struct etcd_look *look, const char *name, const struct etcd_key *oldest,
    const char *facts_text, uint32_t waiters)
{
	struct etcd_facts facts = {0};
	const bool known = facts_text && etcd_facts_read(&facts, facts_text);
	const char *foreign = *oldest->value ? oldest->value : "another client of etcd";
	const struct store_lock lock = {
	    .name = name,
	    .holder = known ? facts.holder : foreign,
	    .value = known            ? facts.value
	             : *oldest->value ? oldest->value
	                              : NULL,
	    .token = (uint64_t)oldest->create_revision,
	    .version = (uint64_t)oldest->create_revision,
	    .ttl_ms = facts.ttl_ms,
	    .since_ms = facts.since_ms,
	    .waiters = waiters,
	    .election = facts.election,
	};

	look->query->found(look->query, &lock);
	etcd_facts_clear(&facts);
}

/* ---- One name ---- */

static void on_owner_facts(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;
	const struct etcd_key *oldest = only(&answer->found[0]);
	const struct etcd_key *facts = only(&answer->found[1]);

	if (!is_good(look, answer))
		return;
	if (oldest)
		tell(look, look->query->name, oldest,
		    facts && oldest->create_revision == look->created ? facts->value : NULL, look->waiters);
	end(look, oldest ? MPSYNC_OK : MPSYNC_E_NOT_HELD, oldest ? NULL : "nobody holds it");
}

static bool remember(struct etcd_look *look, const struct etcd_key *oldest)
{
	look->created = oldest->create_revision;
	look->key = strdup(oldest->key);
	look->facts_key = etcd_place_facts_key(
	    look->etcd->prefix, look->query->name, oldest->key, oldest->lease, oldest->create_revision);
	if (look->key && look->facts_key)
		return true;
	end(look, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

static void on_queue(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;
	const struct etcd_key *oldest = only(&answer->found[0]);

	if (!is_good(look, answer))
		return;
	if (!oldest) {
		end(look, MPSYNC_E_NOT_HELD, "nobody holds it");
		return;
	}
	look->waiters = (uint32_t)answer->found[0].count - 1;
	if (remember(look, oldest))
		ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = look->key},
		                                  {.kind = ETCD_GET, .key = look->facts_key}},
		              .then_count = 2,
		              .done = on_owner_facts});
}

/* ---- By force ---- */

static void on_forced(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;

	if (!is_good(look, answer))
		return;
	end(look, answer->succeeded ? MPSYNC_OK : MPSYNC_E_NOT_HELD,
	    answer->succeeded ? NULL : "its holder has changed meanwhile; look again");
}

static void delete_now(struct etcd_look *look)
{
	ask(look, &(struct etcd_call){.compares = {{.key = look->key, .revision = look->created}},
	              .compare_count = 1,
	              .then = {{.kind = ETCD_DELETE, .key = look->key},
	                  {.kind = ETCD_DELETE, .key = look->facts_key}},
	              .then_count = 2,
	              .done = on_forced});
}

/* The holder's own client sees it, stops believing, and leaves the queue when nobody believes. */
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
		ask(look, &(struct etcd_call){.compares = {{.key = look->facts_key,
		                                  .revision = facts_key->create_revision}},
		              .compare_count = 1,
		              .then = {{.kind = ETCD_PUT,
		                  .key = look->facts_key,
		                  .value = text,
		                  .lease = facts_key->lease}},
		              .then_count = 1,
		              .done = on_forced});
	else
		end(look, MPSYNC_E_CORRUPT, "its facts are not what this library writes");
	free(text);
}

static void on_force_facts(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;

	if (!is_good(look, answer))
		return;
	if (look->query->now)
		delete_now(look);
	else if (only(&answer->found[0]))
		revoke(look, only(&answer->found[0]));
	else
		end(look, MPSYNC_E_UNSUPPORTED,
		    "a client of etcd's own recipe has it, which cannot be told; only --now deletes its "
		    "key");
}

static void on_force_oldest(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;
	const struct etcd_key *oldest = only(&answer->found[0]);

	if (!is_good(look, answer))
		return;
	if (!oldest)
		end(look, MPSYNC_E_NOT_HELD, "nobody holds it");
	else if (remember(look, oldest))
		ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET, .key = look->facts_key}},
		              .then_count = 1,
		              .done = on_force_facts});
}

/* ---- Lists: the places of all sessions, and who is first for each name ---- */

static void ask_next(struct etcd_look *look);

static bool is_wanted(const struct etcd_look *look, const char *name)
{
	const struct store_query *query = look->query;

	return strncmp(name, query->prefix, strlen(query->prefix)) == 0 &&
	       (!query->after || strcmp(name, query->after) > 0);
}

static bool add(struct etcd_look *look, char *name, const struct etcd_key *facts_key)
{
	struct place *place = &look->places[look->place_count];

	if (!name || !is_wanted(look, name)) {
		free(name);
		return true;
	}
	place->name = name;
	look->place_count++;
	if (!facts_key)
		return true;
	place->key = strdup(facts_key->key);
	place->facts = strdup(facts_key->value);
	return place->key && place->facts;
}

static int compare_leases(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a;
	const int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Those in the queues that are on no lease of ours. */
static bool add_others(
    struct etcd_look *look, const struct etcd_found *ours, const struct etcd_found *queued)
{
	int64_t *leases = calloc(ours->count + 1, sizeof *leases);
	bool good = leases;

	for (size_t i = 0; good && i < ours->count; i++)
		leases[i] = ours->keys[i].lease;
	if (good)
		qsort(leases, ours->count, sizeof *leases, compare_leases);
	for (size_t i = 0; good && i < queued->count; i++) {
		const struct etcd_key *key = &queued->keys[i];

		if (!bsearch(&key->lease, leases, ours->count, sizeof *leases, compare_leases))
			good = add(look, etcd_queue_name(look->etcd->prefix, key->key, key->lease), NULL);
	}
	free(leases);
	return good;
}

static int compare_places(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->name, ((const struct place *)b)->name);
}

static void on_places(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;
	const struct etcd_found *ours = &answer->found[0];
	const struct etcd_found *queued = &answer->found[1];
	bool good;

	if (!is_good(look, answer))
		return;
	look->places = calloc(ours->count + queued->count + 1, sizeof *look->places);
	good = look->places;
	for (size_t i = 0; good && i < ours->count; i++)
		good = add(look, etcd_facts_name(look->etcd->prefix, ours->keys[i].key), &ours->keys[i]);
	if (!good || !add_others(look, ours, queued)) {
		end(look, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	qsort(look->places, look->place_count, sizeof *look->places, compare_places);
	ask_next(look);
}

/* The next name behind place i. */
static size_t next_name(const struct etcd_look *look, size_t i)
{
	const char *name = look->places[i].name;

	while (i < look->place_count && strcmp(look->places[i].name, name) == 0)
		i++;
	return i;
}

static void tell_first(
    struct etcd_look *look, size_t from, size_t to, const struct etcd_key *oldest)
{
	const char *name = look->places[from].name;
	char *key = etcd_place_facts_key(
	    look->etcd->prefix, name, oldest->key, oldest->lease, oldest->create_revision);
	const char *facts = NULL;

	for (size_t i = from; key && i < to; i++)
		if (look->places[i].key && strcmp(look->places[i].key, key) == 0)
			facts = look->places[i].facts;
	free(key);
	look->found++;
	tell(look, name, oldest, facts, (uint32_t)(to - from) - 1);
}

static void on_firsts(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;

	if (!is_good(look, answer))
		return;
	for (size_t i = 0; i < call->then_count; i++) {
		const size_t end_of_name = next_name(look, look->told);
		const struct etcd_key *oldest = only(&answer->found[i]);

		if (oldest && look->found < look->query->limit)
			tell_first(look, look->told, end_of_name, oldest);
		look->told = end_of_name;
	}
	ask_next(look);
}

static void ask_next(struct etcd_look *look)
{
	struct etcd_call call = {.done = on_firsts};
	char *queues[ETCD_MOST_OPS];
	size_t i = look->told;

	if (i == look->place_count || look->found >= look->query->limit) {
		end(look, MPSYNC_OK, NULL);
		return;
	}
	while (i < look->place_count && call.then_count < ETCD_MOST_OPS) {
		queues[call.then_count] = etcd_queue_path(look->etcd->prefix, look->places[i].name);
		if (!queues[call.then_count])
			break;
		call.then[call.then_count] =
		    (struct etcd_op){.kind = ETCD_GET_OLDEST, .key = queues[call.then_count]};
		call.then_count++;
		i = next_name(look, i);
	}
	if (call.then_count > 0)
		ask(look, &call);
	for (size_t q = 0; q < call.then_count; q++)
		free(queues[q]);
	if (call.then_count == 0)
		end(look, MPSYNC_E_NO_MEMORY, "out of memory");
}

static void ask_places(struct etcd_look *look, const char *sessions)
{
	char *queues = etcd_queue_paths(look->etcd->prefix, look->query->prefix);

	if (queues)
		ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET_ALL, .key = sessions},
		                                  {.kind = ETCD_GET_KEYS, .key = queues}},
		              .then_count = 2,
		              .done = on_places});
	else
		end(look, MPSYNC_E_NO_MEMORY, "out of memory");
	free(queues);
}

static void on_checked(struct etcd_call *call, const struct etcd_answer *answer)
{
	if (is_good(call->context, answer))
		end(call->context, MPSYNC_OK, NULL);
}

/* ---- The store contract ---- */

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
	look->next = etcd->looks;
	etcd->looks = look;
	switch (query->kind) {
	case STORE_CHECK:
		ask(look,
		    &(struct etcd_call){
		        .then = {{.kind = ETCD_GET, .key = path}}, .then_count = 1, .done = on_checked});
		return;
	case STORE_LIST:
		ask_places(look, path);
		return;
	case STORE_GET:
		ask(look,
		    &(struct etcd_call){
		        .then = {{.kind = ETCD_GET_ALL, .key = path}}, .then_count = 1, .done = on_queue});
		return;
	case STORE_FORCE:
		ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET_OLDEST, .key = path}},
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
		drop(look);
}

/* ---- Observers ---- */

static void changed(struct etcd_watch *watch)
{
	struct etcd_observing *observing = (struct etcd_observing *)watch;

	observers_changed(&observing->etcd->observers, observing->observer->name);
}

static void on_put(struct etcd_watch *watch, const struct etcd_key *key)
{
	(void)key;
	changed(watch);
}

static void on_gone(struct etcd_watch *watch, const char *key, int64_t revision)
{
	(void)key, (void)revision;
	changed(watch);
}

static void on_ended(struct etcd_watch *watch)
{
	struct etcd_observing *observing = (struct etcd_observing *)watch;

	observing->retry_ms = etcd_now(observing->etcd) + WATCH_RETRY_MS;
	etcd_arm(observing->etcd);
}

static void start_watching(struct etcd_observing *observing)
{
	observing->retry_ms = CLAIM_NEVER;
	observing->watch = (struct etcd_watch){.key = observing->path,
	    .all = true,
	    .began = changed,
	    .put = on_put,
	    .gone = on_gone,
	    .ended = on_ended};
	etcd_watch(observing->etcd->rpc, &observing->watch);
}

void etcd_observe(struct store *store, struct store_observer *observer)
{
	struct etcd *etcd = (struct etcd *)store;
	struct etcd_observing *observing = calloc(1, sizeof *observing);
	char *path = observer->name ? etcd_queue_path(etcd->prefix, observer->name)
	                            : etcd_sessions_path(etcd->prefix);

	if (!observing || !path) {
		free(observing);
		free(path);
		observer->failed(observer, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	observing->etcd = etcd;
	observing->observer = observer;
	observing->path = path;
	observing->next = etcd->observing;
	etcd->observing = observing;
	start_watching(observing);
	observers_add(&etcd->observers, observer);
}

void etcd_observe_stop(struct store *store, struct store_observer *observer)
{
	struct etcd *etcd = (struct etcd *)store;
	struct etcd_observing **link = &etcd->observing;
	struct etcd_observing *observing;

	observers_remove(&etcd->observers, observer);
	while (*link && (*link)->observer != observer)
		link = &(*link)->next;
	observing = *link;
	if (!observing)
		return;
	*link = observing->next;
	etcd_unwatch(&observing->watch);
	free(observing->path);
	free(observing);
}

void etcd_queries_run(struct etcd *etcd, uint64_t now_ms)
{
	for (struct etcd_observing *observing = etcd->observing; observing; observing = observing->next)
		if (observing->retry_ms <= now_ms)
			start_watching(observing);
}

uint64_t etcd_queries_due_ms(const struct etcd *etcd)
{
	uint64_t due_ms = CLAIM_NEVER;

	for (const struct etcd_observing *observing = etcd->observing; observing;
	     observing = observing->next)
		if (observing->retry_ms < due_ms)
			due_ms = observing->retry_ms;
	return due_ms;
}

void etcd_queries_close(struct etcd *etcd)
{
	while (etcd->observing)
		etcd_observe_stop(&etcd->store, etcd->observing->observer);
	while (etcd->looks)
		drop(etcd->looks);
}
