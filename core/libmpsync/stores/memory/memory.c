#include "memory.h"
#include "rows.h"

#include "base/clock.h"
#include "base/fork_guard.h"
#include "base/identity.h"
#include "base/list.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* One set of locks. Its mutex is held for the length of one request. */
struct memory {
	struct memory *next;
	char *name;
	unsigned references;
	pthread_mutex_t mutex;
	struct rows rows;
	uint64_t revision;
	struct id boot;
	struct backend *backends;
};

struct changed_name {
	struct changed_name *next;
	char *name;
};

/* One client's view of the locks, on the client's own thread. */
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

/* Clients of one process that open the same name share its locks. */
static struct memory *memories;

static pthread_mutex_t memories_mutex = PTHREAD_MUTEX_INITIALIZER;

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
		SINGLY_ADD(backend->changed, changed);
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
	row = rows_find(&memory->rows, request->name);
	if (row) {
		const struct record found = row_record(row, &memory->boot);

		there = row->there;
		if (there)
			copied = record_copy(&record, &found);
		record.ahead = row_count_ahead(row, &request->claim);
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

/* Do other clients want to know of the write? A renewal is no news to anybody. */
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
	row = rows_make(&memory->rows, request->name);
	if (!row) {
		result = RECORD_REFUSED;
	} else if (matches(row, request)) {
		const bool news = !row->there || is_news(row, &record);

		record.version = memory->revision + 1;
		if (request->grant)
			record.token = record.version;
		result = rows_store(&memory->rows, row, &record) ? RECORD_OK : RECORD_REFUSED;
		if (result == RECORD_OK) {
			memory->revision++;
			row_remove_waiter(row, &record.claim);
		}
		if (result == RECORD_OK && news)
			tell_watchers(memory, row);
	}
	if (row)
		rows_drop_if_idle(&memory->rows, row);
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
	row = rows_find(&memory->rows, request->name);
	done = row && matches(row, request);
	if (done) {
		row_clear(row);
		tell_watchers(memory, row);
		rows_drop_if_idle(&memory->rows, row);
	}
	pthread_mutex_unlock(&memory->mutex);
	request->done(request, done ? RECORD_OK : RECORD_CONFLICT, NULL, MPSYNC_OK, NULL, 0);
}

/* There is nothing to cancel: every request is answered before the call returns. */
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
		return; /* without memory the waiter has no place, and waits all the same */
	waiter->claim = claim->digest;
	pthread_mutex_lock(&memory->mutex);
	row = rows_make(&memory->rows, claim->name);
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
	row = rows_find(&memory->rows, claim->name);
	if (row) {
		row_remove_waiter(row, &claim->digest);
		if (!row->there)
			tell_watchers(memory, row);
		rows_drop_if_idle(&memory->rows, row);
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

	if (!row->there || !row->holder || !store_query_lists(query, row->name) ||
	    listing->found >= query->limit)
		return;
	for (const struct waiter *waiter = row->waiters; waiter; waiter = waiter->next)
		waiters++;
	listing->found++;
	record = row_record(row, &listing->memory->boot);
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
		twalk_r(memory->rows.tree, visit_row, &listing);
	} else if (query->kind == STORE_GET) {
		const struct row *row = rows_find(&memory->rows, query->name);

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
	/* Versions begin with the wall clock, so that tokens also rise from one process to the next. */
	memory->revision = (uint64_t)clock_wall_ms() * 1000;
	SINGLY_ADD(memories, memory);
	return memory;
}

static void before_fork(void)
{
	pthread_mutex_lock(&memories_mutex);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&memories_mutex);
}

/* Another process has other locks, and what was being changed here is not touched there. */
static void after_fork_in_child(void)
{
	memories = NULL;
	pthread_mutex_unlock(&memories_mutex);
}

FORK_GUARD(FORK_LOCKS_FIRST, before_fork, after_fork, after_fork_in_child)

static struct memory *memory_share(const char *name)
{
	struct memory *memory;

	pthread_mutex_lock(&memories_mutex);
	for (memory = memories; memory; memory = memory->next)
		if (strcmp(memory->name, name) == 0)
			break;
	if (!memory && fork_guarded)
		memory = memory_new(name);
	if (memory)
		memory->references++;
	pthread_mutex_unlock(&memories_mutex);
	return memory;
}

static void memory_unshare(struct memory *memory)
{
	pthread_mutex_lock(&memories_mutex);
	if (--memory->references > 0) {
		pthread_mutex_unlock(&memories_mutex);
		return;
	}
	SINGLY_REMOVE_IF_THERE(memories, memory);
	pthread_mutex_unlock(&memories_mutex);
	rows_clear(&memory->rows);
	pthread_mutex_destroy(&memory->mutex);
	free(memory->name);
	free(memory);
}

static void detach(struct backend *backend)
{
	pthread_mutex_lock(&backend->memory->mutex);
	SINGLY_REMOVE_IF_THERE(backend->memory->backends, backend);
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
	SINGLY_ADD(backend->memory->backends, backend);
	pthread_mutex_unlock(&backend->memory->mutex);
	return records_new(&backend->base, clock);
}
