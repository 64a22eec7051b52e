#include "sim.h"

#include "base/text.h"
#include "net/further.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_NODES   400
#define MOST_WAITERS 512
#define A_MINUTE_US  60000000u

struct waiter {
	struct id claim;
	struct sim_node *node;
	unsigned life;
};

/* One name, as the store has it. */
struct stored {
	bool there;
	struct record record;
	struct sim_node *author;
	unsigned author_life;
	uint64_t written_us;
	bool adopted; /* its last write took a former elector's grant over */
	struct waiter waiters[MOST_WAITERS];
	size_t waiter_count;
	bool lasted;                       /* it once said that it lasts longer than any run */
	uint64_t hand_deleted_us;          /* 0: not */
	unsigned saw_deletion[MOST_NODES]; /* the node's life, from 1, in which it did */
};

struct sim_store {
	struct stored names[SIM_NAMES];
	struct stored synced[SIM_NAMES]; /* what survives a power loss */
	uint64_t revision;
	uint64_t synced_revision;
	struct id boots[2];
};

enum operation { READ, WRITE, REMOVE };

/* What its node still waits for, by one request or several. */
struct flight {
	struct flight *next;
	struct record_request *request;
	enum operation operation;
	uint64_t number;
	struct record content; /* what is written: the request's strings are only borrowed */
	struct further further;
};

struct cached {
	unsigned watchers;
	bool known;
	bool there;
	struct record record;
};

struct sim_backend {
	struct record_backend base;
	struct sim_node *node;
	struct flight *flights;
	uint64_t numbers;
	struct cached cached[SIM_NAMES];
};

struct message {
	struct sim_node *node;
	unsigned life;
	enum operation operation;
	int name;
	uint64_t number;
	uint64_t sent_us;
	unsigned connection;
	struct record_request request; /* its record's strings are the message's own */
	/* The answer: */
	enum record_result result;
	enum mpsync_status status;
	uint64_t retry_in_ms;
	bool there;
	struct record record;
};

const char *sim_name(int name)
{
	static const char *const names[SIM_NAMES] = {"orders", "leader", "x/y"};

	return names[name];
}

int sim_name_number(const char *name)
{
	int i = 0;

	while (strcmp(sim_name(i), name) != 0)
		i++;
	return i;
}

static void copy_record(struct record *to, const struct record *from)
{
	if (!record_copy(to, from))
		abort();
}

static struct id random_id(struct sim *sim)
{
	struct id id;

	for (size_t i = 0; i < sizeof id.bytes; i++)
		id.bytes[i] = (uint8_t)sim_random(sim, 256);
	return id;
}

struct sim_store *sim_store_new(struct sim *sim)
{
	struct sim_store *store = calloc(1, sizeof *store);

	if (!store)
		abort();
	/* Sometimes near the end of what a token can be. */
	store->revision = sim_chance(sim, 5) ? UINT64_MAX - 1000000 : 1000;
	store->boots[0] = random_id(sim);
	store->boots[1] = random_id(sim);
	return store;
}

void sim_store_free(struct sim_store *store)
{
	for (int i = 0; i < SIM_NAMES; i++) {
		record_clear(&store->names[i].record);
		record_clear(&store->synced[i].record);
	}
	free(store);
}

/*
 * Nobody renews it any more, and nobody could remove it: the release was forbidden for a whole ttl,
 * another's hand changed the record before its token stood in it, or an elector adopted, too late,
 * what its client died with, or adopted it without a word to a client that then cancelled: only
 * the client could say that nobody believes in it.
 */
static bool runs_out(const struct sim *sim, const struct stored *stored)
{
	int number;

	if (sim->now_us < stored->written_us + (uint64_t)sim->ttl_ms * 2000)
		return false;
	return (sim->faults & (FAULT_ERRORS | FAULT_HANDS | FAULT_NAME)) ||
	       (sim->mode == MODE_ELECTOR &&
	           (stored->adopted || (sscanf(stored->record.holder, "node-%d", &number) == 1 &&
	                                   sim->nodes[number].life > 0)));
}

/*
 * What a crashed process left runs out when somebody asks, and so does what an elector left when it
 * was replaced; what the living left is a leak.
 */
const char *sim_store_leftover(struct sim *sim)
{
	for (int i = 0; i < SIM_NAMES; i++) {
		const struct stored *stored = &sim->store->names[i];

		if (stored->there && stored->record.holder && stored->author->alive &&
		    stored->author->life == stored->author_life && !runs_out(sim, stored))
			return stored->record.holder;
		for (size_t w = 0; w < stored->waiter_count; w++)
			if (stored->waiters[w].node->life == stored->waiters[w].life)
				return "a waiter";
	}
	return NULL;
}

uint64_t sim_store_dead_write_us(const struct sim *sim, int name)
{
	const struct stored *stored = &sim->store->names[name];

	if (!stored->there || !stored->record.holder || stored->record.ttl_ms > sim->ttl_ms ||
	    (stored->author->alive && stored->author->life == stored->author_life))
		return SIM_NEVER;
	return stored->written_us;
}

const struct id *sim_store_holding(
    const struct sim *sim, int name, uint64_t *written_us, uint64_t *strayed_us)
{
	const struct stored *stored = &sim->store->names[name];

	*written_us = stored->written_us;
	*strayed_us = stored->author ? stored->author->strayed_us[1] : 0;
	return stored->there && stored->record.holder && stored->author && stored->author->alive &&
	               stored->author->life == stored->author_life
	           ? &stored->record.claim
	           : NULL;
}

bool sim_store_lasted(const struct sim *sim, int name)
{
	return sim->store->names[name].lasted;
}

/* ---- Watches ---- */

static void free_message(struct sim *sim, void *argument)
{
	struct message *message = argument;

	(void)sim;
	record_clear(&message->record);
	record_clear(&message->request.record);
	free(message);
}

static void cache(struct cached *cached, bool there, const struct record *record)
{
	record_clear(&cached->record);
	cached->known = true;
	cached->there = there;
	if (there)
		copy_record(&cached->record, record);
	cached->record.version = record->version;
}

static void on_watch_event(struct sim *sim, void *argument)
{
	struct message *message = argument;
	struct sim_backend *backend = message->node->backend;
	struct cached *cached = backend ? &backend->cached[message->name] : NULL;

	sim_allow_messages(message->node);
	if (!cached || (cached->watchers == 0 && sim->mode != MODE_FILE && !backend->base.sees_all)) {
		free_message(sim, message);
		return;
	}
	if (sim->mode == MODE_FILE) {
		records_changed(backend->base.records, sim_name(message->name), false, NULL);
	} else if (!cached->known || message->record.version >= cached->record.version) {
		sim_trace(sim, "node %d sees %s: %s, version %llu", message->node->number,
		    sim_name(message->name), message->there ? message->record.holder : "absent",
		    (unsigned long long)message->record.version);
		/* The event of a deletion brings the last state, which may show a release. */
		if (!message->there && !message->record.holder && message->record.version)
			records_changed(backend->base.records, sim_name(message->name), true, &message->record);
		cache(cached, message->there, &message->record);
		records_changed(backend->base.records, sim_name(message->name), true,
		    message->there ? &message->record : NULL);
	}
	free_message(sim, message);
}

/* Where the store has a speed, it tells one after the other, and each in order. */
static uint64_t event_at_us(struct sim *sim, struct sim_node *node)
{
	uint64_t at_us;

	if (sim->options.way_us == 0)
		return sim->now_us + sim_latency_us(sim);
	if (sim->telling_us < sim->now_us)
		sim->telling_us = sim->now_us;
	sim->telling_us += sim->options.fan_out_us;
	at_us = sim->telling_us + sim_latency_us(sim);
	if (at_us > node->told_us)
		node->told_us = at_us;
	return node->told_us;
}

static void send_watch_event(struct sim *sim, struct sim_node *node, int name)
{
	const struct stored *stored = &sim->store->names[name];
	struct message *message = calloc(1, sizeof *message);

	if (!message)
		abort();
	message->node = node;
	message->name = name;
	message->there = stored->there;
	copy_record(&message->record, &stored->record);
	sim_at(sim, event_at_us(sim, node), node, on_watch_event, message, free_message);
}

static void notify(struct sim *sim, int name)
{
	const int first = sim->options.way_us ? (int)sim_random(sim, (uint64_t)sim->node_count) : 0;

	for (int i = 0; i < sim->node_count; i++) {
		struct sim_node *node = &sim->nodes[(first + i) % sim->node_count];

		if (!node->alive || !node->backend ||
		    (node->backend->cached[name].watchers == 0 && !node->backend->base.sees_all))
			continue;
		/* file: a notification is on the same machine, and is not lost. */
		if (sim->mode != MODE_FILE && sim_fault(sim, FAULT_WATCH, 20))
			continue;
		send_watch_event(sim, node, name);
		if (sim_fault(sim, FAULT_WATCH, 10))
			send_watch_event(sim, node, name);
	}
}

/* ---- What the store does ---- */

/* As a contender of whatever kind sees it: the simulation's own opinion of what may not change. */
/* The token of a grant that was not renewed yet is its version, and may be stored by others. */
static bool same_token(const struct record *a, const struct record *b)
{
	return a->token == b->token || (!a->token && b->token == a->version);
}

static bool same_holder_part(const struct record *a, const struct record *b)
{
	return text_same(a->holder, b->holder) && id_equal(&a->claim, &b->claim) &&
	       id_equal(&a->instance, &b->instance) && same_token(a, b) &&
	       a->renewed_us == b->renewed_us && a->since_ms == b->since_ms && a->ttl_ms == b->ttl_ms &&
	       a->transitions == b->transitions && a->revoked == b->revoked;
}

static bool same_content(const struct record *a, const struct record *b)
{
	return record_same_holding(a, b) && text_same(a->next, b->next) &&
	       text_same(a->value, b->value) && a->token == b->token &&
	       id_equal(&a->instance, &b->instance);
}

/* What an API server refuses: times behind the year 9999, counts of more than 31 bits. */
static void check_numbers(struct sim *sim, const struct message *message)
{
	const struct record *record = &message->request.record;

	if (record->renewed_us > RECORD_LAST_RENEWAL_US ||
	    record->transitions > RECORD_MOST_TRANSITIONS)
		sim_violate(sim, "P6", "node %d writes numbers into %s that no server takes",
		    message->node->number, sim_name(message->name));
}

static void put(struct sim *sim, struct stored *stored, const struct message *message, bool created)
{
	struct record next = message->request.record;
	struct record copy;
	const bool is_same = next.holder && id_equal(&stored->record.claim, &next.claim);
	/* Also by the write that follows one without an answer. */
	const bool adopts = is_same && (!id_equal(&stored->record.instance, &next.instance) ||
	                                   (stored->adopted && !message->request.renewal));

	check_numbers(sim, message);
	if (sim->mode != MODE_FILE) {
		next.host = (struct record_host){0};
		next.deadline_ms = 0;
	} else if (message->request.renewal) {
		/* As the statement for it, which names two columns. */
		next = stored->record;
		next.renewed_us = message->request.record.renewed_us;
		next.deadline_ms = message->request.record.deadline_ms;
	}
	/* A patch: what it does not name stays. */
	if (!message->request.grant && !message->request.reserve)
		next.next = stored->record.next;
	next.uid = created ? random_id(sim) : stored->record.uid;
	if (sim->mode == MODE_FILE)
		next.uid = (struct id){{0}};
	next.version = ++sim->store->revision;
	copy_record(&copy, &next);
	record_clear(&stored->record);
	stored->record = copy;
	stored->there = true;
	sim_value_written(sim, copy.value);
	if (message->request.reserve)
		return; /* the record is its holder's still */
	stored->adopted = adopts;
	stored->author = message->node;
	stored->author_life = message->life;
	stored->written_us = sim->now_us;
}

static bool shows_holder(const struct stored *stored)
{
	return stored->there && stored->record.holder;
}

/* P6: what an engine changes must be its own, or free, or taken over as a new grant. */
static void check_author(
    struct sim *sim, const struct stored *stored, const struct message *message)
{
	const struct record_request *request = &message->request;
	const bool own = stored->author == message->node && stored->author_life == message->life;
	const bool forced =
	    message->operation == WRITE && !request->record.holder && request->record.revoked;
	/* A new elector takes over what its client presents, and says so. */
	const bool adopted = sim->mode == MODE_ELECTOR && request->record.holder &&
	                     id_equal(&stored->record.claim, &request->record.claim) &&
	                     !id_equal(&stored->record.instance, &request->record.instance);

	const bool reserved = request->reserve && same_holder_part(&stored->record, &request->record);

	if (shows_holder(stored) && !own && !request->grant && !forced && !adopted && !reserved)
		sim_violate(sim, "P6", "node %d changed a record of %s that is not its own",
		    message->node->number, sim_name(message->name));
}

static bool grants(const struct stored *stored, const struct message *message)
{
	return message->request.record.holder && !message->request.reserve &&
	       (!stored->there || !id_equal(&stored->record.claim, &message->request.record.claim) ||
	           message->request.grant);
}

/* P3: client-go's right lasts as long as its record says, however long that is. */
static void check_patience(
    struct sim *sim, const struct stored *stored, const struct message *message)
{
	const uint64_t least_us = stored->record.ttl_ms * 1000000 / sim->options.rate_ratio_ppm * 1000;

	if (shows_holder(stored) && id_is_none(&stored->record.claim) &&
	    sim->now_us < stored->written_us + least_us)
		sim_violate(sim, "P3", "node %d takes %s from client-go before its duration has passed",
		    message->node->number, sim_name(message->name));
}

static void leave_waiters(struct stored *stored, const struct id *claim)
{
	for (size_t i = 0; i < stored->waiter_count; i++) {
		if (!id_equal(&stored->waiters[i].claim, claim))
			continue;
		memmove(&stored->waiters[i], &stored->waiters[i + 1],
		    (stored->waiter_count - i - 1) * sizeof *stored->waiters);
		stored->waiter_count--;
		return;
	}
}

static void sync_store(struct sim *sim)
{
	for (int i = 0; i < SIM_NAMES; i++) {
		record_clear(&sim->store->synced[i].record);
		sim->store->synced[i].there = sim->store->names[i].there;
		copy_record(&sim->store->synced[i].record, &sim->store->names[i].record);
	}
	sim->store->synced_revision = sim->store->revision;
}

static void apply_write(struct sim *sim, struct stored *stored, struct message *message)
{
	struct record_request *request = &message->request;
	const bool creates = !stored->there && (request->create || id_is_none(&request->uid));
	const bool matches =
	    stored->there && !request->create && request->version == stored->record.version &&
	    (id_is_none(&request->uid) || id_equal(&request->uid, &stored->record.uid));

	if (sim->mode == MODE_FILE ? !(request->create ? !stored->there : matches)
	                           : !(creates || matches)) {
		message->result = RECORD_CONFLICT;
		if (sim->mode != MODE_FILE && !stored->there) {
			message->result = RECORD_ABSENT;
			message->record.version = sim->store->revision;
		}
		return;
	}
	message->result = RECORD_OK;
	if (matches)
		check_author(sim, stored, message);
	if (matches && same_content(&stored->record, &request->record)) {
		sim_trace(sim, "store: a write of %s by node %d changes nothing", sim_name(message->name),
		    message->node->number);
	} else {
		if (sim->mode == MODE_ELECTOR && shows_holder(stored) && !request->record.holder &&
		    !request->record.revoked)
			sim_freeing_write(sim, message->name);
		if (grants(stored, message)) {
			sim_granting_write(sim, message->name);
			check_patience(sim, stored, message);
			leave_waiters(stored, &request->record.claim);
		}
		put(sim, stored, message, !matches);
		if (request->grant && sim->mode == MODE_FILE)
			stored->record.token = stored->record.version;
		sim_trace(sim, "store: node %d writes %s: holder %s, version %llu", message->node->number,
		    sim_name(message->name), stored->record.holder ? stored->record.holder : "-",
		    (unsigned long long)stored->record.version);
		notify(sim, message->name);
	}
	if (request->durable)
		sync_store(sim);
	message->there = true;
	copy_record(&message->record, &stored->record);
}

static void apply_remove(struct sim *sim, struct stored *stored, struct message *message)
{
	const struct record_request *request = &message->request;

	message->result = RECORD_CONFLICT;
	if (stored->there && (request->version != stored->record.version ||
	                         !id_equal(&request->uid, &stored->record.uid)))
		return;
	message->result = RECORD_OK;
	if (!stored->there)
		return;
	check_author(sim, stored, message);
	copy_record(&message->record, &stored->record);
	stored->there = false;
	if (sim->mode == MODE_FILE) {
		free(stored->record.holder);
		stored->record.holder = NULL;
	}
	stored->record.version = ++sim->store->revision;
	sim_trace(sim, "store: node %d removes %s", message->node->number, sim_name(message->name));
	notify(sim, message->name);
	sync_store(sim);
}

static bool waiter_lives(const struct waiter *waiter, const struct sim_node *asking)
{
	return waiter->node->host != asking->host ||
	       (waiter->node->alive && waiter->node->life == waiter->life);
}

static uint32_t waiters_ahead(
    struct stored *stored, const struct id *claim, const struct sim_node *asking)
{
	uint32_t ahead = 0;

	for (size_t i = 0; i < stored->waiter_count; i++) {
		if (id_equal(&stored->waiters[i].claim, claim))
			return ahead;
		ahead += waiter_lives(&stored->waiters[i], asking);
	}
	return ahead;
}

static void apply_read(struct sim *sim, struct stored *stored, struct message *message)
{
	const struct record_host *host = &stored->record.host;

	message->result = stored->there ? RECORD_OK : RECORD_ABSENT;
	message->there = stored->there;
	if (stored->there)
		copy_record(&message->record, &stored->record);
	if (sim->mode != MODE_FILE) {
		/* As of when: older events that arrive later are no news. */
		if (!stored->there)
			message->record.version = sim->store->revision;
		return;
	}
	message->record.ahead = waiters_ahead(stored, &message->request.claim, message->node);
	if (stored->there && host->pid &&
	    id_equal(&host->boot, &message->node->backend->base.host.boot)) {
		const struct sim_node *holder = &sim->nodes[host->pid - 1];

		message->record.holder_dead = !holder->alive || holder->life != host->pid_start;
	}
}

/*
 * A newcomer that never saw a record deleted by hand is outside of the assumptions (rule 17), but
 * not who had written it.
 */
static bool unprotected(struct sim *sim, const struct stored *stored, const struct message *message)
{
	const struct sim_node *node = message->node;
	const bool had_written = stored->author == node && stored->author_life == message->life;
	const bool saw = had_written || stored->saw_deletion[node->number] == node->life + 1;

	return message->request.record.holder && !stored->there && stored->hand_deleted_us &&
	       sim->now_us < stored->hand_deleted_us + (uint64_t)sim->ttl_ms * 2000 &&
	       (message->sent_us <= stored->hand_deleted_us || !saw);
}

/* A release may be done, so that nothing is left behind. */
static bool is_forbidden(const struct sim *sim, const struct message *message)
{
	const struct record_request *request = &message->request;

	return sim->now_us < sim->forbidden_until_us && message->name == sim->forbidden_name &&
	       message->operation == WRITE && !request->grant && request->record.holder;
}

static void apply(struct sim *sim, struct message *message)
{
	struct stored *stored = &sim->store->names[message->name];

	sim->writes += message->operation != READ;
	if (sim->throttled > 0) {
		sim->throttled--;
		message->result = RECORD_UNKNOWN;
		message->status = MPSYNC_E_UNREACHABLE;
		message->retry_in_ms = sim_chance(sim, 20) ? 3600000 : 1000u << sim_random(sim, 5);
	} else if (message->operation == READ) {
		apply_read(sim, stored, message);
	} else if (is_forbidden(sim, message)) {
		message->result = RECORD_REFUSED;
		message->status = MPSYNC_E_FORBIDDEN;
	} else if (sim_fault(sim, FAULT_ERRORS, 3)) {
		const bool mid_hold = message->operation == WRITE && !message->request.grant;

		message->result = mid_hold && sim_chance(sim, 30) ? RECORD_REFUSED : RECORD_UNKNOWN;
		message->status =
		    message->result == RECORD_REFUSED ? MPSYNC_E_FORBIDDEN : MPSYNC_E_UNREACHABLE;
		message->retry_in_ms = sim_chance(sim, 50) ? sim_random(sim, sim->ttl_ms / 10 + 1) : 0;
	} else if (message->operation == WRITE) {
		apply_write(sim, stored, message);
	} else {
		apply_remove(sim, stored, message);
	}
}

/* ---- Others that write the same records ---- */

const struct record *sim_store_record(struct sim *sim, int name)
{
	const struct stored *stored = &sim->store->names[name];

	return stored->there ? &stored->record : NULL;
}

bool sim_store_is_unprotected(struct sim *sim, int name)
{
	const struct stored *stored = &sim->store->names[name];

	return !stored->there && stored->hand_deleted_us &&
	       sim->now_us < stored->hand_deleted_us + (uint64_t)sim->ttl_ms * 2000;
}

void sim_store_foreign_write(struct sim *sim, int name, const struct record *record)
{
	static struct sim_node nobody;
	struct stored *stored = &sim->store->names[name];
	struct message message = {.node = &nobody, .life = 1, .name = name};

	message.request.record = *record;
	put(sim, stored, &message, !stored->there);
	stored->lasted |= record->ttl_ms > sim->ttl_ms;
	sim_trace(sim, "store: client-go writes %s: holder %s", sim_name(name),
	    record->holder ? record->holder : "-");
	notify(sim, name);
}

/* ---- Requests on their way ---- */

static void free_flight(struct flight *flight)
{
	record_clear(&flight->content);
	free(flight);
}

static void finish(struct sim_backend *backend, struct message *message)
{
	struct flight **link = &backend->flights;
	struct flight *flight;

	while (*link && (*link)->number != message->number)
		link = &(*link)->next;
	flight = *link;
	if (!flight)
		return;
	*link = flight->next;
	sim_trace(backend->node->sim, "node %d: answer %d to operation %d on %s, version %llu",
	    backend->node->number, (int)message->result, (int)message->operation,
	    sim_name(message->name), (unsigned long long)message->record.version);
	if (message->result == RECORD_OK || message->result == RECORD_ABSENT) {
		struct cached *cached = &backend->cached[message->name];

		if (backend->node->sim->mode != MODE_FILE && message->operation != REMOVE &&
		    cached->watchers > 0 &&
		    (!cached->known || message->record.version >= cached->record.version ||
		        !message->there))
			cache(cached, message->there, &message->record);
	}
	{
		struct record_request *request = flight->request;

		request->uncertain = flight->further.sent > 1;
		free_flight(flight);
		request->done(request, message->result,
		    message->there || message->record.ahead || message->result == RECORD_OK
		        ? &message->record
		        : NULL,
		    message->status, "simulated", message->retry_in_ms);
	}
}

static void note_stray(struct sim_node *node)
{
	node->strayed_us[1] = node->strayed_us[0];
	node->strayed_us[0] = node->sim->now_us;
}

static uint64_t answer_us(struct sim *sim, const struct message *message)
{
	const bool late = message->operation != READ && sim_fault(sim, FAULT_LATE, 5);
	const bool first = message->number == 1;

	if (late)
		note_stray(message->node);
	return sim_answer_us(sim) + (late ? A_MINUTE_US : 0) +
	       (first ? sim_random(sim, 2 * sim->options.first_us) : 0);
}

static void on_answer(struct sim *sim, void *argument)
{
	struct message *message = argument;

	if (message->connection > message->node->deaf && message->node->backend)
		finish(message->node->backend, message);
	free_message(sim, message);
}

static struct flight *flight_of(const struct message *message)
{
	const struct sim_backend *backend = message->node->backend;
	struct flight *flight = backend ? backend->flights : NULL;

	while (flight && flight->number != message->number)
		flight = flight->next;
	return flight;
}

/* One of a question's requests ended without an answer. */
static void on_failed(struct sim *sim, void *argument)
{
	struct message *message = argument;
	struct flight *flight = flight_of(message);

	message->result = RECORD_UNKNOWN;
	message->status = MPSYNC_E_UNREACHABLE;
	if (flight && further_failed(&flight->further))
		finish(message->node->backend, message);
	free_message(sim, message);
}

/* The connection hangs, so the next request takes another. */
static void on_timeout(struct sim *sim, void *argument)
{
	struct message *message = argument;

	if (flight_of(message) && message->connection == message->node->connections)
		message->node->connections++;
	on_failed(sim, message);
}

static void on_request(struct sim *sim, void *argument)
{
	struct message *message = argument;
	const enum sim_reception reception = sim_receive(sim);

	if (reception == SIM_LATER) {
		sim_at(
		    sim, sim->down_until_us + sim_latency_us(sim), NULL, on_request, message, free_message);
		return;
	}
	if (reception == SIM_REFUSED && message->node->life == message->life) {
		sim_at(sim, sim->now_us + sim_latency_us(sim), message->node, on_failed, message,
		    free_message);
		return;
	}
	if (reception != SIM_TAKEN || message->connection <= message->node->deaf ||
	    unprotected(sim, &sim->store->names[message->name], message)) {
		free_message(sim, message);
		return;
	}
	apply(sim, message);
	if (sim_fault(sim, FAULT_LOSE, 8) || message->node->life != message->life) {
		sim_trace(sim, "an answer to node %d is lost", message->node->number);
		note_stray(message->node);
		free_message(sim, message);
		return;
	}
	sim_at(sim, answer_us(sim, message), message->node, on_answer, message, free_message);
}

static struct sim_backend *of(struct record_backend *backend)
{
	return (struct sim_backend *)backend;
}

static struct message *message_new(struct sim_backend *backend, const struct flight *flight)
{
	struct message *message = calloc(1, sizeof *message);

	if (!message)
		abort();
	message->node = backend->node;
	message->life = backend->node->life;
	message->operation = flight->operation;
	message->name = sim_name_number(flight->request->name);
	message->number = flight->number;
	message->sent_us = backend->node->sim->now_us;
	message->connection = backend->node->connections;
	message->request = *flight->request;
	copy_record(&message->request.record, &flight->content);
	return message;
}

static struct flight *take_off(
    struct sim_backend *backend, struct record_request *request, enum operation operation)
{
	struct flight *flight = calloc(1, sizeof *flight);

	if (!flight)
		abort();
	flight->number = ++backend->numbers;
	flight->request = request;
	flight->operation = operation;
	copy_record(&flight->content, &request->record);
	flight->next = backend->flights;
	backend->flights = flight;
	return flight;
}

static void check_release_order(
    struct sim_backend *backend, struct record_request *request, enum operation operation)
{
	if (operation == READ || request->record.holder || request->record.revoked)
		return;
	if (!id_is_none(&request->claim))
		sim_gives_away(backend->node, sim_name_number(request->name));
}

/* It reaches the store at some time, or not at all. */
static void launch(struct sim_backend *backend, const struct flight *flight)
{
	struct sim_node *node = backend->node;
	struct sim *sim = node->sim;
	const uint64_t now_ms = sim_boot_ms(node);
	const uint64_t lasts_ms =
	    further_lasts_ms(&flight->further, now_ms, claim_request_timeout_ms(sim->ttl_ms));
	uint64_t depart_us = sim->now_us;
	struct message *message = message_new(backend, flight);

	if (!node->is_elector)
		sim_count_message(node);
	sim_timer(node, now_ms + lasts_ms, on_timeout, message, free_message);
	/* A process may stand still between the reading of its clock and the sending. */
	if (sim_fault(sim, FAULT_PAUSE, 2))
		sim_pause(node, sim_random(sim, (uint64_t)sim->ttl_ms * 2000));
	if (node->paused_until_us > depart_us)
		depart_us = node->paused_until_us;
	if (sim_fault(sim, FAULT_LOSE, 8)) {
		sim_trace(sim, "a request of node %d is lost", node->number);
		note_stray(node);
		return;
	}
	if (flight->operation != READ && sim_fault(sim, FAULT_LATE, 5)) {
		depart_us += sim_random(sim, A_MINUTE_US);
		note_stray(node);
	}
	message = message_new(backend, flight);
	sim_at(sim, depart_us + sim_latency_us(sim), NULL, on_request, message, free_message);
}

static void plan_further(struct sim_backend *backend, const struct flight *flight);

static void on_further(struct sim *sim, void *argument)
{
	struct message *message = argument;
	struct flight *flight = flight_of(message);
	struct sim_node *node = message->node;

	if (flight && further_send(&flight->further, sim_boot_ms(node))) {
		if (message->connection == node->connections)
			node->connections++;
		sim_trace(sim, "node %d sends request %u for operation %d on %s", node->number,
		    flight->further.sent, (int)flight->operation, sim_name(message->name));
		launch(node->backend, flight);
	}
	if (flight)
		plan_further(node->backend, flight);
	free_message(sim, message);
}

/* Asked again each time, for the place of one that ends is free then. */
static void plan_further(struct sim_backend *backend, const struct flight *flight)
{
	const uint64_t next_ms = flight->further.next_ms;

	if (next_ms < flight->further.until_ms)
		sim_timer(backend->node,
		    next_ms > sim_boot_ms(backend->node) ? next_ms : sim_boot_ms(backend->node) + 1,
		    on_further, message_new(backend, flight), free_message);
}

static void send(
    struct sim_backend *backend, struct record_request *request, enum operation operation)
{
	struct sim_node *node = backend->node;
	const uint64_t now_ms = sim_boot_ms(node);
	struct flight *flight;

	check_release_order(backend, request, operation);
	flight = take_off(backend, request, operation);
	further_begin(&flight->further, now_ms,
	    request->again ? claim_further_ms(node->sim->ttl_ms) : 0,
	    request->until_ms ? request->until_ms
	                      : now_ms + claim_request_timeout_ms(node->sim->ttl_ms));
	launch(backend, flight);
	plan_further(backend, flight);
}

/* file: a transaction is done when the call returns. */
static void transact(
    struct sim_backend *backend, struct record_request *request, enum operation operation)
{
	struct sim *sim = backend->node->sim;
	struct message *message;

	check_release_order(backend, request, operation);
	message = message_new(backend, take_off(backend, request, operation));
	if (sim->now_us < sim->outage_until_us) {
		message->result = RECORD_UNKNOWN;
		message->status = MPSYNC_E_UNREACHABLE;
	} else {
		apply(sim, message);
	}
	finish(backend, message);
	free_message(sim, message);
}

static void request_any(
    struct record_backend *base, struct record_request *request, enum operation operation)
{
	struct sim_backend *backend = of(base);

	if (backend->node->sim->mode == MODE_FILE)
		transact(backend, request, operation);
	else
		send(backend, request, operation);
}

static void backend_read(struct record_backend *base, struct record_request *request)
{
	struct sim_backend *backend = of(base);
	const struct cached *cached = &backend->cached[sim_name_number(request->name)];

	if (request->fresh || backend->node->sim->mode == MODE_FILE || !cached->known) {
		request_any(base, request, READ);
		return;
	}
	request->done(request, cached->there ? RECORD_OK : RECORD_ABSENT,
	    cached->there ? &cached->record : NULL, MPSYNC_OK, NULL, 0);
}

static void backend_write(struct record_backend *base, struct record_request *request)
{
	request_any(base, request, WRITE);
}

static void backend_remove(struct record_backend *base, struct record_request *request)
{
	request_any(base, request, REMOVE);
}

static void backend_cancel(struct record_backend *base, struct record_request *request)
{
	struct flight **link = &of(base)->flights;
	struct flight *flight;

	while (*link && (*link)->request != request)
		link = &(*link)->next;
	flight = *link;
	if (!flight)
		return;
	*link = flight->next;
	free_flight(flight);
}

static void batch_nothing(struct record_backend *base)
{
	(void)base;
}

static void backend_enqueue(struct record_backend *base, const struct store_claim *claim)
{
	struct sim_node *node = of(base)->node;
	struct stored *stored = &node->sim->store->names[sim_name_number(claim->name)];

	if (node->sim->mode == MODE_FILE && stored->waiter_count < MOST_WAITERS)
		stored->waiters[stored->waiter_count++] = (struct waiter){claim->digest, node, node->life};
}

static void backend_dequeue(struct record_backend *base, const struct store_claim *claim)
{
	struct sim_node *node = of(base)->node;

	leave_waiters(&node->sim->store->names[sim_name_number(claim->name)], &claim->digest);
}

static void backend_watch(struct record_backend *base, const char *name, bool on)
{
	struct cached *cached = &of(base)->cached[sim_name_number(name)];

	cached->watchers += on ? 1 : (unsigned)-1;
	if (cached->watchers == 0) {
		record_clear(&cached->record);
		cached->known = false;
	}
}

static void backend_query(struct record_backend *base, struct store_query *query)
{
	(void)base;
	query->done(query, MPSYNC_E_UNSUPPORTED, "not simulated");
}

static void backend_close(struct record_backend *base)
{
	struct sim_backend *backend = of(base);

	while (backend->flights) {
		struct flight *flight = backend->flights;

		backend->flights = flight->next;
		free_flight(flight);
	}
	for (int i = 0; i < SIM_NAMES; i++)
		record_clear(&backend->cached[i].record);
	backend->node->backend = NULL;
	free(backend);
}

static const struct record_backend_ops backend_ops = {
    .read = backend_read,
    .write = backend_write,
    .remove = backend_remove,
    .cancel = backend_cancel,
    .batch_begin = batch_nothing,
    .batch_end = batch_nothing,
    .enqueue = backend_enqueue,
    .dequeue = backend_dequeue,
    .watch = backend_watch,
    .query = backend_query,
    .close = backend_close,
};

struct store *sim_backend_new(struct sim_node *node)
{
	struct sim_backend *backend = calloc(1, sizeof *backend);
	const struct store_clock clock = sim_clock(node);
	const bool file = node->sim->mode == MODE_FILE;

	if (!backend)
		abort();
	backend->base.ops = &backend_ops;
	backend->base.kind = "simulated";
	backend->base.absent_is_free = file;
	backend->base.late_grants = !file;
	backend->base.token_is_version = !file;
	backend->base.renews_often = !file;
	backend->base.reserves = !file;
	backend->base.sees_all = node->is_elector && !node->sim->names_only;
	if (file) {
		backend->base.host.boot = node->sim->store->boots[node->host];
		backend->base.host.pid = node->number + 1;
		backend->base.host.pid_start = node->life;
	}
	backend->node = node;
	node->backend = backend;
	return records_new(&backend->base, &clock);
}

/* ---- Faults of the store and of other hands ---- */

static bool sees_other_holder(const struct sim_node *node, int name)
{
	const struct cached *cached = node->backend ? &node->backend->cached[name] : NULL;
	const struct stored *stored = &node->sim->store->names[name];

	return cached && node->paused_until_us <= node->sim->now_us && cached->watchers > 0 &&
	       cached->there && cached->record.holder && stored->author != node &&
	       id_equal(&cached->record.claim, &stored->record.claim);
}

static void delete_by_hand(struct sim *sim, int name)
{
	struct stored *stored = &sim->store->names[name];

	/* Whoever saw one that lasts for years waits for years, as it should, and ends no run. */
	if (!stored->there || sim->mode == MODE_FILE || stored->record.ttl_ms > sim->ttl_ms)
		return;
	for (int i = 0; i < sim->node_count; i++)
		stored->saw_deletion[i] =
		    sees_other_holder(&sim->nodes[i], name) ? sim->nodes[i].life + 1 : 0;
	stored->there = false;
	stored->record.version = ++sim->store->revision;
	stored->hand_deleted_us = sim->now_us;
	sim_trace(sim, "store: %s is deleted by hand", sim_name(name));
	notify(sim, name);
}

/* A label or an annotation: a new version, the holder's part unchanged. */
static void annotate(struct sim *sim, int name)
{
	struct stored *stored = &sim->store->names[name];

	if (!stored->there || sim->mode == MODE_FILE)
		return;
	stored->record.version = ++sim->store->revision;
	notify(sim, name);
}

void sim_store_hands(struct sim *sim, bool delete)
{
	const int name = (int)sim_random(sim, SIM_NAMES);

	if (delete &&sim_chance(sim, 30))
		delete_by_hand(sim, name);
	else
		annotate(sim, name);
}

void sim_store_power_loss(struct sim *sim, int host)
{
	struct sim_store *store = sim->store;

	for (int i = 0; i < SIM_NAMES; i++) {
		store->names[i].there = store->synced[i].there;
		record_clear(&store->names[i].record);
		copy_record(&store->names[i].record, &store->synced[i].record);
		if (store->names[i].there)
			sim_value_written(sim, store->names[i].record.value);
		store->names[i].waiter_count = 0;
	}
	store->revision = store->synced_revision;
	store->boots[host] = random_id(sim);
	sim_trace(sim, "host %d loses power", host);
}
