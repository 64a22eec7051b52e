/*
 * An etcd of the simulation: stores/etcd/rpc.h over the agenda. One linearizable history of
 * revisions, leases that end by the leader's clock, leaders that change, and one that was deposed
 * and answers keep-alives from memory until it notices (rule 35).
 */
#include "sim_etcd.h"

#include "stores/etcd/names.h"
#include "stores/etcd/rpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A change, kept for watches that begin in the past. */
struct change {
	char *key;
	char *value; /* NULL: deleted */
	int64_t created;
	int64_t lease;
	int64_t revision;
};

struct watching {
	struct watching *next;
	struct etcd_rpc *rpc;
	struct etcd_watch *watch; /* NULL: nobody listens any more */
	char *key;
	bool all;
	uint64_t delivered_us; /* the last event: they keep their order */
};

struct flight {
	struct flight *next;
	struct etcd_rpc *rpc;
	struct etcd_call *call;
	uint64_t number;
};

struct etcd_rpc {
	struct sim_node *node;
	struct flight *flights;
};

static char *copy_text(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort();
	return copy;
}

static void *zeroed(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		abort();
	return memory;
}

struct sim_etcd *sim_etcd_new(struct sim *sim)
{
	struct sim_etcd *etcd = zeroed(sizeof *etcd);

	etcd->revision = 1000;
	etcd->term = 2;
	etcd->rate_ppm = 1000000 + sim_random(sim, sim->options.rate_ratio_ppm - 1000000 + 1);
	for (int name = 0; name < SIM_NAMES; name++)
		etcd->queues[name] = etcd_queue_path("", sim_name(name));
	return etcd;
}

static void free_key(struct stored_key *key)
{
	free(key->key);
	free(key->value);
	free(key);
}

static void free_watches(struct watching *watching)
{
	while (watching) {
		struct watching *next = watching->next;

		free(watching->key);
		free(watching);
		watching = next;
	}
}

void sim_etcd_free(struct sim_etcd *etcd)
{
	while (etcd->keys) {
		struct stored_key *key = etcd->keys;

		etcd->keys = key->next;
		free_key(key);
	}
	while (etcd->leases) {
		struct lease *lease = etcd->leases;

		etcd->leases = lease->next;
		free(lease);
	}
	free_watches(etcd->watches);
	free_watches(etcd->ended);
	for (int name = 0; name < SIM_NAMES; name++)
		free(etcd->queues[name]);
	for (size_t i = 0; i < etcd->change_count; i++) {
		free(etcd->changes[i].key);
		free(etcd->changes[i].value);
	}
	free(etcd->changes);
	free(etcd);
}

/* ---- Watches ---- */

enum piece_kind { BEGAN, CHANGED, ENDED };

struct piece {
	struct watching *watching;
	enum piece_kind kind;
	struct change change;
};

static void free_piece(struct sim *sim, void *argument)
{
	struct piece *piece = argument;

	(void)sim;
	free(piece->change.key);
	free(piece->change.value);
	free(piece);
}

static void stop(struct watching *watching)
{
	struct sim_etcd *etcd = watching->rpc->node->sim->etcd;
	struct watching **link = &etcd->watches;

	while (*link != watching)
		link = &(*link)->next;
	*link = watching->next;
	watching->next = etcd->ended;
	etcd->ended = watching;
	watching->watch->flight = NULL;
	watching->watch = NULL;
}

static void tell(struct piece *piece)
{
	struct etcd_watch *watch = piece->watching->watch;
	const struct change *change = &piece->change;

	if (piece->kind != BEGAN)
		sim_allow_messages(piece->watching->rpc->node);
	if (piece->kind == BEGAN) {
		if (watch->began)
			watch->began(watch);
	} else if (piece->kind == ENDED) {
		stop(piece->watching);
		watch->ended(watch);
	} else if (change->value) {
		watch->put(watch, &(struct etcd_key){.key = change->key,
		                      .value = change->value,
		                      .create_revision = change->created,
		                      .lease = change->lease});
	} else {
		watch->gone(watch, change->key, change->revision);
	}
}

static void on_piece(struct sim *sim, void *argument)
{
	struct piece *piece = argument;

	if (piece->watching->watch)
		tell(piece);
	free_piece(sim, piece);
}

static void deliver(
    struct sim *sim, struct watching *watching, enum piece_kind kind, const struct change *change)
{
	struct piece *piece = zeroed(sizeof *piece);
	const uint64_t at_us = sim->now_us + sim_latency_us(sim);

	piece->watching = watching;
	piece->kind = kind;
	if (change) {
		piece->change = *change;
		piece->change.key = copy_text(change->key);
		piece->change.value = copy_text(change->value);
	}
	if (at_us > watching->delivered_us)
		watching->delivered_us = at_us;
	sim_at(sim, watching->delivered_us, watching->rpc->node, on_piece, piece, free_piece);
}

static bool is_watched(const struct watching *watching, const char *key)
{
	return watching->all ? strncmp(key, watching->key, strlen(watching->key)) == 0
	                     : strcmp(key, watching->key) == 0;
}

static void record_change(
    struct sim *sim, const char *key, const char *value, int64_t created, int64_t lease)
{
	struct sim_etcd *etcd = sim->etcd;
	struct change change = {.key = copy_text(key),
	    .value = copy_text(value),
	    .created = created,
	    .lease = lease,
	    .revision = etcd->revision};

	if (etcd->change_count == etcd->change_size) {
		etcd->change_size = etcd->change_size * 2 + 64;
		etcd->changes = realloc(etcd->changes, etcd->change_size * sizeof *etcd->changes);
		if (!etcd->changes)
			abort();
	}
	etcd->changes[etcd->change_count++] = change;
	sim_observers_written(sim, key);
	for (struct watching *watching = etcd->watches; watching; watching = watching->next)
		if (is_watched(watching, key))
			deliver(sim, watching, CHANGED, &change);
}

void etcd_watch(struct etcd_rpc *rpc, struct etcd_watch *watch)
{
	struct sim *sim = rpc->node->sim;
	struct sim_etcd *etcd = sim->etcd;
	struct watching *watching = zeroed(sizeof *watching);

	watching->rpc = rpc;
	watching->watch = watch;
	watching->key = copy_text(watch->key);
	watching->all = watch->all;
	watching->next = etcd->watches;
	etcd->watches = watching;
	watch->flight = watching;
	deliver(sim, watching, BEGAN, NULL);
	if (watch->revision && watch->revision < etcd->compacted) {
		deliver(sim, watching, ENDED, NULL);
		return;
	}
	for (size_t i = 0; watch->revision && i < etcd->change_count; i++)
		if (etcd->changes[i].revision > watch->revision &&
		    is_watched(watching, etcd->changes[i].key))
			deliver(sim, watching, CHANGED, &etcd->changes[i]);
}

void etcd_unwatch(struct etcd_watch *watch)
{
	if (watch->flight)
		stop(watch->flight);
}

void sim_etcd_end_watches(struct sim *sim, const struct etcd_rpc *rpc)
{
	for (struct watching *watching = sim->etcd->watches; watching; watching = watching->next)
		if (watching->rpc == rpc)
			deliver(sim, watching, ENDED, NULL);
}

void etcd_next_member(struct etcd_rpc *rpc)
{
	sim_etcd_end_watches(rpc->node->sim, rpc);
}

/* ---- Keys and leases ---- */

static struct stored_key **find(struct sim_etcd *etcd, const char *key)
{
	struct stored_key **link = &etcd->keys;

	while (*link && strcmp((*link)->key, key) != 0)
		link = &(*link)->next;
	return link;
}

struct lease *sim_etcd_lease(struct sim_etcd *etcd, int64_t id)
{
	struct lease *lease = etcd->leases;

	while (lease && lease->id != id)
		lease = lease->next;
	return lease;
}

struct stored_key *sim_etcd_find(const struct sim_etcd *etcd, const char *key)
{
	return *find((struct sim_etcd *)etcd, key);
}

int sim_etcd_queue(const struct sim_etcd *etcd, const char *key)
{
	int name = SIM_NAMES - 1;

	while (name >= 0 && strncmp(key, etcd->queues[name], strlen(etcd->queues[name])) != 0)
		name--;
	return name;
}

static int64_t oldest_of(const struct sim_etcd *etcd, int name)
{
	int64_t oldest = 0;

	for (const struct stored_key *key = etcd->keys; key; key = key->next)
		if (key->queue == name && (oldest == 0 || key->created < oldest))
			oldest = key->created;
	return oldest;
}

/* Whoever has become the first holds from now on, or will find that out. */
static void check_owner(struct sim *sim, const char *key)
{
	const int name = sim_etcd_queue(sim->etcd, key);
	int64_t oldest;

	if (name < 0)
		return;
	oldest = oldest_of(sim->etcd, name);
	if (oldest && oldest != sim->etcd->owner[name])
		sim_granting_write(sim, name);
	sim->etcd->owner[name] = oldest;
}

void sim_etcd_put(struct sim *sim, const char *name, const char *value, int64_t lease)
{
	struct sim_etcd *etcd = sim->etcd;
	struct stored_key **link = find(etcd, name);

	sim_value_written(sim, value);
	if (!*link) {
		*link = zeroed(sizeof **link);
		(*link)->key = copy_text(name);
		(*link)->created = etcd->revision;
		(*link)->queue = sim_etcd_queue(etcd, name);
	}
	free((*link)->value);
	(*link)->value = copy_text(value);
	(*link)->lease = lease;
	(*link)->modified = etcd->revision;
	sim_trace(sim, "etcd: %s is put, created at %" PRId64, name, (*link)->created);
	record_change(sim, name, value, (*link)->created, lease);
	check_owner(sim, name);
}

void sim_etcd_delete(struct sim *sim, const char *name)
{
	struct stored_key **link = find(sim->etcd, name);
	struct stored_key *key = *link;

	if (!key)
		return;
	*link = key->next;
	sim_trace(sim, "etcd: %s is deleted", key->key);
	record_change(sim, key->key, NULL, 0, 0);
	check_owner(sim, key->key);
	free_key(key);
}

static void revoke(struct sim *sim, int64_t id)
{
	struct stored_key *key = sim->etcd->keys;

	sim->etcd->revision++;
	while (key) {
		if (key->lease == id) {
			sim_etcd_delete(sim, key->key);
			key = sim->etcd->keys;
		} else {
			key = key->next;
		}
	}
}

static void on_lease_due(struct sim *sim, void *argument)
{
	struct sim_etcd *etcd = sim->etcd;
	struct lease **link = &etcd->leases;
	struct lease *lease = argument;

	if (lease->deadline_us > sim->now_us) {
		sim_at(sim, lease->deadline_us, NULL, on_lease_due, lease, NULL);
		return;
	}
	while (*link != lease)
		link = &(*link)->next;
	*link = lease->next;
	sim_trace(sim, "etcd: lease %" PRIx64 " ends", lease->id);
	revoke(sim, lease->id);
	free(lease);
}

void sim_etcd_refresh(struct sim *sim, struct lease *lease)
{
	lease->deadline_us =
	    sim->now_us + (uint64_t)lease->ttl_s * 1000000 * 1000000 / sim->etcd->rate_ppm;
}

struct lease *sim_etcd_grant(struct sim *sim, int64_t id, int64_t ttl_s, struct sim_node *node)
{
	struct lease *lease = zeroed(sizeof *lease);

	lease->id = id;
	lease->ttl_s = ttl_s;
	lease->node = node;
	lease->life = node ? node->life : 0;
	lease->next = sim->etcd->leases;
	sim->etcd->leases = lease;
	sim_etcd_refresh(sim, lease);
	sim_at(sim, lease->deadline_us, NULL, on_lease_due, lease, NULL);
	return lease;
}

/* ---- Requests ---- */

struct message {
	struct sim_node *node;
	unsigned life;
	uint64_t number;
	struct etcd_call call; /* its texts are the message's own */
	struct etcd_compare *further;
	/* The answer: */
	struct etcd_answer answer;
	struct etcd_key *keys[ETCD_MOST_OPS];
	struct etcd_key *further_keys;
};

static void copy_ops(struct etcd_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ops[i].key = copy_text(ops[i].key);
		ops[i].value = copy_text(ops[i].value);
	}
}

static void free_ops(const struct etcd_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)ops[i].key);
		free((char *)ops[i].value);
	}
}

static void free_message(struct sim *sim, void *argument)
{
	struct message *message = argument;

	(void)sim;
	for (size_t i = 0; i < message->call.compare_count; i++)
		free((char *)message->call.compares[i].key);
	for (size_t i = 0; i < message->call.further_count; i++)
		free((char *)message->further[i].key);
	free(message->further);
	free_ops(message->call.then, message->call.then_count);
	free_ops(message->call.otherwise, message->call.otherwise_count);
	for (size_t i = 0; i < ETCD_MOST_OPS; i++)
		for (size_t k = 0; k < message->answer.found[i].count; k++) {
			free((char *)message->keys[i][k].key);
			free((char *)message->keys[i][k].value);
		}
	for (size_t i = 0; i < ETCD_MOST_OPS; i++)
		free(message->keys[i]);
	for (size_t i = 0; i < message->answer.further.count; i++)
		free((char *)message->further_keys[i].key);
	free(message->further_keys);
	free(message);
}

static struct message *message_new(const struct flight *flight)
{
	struct message *message = zeroed(sizeof *message);

	message->node = flight->rpc->node;
	message->life = message->node->life;
	message->number = flight->number;
	message->call = *flight->call;
	for (size_t i = 0; i < message->call.compare_count; i++)
		message->call.compares[i].key = copy_text(message->call.compares[i].key);
	message->further = zeroed((message->call.further_count + 1) * sizeof *message->further);
	for (size_t i = 0; i < message->call.further_count; i++) {
		message->further[i] = flight->call->further[i];
		message->further[i].key = copy_text(message->further[i].key);
	}
	copy_ops(message->call.then, message->call.then_count);
	copy_ops(message->call.otherwise, message->call.otherwise_count);
	return message;
}

static bool is_true(struct sim_etcd *etcd, const struct etcd_compare *compare)
{
	for (const struct stored_key *key = etcd->keys; key; key = key->next) {
		const bool below = strncmp(key->key, compare->key, strlen(compare->key)) == 0;

		if (compare->kind == ETCD_CREATED_AT && strcmp(key->key, compare->key) == 0)
			return key->created == compare->revision;
		if (compare->kind == ETCD_THERE && strcmp(key->key, compare->key) == 0)
			return true;
		if (compare->kind == ETCD_WRITTEN_AT && strcmp(key->key, compare->key) == 0)
			return key->modified == compare->revision;
		if (compare->kind == ETCD_NONE_BELOW && below)
			return false;
		if (compare->kind == ETCD_NONE_BEFORE && below && key->created < compare->revision)
			return false;
	}
	if (compare->kind == ETCD_CREATED_AT || compare->kind == ETCD_WRITTEN_AT)
		return compare->revision == 0;
	return compare->kind != ETCD_THERE;
}

static int by_creation(const void *a, const void *b)
{
	const struct etcd_key *x = a;
	const struct etcd_key *y = b;

	return (x->create_revision > y->create_revision) - (x->create_revision < y->create_revision);
}

static bool is_asked(const struct etcd_op *op, const struct stored_key *key)
{
	if (op->kind == ETCD_GET)
		return strcmp(key->key, op->key) == 0;
	return strncmp(key->key, op->key, strlen(op->key)) == 0 &&
	       (op->kind != ETCD_GET_BEFORE || key->created < op->revision);
}

static void keep_only(struct etcd_found *found, struct etcd_key *keys, size_t kept)
{
	for (size_t i = 0; i < found->count; i++)
		if (i != kept) {
			free((char *)keys[i].key);
			free((char *)keys[i].value);
		}
	keys[0] = keys[kept];
	found->count = 1;
}

static struct etcd_key *get(struct sim *sim, const struct etcd_op *op, struct etcd_found *found)
{
	size_t count = 0;
	struct etcd_key *keys;

	for (const struct stored_key *key = sim->etcd->keys; key; key = key->next)
		count += is_asked(op, key);
	if (count == 0)
		return NULL;
	keys = zeroed(count * sizeof *keys);
	for (const struct stored_key *key = sim->etcd->keys; key; key = key->next)
		if (is_asked(op, key))
			keys[found->count++] = (struct etcd_key){copy_text(key->key), copy_text(key->value),
			    key->created, key->modified, key->lease};
	found->keys = keys;
	qsort(keys, found->count, sizeof *keys, by_creation);
	if (op->kind == ETCD_GET_OLDEST)
		keep_only(found, keys, 0);
	if (op->kind == ETCD_GET_BEFORE)
		keep_only(found, keys, found->count - 1);
	return keys;
}

static bool writes(const struct etcd_op *ops, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		any |= ops[i].kind >= ETCD_PUT;
	return any;
}

/* An elector takes over the first place, whose facts have the claim that it writes (rule 9). */
static bool adopts(struct sim *sim, const struct message *message, const struct stored_key *place)
{
	char *former_key =
	    etcd_place_facts_key("", sim_name(place->queue), place->key, place->lease, place->created);
	const struct stored_key *former = *find(sim->etcd, former_key);
	bool same = false;

	for (size_t i = 0; former && i < message->call.then_count; i++) {
		const struct etcd_op *op = &message->call.then[i];
		struct etcd_facts before;
		struct etcd_facts after;

		if (op->kind != ETCD_PUT || !etcd_facts_read(&after, op->value))
			continue;
		if (etcd_facts_read(&before, former->value)) {
			same = id_equal(&before.claim, &after.claim);
			etcd_facts_clear(&before);
		}
		etcd_facts_clear(&after);
	}
	free(former_key);
	return same && sim_has_electors(sim) && place->created == sim->etcd->owner[place->queue];
}

/* P6: a place in a queue is deleted, or put anew, by whose lease it stands on, but to adopt it. */
static void check_author(struct sim *sim, const struct message *message, const struct etcd_op *op)
{
	const struct stored_key *key = *find(sim->etcd, op->key);
	const struct lease *lease = key ? sim_etcd_lease(sim->etcd, key->lease) : NULL;

	if (!lease || key->queue < 0 ||
	    (lease->node == message->node && lease->life == message->life) ||
	    (op->kind == ETCD_PUT && adopts(sim, message, key)))
		return;
	sim_violate(
	    sim, "P6", "node %d changed %s, which is not its own", message->node->number, op->key);
}

static void check_freeing(struct sim *sim, const struct etcd_op *op)
{
	const struct stored_key *key = *find(sim->etcd, op->key);

	if (sim_has_electors(sim) && key && key->queue >= 0 &&
	    key->created == sim->etcd->owner[key->queue])
		sim_freeing_write(sim, key->queue);
}

static void read_further(struct sim *sim, struct message *message)
{
	struct etcd_found *found = &message->answer.further;

	message->further_keys = zeroed((message->call.further_count + 1) * sizeof *found->keys);
	found->keys = message->further_keys;
	for (size_t i = 0; i < message->call.further_count; i++) {
		const struct stored_key *key = *find(sim->etcd, message->further[i].key);

		if (key)
			message->further_keys[found->count++] =
			    (struct etcd_key){copy_text(key->key), "", key->created, key->modified, key->lease};
	}
}

/* As it is: whoever's it is, nothing is taken from them. */
static void touch(struct sim *sim, const char *name)
{
	const struct stored_key *key = *find(sim->etcd, name);
	char *value = copy_text(key->value);

	sim_etcd_put(sim, key->key, value, key->lease);
	free(value);
}

static void apply_txn(struct sim *sim, struct message *message)
{
	struct etcd_call *call = &message->call;
	bool holds = true;
	const struct etcd_op *ops;
	size_t count;

	for (size_t i = 0; i < call->compare_count; i++)
		holds &= is_true(sim->etcd, &call->compares[i]);
	for (size_t i = 0; i < call->further_count; i++)
		holds &= is_true(sim->etcd, &message->further[i]);
	ops = holds ? call->then : call->otherwise;
	count = holds ? call->then_count : call->otherwise_count;
	for (size_t i = 0; i < count; i++)
		if (ops[i].kind == ETCD_PUT && !sim_etcd_lease(sim->etcd, ops[i].lease)) {
			message->answer.result = ETCD_NO_LEASE;
			return;
		}
	if (writes(ops, count))
		sim->etcd->revision++;
	message->answer.succeeded = holds;
	if (!holds)
		read_further(sim, message);
	for (size_t i = 0; i < count; i++) {
		if (ops[i].kind == ETCD_PUT || ops[i].kind == ETCD_DELETE)
			check_author(sim, message, &ops[i]);
		if (ops[i].kind == ETCD_DELETE)
			check_freeing(sim, &ops[i]);
		if (ops[i].kind == ETCD_PUT)
			sim_etcd_put(sim, ops[i].key, ops[i].value, ops[i].lease);
		else if (ops[i].kind == ETCD_DELETE)
			sim_etcd_delete(sim, ops[i].key);
		else if (ops[i].kind == ETCD_TOUCH)
			touch(sim, ops[i].key);
		else
			message->keys[i] = get(sim, &ops[i], &message->answer.found[i]);
	}
}

static void apply(struct sim *sim, struct message *message)
{
	struct sim_etcd *etcd = sim->etcd;
	struct etcd_answer *answer = &message->answer;
	struct lease *lease = sim_etcd_lease(etcd, message->call.lease);
	const bool deposed = sim->now_us < etcd->stale_until_us && message->node->number % 2 == 0;

	answer->term = etcd->term;
	if (message->call.kind == ETCD_TXN) {
		apply_txn(sim, message);
	} else if (message->call.kind == ETCD_GRANT) {
		if (!lease)
			lease = sim_etcd_grant(sim, message->call.lease, message->call.ttl_s, message->node);
		answer->ttl_s = lease->ttl_s;
	} else if (!lease) {
		answer->result = ETCD_NO_LEASE;
	} else {
		/* The former leader answers from its memory: nobody else hears of it. */
		if (deposed)
			answer->term = etcd->term - 1;
		else
			sim_etcd_refresh(sim, lease);
		answer->ttl_s = lease->ttl_s;
	}
	answer->revision = etcd->revision;
}

static void drop_flight(struct flight *flight)
{
	struct flight **link = &flight->rpc->flights;

	while (*link != flight)
		link = &(*link)->next;
	*link = flight->next;
	flight->call->flight = NULL;
	free(flight);
}

static void finish(const struct message *message)
{
	struct flight *flight = message->node->etcd_rpc ? message->node->etcd_rpc->flights : NULL;
	struct etcd_call *call;

	while (flight && flight->number != message->number)
		flight = flight->next;
	if (!flight)
		return;
	call = flight->call;
	drop_flight(flight);
	call->done(call, &message->answer);
}

static void on_answer(struct sim *sim, void *argument)
{
	finish(argument);
	free_message(sim, argument);
}

static void on_timeout(struct sim *sim, void *argument)
{
	struct message *message = argument;

	message->answer.result = ETCD_UNKNOWN;
	message->answer.status = MPSYNC_E_UNREACHABLE;
	message->answer.message = "simulated";
	on_answer(sim, message);
}

static void on_request(struct sim *sim, void *argument)
{
	struct message *message = argument;

	if (sim->now_us < sim->outage_until_us) {
		free_message(sim, message);
		return;
	}
	apply(sim, message);
	if (sim_fault(sim, FAULT_LOSE, 8) || message->node->life != message->life) {
		sim_trace(sim, "an answer to node %d is lost", message->node->number);
		free_message(sim, message);
		return;
	}
	sim_at(sim, sim->now_us + sim_latency_us(sim), message->node, on_answer, message, free_message);
}

static void check_release(struct sim_node *node, const struct etcd_call *call)
{
	for (size_t i = 0; i < call->then_count; i++)
		if (call->then[i].kind == ETCD_DELETE)
			sim_gives_away(node, sim_etcd_queue(node->sim->etcd, call->then[i].key));
}

void etcd_send(struct etcd_rpc *rpc, struct etcd_call *call)
{
	struct sim_node *node = rpc->node;
	struct sim *sim = node->sim;
	struct flight *flight = zeroed(sizeof *flight);
	uint64_t depart_us = sim->now_us;

	check_release(node, call);
	sim_count_message(node);
	flight->rpc = rpc;
	flight->call = call;
	flight->number = ++sim->etcd->numbers;
	flight->next = rpc->flights;
	rpc->flights = flight;
	call->flight = flight;
	sim_timer(
	    node, sim_boot_ms(node) + call->timeout_ms, on_timeout, message_new(flight), free_message);
	/* A process may stand still between the reading of its clock and the sending. */
	if (sim_fault(sim, FAULT_PAUSE, 2))
		sim_pause(node, sim_random(sim, (uint64_t)sim->ttl_ms * 2000));
	if (node->paused_until_us > depart_us)
		depart_us = node->paused_until_us;
	if (sim_fault(sim, FAULT_LOSE, 8)) {
		sim_trace(sim, "a request of node %d is lost", node->number);
		return;
	}
	/* What is asked may outlive who asked, and the lease that it was asked for. */
	if (node->is_elector && writes(call->then, call->then_count) && sim_fault(sim, FAULT_LATE, 25))
		depart_us += sim_random(sim, (uint64_t)sim->ttl_ms * 1000);
	sim_at(
	    sim, depart_us + sim_latency_us(sim), NULL, on_request, message_new(flight), free_message);
}

void etcd_cancel(struct etcd_call *call)
{
	if (call->flight)
		drop_flight(call->flight);
}

struct etcd_rpc *etcd_rpc_new(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error)
{
	struct etcd_rpc *rpc = zeroed(sizeof *rpc);

	(void)url, (void)options, (void)clock, (void)error;
	rpc->node = (struct sim_node *)loop;
	rpc->node->etcd_rpc = rpc;
	return rpc;
}

void etcd_rpc_free(struct etcd_rpc *rpc)
{
	struct watching *next;

	for (struct watching *watching = rpc->node->sim->etcd->watches; watching; watching = next) {
		next = watching->next;
		if (watching->rpc == rpc)
			stop(watching);
	}
	while (rpc->flights)
		drop_flight(rpc->flights);
	rpc->node->etcd_rpc = NULL;
	free(rpc);
}

const char *sim_etcd_leftover(struct sim *sim)
{
	for (const struct stored_key *key = sim->etcd->keys; key; key = key->next)
		if (key->queue >= 0)
			return key->key;
	return NULL;
}
