/*
 * client-go's leader election, as one more contender for a Lease: it reads and writes by polling,
 * sees whole seconds only, observes on its own clock, and releases with a duration of one second
 * (rules 19, 23). Some of them say numbers that no configuration should: durations of years, and,
 * in a record that is let go of, times and counts that have no successor.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS 1700000000000

struct foreign {
	struct sim *sim;
	int name;
	uint64_t rate_ppm;
	uint64_t ttl_ms; /* what it writes as its duration */
	char identity[32];
	bool leads;
	struct record seen; /* what it last found different */
	uint64_t seen_us;
	uint64_t renewed_us;
	uint64_t leaves_us;
};

static uint64_t own_us(const struct foreign *foreign, uint64_t real_us)
{
	return real_us * foreign->rate_ppm / 1000000;
}

/* In a Lease the holder's identity ends in the claim's id. */
static bool looks_the_same(const struct record *a, const struct record *b)
{
	const bool same_holder =
	    a->holder == b->holder || (a->holder && b->holder && strcmp(a->holder, b->holder) == 0);

	return same_holder && id_equal(&a->claim, &b->claim) && a->ttl_ms == b->ttl_ms &&
	       a->since_ms / 1000 == b->since_ms / 1000 &&
	       a->renewed_us / 1000000 == b->renewed_us / 1000000;
}

static bool is_free(struct foreign *foreign, const struct record *there)
{
	const struct sim *sim = foreign->sim;

	if (!looks_the_same(&foreign->seen, there)) {
		record_clear(&foreign->seen);
		if (!record_copy(&foreign->seen, there))
			abort();
		foreign->seen_us = sim->now_us;
	}
	return !there->holder || own_us(foreign, sim->now_us) >=
	                             own_us(foreign, foreign->seen_us) + (uint64_t)there->ttl_ms * 1000;
}

static void write_own(struct foreign *foreign, const struct record *there)
{
	struct sim *sim = foreign->sim;
	const int64_t wall_ms = START_MS + (int64_t)(own_us(foreign, sim->now_us) / 1000);
	struct record own = {.holder = foreign->identity,
	    .ttl_ms = foreign->ttl_ms,
	    .since_ms = foreign->leads ? there->since_ms : wall_ms,
	    .renewed_us = (uint64_t)wall_ms * 1000};

	if (!foreign->leads)
		sim_granting_write(sim, foreign->name);
	sim_store_foreign_write(sim, foreign->name, &own);
	foreign->leads = true;
	foreign->renewed_us = sim->now_us;
}

static void release(struct foreign *foreign, const struct record *there)
{
	struct record own = {
	    .ttl_ms = 1000, .since_ms = there->since_ms, .renewed_us = there->renewed_us + 1000000};

	if (sim_chance(foreign->sim, 20)) {
		own.renewed_us = RECORD_LAST_RENEWAL_US;
		own.transitions = RECORD_MOST_TRANSITIONS;
	}
	sim_store_foreign_write(foreign->sim, foreign->name, &own);
}

static void free_foreign(struct sim *sim, void *argument)
{
	struct foreign *foreign = argument;

	(void)sim;
	record_clear(&foreign->seen);
	free(foreign);
}

static bool still_leads(const struct foreign *foreign, const struct record *there)
{
	return foreign->leads && there && there->holder &&
	       strcmp(there->holder, foreign->identity) == 0;
}

/* Each retry period of its defaults, 2 s of 15. */
static void on_poll(struct sim *sim, void *argument)
{
	static const struct record nothing;
	struct foreign *foreign = argument;
	const struct record *there = sim_store_record(sim, foreign->name);
	const bool ends = sim->now_us >= foreign->leaves_us || !sim->faults_on;

	foreign->leads = still_leads(foreign, there);
	if (ends && foreign->leads)
		release(foreign, there);
	if (ends) {
		free_foreign(sim, foreign);
		return;
	}
	if (sim->now_us >= sim->outage_until_us && !sim_store_is_unprotected(sim, foreign->name) &&
	    (foreign->leads || is_free(foreign, there ? there : &nothing)))
		write_own(foreign, there);
	sim_at(
	    sim, sim->now_us + (uint64_t)sim->ttl_ms * 2000 / 15, NULL, on_poll, foreign, free_foreign);
}

/* At the edges of what 32 bits hold in seconds, and in milliseconds. */
static uint64_t pick_ttl_ms(struct sim *sim)
{
	static const uint64_t long_ms[] = {
	    4000000000, UINT32_MAX, (1ull << 32) + 1, 31536000000, INT32_MAX * 1000ull};

	if (!sim_chance(sim, 30))
		return sim->ttl_ms;
	return long_ms[sim_random(sim, sizeof long_ms / sizeof *long_ms)];
}

void sim_foreign_comes(struct sim *sim)
{
	struct foreign *foreign = calloc(1, sizeof *foreign);

	if (!foreign)
		abort();
	foreign->sim = sim;
	foreign->name = (int)sim_random(sim, SIM_NAMES);
	foreign->rate_ppm = 1000000 + sim_random(sim, sim->options.rate_ratio_ppm - 1000000 + 1);
	foreign->leaves_us = sim->now_us + sim_random(sim, 4 * (uint64_t)sim->ttl_ms * 1000);
	foreign->ttl_ms = pick_ttl_ms(sim);
	snprintf(foreign->identity, sizeof foreign->identity, "client-go-%llu",
	    (unsigned long long)sim_random(sim, 1000000));
	sim_at(sim, sim->now_us, NULL, on_poll, foreign, free_foreign);
}
