/* Renewals that are due at about the same time are sent together. */
#include "claims.h"

#include <stdlib.h>

bool renewals_reserve(struct engine *engine, size_t claims)
{
	const size_t size = claims + claims / 2 + 8;
	struct store_claim **more;

	if (claims <= engine->batch_size)
		return true;
	more = realloc(engine->batch, size * sizeof(*more));
	if (!more)
		return false;
	engine->batch = more;
	engine->batch_size = size;
	return true;
}

void renewals_add(struct engine_claim *claim)
{
	struct engine *engine = claim->engine;

	engine->batch[engine->batch_count++] = &claim->stored;
}

void renewals_leave(struct engine_claim *claim)
{
	struct engine *engine = claim->engine;

	for (size_t i = 0; i < engine->batch_count; i++)
		if (engine->batch[i] == &claim->stored)
			engine->batch[i--] = engine->batch[--engine->batch_count];
}

void renewals_join(struct engine *engine, uint64_t now_ms)
{
	struct heap_item *first;

	while ((first = heap_first(&engine->wakes))) {
		struct engine_claim *next = claim_of_wake(first);
		const size_t joined = engine->batch_count;

		if (next->claim.state != CLAIM_HELD ||
		    !claim_is_nearly_due(&next->claim, first->at_ms, now_ms))
			return;
		engine_feed(next, CLAIM_RENEW_EARLY, NULL, NULL);
		if (engine->batch_count == joined)
			return;
	}
}

/* The store may answer at once, and its answers may bring new renewals. */
void renewals_send(struct engine *engine)
{
	struct store_claim **batch = engine->batch;
	const size_t count = engine->batch_count;

	engine->batch = NULL;
	engine->batch_count = 0;
	engine->batch_size = 0;
	if (!renewals_reserve(engine, engine->claims)) {
		/* No memory to collect the next ones: these time out and are tried again. */
		engine->batch = batch;
		engine->batch_size = count;
		for (size_t i = 0; i < count; i++)
			engine->store->sink.answer(engine, batch[i], CLAIM_UNKNOWN,
			    &(struct claim_answer){.status = MPSYNC_E_NO_MEMORY}, NULL);
		return;
	}
	engine->store->ops->renew(engine->store, batch, count);
	free(batch);
}
