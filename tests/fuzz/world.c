#include "world.h"

#include "base/identity.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS      4
#define MOST_STEPS 200
#define MOST_MS    1000000
#define MOST_TURNS 1000
#define SECOND_MS  1000

struct slot {
	struct engine_claim *claim;
	bool open; /* until `ended` */
	bool asking;
	bool held;
};

static struct {
	struct loop loop;
	struct engine *engine;
	struct slot slots[SLOTS];
	struct store_query query;
	bool querying;
	char *query_text;
	struct store_observer observer;
	bool observing;
	char *observed;
	uint64_t boot_ms;
	uint64_t wake_ms;
	uint32_t drawn;
	uint8_t identity;
} world;

bool __wrap_id_random(struct id *id);

/* 0101…, 0202…, so that an input can name them. */
bool __wrap_id_random(struct id *id)
{
	memset(id->bytes, ++world.identity ? world.identity : ++world.identity, sizeof id->bytes);
	return true;
}

uint64_t world_now_ms(void)
{
	return world.boot_ms;
}

static uint64_t boot_ms(void *context)
{
	(void)context;
	return world.boot_ms;
}

static int64_t wall_ms(void *context)
{
	(void)context;
	return (int64_t)world.boot_ms + INT64_C(1767225600000);
}

static uint32_t draw(void *context)
{
	(void)context;
	return ++world.drawn * 2654435761u;
}

static void require(bool right)
{
	if (!right)
		abort();
}

/* ---- What the engine tells: a request ends once, and a grant ends once ---- */

static void on_event(void *owner, const struct engine_event *event)
{
	struct slot *slot = owner;

	switch (event->type) {
	case MPSYNC_EVENT_HELD:
		require(slot->asking && !slot->held);
		slot->asking = false;
		slot->held = true;
		break;
	case MPSYNC_EVENT_LOST:
	case MPSYNC_EVENT_RELEASED:
		require(slot->held);
		slot->held = false;
		break;
	case MPSYNC_EVENT_BUSY:
	case MPSYNC_EVENT_CANCELLED:
	case MPSYNC_EVENT_FAILED:
		require(slot->asking && !slot->held);
		slot->asking = false;
		break;
	default:
		break;
	}
}

static void on_ended(void *owner)
{
	struct slot *slot = owner;

	require(slot->open && !slot->asking && !slot->held);
	slot->open = false;
	slot->claim = NULL;
}

static const struct engine_owner owner = {.event = on_event, .ended = on_ended};

static void wake_at(void *context, uint64_t at_ms)
{
	(void)context;
	world.wake_ms = at_ms;
}

static void on_timer(void *context)
{
	(void)context;
}

/* ---- Steps ---- */

static void settle(void)
{
	for (int i = 0; i < 4; i++) {
		timers_ring();
		event_base_loop(world.loop.base, EVLOOP_NONBLOCK);
		if (world.wake_ms <= world.boot_ms)
			engine_run(world.engine);
	}
}

/* Which slot, which name, and how long to wait. */
static void acquire(const char *step)
{
	static const uint64_t waits[] = {0, 1000, CLAIM_NEVER};
	struct slot *slot = &world.slots[(uint8_t)step[1] % SLOTS];
	const struct engine_wish wish = {.name = step[2] == 'b' ? "b" : "a",
	    .holder = "holder",
	    .value = step[2] == 'c' ? "value" : NULL,
	    .ttl_ms = 15000,
	    .wait_ms = waits[(uint8_t)step[3] % 3],
	    .adopt_token = step[3] == 'a' ? 7 : 0,
	    .election = step[2] == 'c',
	    .owner = slot};

	if (slot->open)
		return;
	*slot = (struct slot){.open = true, .asking = true};
	if (!engine_acquire(world.engine, &wish, &slot->claim))
		*slot = (struct slot){0};
}

static void with_claim(const char *step)
{
	struct slot *slot = &world.slots[(uint8_t)step[1] % SLOTS];

	if (!slot->claim)
		return;
	if (*step == 'c')
		engine_cancel(slot->claim);
	else if (slot->held && *step == 'r')
		engine_release(slot->claim);
	else if (slot->held)
		engine_set_value(slot->claim, step + 2);
}

static void on_found(struct store_query *query, const struct store_lock *lock)
{
	(void)query;
	require(lock->name && strlen(lock->name) + (lock->value ? strlen(lock->value) : 0) < SIZE_MAX);
}

static void on_done(struct store_query *query, enum mpsync_status status, const char *message)
{
	(void)query, (void)status, (void)message;
	require(world.querying);
	world.querying = false;
}

static void ask(const char *step)
{
	struct store *store = engine_store(world.engine);

	if (world.querying) {
		store->ops->query_cancel(store, &world.query);
		world.querying = false;
		return;
	}
	free(world.query_text);
	world.query_text = strdup(step + 2);
	if (!world.query_text)
		return;
	world.query = (struct store_query){.kind = (uint8_t)step[1] % (STORE_FORCE + 1),
	    .name = *world.query_text ? world.query_text : "a",
	    .prefix = world.query_text,
	    .limit = 100,
	    .found = on_found,
	    .done = on_done};
	world.querying = true;
	store->ops->query(store, &world.query);
}

static void on_changed(struct store_observer *observer, const struct store_lock *lock)
{
	(void)observer;
	on_found(NULL, lock);
}

static void on_gone(struct store_observer *observer, const char *name)
{
	(void)observer;
	require(name);
}

static void on_synced(struct store_observer *observer)
{
	(void)observer;
}

static void on_failed(
    struct store_observer *observer, enum mpsync_status status, const char *message)
{
	(void)observer, (void)status, (void)message;
}

static void observe(const char *step)
{
	struct store *store = engine_store(world.engine);

	if (world.observing) {
		store->ops->observe_stop(store, &world.observer);
		world.observing = false;
		return;
	}
	world.observer = (struct store_observer){.name = step[1] == '*' ? NULL : "a",
	    .changed = on_changed,
	    .gone = on_gone,
	    .synced = on_synced,
	    .failed = on_failed};
	world.observing = true;
	store->ops->observe(store, &world.observer);
}

static void pass(const char *step)
{
	const unsigned long ms = strtoul(step + 1, NULL, 10);

	world.boot_ms += ms < MOST_MS ? ms : MOST_MS;
	answers_time_out();
}

static void take(const char *step, size_t size)
{
	if (strlen(step) < (*step == 'a' ? 4 : 2))
		return;
	switch (*step) {
	case 'a':
		acquire(step);
		break;
	case 'c':
	case 'r':
	case 'v':
		with_claim(step);
		break;
	case 'q':
		ask(step);
		break;
	case 'o':
		observe(step);
		break;
	case 't':
		pass(step);
		break;
	default:
		answers_step(step, size);
	}
	settle();
}

static void take_all(const char *bytes, size_t size)
{
	for (int i = 0; i < MOST_STEPS && size > 0; i++) {
		const char *end = memmem(bytes, size, WORLD_SEPARATOR, strlen(WORLD_SEPARATOR));
		const size_t length = end ? (size_t)(end - bytes) : size;
		char *step = calloc(1, length + 1);

		if (!step)
			return;
		memcpy(step, bytes, length);
		take(step, length);
		free(step);
		bytes += length;
		size -= length;
		if (end) {
			bytes += strlen(WORLD_SEPARATOR);
			size -= strlen(WORLD_SEPARATOR);
		}
	}
}

/* ---- Beginning and end ---- */

static bool begin(world_open *open)
{
	struct engine_host host = {
	    .owner = &owner, .random_id = id_random, .digest_id = id_digest, .wake_at = wake_at};
	struct store *store;

	memset(&world, 0, sizeof world);
	world.boot_ms = 1000000;
	world.wake_ms = UINT64_MAX;
	world.loop.timer.descriptor = -1;
	host.clock = (struct store_clock){boot_ms, wall_ms, draw, NULL};
	if (!loop_init(&world.loop, false, on_timer, NULL))
		return false;
	store = open(&world.loop, &host.clock);
	world.engine = store ? engine_new(&host, store) : NULL;
	return world.engine;
}

static bool is_awaited(void)
{
	bool awaited = world.querying;

	for (size_t i = 0; i < SLOTS; i++)
		awaited |= world.slots[i].asking || world.slots[i].held;
	return awaited;
}

/* Whatever was said, everybody is told of the end also where nobody answers any more. */
static void end(void)
{
	struct store *store = engine_store(world.engine);

	if (world.observing)
		store->ops->observe_stop(store, &world.observer);
	engine_stop(world.engine);
	settle();
	for (int i = 0; i < MOST_TURNS && is_awaited(); i++) {
		answers_fail();
		settle();
		world.boot_ms += SECOND_MS;
		settle();
	}
	require(!is_awaited());
	engine_free(world.engine);
}

void world_run(world_open *open, const uint8_t *bytes, size_t size)
{
	if (begin(open)) {
		settle();
		take_all((const char *)bytes, size);
		end();
	}
	loop_clear(&world.loop);
	free(world.query_text);
}
