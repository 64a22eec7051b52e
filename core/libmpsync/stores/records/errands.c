#include "store.h"

#include "base/container.h"
#include "base/list.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A granting write whose answer was given up may still be carried out for so long. */
#define LATE_GRANT_MS 70000
/*
 * Such a record is looked for after this time, then after twice as long each time, but at least
 * twice in its ttl.
 */
#define FIRST_CHECK_MS 500

/* A request on behalf of no claim: removing a record, or freeing one by force. */
struct errand {
	struct record_request request;
	struct records *records;
	struct errand *next;
	struct store_query *query;
	char *name;
	bool reading;
	unsigned races;
};

static void drop_errand(struct errand *errand)
{
	SINGLY_REMOVE(errand->records->errands, errand);
	free(errand->name);
	free(errand);
}

static struct errand *errand_new(struct records *records, const char *name)
{
	struct errand *errand = calloc(1, sizeof *errand);

	if (!errand)
		return NULL;
	errand->name = strdup(name);
	if (!errand->name) {
		free(errand);
		return NULL;
	}
	errand->records = records;
	errand->request.name = errand->name;
	SINGLY_ADD(records->errands, errand);
	return errand;
}

static void on_removed(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct errand *errand = CONTAINER_OF(request, struct errand, request);

	(void)record, (void)status, (void)message, (void)retry_in_ms;
	for (struct dead_grant *dead = errand->records->dead; dead; dead = dead->next)
		if (strcmp(dead->watched->name, errand->name) == 0)
			dead->removed |= result == RECORD_OK;
	drop_errand(errand);
}

void errand_remove(struct records *records, const char *name, const struct record *record)
{
	struct errand *errand = errand_new(records, name);

	assert(record);
	if (!errand)
		return;
	errand->request.version = record->version;
	errand->request.uid = record->uid;
	errand->request.done = on_removed;
	records->backend->ops->remove(records->backend, &errand->request);
}

/* ---- Granting writes without an answer ---- */

/* The anonymous holder of an elector has the same claim for every name, so the name counts too. */
static bool is_of_claim(const struct dead_grant *dead, const char *name, const struct id *claim)
{
	return id_equal(&dead->claim, claim) && strcmp(dead->watched->name, name) == 0;
}

/*
 * A claim that asks again answers for its own late grant: by then that may be the grant that it
 * holds.
 */
bool dead_grants_take_back(struct records *records, const struct store_claim *claim)
{
	struct dead_grant **link = &records->dead;
	bool taken = false;

	while (*link) {
		struct dead_grant *dead = *link;

		if (!is_of_claim(dead, claim->name, &claim->digest)) {
			link = &dead->next;
			continue;
		}
		*link = dead->next;
		watched_drop_if_idle(records, dead->watched);
		free(dead);
		taken = true;
	}
	return taken;
}

bool dead_grants_await(const struct records *records, const struct watched_name *watched)
{
	const struct dead_grant *dead = records->dead;

	while (dead && dead->watched != watched)
		dead = dead->next;
	return dead;
}

bool dead_grants_have(const struct records *records, const char *name, const struct record *record)
{
	const struct dead_grant *dead = records->dead;

	if (!record || !record->holder || !id_equal(&record->instance, &records->instance))
		return false;
	while (dead && !is_of_claim(dead, name, &record->claim))
		dead = dead->next;
	return dead && !(dead->adopted_token && record->token == dead->adopted_token);
}

static void on_checked(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct errand *errand = CONTAINER_OF(request, struct errand, request);

	(void)status, (void)message, (void)retry_in_ms;
	if (result == RECORD_OK || result == RECORD_ABSENT)
		watched_note(errand->records, errand->name, result == RECORD_OK ? record : NULL);
	if (result == RECORD_OK && dead_grants_have(errand->records, errand->name, record))
		errand_remove(errand->records, errand->name, record);
	drop_errand(errand);
}

static void check_dead_grant(struct dead_grant *dead, struct records *records)
{
	struct errand *errand = errand_new(records, dead->watched->name);

	dead->check_at_ms = records_now(records) + dead->check_every_ms;
	if (dead->check_every_ms < dead->ttl_ms / 4)
		dead->check_every_ms *= 2;
	if (!errand)
		return;
	errand->request.fresh = true;
	errand->request.again = true;
	errand->request.done = on_checked;
	records->backend->ops->read(records->backend, &errand->request);
}

void dead_grants_remember(struct task *task)
{
	struct records *records = task->records;
	struct dead_grant *dead;
	struct watched_name *watched;

	if (!(task->granting || task->late_grant) || !records->backend->late_grants)
		return;
	watched = watched_make(records, task->claim->name);
	dead = watched ? calloc(1, sizeof *dead) : NULL;
	if (!dead)
		return; /* its record runs out by itself */
	dead->claim = task->claim->digest;
	dead->adopted_token = task->claim->adopt ? task->claim->token : 0;
	dead->watched = watched;
	dead->until_ms = records_now(records) + LATE_GRANT_MS;
	dead->check_every_ms = FIRST_CHECK_MS;
	dead->ttl_ms = task->claim->ttl_ms;
	dead->check_at_ms = records_now(records) + FIRST_CHECK_MS;
	SINGLY_ADD(records->dead, dead);
	records_arm(records);
}

const char *dead_grants_in_doubt(const struct records *records)
{
	const struct dead_grant *dead = records->dead;

	while (dead && dead->removed)
		dead = dead->next;
	return dead ? dead->watched->name : NULL;
}

void dead_grants_run(struct records *records)
{
	struct dead_grant **link = &records->dead;
	const uint64_t now = records_now(records);

	while (*link) {
		struct dead_grant *dead = *link;

		/* The process may have stood still past the time: it looks once more before it forgets. */
		if (now >= dead->check_at_ms && dead->checked_late) {
			*link = dead->next;
			watched_drop_if_idle(records, dead->watched);
			free(dead);
			continue;
		}
		if (now >= dead->check_at_ms) {
			dead->checked_late = now >= dead->until_ms;
			check_dead_grant(dead, records);
		}
		link = &dead->next;
	}
}

void dead_grants_clear(struct records *records)
{
	while (records->dead) {
		struct dead_grant *dead = records->dead;

		records->dead = dead->next;
		free(dead);
	}
}

/* ---- By force ---- */

static void on_forced(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms);

static void force_read(struct errand *errand)
{
	struct record_backend *backend = errand->records->backend;

	errand->reading = true;
	errand->request.record = (struct record){0};
	errand->request.fresh = true;
	errand->request.done = on_forced;
	backend->ops->read(backend, &errand->request);
}

static void force_write(struct errand *errand, const struct record *record)
{
	struct record_backend *backend = errand->records->backend;

	errand->reading = false;
	errand->request.version = record->version;
	errand->request.uid = record->uid;
	errand->request.durable = true;
	if (errand->query->now && backend->absent_is_free) {
		backend->ops->remove(backend, &errand->request);
		return;
	}
	errand->request.record = record_release(record, !errand->query->now);
	backend->ops->write(backend, &errand->request);
}

static void end_force(struct errand *errand, enum mpsync_status status, const char *message)
{
	struct store_query *query = errand->query;

	drop_errand(errand);
	query->done(query, status, message);
}

static void on_forced(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct errand *errand = CONTAINER_OF(request, struct errand, request);
	const bool reading = errand->reading;

	(void)retry_in_ms;
	if (result == RECORD_REFUSED || result == RECORD_UNKNOWN)
		end_force(errand, status, message);
	else if (reading && record && record->holder)
		force_write(errand, record);
	else if (reading)
		end_force(errand, MPSYNC_E_NOT_HELD, "nobody holds it");
	else if (result == RECORD_OK)
		end_force(errand, MPSYNC_OK, NULL);
	else if (++errand->races < MOST_RACES)
		force_read(errand);
	else
		end_force(errand, MPSYNC_E_UNREACHABLE, "the record changes all the time; try again");
}

void errand_force(struct records *records, struct store_query *query)
{
	struct errand *errand = errand_new(records, query->name);

	if (!errand) {
		query->done(query, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	errand->query = query;
	force_read(errand);
}

bool errand_cancel(struct records *records, const struct store_query *query)
{
	struct errand *errand = records->errands;

	while (errand && errand->query != query)
		errand = errand->next;
	if (!errand)
		return false;
	records->backend->ops->cancel(records->backend, &errand->request);
	drop_errand(errand);
	return true;
}

void errands_clear(struct records *records)
{
	while (records->errands) {
		records->backend->ops->cancel(records->backend, &records->errands->request);
		drop_errand(records->errands);
	}
}
