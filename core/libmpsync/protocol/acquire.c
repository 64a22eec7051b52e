/* A claim, from the wish for a name to its first step. */
#include "claims.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* A claim that waits less than this is gone before a place in a queue is of use to it. */
#define BRIEF_WAIT_MS 1000

static struct engine_claim *allocate(const struct engine *engine, const char *name)
{
	const size_t kept = engine->store->claim_size;
	struct engine_claim *claim = calloc(1, sizeof *claim + kept + strlen(name) + 1);

	if (claim)
		claim->stored.name = strcpy((char *)store_claim_data(&claim->stored) + kept, name);
	return claim;
}

static bool draw_secret(
    const struct engine_host *host, struct store_claim *stored, const struct engine_wish *wish)
{
	stored->secret = wish->secret;
	return (!id_is_none(&wish->secret) || host->random_id(&stored->secret)) &&
	       host->digest_id(&stored->secret, &stored->digest);
}

static struct engine_claim *claim_new(struct engine *engine, const struct engine_wish *wish)
{
	struct engine_claim *claim = allocate(engine, wish->name);
	const size_t need = engine->claims + 1;

	if (!claim)
		return NULL;
	claim->stored.holder = shared_text_of(&engine->holder, wish->holder);
	claim->stored.value = text_copy(wish->value);
	if (!claim->stored.holder || (wish->value && !claim->stored.value) ||
	    !draw_secret(&engine->host, &claim->stored, wish) || !heap_reserve(&engine->wakes, need) ||
	    !renewals_reserve(engine, need)) {
		engine_claim_free(claim);
		return NULL;
	}
	claim->engine = engine;
	claim->owner = wish->owner;
	claim->wake.index = HEAP_ABSENT;
	claim->stored.token = wish->adopt_token;
	claim->stored.adopt = wish->adopt_token != 0;
	claim->stored.regain = wish->regain;
	claim->stored.any_ttl = wish->any_ttl;
	claim->stored.ttl_ms = wish->ttl_ms;
	claim->stored.election = wish->election;
	claim->stored.once = wish->wait_ms == 0;
	claim->stored.awaits_store = wish->awaits_store;
	claim->stored.brief = wish->wait_ms < BRIEF_WAIT_MS;
	claim_init(&claim->claim, wish->ttl_ms, engine->host.clock.boot_ms(engine->host.clock.context),
	    wish->wait_ms);
	if (wish->wait_ms == 0 && wish->try_ms > 0)
		claim->claim.give_up_ms =
		    engine->host.clock.boot_ms(engine->host.clock.context) + wish->try_ms;
	claim->claim.patient = wish->regain;
	claim->claim.on_behalf = engine->host.on_behalf;
	return claim;
}

/*
 * Does the claim wait for a store that does not answer, so that nobody knows whether the name is
 * held?
 */
static bool waits_in_doubt(const struct engine_claim *claim)
{
	return claim->claim.state == CLAIM_WAITING && claim->claim.doubtful &&
	       claim->claim.status == MPSYNC_E_UNREACHABLE;
}

/* A try behind another claim ends with what that claim knows. */
static void end_try(
    struct engine_claim *claim, const struct engine_claim *other, const struct store_word *word)
{
	if (!waits_in_doubt(other)) {
		engine_feed(claim, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = CLAIM_NEVER}, word);
		return;
	}
	report_remember(claim, other->message);
	engine_feed(claim, CLAIM_UNKNOWN, &(struct claim_answer){.status = MPSYNC_E_UNREACHABLE}, NULL);
}

/* The claim's first step, which may be its last. `other` holds the name, or wants it. */
static void begin(struct engine_claim *claim, const struct engine_claim *other)
{
	struct store_word word = {0};

	if (other) {
		word.holder = other->claim.state == CLAIM_HELD ? other->stored.holder : NULL;
		word.position = engine_claim_position(claim);
	}
	if (queue_is_first(claim))
		turn_give(claim);
	else if (other && claim->stored.once)
		end_try(claim, other, &word);
	else
		engine_feed(claim, CLAIM_TICK, NULL, NULL);
	if (other && claim->turn != TURN_OVER)
		report_waiting(claim, &word);
}

bool engine_acquire(
    struct engine *engine, const struct engine_wish *wish, struct engine_claim **created)
{
	struct engine_claim *claim = engine->ending ? NULL : claim_new(engine, wish);
	const struct engine_claim *first;

	*created = claim;
	if (!claim)
		return false;
	first = queue_join(claim);
	if (!first) {
		*created = NULL;
		engine_claim_free(claim);
		return false;
	}
	engine_begin(engine);
	claim->depth++;
	engine->claims++;
	begin(claim, queue_in_the_way(first, claim));
	claim->depth--;
	if (claim->turn == TURN_OVER) {
		*created = NULL;
		engine_drop(claim);
	}
	engine_end(engine);
	return true;
}
