/* Lists: the places on all sessions, and who holds each name. */
#include "look.h"

#include <stdlib.h>
#include <string.h>

static void ask_next(struct etcd_look *look);

static bool add(struct etcd_look *look, char *name, const struct etcd_key *facts_key)
{
	struct place *place = &look->places[look->place_count];

	if (!name || !store_query_lists(look->query, name)) {
		free(name);
		return true;
	}
	place->name = name;
	look->place_count++;
	if (!facts_key)
		return true;
	place->key = strdup(facts_key->key);
	place->facts = strdup(facts_key->value);
	place->written = facts_key->mod_revision;
	return place->key && place->facts;
}

static int compare_leases(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a;
	const int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Add the places in the queues that stand on no lease of this library. */
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

	if (!look_is_good(look, answer))
		return;
	look->places = calloc(ours->count + queued->count + 1, sizeof *look->places);
	good = look->places;
	for (size_t i = 0; good && i < ours->count; i++)
		good = add(look, etcd_facts_name(look->etcd->prefix, ours->keys[i].key), &ours->keys[i]);
	if (!good || !add_others(look, ours, queued)) {
		look_end(look, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	qsort(look->places, look->place_count, sizeof *look->places, compare_places);
	ask_next(look);
}

/* The first place of the next name, after place i. */
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

	for (size_t i = from; key && i < to; i++) {
		const struct place *place = &look->places[i];

		/* A place that came since the facts were read may have the key of one that left. */
		if (place->key && strcmp(place->key, key) == 0 && place->written >= oldest->create_revision)
			facts = place->facts;
	}
	free(key);
	look->found++;
	look_tell(look, name, oldest, facts, (uint32_t)(to - from) - 1);
}

static void on_firsts(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd_look *look = call->context;

	if (!look_is_good(look, answer))
		return;
	for (size_t i = 0; i < call->then_count; i++) {
		const size_t end_of_name = next_name(look, look->told);
		const struct etcd_key *oldest = etcd_only(&answer->found[i]);

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
	size_t asked;

	if (i == look->place_count || look->found >= look->query->limit) {
		look_end(look, MPSYNC_OK, NULL);
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
	asked = call.then_count;
	if (asked > 0)
		look_ask(look, &call);
	for (size_t q = 0; q < asked; q++)
		free(queues[q]);
	if (asked == 0)
		look_end(look, MPSYNC_E_NO_MEMORY, "out of memory");
}

void look_list(struct etcd_look *look, const char *sessions)
{
	char *queues = etcd_queue_paths(look->etcd->prefix, look->query->prefix);

	if (queues)
		look_ask(look, &(struct etcd_call){.then = {{.kind = ETCD_GET_ALL, .key = sessions},
		                                       {.kind = ETCD_GET_KEYS, .key = queues}},
		                   .then_count = 2,
		                   .done = on_places});
	else
		look_end(look, MPSYNC_E_NO_MEMORY, "out of memory");
	free(queues);
}
