#include "records_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fixture *of(struct record_backend *backend)
{
	return (struct fixture *)backend;
}

static void backend_read(struct record_backend *backend, struct record_request *request)
{
	const struct record *there = of(backend)->there;

	request->done(request, there ? RECORD_OK : RECORD_ABSENT, there, MPSYNC_OK, NULL, 0);
}

static void backend_write(struct record_backend *backend, struct record_request *request)
{
	struct record written = request->record;

	written.version = ++of(backend)->writes;
	of(backend)->held_back = request;
	if (of(backend)->conflicts || of(backend)->vanishes) {
		of(backend)->conflicts = false;
		if (of(backend)->vanishes)
			of(backend)->there = NULL;
		request->done(request, RECORD_CONFLICT, NULL, MPSYNC_OK, NULL, 0);
		return;
	}
	if (of(backend)->grants) {
		of(backend)->written = *request;
		snprintf(of(backend)->value, sizeof of(backend)->value, "%s",
		    request->record.value ? request->record.value : "");
	}
	if (of(backend)->grants)
		request->done(request, RECORD_OK, &written, MPSYNC_OK, NULL, 0);
	else if (!of(backend)->silent)
		request->done(request, RECORD_UNKNOWN, NULL, MPSYNC_E_UNREACHABLE, "not here", 0);
}

static void backend_remove(struct record_backend *backend, struct record_request *request)
{
	strcpy(of(backend)->removed, request->name);
	of(backend)->removed_version = request->version;
	request->done(request, RECORD_OK, NULL, MPSYNC_OK, NULL, 0);
}

static void backend_cancel(struct record_backend *backend, struct record_request *request)
{
	(void)backend, (void)request;
}

static void backend_batch(struct record_backend *backend)
{
	(void)backend;
}

static void backend_order(struct record_backend *backend, const struct store_claim *claim)
{
	(void)backend, (void)claim;
}

static void backend_watch(struct record_backend *backend, const char *name, bool on)
{
	(void)backend, (void)name, (void)on;
}

static void backend_query(struct record_backend *backend, struct store_query *query)
{
	(void)backend, (void)query;
}

static const struct record_backend_ops ops = {
    .read = backend_read,
    .write = backend_write,
    .remove = backend_remove,
    .cancel = backend_cancel,
    .batch_begin = backend_batch,
    .batch_end = backend_batch,
    .enqueue = backend_order,
    .dequeue = backend_order,
    .watch = backend_watch,
    .query = backend_query,
    .close = backend_batch,
};

static uint64_t boot_ms(void *context)
{
	return ((struct fixture *)context)->now_ms;
}

static int64_t wall_ms(void *context)
{
	return (int64_t)((struct fixture *)context)->now_ms;
}

static uint32_t no_random(void *context)
{
	(void)context;
	return 0;
}

static void wake_at(void *engine, uint64_t at_ms)
{
	((struct fixture *)engine)->wake_at_ms = at_ms;
}

static void note_answer(void *engine, struct store_claim *claim, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct fixture *fixture = engine;

	(void)word;
	if (event == CLAIM_CHANGED) {
		fixture->store->ops->attempt(fixture->store, claim);
		return;
	}
	fixture->event = event;
	fixture->status = answer->status;
	fixture->retry_in_ms = answer->retry_in_ms;
}

int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	struct store_clock clock = {boot_ms, wall_ms, no_random, fixture};

	fixture->backend.ops = &ops;
	fixture->backend.sees_all = true;
	fixture->backend.late_grants = true;
	fixture->now_ms = 1000;
	fixture->store = records_new(&fixture->backend, &clock);
	fixture->store->sink =
	    (struct store_sink){.answer = note_answer, .wake_at = wake_at, .engine = fixture};
	*state = fixture;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *fixture = *state;

	fixture->store->ops->close(fixture->store);
	free(fixture);
	return 0;
}

struct record left_behind(uint64_t version, bool election)
{
	return (struct record){.version = version,
	    .uid = {{1}},
	    .claim = {{2}},
	    .holder = "crashed",
	    .ttl_ms = TTL,
	    .renewed_us = version,
	    .election = election};
}

void pass(struct fixture *fixture, uint64_t ms)
{
	const uint64_t end = fixture->now_ms + ms;

	while (fixture->wake_at_ms <= end) {
		fixture->now_ms = fixture->wake_at_ms;
		fixture->store->ops->run(fixture->store);
	}
	fixture->now_ms = end;
}

void becomes(struct fixture *fixture, const struct record *record)
{
	fixture->there = record;
	records_changed(fixture->backend.records, "x", true, record);
}
