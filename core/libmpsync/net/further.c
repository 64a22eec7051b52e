#include "further.h"

static uint64_t last_ms(uint64_t now_ms, uint64_t every_ms, uint64_t until_ms)
{
	return every_ms > FURTHER_LAST_MS && until_ms > now_ms + every_ms + FURTHER_LAST_MS
	           ? until_ms - FURTHER_LAST_MS
	           : FURTHER_NEVER;
}

void further_begin(struct further *further, uint64_t now_ms, uint64_t every_ms, uint64_t until_ms)
{
	*further = (struct further){
	    .every_ms = every_ms,
	    .until_ms = until_ms,
	    .next_ms = every_ms ? now_ms + every_ms : FURTHER_NEVER,
	    .last_ms = last_ms(now_ms, every_ms, until_ms),
	    .under_way = 1,
	    .sent = 1,
	};
}

uint64_t further_next_ms(const struct further *further)
{
	const uint32_t kept = further->last_ms != FURTHER_NEVER;
	const bool full = further->under_way + kept >= FURTHER_MOST;
	const uint64_t next_ms =
	    full || further->next_ms >= further->until_ms ? FURTHER_NEVER : further->next_ms;

	return next_ms < further->last_ms ? next_ms : further->last_ms;
}

bool further_send(struct further *further, uint64_t now_ms)
{
	if (now_ms < further_next_ms(further) || now_ms >= further->until_ms)
		return false;
	if (now_ms >= further->last_ms)
		further->last_ms = FURTHER_NEVER;
	further->next_ms = now_ms + further->every_ms;
	further->under_way++;
	further->sent++;
	return true;
}

bool further_failed(struct further *further)
{
	return --further->under_way == 0;
}

uint64_t further_lasts_ms(const struct further *further, uint64_t now_ms, uint64_t lasts_ms)
{
	const uint64_t left_ms = further->until_ms > now_ms ? further->until_ms - now_ms : 0;

	if (left_ms < lasts_ms)
		lasts_ms = left_ms;
	return lasts_ms ? lasts_ms : 1;
}
