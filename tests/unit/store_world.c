#include "store_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store_world store_world;

static void on_told(void *engine, struct store_claim *claim, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word)
{
	void (*const then)(struct store_claim *, enum claim_event) = store_world.on_told;

	(void)engine;
	store_world.told = (struct told){.claim = claim, .event = event};
	store_world.told_count++;
	if (particulars)
		store_world.told.answer = *particulars;
	if (word && word->message)
		snprintf(store_world.told.message, sizeof store_world.told.message, "%s", word->message);
	store_world.on_told = NULL;
	if (then)
		then(claim, event);
}

static void on_wake(void *engine, uint64_t at_ms)
{
	(void)engine;
	store_world.wake_ms = at_ms;
}

static uint64_t boot_ms(void *context)
{
	(void)context;
	return store_world.now_ms;
}

static int64_t wall_ms(void *context)
{
	(void)context;
	return (int64_t)store_world.now_ms;
}

static uint32_t draw(void *context)
{
	(void)context;
	return 7;
}

struct store_clock begin_store_world(void)
{
	memset(&store_world, 0, sizeof store_world);
	store_world.now_ms = 1000000;
	store_world.wake_ms = CLAIM_NEVER;
	return (struct store_clock){boot_ms, wall_ms, draw, NULL};
}

void give_store(struct store *store)
{
	assert_non_null(store);
	store_world.store = store;
	store->sink = (struct store_sink){.answer = on_told, .wake_at = on_wake};
}

struct store_claim *new_claim(const char *name)
{
	struct store_claim *claim = calloc(1, sizeof *claim + store_world.store->claim_size);

	assert_non_null(claim);
	claim->name = name;
	claim->holder = (char *)(uintptr_t) "h";
	claim->ttl_ms = 15000;
	return claim;
}

void drop_claim(struct store_claim *claim)
{
	store_world.store->ops->forget(store_world.store, claim);
	free(claim);
}

void attempt(struct store_claim *claim)
{
	store_world.store->ops->attempt(store_world.store, claim);
}

void renew(struct store_claim *claim)
{
	store_world.store->ops->renew(store_world.store, &claim, 1);
}

void withdraw(struct store_claim *claim)
{
	store_world.store->ops->withdraw(store_world.store, claim);
}

void pass_until(uint64_t now_ms)
{
	while (store_world.wake_ms <= now_ms) {
		if (store_world.now_ms < store_world.wake_ms)
			store_world.now_ms = store_world.wake_ms;
		store_world.wake_ms = CLAIM_NEVER;
		store_world.store->ops->run(store_world.store);
	}
	store_world.now_ms = now_ms;
}
