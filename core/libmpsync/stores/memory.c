#include "memory.h"

#include "../clock.h"

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

struct row {
	char *name;
	bool there;
	struct record record;
	struct waiter *waiters; /* the first has waited longest */
	uint32_t watchers;
};

/* One set of locks. Its mutex is held for the length of one request. */
struct memory {
	struct memory *next;
	char *name;
	unsigned references;
	pthread_mutex_t mutex;
	void *rows; /* tsearch tree of struct row */
	uint64_t revision;
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

static int compare_rows(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static struct row *find_row(struct memory *memory, const char *name)
{
	struct row probe = {.name = (char *)name};
	struct row **found = tfind(&probe, &memory->rows, compare_rows);

	return found ? *found : NULL;
}

static struct row *make_row(struct memory *memory, const char *name)
{
	struct row *row = find_row(memory, name);

	if (row)
		return row;
	row = calloc(1, sizeof *row);
	if (!row)
		return NULL;
	row->name = strdup(name);
	if (!row->name || !tsearch(row, &memory->rows, compare_rows)) {
		free(row->name);
		free(row);
		return NULL;
	}
	return row;
}

static void free_row(void *pointer)
{
	struct row *row = pointer;

	while (row->waiters) {
		struct waiter *waiter = row->waiters;

		row->waiters = waiter->next;
		free(waiter);
	}
	record_clear(&row->record);
	free(row->name);
	free(row);
}

static void drop_row_if_idle(struct memory *memory, struct row *row)
{
	if (row->there || row->waiters || row->watchers > 0)
		return;
	tdelete(row, &memory->rows, compare_rows);
	free_row(row);
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
		there = row->there;
		if (there)
			copied = record_copy(&record, &row->record);
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
	return row->there && row->record.version == request->version;
}

/* Does another want to know of it? A renewal is nobody's news. */
static bool is_news(const struct record *before, const struct record *after)
{
	return !before->holder || !after->holder || !id_equal(&before->claim, &after->claim) ||
	       strcmp(before->value ? before->value : "", after->value ? after->value : "") != 0;
}

static void memory_write(struct record_backend *base, struct record_request *request)
{
	struct memory *memory = of(base)->memory;
	struct record next = request->record;
	struct record copy;
	struct record result;
	struct row *row;
	bool done;

	if (!record_copy(&copy, &next)) {
		out_of_memory(request);
		return;
	}
	pthread_mutex_lock(&memory->mutex);
	row = make_row(memory, request->name);
	done = row && matches(row, request);
	if (done) {
		const bool news = !row->there || is_news(&row->record, &copy);

		copy.version = ++memory->revision;
		if (request->grant)
			copy.token = copy.version;
		record_clear(&row->record);
		row->record = copy;
		row->there = true;
		remove_waiter(row, &copy.claim);
		if (news)
			tell_watchers(memory, row);
	} else if (row) {
		drop_row_if_idle(memory, row);
	}
	pthread_mutex_unlock(&memory->mutex);
	if (!done) {
		record_clear(&copy);
		request->done(request, RECORD_CONFLICT, NULL, MPSYNC_OK, NULL, 0);
		return;
	}
	result = next;
	result.version = copy.version;
	result.token = copy.token;
	request->done(request, RECORD_OK, &result, MPSYNC_OK, NULL, 0);
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
		row->there = false;
		record_clear(&row->record);
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
	struct store_query *query;
	uint64_t now_ms;
	size_t found;
};

static void list_row(const void *node, VISIT visit, void *context)
{
	const struct row *row = *(struct row *const *)node;
	struct listing *listing = context;
	const struct store_query *query = listing->query;
	struct store_lock lock;
	uint32_t waiters = 0;

	if ((visit != postorder && visit != leaf) || !row->there || !row->record.holder)
		return;
	if (query->prefix && strncmp(row->name, query->prefix, strlen(query->prefix)) != 0)
		return;
	if ((query->after && strcmp(row->name, query->after) <= 0) || listing->found >= query->limit)
		return;
	for (const struct waiter *waiter = row->waiters; waiter; waiter = waiter->next)
		waiters++;
	listing->found++;
	lock = record_as_lock(&row->record, row->name, listing->now_ms, waiters);
	listing->query->found(listing->query, &lock);
}

static void memory_query(struct record_backend *base, struct store_query *query)
{
	struct memory *memory = of(base)->memory;
	struct listing listing = {.query = query, .now_ms = clock_boot_ms()};

	pthread_mutex_lock(&memory->mutex);
	if (query->kind == STORE_LIST) {
		twalk_r(memory->rows, list_row, &listing);
	} else if (query->kind == STORE_GET) {
		struct row *row = find_row(memory, query->name);

		query->limit = 1;
		if (row)
			list_row(&row, leaf, &listing);
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
