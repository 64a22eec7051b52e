#include "store.h"

#include "base/identity.h"

#include <stdlib.h>
#include <string.h>

/* How often litter is looked for (rule 26, litter is removed). */
#define LITTER_EVERY_MS 600000
/* After so long the query of an observer that the store did not answer is repeated. */
#define OBSERVE_AGAIN_MS 1000

uint64_t records_now(const struct records *records)
{
	return records->store.clock.boot_ms(records->store.clock.context);
}

int64_t records_wall_now(const struct records *records)
{
	return records->store.clock.wall_ms(records->store.clock.context);
}

/* ---- Time ---- */

void records_arm(struct records *records)
{
	uint64_t at_ms = records->sweep_at_ms;

	if (records->litter_at_ms < at_ms)
		at_ms = records->litter_at_ms;
	if (records->observe_at_ms < at_ms)
		at_ms = records->observe_at_ms;
	for (const struct task *task = records->lingering; task; task = task->next)
		if (task->remove_at_ms < at_ms)
			at_ms = task->remove_at_ms;
	for (const struct dead_grant *dead = records->dead; dead; dead = dead->next)
		if (dead->check_at_ms < at_ms)
			at_ms = dead->check_at_ms;
	records->store.sink.wake_at(records->store.sink.engine, at_ms);
}

static void records_run(struct store *store)
{
	struct records *records = records_of(store);
	const uint64_t now = records_now(records);

	if (now >= records->sweep_at_ms)
		watched_sweep_all(records);
	if (now >= records->litter_at_ms) {
		records->litter_at_ms = now + LITTER_EVERY_MS;
		watched_remove_litter(records);
	}
	if (now >= records->observe_at_ms) {
		records->observe_at_ms = CLAIM_NEVER;
		observers_retry(&records->observers);
	}
	records_remove_lingered(records);
	dead_grants_run(records);
	records_arm(records);
}

/* ---- Queries ---- */

static void records_query(struct store *store, struct store_query *query)
{
	struct records *records = records_of(store);

	if (query->kind == STORE_FORCE)
		errand_force(records, query);
	else
		records->backend->ops->query(records->backend, query);
}

static void cancel_at_backend(void *context, struct store_query *query)
{
	struct record_backend *backend = ((struct records *)context)->backend;

	if (backend->ops->query_cancel)
		backend->ops->query_cancel(backend, query);
}

static void records_query_cancel(struct store *store, struct store_query *query)
{
	if (!errand_cancel(records_of(store), query))
		cancel_at_backend(records_of(store), query);
}

/* ---- Observers ---- */

struct store_lock record_as_lock(
    const struct record *record, const char *name, uint64_t now_ms, uint32_t waiters)
{
	return (struct store_lock){
	    .name = name,
	    .holder = record->holder,
	    .value = record->value,
	    .token = record->token,
	    .version = observed_version(record->token ? record->token : record->version, record->value),
	    .ttl_ms = record->ttl_ms,
	    .since_ms = record->since_ms,
	    .expires_in_ms = record->deadline_ms > now_ms ? record->deadline_ms - now_ms : 0,
	    .waiters = waiters,
	    .election = record->election,
	};
}

static void records_observe(struct store *store, struct store_observer *observer)
{
	struct records *records = records_of(store);

	records->backend->ops->watch(records->backend, observer->name, true);
	observers_add(&records->observers, observer);
}

static void records_observe_stop(struct store *store, struct store_observer *observer)
{
	struct records *records = records_of(store);

	if (!observer->data)
		return;
	observers_remove(&records->observers, observer);
	records->backend->ops->watch(records->backend, observer->name, false);
}

static void query_backend(void *context, struct store_query *query)
{
	struct record_backend *backend = ((struct records *)context)->backend;

	backend->ops->query(backend, query);
}

static void observe_again(void *context)
{
	struct records *records = context;

	records->observe_at_ms = records_now(records) + OBSERVE_AGAIN_MS;
	records_arm(records);
}

/* ---- Changes ---- */

/* Waking a waiter may end claims, and so free watched names: the cursor steps over those. */
static void wake_everyone(struct records *records)
{
	records->cursor = records->watched;
	while (records->cursor) {
		struct watched_name *watched = records->cursor;

		records->cursor = watched->next;
		records_wake_waiting(records, watched, false);
	}
}

/*
 * A backend that sees every change remembers what is held, so that a later waiter need not observe
 * it again (rule 25, observation outlives the claim).
 */
static struct watched_name *find_or_remember(
    struct records *records, const char *name, const struct record *record)
{
	struct watched_name *watched = watched_find(records, name);

	if (watched || !records->backend->sees_all || !record || (!record->holder && record->election))
		return watched;
	/* The elections of other programs are remembered only while somebody waits for them. */
	if (record->holder && id_is_none(&record->claim) && record->election)
		return NULL;
	if (records->litter_at_ms == CLAIM_NEVER) {
		records->litter_at_ms = records_now(records) + LITTER_EVERY_MS;
		records_arm(records);
	}
	return watched_make(records, name);
}

void records_seen(struct records *records, const char *name, const struct record *record)
{
	struct watched_name *watched = find_or_remember(records, name, record);

	if (!watched)
		return;
	watched->look_at_ms = 0;
	free(watched->unheard);
	watched->unheard = NULL;
	places_heard(watched, record);
	watched_see(records, watched, record);
	if (dead_grants_have(records, name, record))
		errand_remove(records, name, record);
	records_wake_waiting(records, watched, true);
	watched = watched_find(records, name);
	if (watched)
		records_keep_up(watched, record);
}

void records_unwatched(
    struct records *records, const char *name, enum mpsync_status status, const char *message)
{
	struct watched_name *watched = name ? watched_find(records, name) : NULL;

	if (watched) {
		free(watched->unheard);
		watched->unheard = strdup(message);
		watched->unheard_status = status;
	}
	observers_failed(&records->observers, name, status, message);
}

void records_changed(
    struct records *records, const char *name, bool known, const struct record *record)
{
	struct watched_name *watched;

	observers_changed(&records->observers, name);
	if (!name) {
		wake_everyone(records);
	} else if (known) {
		records_seen(records, name, record);
	} else {
		watched = watched_find(records, name);
		if (watched)
			records_wake_waiting(records, watched, false);
	}
}

/* ---- Beginning and end ---- */

static void records_close(struct store *store)
{
	struct records *records = records_of(store);

	errands_clear(records);
	observers_clear(&records->observers);
	dead_grants_clear(records);
	watched_clear(records);
	records->backend->ops->close(records->backend);
	free(records->spare);
	free(records);
}

static bool records_finishing(const struct store *store)
{
	const struct record_backend *backend = ((const struct records *)store)->backend;

	return backend->ops->finishing && backend->ops->finishing(backend);
}

static const char *records_silence(const struct store *store)
{
	const struct record_backend *backend = ((const struct records *)store)->backend;

	return backend->ops->silence ? backend->ops->silence(backend) : NULL;
}

static const char *records_in_doubt(const struct store *store)
{
	return dead_grants_in_doubt((const struct records *)store);
}

static const struct store_ops records_ops = {
    .attempt = records_attempt,
    .renew = records_renew,
    .withdraw = records_withdraw,
    .forget = records_forget,
    .query = records_query,
    .query_cancel = records_query_cancel,
    .observe = records_observe,
    .observe_stop = records_observe_stop,
    .run = records_run,
    .close = records_close,
    .finishing = records_finishing,
    .silence = records_silence,
    .in_doubt = records_in_doubt,
};

struct store *records_new(struct record_backend *backend, const struct store_clock *clock)
{
	struct records *records = calloc(1, sizeof *records);

	if (!records || !id_random(&records->instance)) {
		backend->ops->close(backend);
		free(records);
		return NULL;
	}
	records->store.ops = &records_ops;
	records->store.clock = *clock;
	records->store.kind = backend->kind;
	records->store.url = backend->url;
	records->store.claim_size = sizeof(struct grant);
	records->store.shortest_ttl_ms = backend->shortest_ttl_ms;
	records->store.ttl_step_ms = backend->ttl_step_ms;
	records->store.bears_token_late = backend->token_is_version;
	records->store.outlives_process = backend->outlives_process;
	records->backend = backend;
	records->sweep_at_ms = CLAIM_NEVER;
	records->litter_at_ms = CLAIM_NEVER;
	records->observe_at_ms = CLAIM_NEVER;
	records->observers = (struct observers){.query = query_backend,
	    .query_cancel = cancel_at_backend,
	    .retry_later = observe_again,
	    .context = records};
	backend->records = records;
	return &records->store;
}
