#include "memory.h"
#include "base/identity.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct waiter {
	struct waiter *next;
	struct id claim;
};

/* A record without what is the same for all of them, or never there in memory. */
struct row {
	struct waiter *waiters; /* the first has waited longest */
	bool there;
	bool election;
	bool revoked;
	uint64_t ttl_ms;
	uint64_t version;
	struct id claim;
	struct id instance;
	char *holder; /* a shared text */
	char *value;
	uint64_t token;
	uint64_t renewed_us;
	uint64_t deadline_ms;
	int64_t since_ms;
	char name[];
};

/* One set of locks. Its mutex is held for the length of one request. */
struct memory {
	struct memory *next;
	char *name;
	unsigned references;
	pthread_mutex_t mutex;
	void *rows; /* tsearch tree of the names that stand in struct row */
	uint64_t revision;
	char *holder; /* the latest, as a shared text */
	struct id boot;
	struct backend *backends;
};

struct changed_name {
	struct changed_name *next;
	char *name;
};

/* One client's view, on its own thread. */
struct backend {
	struct record_backend base;
	struct memory *memory;
	struct backend *next;
	struct event *event;
	int descriptor;
	uint32_t watches; /* under the mutex, as are the changed names */
	struct changed_name *changed;
	bool changed_any;
};

/* The one permitted global: what makes clients of one name share it. */
static struct memory *memories;
static pthread_mutex_t memories_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct row *row_of(void *name)
{
	return (struct row *)((char *)name - offsetof(struct row, name));
}

static struct row *find_row(struct memory *memory, const char *name)
{
	void **found = tfind(name, &memory->rows, text_compare);

	return found ? row_of(*found) : NULL;
}

static struct row *make_row(struct memory *memory, const char *name)
{
	struct row *row = find_row(memory, name);

	if (row)
		return row;
	row = calloc(1, sizeof *row + strlen(name) + 1);
	if (!row)
		return NULL;
	strcpy(row->name, name);
	if (!tsearch(row->name, &memory->rows, text_compare)) {
		free(row);
		return NULL;
	}
	return row;
}

/* What is there from now on: nothing. */
static void clear_row(struct row *row)
{
	shared_text_free(row->holder);
	free(row->value);
	row->holder = NULL;
	row->value = NULL;
	row->there = false;
}

static void free_row(void *name)
{
	struct row *row = row_of(name);

	while (row->waiters) {
		struct waiter *waiter = row->waiters;

		row->waiters = waiter->next;
		free(waiter);
	}
	clear_row(row);
	free(row);
}

static void drop_row_if_idle(struct memory *memory, struct row *row)
{
	if (row->there || row->waiters)
		return;
	tdelete(row->name, &memory->rows, text_compare);
	free_row(row->name);
}

/* Its strings stay the row's. */
static struct record record_of(const struct memory *memory, const struct row *row)
{
	return (struct record){
	    .version = row->version,
	    .claim = row->claim,
	    .instance = row->instance,
	    .holder = row->holder,
	    .value = row->value,
	    .token = row->token,
	    .renewed_us = row->renewed_us,
	    .deadline_ms = row->deadline_ms,
	    .host.boot = memory->boot,
	    .since_ms = row->since_ms,
	    .ttl_ms = row->ttl_ms,
	    .election = row->election,
	    .revoked = row->revoked,
	};
}

/* False without memory: nothing has changed. */
static bool store_record(struct memory *memory, struct row *row, const struct record *record)
{
	char *holder = NULL;
	char *value = record->value ? strdup(record->value) : NULL;

	if (record->holder)
		holder = shared_text_of(&memory->holder, record->holder);
	if ((record->value && !value) || (record->holder && !holder)) {
		free(value);
		shared_text_free(holder);
		return false;
	}
	clear_row(row);
	row->there = true;
	row->version = record->version;
	row->claim = record->claim;
	row->instance = record->instance;
	row->holder = holder;
	row->value = value;
	row->token = record->token;
	row->renewed_us = record->renewed_us;
	row->deadline_ms = record->deadline_ms;
	row->since_ms = record->since_ms;
	row->ttl_ms = record->ttl_ms;
	row->election = record->election;
	row->revoked = record->revoked;
	return true;
}

static uint32_t count_ahead(const struct row *row, const struct id *claim)
{
	uint32_t ahead = 0;

	for (const struct waiter *waiter = row->waiters; waiter; waiter = waiter->next) {
		if (id_equal(&waiter->claim, claim))
			return ahead;
		ahead++;
	}
	return ahead;
}

static void remove_waiter(struct row *row, const struct id *claim)
{
	struct waiter **link = &row->waiters;
	struct waiter *waiter;

	while (*link && !id_equal(&(*link)->claim, claim))
		link = &(*link)->next;
	waiter = *link;
	if (!waiter)
		return;
	*link = waiter->next;
	free(waiter);
}

/* ---- Telling other threads ---- */

static void note_change(struct backend *backend, const char *name)
{
	struct changed_name *changed = malloc(sizeof *changed);
	const uint64_t one = 1;

	if (changed)
		changed->name = strdup(name);
	if (!changed || !changed->name) {
		free(changed);
		backend->changed_any = true;
	} else {
		changed->next = backend->changed;
		backend->changed = changed;
	}
	if (write(backend->descriptor, &one, sizeof one) < 0)
		backend->changed_any = true;
}

static void tell_watchers(struct memory *memory, const struct row *row)
{
	for (struct backend *backend = memory->backends; backend; backend = backend->next)
		if (backend->watches > 0)
			note_change(backend, row->name);
}

static void on_changes(evutil_socket_t descriptor, short what, void *context)
{
	struct backend *backend = context;
	struct changed_name *changed;
	uint64_t count;
	bool any;

	(void)what;
	if (read(descriptor, &count, sizeof count) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&backend->memory->mutex);
	changed = backend->changed;
	any = backend->changed_any;
	backend->changed = NULL;
	backend->changed_any = false;
	pthread_mutex_unlock(&backend->memory->mutex);
	while (changed) {
		struct changed_name *next = changed->next;

		records_changed(backend->base.records, changed->name, false, NULL);
		free(changed->name);
		free(changed);
		changed = next;
	}
	if (any)
		records_changed(backend->base.records, NULL, false, NULL);
}

/* ---- Requests ---- */

static struct backend *of(struct record_backend *base)
{
	return (struct backend *)base;
}

static void out_of_memory(struct record_request *request)
{
	request->done(request, RECORD_REFUSED, NULL, MPSYNC_E_NO_MEMORY, "out of memory", 0);
}

static void memory_read(struct record_backend *base, struct record_request *request)
{
	struct memory *memory = of(base)->memory;
	struct record record = {0};
	bool there = false;
	bool copied = true;
	struct row *row;

	pthread_mutex_lock(&memory->mutex);
	row = find_row(memory, request->name);
	if (row) {
		const struct record found = record_of(memory, row);

		there = row->there;
		if (there)
			copied = record_copy(&record, &found);
		record.ahead = count_ahead(row, &request->claim);
	}
	pthread_mutex_unlock(&memory->mutex);
	if (!copied) {
		out_of_memory(request);
		return;
	}
	request->done(request, there ? RECORD_OK : RECORD_ABSENT, &record, MPSYNC_OK, NULL, 0);
	record_clear(&record);
}

static bool matches(const struct row *row, const struct record_request *request)
{
	if (request->create)
		return !row->there;
	return row->there && row->version == request->version;
}

/* Does another want to know of it? A renewal is nobody's news. */
static bool is_news(const struct row *before, const struct record *after)
{
	return !before->holder || !after->holder || !id_equal(&before->claim, &after->claim) ||
	       strcmp(before->value ? before->value : "", after->value ? after->value : "") != 0;
}

static void memory_write(struct record_backend *base, struct record_request *request)
{
	struct memory *memory = of(base)->memory;
	struct record record = request->record;
	enum record_result result = RECORD_CONFLICT;
	struct row *row;

	pthread_mutex_lock(&memory->mutex);
	row = make_row(memory, request->name);
	if (!row) {
		result = RECORD_REFUSED;
	} else if (matches(row, request)) {
		const bool news = !row->there || is_news(row, &record);

		record.version = memory->revision + 1;
		if (request->grant)
			record.token = record.version;
		result = store_record(memory, row, &record) ? RECORD_OK : RECORD_REFUSED;
		if (result == RECORD_OK) {
			memory->revision++;
			remove_waiter(row, &record.claim);
		}
		if (result == RECORD_OK && news)
			tell_watchers(memory, row);
	}
	if (row)
		drop_row_if_idle(memory, row);
	pthread_mutex_unlock(&memory->mutex);
	if (result == RECORD_REFUSED)
		out_of_memory(request);
	else
		request->done(request, result, result == RECORD_OK ? &record : NULL, MPSYNC_OK, NULL, 0);
}

static void memory_remove(struct record_backend *base, struct record_request *request)
{
	struct memory *memory = of(base)->memory;
	struct row *row;
	bool done;

	pthread_mutex_lock(&memory->mutex);
	row = find_row(memory, request->name);
	done = row && matches(row, request);
	if (done) {
		clear_row(row);
		tell_watchers(memory, row);
		drop_row_if_idle(memory, row);
	}
	pthread_mutex_unlock(&memory->mutex);
	request->done(request, done ? RECORD_OK : RECORD_CONFLICT, NULL, MPSYNC_OK, NULL, 0);
}

/* Everything is answered before the call returns. */
static void memory_cancel(struct record_backend *base, struct record_request *request)
{
	(void)base, (void)request;
}

static void memory_batch(struct record_backend *base)
{
	(void)base;
}

static void memory_enqueue(struct record_backend *base, const struct store_claim *claim)
{
	struct memory *memory = of(base)->memory;
	struct waiter *waiter = calloc(1, sizeof *waiter);
	struct row *row;

	if (!waiter)
		return; /* it waits all the same, out of order */
	waiter->claim = claim->digest;
	pthread_mutex_lock(&memory->mutex);
	row = make_row(memory, claim->name);
	if (row) {
		struct waiter **link = &row->waiters;

		while (*link)
			link = &(*link)->next;
		*link = waiter;
	} else {
		free(waiter);
	}
	pthread_mutex_unlock(&memory->mutex);
}

static void memory_dequeue(struct record_backend *base, const struct store_claim *claim)
{
	struct memory *memory = of(base)->memory;
	struct row *row;

	pthread_mutex_lock(&memory->mutex);
	row = find_row(memory, claim->name);
	if (row) {
		remove_waiter(row, &claim->digest);
		if (!row->there)
			tell_watchers(memory, row);
		drop_row_if_idle(memory, row);
	}
	pthread_mutex_unlock(&memory->mutex);
}

static void memory_watch(struct record_backend *base, const char *name, bool on)
{
	struct backend *backend = of(base);

	(void)name;
	pthread_mutex_lock(&backend->memory->mutex);
	backend->watches += on ? 1 : (uint32_t)-1;
	pthread_mutex_unlock(&backend->memory->mutex);
}

struct listing {
	const struct memory *memory;
	struct store_query *query;
	uint64_t now_ms;
	size_t found;
};

static void list_row(struct listing *listing, const struct row *row)
{
	const struct store_query *query = listing->query;
	struct record record;
	struct store_lock lock;
	uint32_t waiters = 0;

	if (!row->there || !row->holder)
		return;
	if (query->prefix && strncmp(row->name, query->prefix, strlen(query->prefix)) != 0)
		return;
	if ((query->after && strcmp(row->name, query->after) <= 0) || listing->found >= query->limit)
		return;
	for (const struct waiter *waiter = row->waiters; waiter; waiter = waiter->next)
		waiters++;
	listing->found++;
	record = record_of(listing->memory, row);
	lock = record_as_lock(&record, row->name, listing->now_ms, waiters);
	listing->query->found(listing->query, &lock);
}

static void visit_row(const void *node, VISIT visit, void *context)
{
	if (visit == postorder || visit == leaf)
		list_row(context, row_of(*(void *const *)node));
}

static void memory_query(struct record_backend *base, struct store_query *query)
{
	struct memory *memory = of(base)->memory;
	struct listing listing = {.memory = memory, .query = query, .now_ms = clock_boot_ms()};

	pthread_mutex_lock(&memory->mutex);
	if (query->kind == STORE_LIST) {
		twalk_r(memory->rows, visit_row, &listing);
	} else if (query->kind == STORE_GET) {
		const struct row *row = find_row(memory, query->name);

		query->limit = 1;
		if (row)
			list_row(&listing, row);
	}
	pthread_mutex_unlock(&memory->mutex);
	query->done(query,
	    query->kind == STORE_GET && listing.found == 0 ? MPSYNC_E_NOT_HELD : MPSYNC_OK, NULL);
}

/* ---- Sharing ---- */

static struct memory *memory_new(const char *name)
{
	struct memory *memory = calloc(1, sizeof *memory);

	if (!memory)
		return NULL;
	memory->name = strdup(name);
	if (!memory->name || !id_random(&memory->boot)) {
		free(memory->name);
		free(memory);
		return NULL;
	}
	pthread_mutex_init(&memory->mutex, NULL);
	/* From the wall clock, so that tokens also rise from one process to the next. */
	memory->revision = (uint64_t)clock_wall_ms() * 1000;
	memory->next = memories;
	memories = memory;
	return memory;
}

static struct memory *memory_share(const char *name)
{
	struct memory *memory;

	pthread_mutex_lock(&memories_mutex);
	for (memory = memories; memory; memory = memory->next)
		if (strcmp(memory->name, name) == 0)
			break;
	if (!memory)
		memory = memory_new(name);
	if (memory)
		memory->references++;
	pthread_mutex_unlock(&memories_mutex);
	return memory;
}

static void memory_unshare(struct memory *memory)
{
	struct memory **link = &memories;

	pthread_mutex_lock(&memories_mutex);
	if (--memory->references > 0) {
		pthread_mutex_unlock(&memories_mutex);
		return;
	}
	while (*link != memory)
		link = &(*link)->next;
	*link = memory->next;
	pthread_mutex_unlock(&memories_mutex);
	tdestroy(memory->rows, free_row);
	shared_text_free(memory->holder);
	pthread_mutex_destroy(&memory->mutex);
	free(memory->name);
	free(memory);
}

static void detach(struct backend *backend)
{
	struct backend **link = &backend->memory->backends;

	pthread_mutex_lock(&backend->memory->mutex);
	while (*link && *link != backend)
		link = &(*link)->next;
	if (*link)
		*link = backend->next;
	pthread_mutex_unlock(&backend->memory->mutex);
}

static void memory_close(struct record_backend *base)
{
	struct backend *backend = of(base);

	if (backend->memory) {
		detach(backend);
		memory_unshare(backend->memory);
	}
	if (backend->event)
		event_free(backend->event);
	if (backend->descriptor >= 0)
		close(backend->descriptor);
	while (backend->changed) {
		struct changed_name *changed = backend->changed;

		backend->changed = changed->next;
		free(changed->name);
		free(changed);
	}
	free(backend);
}

static const struct record_backend_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .remove = memory_remove,
    .cancel = memory_cancel,
    .batch_begin = memory_batch,
    .batch_end = memory_batch,
    .enqueue = memory_enqueue,
    .dequeue = memory_dequeue,
    .watch = memory_watch,
    .query = memory_query,
    .close = memory_close,
};

struct store *memory_open(const char *name, struct loop *loop, const struct store_clock *clock)
{
	struct backend *backend = calloc(1, sizeof *backend);

	if (!backend)
		return NULL;
	backend->base.ops = &memory_ops;
	backend->base.kind = "memory";
	backend->base.shortest_ttl_ms = 50;
	backend->base.absent_is_free = true;
	backend->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	backend->memory = memory_share(name);
	if (backend->descriptor >= 0)
		backend->event =
		    event_new(loop->base, backend->descriptor, EV_READ | EV_PERSIST, on_changes, backend);
	if (!backend->memory || !backend->event || event_add(backend->event, NULL) != 0) {
		memory_close(&backend->base);
		return NULL;
	}
	backend->base.host.boot = backend->memory->boot;
	pthread_mutex_lock(&backend->memory->mutex);
	backend->next = backend->memory->backends;
	backend->memory->backends = backend;
	pthread_mutex_unlock(&backend->memory->mutex);
	return records_new(&backend->base, clock);
}
