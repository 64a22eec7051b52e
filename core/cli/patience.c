#include "patience.h"

#define RETRY_MS 250
/* Permissions come by hand. */
#define REFUSED_RETRY_MS 5000
#define TELL_EVERY_MS    60000

void patience_begin(struct patience *patience, int64_t wait_ms, uint64_t now_ms)
{
	*patience = (struct patience){.give_up_ms = wait_ms > 0 ? now_ms + (uint64_t)wait_ms : 0,
	    .retry_ms = PATIENCE_NEVER,
	    .tell_ms = patience->tell_ms,
	    .without_end = wait_ms < 0};
}

bool patience_has_more(struct patience *patience, uint64_t now_ms)
{
	if (now_ms >= patience->give_up_ms)
		return false;
	patience->retry_ms = now_ms + RETRY_MS;
	if (patience->retry_ms > patience->give_up_ms)
		patience->retry_ms = patience->give_up_ms;
	return true;
}

bool patience_bears(struct patience *patience, uint64_t now_ms)
{
	if (patience->without_end)
		patience->retry_ms = now_ms + REFUSED_RETRY_MS;
	return patience->without_end;
}

bool patience_tells(struct patience *patience, uint64_t now_ms)
{
	if (now_ms < patience->tell_ms)
		return false;
	patience->tell_ms = now_ms + TELL_EVERY_MS;
	return true;
}

bool patience_retries(struct patience *patience, uint64_t now_ms)
{
	if (now_ms < patience->retry_ms)
		return false;
	patience->retry_ms = PATIENCE_NEVER;
	return true;
}

int64_t patience_left_ms(const struct patience *patience, int64_t wait_ms, uint64_t now_ms)
{
	if (patience->give_up_ms == 0)
		return wait_ms;
	return now_ms < patience->give_up_ms ? (int64_t)(patience->give_up_ms - now_ms) : 0;
}
