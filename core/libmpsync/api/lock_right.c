#include "client.h"
#include "lock.h"

#include "base/clock.h"

static bool is_ours(const mpsync_lock *lock)
{
	return lock && fork_mark_is_ours(lock->client->mark);
}

/* The end of the right, if this very grant is held by the clock now; else 0. */
static uint64_t right_of(const mpsync_lock *lock, uint64_t grant, uint64_t *now_ms)
{
	uint64_t until_ms;
	int64_t ahead;

	if (!is_ours(lock) || grant == 0 || atomic_load(&lock->grant) != grant)
		return 0;
	until_ms = atomic_load(&lock->until_ms);
	ahead = atomic_load(&lock->wall_ahead_ms);
	/* The grant is the same as before the two loads, so both values belong to it. */
	if (atomic_load(&lock->grant) != grant)
		return 0;
	*now_ms = clock_boot_ms();
	if (*now_ms >= until_ms)
		return 0;
	/*
	 * The wall clock ran ahead of the boot clock: the machine may have stood still without its boot
	 * clock noticing (rule 30, clocks that stand still or jump).
	 */
	if (clock_wall_ms() - (int64_t)*now_ms - ahead > lock->clock_slack_ms ||
	    !store_fence_stands(lock->client->fence))
		return 0;
	return until_ms;
}

int32_t mpsync_lock_is_held(const mpsync_lock *lock, uint64_t grant)
{
	uint64_t now_ms;

	return right_of(lock, grant, &now_ms) != 0;
}

int64_t mpsync_lock_remaining_ms(const mpsync_lock *lock, uint64_t grant)
{
	uint64_t now_ms = 0;
	const uint64_t until_ms = right_of(lock, grant, &now_ms);

	return until_ms ? (int64_t)(until_ms - now_ms) : 0;
}

uint64_t mpsync_lock_grant(const mpsync_lock *lock)
{
	return is_ours(lock) ? atomic_load(&lock->grant) : 0;
}

uint64_t mpsync_lock_token(const mpsync_lock *lock, uint64_t grant)
{
	uint64_t token;

	if (!is_ours(lock) || grant == 0 || atomic_load(&lock->grant) != grant)
		return 0;
	token = atomic_load(&lock->token);
	return atomic_load(&lock->grant) == grant ? token : 0;
}

int32_t mpsync_lock_lost_reason(const mpsync_lock *lock, uint64_t grant)
{
	const uint64_t lost = is_ours(lock) ? atomic_load(&lock->lost) : 0;

	return lost >> LOST_REASON_BITS == grant ? (int32_t)(lost & LOST_REASON_MASK)
	                                         : MPSYNC_REASON_NONE;
}
