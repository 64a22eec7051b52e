/* What is the same for a lock and an election: of each handle, one is not NULL. */
#include <mpsync.h>
#include <stdlib.h>

typedef struct native {
	mpsync_lock *lock;
	mpsync_election *election;
} native;

#define EITHER(call_of_election, call_of_lock) (n.election ? call_of_election : call_of_lock)

static inline void start(native n, uint64_t op, const char *value, int64_t wait_ms, mpsync_error *e)
{
	EITHER(mpsync_election_campaign_start(n.election, op, value, wait_ms, e),
	    mpsync_lock_acquire_start(n.lock, op, wait_ms, e));
}

static inline void run(native n, uint64_t op, const char *value, int64_t wait_ms, mpsync_error *e)
{
	EITHER(mpsync_election_run_start(n.election, op, value, wait_ms, e),
	    mpsync_lock_run_start(n.lock, op, wait_ms, e));
}

static inline void run_stop(native n, uint64_t op)
{
	EITHER(mpsync_election_run_stop(n.election, op, NULL), mpsync_lock_run_stop(n.lock, op, NULL));
}

static inline void term_done(native n, uint64_t grant, int32_t failed)
{
	EITHER(mpsync_election_term_done(n.election, grant, failed, NULL),
	    mpsync_lock_term_done(n.lock, grant, failed, NULL));
}

static inline void withdraw(native n, uint64_t op)
{
	EITHER(mpsync_election_withdraw(n.election, op, NULL), mpsync_lock_withdraw(n.lock, op, NULL));
}

static inline void release(native n, uint64_t op, uint64_t grant, mpsync_error *e)
{
	EITHER(mpsync_election_resign_start(n.election, op, grant, e),
	    mpsync_lock_release_start(n.lock, op, grant, e));
}

static inline int32_t is_held(native n, uint64_t grant)
{
	return EITHER(mpsync_election_is_leader(n.election, grant), mpsync_lock_is_held(n.lock, grant));
}

static inline int64_t remaining_ms(native n, uint64_t grant)
{
	return EITHER(
	    mpsync_election_remaining_ms(n.election, grant), mpsync_lock_remaining_ms(n.lock, grant));
}

static inline int32_t lost_reason(native n, uint64_t grant)
{
	return EITHER(
	    mpsync_election_lost_reason(n.election, grant), mpsync_lock_lost_reason(n.lock, grant));
}

static inline void free_native(native n)
{
	mpsync_lock_free(n.lock);
	mpsync_election_free(n.election);
}
