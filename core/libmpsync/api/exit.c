/*
 * The end of the process. Where a holder's death proves that nobody believes in its grants (a file,
 * an elector), nothing is to be done. Leases and etcd know nothing of processes: what is not
 * released there stays until its ttl is over. Clients of these are kept in a list of the process,
 * for who calls at its end knows none of them.
 */
#include "client.h"

#include "base/fork_guard.h"
#include "base/list.h"
#include "base/status.h"

#include <errno.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static mpsync_client *first;

static void before_fork(void)
{
	pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&mutex);
}

/* A child holds nothing of what its parent holds. */
static void after_fork_in_child(void)
{
	first = NULL;
	pthread_mutex_unlock(&mutex);
}

FORK_GUARD(FORK_LOCKS_FIRST, before_fork, after_fork, after_fork_in_child)

bool client_enlist(mpsync_client *client)
{
	if (!client->store->outlives_process)
		return true;
	if (!fork_guarded)
		return false;
	pthread_mutex_lock(&mutex);
	client->enlisted = true;
	SINGLY_ADD(first, client);
	pthread_mutex_unlock(&mutex);
	return true;
}

void client_delist(mpsync_client *client)
{
	if (!client->enlisted || !fork_mark_is_ours(client->mark))
		return;
	pthread_mutex_lock(&mutex);
	SINGLY_REMOVE_IF_THERE(first, client);
	client->enlisted = false;
	pthread_mutex_unlock(&mutex);
}

void client_tell_end(const mpsync_client *client)
{
	if (!client->store->outlives_process)
		return;
	pthread_mutex_lock(&mutex);
	pthread_cond_broadcast(&ended);
	pthread_mutex_unlock(&mutex);
}

static bool all_have_ended(void)
{
	for (mpsync_client *client = first; client; client = client->next)
		if (!client_has_ended(client))
			return false;
	return true;
}

static struct timespec in_ms(int64_t wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(wait_ms / 1000);
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return until;
}

mpsync_status mpsync_exit(int64_t wait_ms, mpsync_error *error)
{
	const struct timespec until = in_ms(wait_ms);
	int code = 0;
	bool all;

	if (wait_ms < 0)
		return fail(error, MPSYNC_E_INVALID, "wait_ms is below 0");
	pthread_mutex_lock(&mutex);
	for (mpsync_client *client = first; client; client = client->next)
		client_close_at_exit(client);
	while (!all_have_ended() && code == 0)
		code = pthread_cond_timedwait(&ended, &mutex, &until);
	all = all_have_ended();
	pthread_mutex_unlock(&mutex);
	return all ? succeed(error)
	           : fail(error, MPSYNC_E_TIMEOUT,
	                 "not all was released within %lld ms; the rest ends with its ttl",
	                 (long long)wait_ms);
}
