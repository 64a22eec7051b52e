#include "election.h"
#include "lock.h"

#include "base/status.h"

/* An election is a lock whose record stays after its release, and has a value. */
struct mpsync_election {
	mpsync_lock lock;
};
/* Bindings whose one class serves both have one handle for both. */
_Static_assert(
    sizeof(mpsync_election) == sizeof(mpsync_lock), "an election is its lock and no more");

mpsync_lock *election_lock(mpsync_election *election)
{
	return election ? &election->lock : NULL;
}

static const mpsync_lock *of_const(const mpsync_election *election)
{
	return election ? &election->lock : NULL;
}

mpsync_election *mpsync_election_new(
    mpsync_client *client, const char *name, const mpsync_options *options, mpsync_error *error)
{
	return (mpsync_election *)lock_new(client, name, options, true, error);
}

void mpsync_election_free(mpsync_election *election)
{
	mpsync_lock_free(election_lock(election));
}

uint64_t mpsync_election_id(const mpsync_election *election)
{
	return mpsync_lock_id(of_const(election));
}

mpsync_status mpsync_election_campaign_start(mpsync_election *election, uint64_t op_id,
    const char *value, int64_t wait_ms, mpsync_error *error)
{
	return lock_acquire(election_lock(election), op_id, NULL, value, wait_ms, error);
}

mpsync_status mpsync_election_campaign(
    mpsync_election *election, const char *value, int64_t wait_ms, mpsync_error *error)
{
	struct call call;
	mpsync_status status;

	call_init(&call);
	status = lock_acquire(election_lock(election), 0, &call, value, wait_ms, error);
	return status == MPSYNC_OK ? call_wait(&call, error) : status;
}

mpsync_status mpsync_election_cancel(mpsync_election *election, mpsync_error *error)
{
	return mpsync_lock_cancel(election_lock(election), error);
}

mpsync_status mpsync_election_withdraw(
    mpsync_election *election, uint64_t op_id, mpsync_error *error)
{
	return lock_withdraw(election_lock(election), op_id, error);
}

mpsync_status mpsync_election_resign_start(
    mpsync_election *election, uint64_t op_id, uint64_t grant, mpsync_error *error)
{
	return mpsync_lock_release_start(election_lock(election), op_id, grant, error);
}

mpsync_status mpsync_election_resign(mpsync_election *election, mpsync_error *error)
{
	return mpsync_lock_release(election_lock(election), error);
}

mpsync_status mpsync_election_set_value_start(
    mpsync_election *election, uint64_t op_id, const char *value, mpsync_error *error)
{
	return lock_set_value(election_lock(election), op_id, NULL, value, error);
}

mpsync_status mpsync_election_set_value(
    mpsync_election *election, const char *value, mpsync_error *error)
{
	struct call call;
	mpsync_status status;

	call_init(&call);
	status = lock_set_value(election_lock(election), 0, &call, value, error);
	return status == MPSYNC_OK ? call_wait(&call, error) : status;
}

int32_t mpsync_election_is_leader(const mpsync_election *election, uint64_t grant)
{
	return mpsync_lock_is_held(of_const(election), grant);
}

int64_t mpsync_election_remaining_ms(const mpsync_election *election, uint64_t grant)
{
	return mpsync_lock_remaining_ms(of_const(election), grant);
}

uint64_t mpsync_election_grant(const mpsync_election *election)
{
	return mpsync_lock_grant(of_const(election));
}

int32_t mpsync_election_lost_reason(const mpsync_election *election, uint64_t grant)
{
	return mpsync_lock_lost_reason(of_const(election), grant);
}

uint64_t mpsync_election_token(const mpsync_election *election, uint64_t grant)
{
	return mpsync_lock_token(of_const(election), grant);
}
