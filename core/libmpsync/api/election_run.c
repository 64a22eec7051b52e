/* Runs as callers see them, of elections and of one term of a lock. */
#include "election.h"
#include "run.h"

#include "base/status.h"
#include "base/text.h"

/* The usual notice before a right's end, of the ttl: as long as the command has between SIGTERM and
 * SIGKILL. */
#define NOTICE_PART 30

static mpsync_status check(
    const mpsync_lock *lock, const struct run_wish *wish, mpsync_error *error)
{
	const mpsync_status status = lock_check_handle(lock, error);

	if (status != MPSYNC_OK)
		return status;
	if (wish->op_id == 0)
		return fail(error, MPSYNC_E_INVALID, "a run needs a number other than 0");
	if (!lock->client->queue)
		return fail(error, MPSYNC_E_INVALID, "a run tells by events; open the client with a queue");
	if (wish->value && value_problem(wish->value))
		return fail(error, MPSYNC_E_INVALID, "%s", value_problem(wish->value));
	return MPSYNC_OK;
}

static struct terms_options terms_of(const mpsync_lock *lock, const struct run_wish *wish)
{
	const int64_t ttl_ms = options_ms(&lock->options, OPTION_TTL);
	const int64_t drain_ms = options_ms(&lock->options, OPTION_DRAIN);

	return (struct terms_options){
	    .once = !lock->election,
	    .ttl_ms = (uint32_t)ttl_ms,
	    .wait_ms = lock_wait_ms(lock, wish->wait_ms),
	    .drain_ms = drain_ms < 0 ? TERMS_NEVER : (uint64_t)drain_ms,
	    .notice_ms = (uint64_t)(wish->notice_ms == RUN_USUAL_NOTICE ? ttl_ms / NOTICE_PART
	                                                                : wish->notice_ms),
	};
}

mpsync_status lock_run_start(mpsync_lock *lock, const struct run_wish *wish, mpsync_error *error)
{
	mpsync_status status = check(lock, wish, error);
	struct terms_options terms;
	struct lock_command *command;
	struct lock_run *run;

	if (status != MPSYNC_OK)
		return status;
	terms = terms_of(lock, wish);
	command = lock_command_new(lock, run_begin);
	run = command ? run_new(lock, wish, &terms) : NULL;
	if (!run) {
		lock_command_drop(command);
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	}
	status = lock_begin_asking(lock, command, wish->op_id, error);
	if (status != MPSYNC_OK) {
		lock_command_drop(command);
		run_free(run);
		return status;
	}
	atomic_store(&lock->running, true);
	command->run = run;
	status = lock_submit(lock, command, error);
	if (status != MPSYNC_OK) {
		run_leave_handle(lock);
		run_free(run);
	}
	return status;
}

mpsync_status lock_run_stop(mpsync_lock *lock, uint64_t op_id, mpsync_error *error)
{
	const mpsync_status status = lock_check_handle(lock, error);
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	command = lock_command_new(lock, run_stop);
	if (!command)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	command->op.id = op_id;
	return lock_submit(lock, command, error);
}

mpsync_status lock_term_done(mpsync_lock *lock, uint64_t grant, int32_t failed, mpsync_error *error)
{
	const mpsync_status status = lock_check_handle(lock, error);
	uint_fast64_t term;
	struct lock_command *command;

	if (status != MPSYNC_OK)
		return status;
	command = lock_command_new(lock, run_term_done);
	if (!command)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	term = atomic_load(&lock->term);
	if (grant == 0)
		grant = term;
	if (grant == 0 || grant != term || !atomic_compare_exchange_strong(&lock->term, &term, 0)) {
		lock_command_drop(command);
		return fail(error, MPSYNC_E_NOT_HELD, "no term of \"%.60s\" with this number is at work",
		    lock->name);
	}
	command->grant = grant;
	command->failed = failed != 0;
	return lock_submit(lock, command, error);
}

/* ---- The public names ---- */

mpsync_status mpsync_election_run_start(mpsync_election *election, uint64_t op_id,
    const char *value, int64_t wait_ms, mpsync_error *error)
{
	return lock_run_start(election_lock(election),
	    &(struct run_wish){op_id, value, wait_ms, RUN_USUAL_NOTICE}, error);
}

mpsync_status mpsync_election_run_stop(
    mpsync_election *election, uint64_t op_id, mpsync_error *error)
{
	return lock_run_stop(election_lock(election), op_id, error);
}

mpsync_status mpsync_election_term_done(
    mpsync_election *election, uint64_t grant, int32_t failed, mpsync_error *error)
{
	return lock_term_done(election_lock(election), grant, failed, error);
}

mpsync_status mpsync_lock_run_start(
    mpsync_lock *lock, uint64_t op_id, int64_t wait_ms, mpsync_error *error)
{
	return lock_run_start(lock, &(struct run_wish){op_id, NULL, wait_ms, RUN_USUAL_NOTICE}, error);
}

mpsync_status mpsync_lock_run_stop(mpsync_lock *lock, uint64_t op_id, mpsync_error *error)
{
	return lock_run_stop(lock, op_id, error);
}

mpsync_status mpsync_lock_term_done(
    mpsync_lock *lock, uint64_t grant, int32_t failed, mpsync_error *error)
{
	return lock_term_done(lock, grant, failed, error);
}
