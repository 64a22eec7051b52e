#include "further.h"

void further_begin(struct further *further, uint64_t now_ms, uint64_t every_ms, uint64_t until_ms)
{
	*further = (struct further){
	    .every_ms = every_ms,
	    .until_ms = until_ms,
	    .next_ms = every_ms ? now_ms + every_ms : FURTHER_NEVER,
	    .under_way = 1,
	    .sent = 1,
	};
}

uint64_t further_next_ms(const struct further *further)
{
	const bool full = further->under_way >= FURTHER_MOST;

	return full || further->next_ms >= further->until_ms ? FURTHER_NEVER : further->next_ms;
}

bool further_send(struct further *further, uint64_t now_ms)
{
	if (now_ms < further_next_ms(further) || now_ms >= further->until_ms)
		return false;
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
