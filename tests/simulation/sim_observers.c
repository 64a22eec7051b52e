/* Observers of an etcd, of one name and of all names, and what they are told: P24. */
#include "sim_etcd.h"

#include "protocol/engine.h"
#include "stores/etcd/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What keeps news away, or is told in no key that an observer of all names watches. */
#define KEPT_AWAY                                                                                  \
	((uint32_t)(FAULT_LOSE | FAULT_DELAY | FAULT_PAUSE | FAULT_OUTAGE | FAULT_FOREIGN |            \
	            FAULT_HANDS))

/* One name as it is shown: by whom it is held, or that it is free (token 0). */
struct shown {
	uint64_t token;
	char holder[32];
	char value[SIM_VALUE_SIZE];
};

struct sim_observer {
	struct store_observer base;
	struct sim_observer *next;
	struct sim_node *node;
	bool observing;
	bool synced;
	uint64_t since_us;
	uint64_t newest[SIM_NAMES]; /* the highest token that it was told */
	struct shown shown[SIM_NAMES];
};

static void show(struct shown *shown, uint64_t token, const char *holder, const char *value)
{
	shown->token = token;
	snprintf(shown->holder, sizeof shown->holder, "%s", holder ? holder : "");
	snprintf(shown->value, sizeof shown->value, "%s", value ? value : "");
}

/* ---- What it is told ---- */

static void on_changed(struct store_observer *base, const struct store_lock *lock)
{
	struct sim_observer *observer = (struct sim_observer *)base;
	const int name = sim_name_number(lock->name);

	sim_trace(observer->node->sim, "node %d observes %s: %s, token %llu, value %s",
	    observer->node->number, lock->name, lock->holder, (unsigned long long)lock->token,
	    lock->value ? lock->value : "-");
	if (lock->token < observer->newest[name])
		sim_violate(
		    observer->node->sim, "P24", "an observer is told of %s as it was before", lock->name);
	observer->newest[name] = lock->token;
	show(&observer->shown[name], lock->token, lock->holder, lock->value);
}

static void on_gone(struct store_observer *base, const char *name)
{
	struct sim_observer *observer = (struct sim_observer *)base;
	struct shown *shown = &observer->shown[sim_name_number(name)];

	if (!shown->token)
		sim_violate(observer->node->sim, "P24", "an observer is told twice that %s is free", name);
	*shown = (struct shown){0};
}

static void on_synced(struct store_observer *base)
{
	struct sim_observer *observer = (struct sim_observer *)base;

	if (observer->synced)
		sim_violate(observer->node->sim, "P24", "an observer is told twice that it has seen all");
	observer->synced = true;
}

static void on_failed(struct store_observer *base, enum mpsync_status status, const char *message)
{
	struct sim *sim = ((struct sim_observer *)base)->node->sim;

	if (!(sim->faults & KEPT_AWAY))
		sim_violate(sim, "P24", "an observer fails: %d, %s", (int)status, message);
}

/* ---- What there is ---- */

static const struct stored_key *first_place(const struct sim *sim, int name)
{
	const struct stored_key *key = sim->etcd->keys;

	while (key && (key->queue != name || key->created != sim->etcd->owner[name]))
		key = key->next;
	return key;
}

static struct shown there_is(const struct sim *sim, int name)
{
	const struct stored_key *place = first_place(sim, name);
	const struct stored_key *known;
	struct shown shown = {0};
	struct etcd_facts facts;
	char *key;

	if (!place)
		return shown;
	key = etcd_place_facts_key("", sim_name(name), place->key, place->lease, place->created);
	known = key ? sim_etcd_find(sim->etcd, key) : NULL;
	free(key);
	if (known && etcd_facts_read(&facts, known->value)) {
		show(&shown, (uint64_t)place->created, facts.holder, facts.value);
		etcd_facts_clear(&facts);
	}
	return shown;
}

static bool observes(const struct sim_observer *observer, int name)
{
	return observer->observing &&
	       (!observer->base.name || sim_name_number(observer->base.name) == name);
}

static void check(const struct sim_observer *observer, int name)
{
	const struct shown *shown = &observer->shown[name];
	const struct shown there = there_is(observer->node->sim, name);

	if (!observer->synced)
		sim_violate(observer->node->sim, "P24", "node %d's observer of %s has seen nothing yet",
		    observer->node->number, sim_name(name));
	else if (shown->token != there.token || strcmp(shown->holder, there.holder) != 0 ||
	         strcmp(shown->value, there.value) != 0)
		sim_violate(observer->node->sim, "P24",
		    "node %d's observer of %s sees %s, %llu, '%s'; it is %s, %llu, '%s'",
		    observer->node->number, observer->base.name ? observer->base.name : "all names",
		    shown->holder, (unsigned long long)shown->token, shown->value, there.holder,
		    (unsigned long long)there.token, there.value);
}

/* A watch that has ended begins again after a second; then it is asked, and perhaps once more. */
static uint64_t told_within_us(const struct sim *sim)
{
	return 1500000 + 16 * (100 + (uint64_t)sim->ttl_ms * 1000 / 200);
}

struct change_of {
	int name;
	uint64_t at_us;
};

static void free_change(struct sim *sim, void *change)
{
	(void)sim;
	free(change);
}

static void stop(struct sim_observer *observer)
{
	struct store *store = engine_store(observer->node->engine);

	store->ops->observe_stop(store, &observer->base);
	observer->observing = false;
}

static void start(struct sim_observer *observer)
{
	struct store *store = engine_store(observer->node->engine);

	observer->observing = true;
	observer->synced = false;
	observer->since_us = observer->node->sim->now_us;
	memset(observer->newest, 0, sizeof observer->newest);
	memset(observer->shown, 0, sizeof observer->shown);
	sim_allow_messages(observer->node);
	store->ops->observe(store, &observer->base);
}

static void check_change(struct sim *sim, void *argument)
{
	const struct change_of change = *(struct change_of *)argument;
	const bool last = sim->etcd->changed_us[change.name] == change.at_us;

	free(argument);
	for (struct sim_observer *observer = sim->observers; observer; observer = observer->next) {
		if (last && observes(observer, change.name) && observer->since_us < change.at_us)
			check(observer, change.name);
		/* One that goes may have a query under way. */
		if (observer->observing && sim_chance(sim, 3)) {
			stop(observer);
			start(observer);
		}
	}
}

void sim_observers_written(struct sim *sim, const char *key)
{
	char *facts_of = sim->observers ? etcd_facts_name("", key) : NULL;
	const int name = facts_of ? sim_name_number(facts_of) : sim_etcd_queue(sim->etcd, key);
	struct change_of *change;

	free(facts_of);
	if (!sim->observers || name < 0 || name >= SIM_NAMES)
		return;
	sim->etcd->changed_us[name] = sim->now_us;
	if (sim->faults & KEPT_AWAY)
		return;
	change = malloc(sizeof *change);
	if (!change)
		abort();
	*change = (struct change_of){name, sim->now_us};
	sim_at(sim, sim->now_us + told_within_us(sim), NULL, check_change, change, free_change);
}

/* ---- Who observes ---- */

static void add(struct sim *sim, struct sim_node *node, const char *name)
{
	struct sim_observer *observer = calloc(1, sizeof *observer);

	if (!observer)
		abort();
	observer->base = (struct store_observer){.name = name,
	    .changed = on_changed,
	    .gone = on_gone,
	    .synced = on_synced,
	    .failed = on_failed};
	observer->node = node;
	observer->next = sim->observers;
	sim->observers = observer;
}

/* By the seed, not by what is drawn: the other runs stay as they are without observers. */
void sim_observers_new(struct sim *sim)
{
	const uint64_t seed = sim->options.seed;
	const int askers = sim_has_electors(sim) ? 2 * sim->sites : sim->node_count;
	struct sim_node *node = &sim->nodes[seed / 3 % (uint64_t)askers];

	if (!sim_is_on_etcd(sim) || seed % 3 != 0)
		return;
	add(sim, node, NULL);
	add(sim, node, sim_name((int)(seed / 9 % SIM_NAMES)));
}

void sim_observers_start(struct sim_node *node)
{
	for (struct sim_observer *observer = node->sim->observers; observer; observer = observer->next)
		if (observer->node == node)
			start(observer);
}

void sim_observers_end(struct sim_node *node)
{
	for (struct sim_observer *observer = node->sim->observers; observer; observer = observer->next)
		if (observer->node == node)
			observer->observing = false;
}

/* Whatever happened: in the end each sees that all is free. */
void sim_observers_check(struct sim *sim)
{
	for (struct sim_observer *observer = sim->observers; observer; observer = observer->next)
		for (int name = 0; name < SIM_NAMES; name++)
			if (observes(observer, name) && (observer->base.name || !(sim->faults & FAULT_FOREIGN)))
				check(observer, name);
}

void sim_observers_free(struct sim *sim)
{
	while (sim->observers) {
		struct sim_observer *observer = sim->observers;

		sim->observers = observer->next;
		free(observer);
	}
}
