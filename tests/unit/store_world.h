/* A store without an engine: what it tells is written down, time is the test's own. */
#ifndef MPSYNC_STORE_WORLD_H
#define MPSYNC_STORE_WORLD_H

#include "unit.h"

#include "protocol/store.h"

/* What the engine was told of a claim. */
struct told {
	struct store_claim *claim;
	enum claim_event event;
	struct claim_answer answer;
	char message[200];
};

struct store_world {
	struct store *store;
	struct told told; /* the last */
	unsigned told_count;
	/* Called with the next thing that is told, once; NULL: nothing is. */
	void (*on_told)(struct store_claim *claim, enum claim_event event);
	uint64_t now_ms;
	uint64_t wake_ms;
};

extern struct store_world store_world;

/* Before the store is opened, with this clock; and then its store is given to it. */
struct store_clock begin_store_world(void);
void give_store(struct store *store);

struct store_claim *new_claim(const char *name);
/* Forgotten, and freed. */
void drop_claim(struct store_claim *claim);
void attempt(struct store_claim *claim);
void renew(struct store_claim *claim);
void withdraw(struct store_claim *claim);
/* Time passes until then, and the store is run as it wants to be. */
void pass_until(uint64_t now_ms);

#endif
