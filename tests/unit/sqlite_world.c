#include "sqlite_world.h"

#include "unit.h"

#include "base/clock.h"
#include "stores/records/store.h"
#include "stores/sqlite/sqlite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TTL_MS 15000
/* A store that does not tell what it has to is waited for so long, and so is what other programs
 * have of the system. */
#define PATIENCE_S 600

static void note_answer(void *engine, struct store_claim *claim, enum claim_event event,
    const struct claim_answer *answer, const struct store_word *word)
{
	struct sqlite_world *world = engine;

	(void)claim, (void)word;
	world->event = event;
	world->counted = world->counter ? *world->counter : 0;
	world->token = answer ? answer->token : 0;
}

static void no_wake(void *engine, uint64_t at_ms)
{
	(void)engine, (void)at_ms;
}

static void no_timer(void *context)
{
	(void)context;
}

struct store *sqlite_world_open(struct sqlite_world *world, const char *path)
{
	const struct store_clock clock = clock_real(NULL);
	struct store *store = sqlite_open(path, &world->options, true, &world->loop, &clock, NULL);

	assert_non_null(store);
	store->sink = (struct store_sink){.answer = note_answer, .wake_at = no_wake, .engine = world};
	return store;
}

int sqlite_world_begin(void **state)
{
	struct sqlite_world *world = calloc(1, sizeof *world);

	alarm(PATIENCE_S);
	strcpy(world->folder, "/tmp/mpsync-sqlite-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof world->path, "%s/locks.db", world->folder);
	assert_true(loop_init(&world->loop, false, no_timer, world));
	world->store = sqlite_world_open(world, world->path);
	*state = world;
	return 0;
}

int sqlite_world_end(void **state)
{
	struct sqlite_world *world = *state;
	char command[96];

	world->store->ops->close(world->store);
	loop_clear(&world->loop);
	snprintf(command, sizeof command, "rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	free(world);
	alarm(0);
	return 0;
}

struct record_backend *backend_of(const struct sqlite_world *world)
{
	return ((const struct records *)world->store)->backend;
}

/* ---- The engine's part ---- */

struct kept_claim claim_of(char *name, unsigned char digest)
{
	return (struct kept_claim){
	    .claim = {.name = name, .digest = {{digest}}, .ttl_ms = TTL_MS, .holder = "me"}};
}

void attempt(struct sqlite_world *world, struct kept_claim *claim)
{
	world->event = CLAIM_TICK;
	world->store->ops->attempt(world->store, &claim->claim);
}

void take(struct sqlite_world *world, struct kept_claim *claim)
{
	attempt(world, claim);
	assert_int_equal(world->event, CLAIM_GRANTED);
	claim->claim.token = world->token;
}

void forget(struct sqlite_world *world, struct kept_claim *claim)
{
	world->store->ops->forget(world->store, &claim->claim);
}

void await_grant(struct sqlite_world *world, struct kept_claim *claim)
{
	while (world->event != CLAIM_GRANTED) {
		event_base_loop(world->loop.base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
		if (world->event == CLAIM_CHANGED)
			attempt(world, claim);
	}
}

void let_pass(struct sqlite_world *world, long ms)
{
	const struct timeval after = {ms / 1000, ms % 1000 * 1000};

	event_base_loopexit(world->loop.base, &after);
	event_base_loop(world->loop.base, 0);
}

/* ---- Another program's part ---- */

sqlite3 *sqlite_world_connect(const struct sqlite_world *world)
{
	sqlite3 *other;

	assert_int_equal(sqlite3_open(world->path, &other), SQLITE_OK);
	return other;
}

void sqlite_world_execute(const struct sqlite_world *world, const char *format, ...)
{
	sqlite3 *other = sqlite_world_connect(world);
	va_list arguments;
	char *sql;

	va_start(arguments, format);
	sql = sqlite3_vmprintf(format, arguments);
	va_end(arguments);
	assert_int_equal(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_free(sql);
	sqlite3_close(other);
}

/* ---- This process ---- */

unsigned descriptors_of(const char *kind)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned count = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		char target[256] = "";

		if (readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0)
			count += strstr(target, kind) != NULL;
	}
	closedir(folder);
	return count;
}
