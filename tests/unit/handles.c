#include "handles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BRIEFLY   3
#define SHORT_TTL "200ms"

void require(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "%s (seed %u, at %s)\n", what, handles_seed, handles_place);
	abort();
}

/* ---- The parties ---- */

struct party *party_new(struct world *world)
{
	struct party *party = calloc(1, sizeof *party);
	mpsync_options *options = mpsync_options_new(NULL);

	require(party && mpsync_options_set(options, "ttl", SHORT_TTL, NULL) == MPSYNC_OK, "options");
	party->queue = mpsync_queue_new(NULL);
	party->book = book_new();
	pthread_mutex_init(&party->reading, NULL);
	party->client = mpsync_client_open(handles_place, options, party->queue, NULL);
	require(party->client, "a client opens");
	mpsync_options_free(options);
	pthread_mutex_lock(&world->mutex);
	party->next = world->all;
	world->all = party;
	pthread_mutex_unlock(&world->mutex);
	return party;
}

void party_close(struct party *party)
{
	mpsync_client_close(party->client);
	party->client = NULL;
}

void party_read(struct party *party)
{
	mpsync_event *event;

	pthread_mutex_lock(&party->reading);
	while ((event = mpsync_queue_next(party->queue)))
		book_event(party->book, event);
	pthread_mutex_unlock(&party->reading);
}

/* ---- What a handle is asked; the statuses are those that its state allows ---- */

void allow(mpsync_status status, const char *call, const mpsync_status *allowed)
{
	while (*allowed != MPSYNC_OK && *allowed != status)
		allowed++;
	if (status == *allowed || status == MPSYNC_OK)
		return;
	fprintf(stderr, "%s: %s: ", call, mpsync_status_text(status));
	require(false, "it cannot be answered so");
}

static mpsync_status ask_start(struct handle *handle, int64_t wait_ms)
{
	struct book *book = handle->party->book;
	const uint64_t op = book_request(book, BOOK_ACQUIRE);
	const mpsync_status status =
	    handle->election ? mpsync_election_campaign_start(handle->election, op, "v", wait_ms, NULL)
	                     : mpsync_lock_acquire_start(handle->lock, op, wait_ms, NULL);

	ALLOW(status, MPSYNC_E_ALREADY_HELD, MPSYNC_E_CLOSED);
	book_answer(book, op, status);
	if (status == MPSYNC_OK)
		handle->latest = op;
	return status;
}

mpsync_status handle_try(struct handle *handle)
{
	return ask_start(handle, 0);
}

static void ask_once(struct handle *handle)
{
	handle_try(handle);
}

void handle_wait(struct handle *handle)
{
	ask_start(handle, FOR_EVER);
}

/* In this thread, past the queue. */
static void try_awaited(struct handle *handle)
{
	struct party *party = handle->party;
	const uint64_t op = book_request(party->book, BOOK_ACQUIRE) | MPSYNC_OP_AWAITED;
	const mpsync_status status =
	    handle->election ? mpsync_election_campaign_start(handle->election, op, NULL, BRIEFLY, NULL)
	                     : mpsync_lock_acquire_start(handle->lock, op, BRIEFLY, NULL);
	bool ended = status != MPSYNC_OK;

	ALLOW(status, MPSYNC_E_ALREADY_HELD, MPSYNC_E_CLOSED);
	book_answer(party->book, op, status);
	while (!ended) {
		mpsync_event *event = mpsync_queue_wait_for(party->queue, op);

		ended = event && book_event(party->book, event);
	}
}

static void try_blocking(struct handle *handle)
{
	const mpsync_status status = handle->election
	                                 ? mpsync_election_campaign(handle->election, "v", 0, NULL)
	                                 : mpsync_lock_acquire(handle->lock, BRIEFLY, NULL);

	/* UNREACHABLE: on a busy machine a third of the ttl may pass without an answer. */
	ALLOW(status, MPSYNC_E_HELD, MPSYNC_E_TIMEOUT, MPSYNC_E_ALREADY_HELD, MPSYNC_E_CANCELLED,
	    MPSYNC_E_UNREACHABLE, MPSYNC_E_CLOSED);
	if (status == MPSYNC_OK)
		book_acquired(handle->party->book);
}

void handle_cancel(struct handle *handle)
{
	const mpsync_status status = handle->election ? mpsync_election_cancel(handle->election, NULL)
	                                              : mpsync_lock_cancel(handle->lock, NULL);

	ALLOW(status, MPSYNC_E_CLOSED);
}

/* Of the latest request that was accepted, which may have ended long ago. */
static void withdraw(struct handle *handle)
{
	const uint64_t op = handle->latest;
	const mpsync_status status = handle->election
	                                 ? mpsync_election_withdraw(handle->election, op, NULL)
	                                 : mpsync_lock_withdraw(handle->lock, op, NULL);

	if (op != 0)
		ALLOW(status, MPSYNC_E_CLOSED);
	else
		require(
		    status == MPSYNC_E_INVALID || status == MPSYNC_E_CLOSED, "a request without a number");
}

static void release_grant(struct handle *handle, uint64_t grant)
{
	struct book *book = handle->party->book;
	const uint64_t op = book_request(book, BOOK_RELEASE);
	const mpsync_status status =
	    handle->election ? mpsync_election_resign_start(handle->election, op, grant, NULL)
	                     : mpsync_lock_release_start(handle->lock, op, grant, NULL);

	ALLOW(status, MPSYNC_E_NOT_HELD, MPSYNC_E_CLOSED);
	book_answer(book, op, status);
}

uint64_t handle_grant(const struct handle *handle)
{
	return handle->election ? mpsync_election_grant(handle->election)
	                        : mpsync_lock_grant(handle->lock);
}

bool handle_holds(const struct handle *handle, uint64_t grant)
{
	return handle->election ? mpsync_election_is_leader(handle->election, grant)
	                        : mpsync_lock_is_held(handle->lock, grant);
}

void handle_release(struct handle *handle)
{
	const uint64_t grant = handle_grant(handle);

	if (grant)
		handle->earlier = grant;
	release_grant(handle, 0);
	require(!grant || !handle_holds(handle, grant), "what is released is not held any more");
}

static void release_earlier(struct handle *handle)
{
	if (handle->earlier && handle->earlier != handle_grant(handle))
		release_grant(handle, handle->earlier);
}

static void release_blocking(struct handle *handle)
{
	const mpsync_status status = handle->election ? mpsync_election_resign(handle->election, NULL)
	                                              : mpsync_lock_release(handle->lock, NULL);

	ALLOW(status, MPSYNC_E_NOT_HELD, MPSYNC_E_CLOSED);
	if (status == MPSYNC_OK)
		book_released(handle->party->book);
}

static void set_value(struct handle *handle)
{
	struct book *book = handle->party->book;
	uint64_t op;
	mpsync_status status;

	if (!handle->election)
		return;
	op = book_request(book, BOOK_VALUE);
	status = mpsync_election_set_value_start(handle->election, op, "w", NULL);
	ALLOW(status, MPSYNC_E_CLOSED);
	book_answer(book, op, status);
}

static void set_value_blocking(struct handle *handle)
{
	mpsync_status status;

	if (!handle->election)
		return;
	status = mpsync_election_set_value(handle->election, NULL, NULL);
	ALLOW(status, MPSYNC_E_NOT_HELD, MPSYNC_E_LOST, MPSYNC_E_CANCELLED, MPSYNC_E_CLOSED);
}

/* What looks changes nothing, and agrees with itself. */
void handle_look(struct handle *handle)
{
	const uint64_t grant = handle_grant(handle);
	const bool held = handle_holds(handle, grant);
	const int64_t remaining = handle->election
	                              ? mpsync_election_remaining_ms(handle->election, grant)
	                              : mpsync_lock_remaining_ms(handle->lock, grant);
	const int32_t reason = handle->election ? mpsync_election_lost_reason(handle->election, grant)
	                                        : mpsync_lock_lost_reason(handle->lock, grant);

	require(remaining >= 0 && (held || remaining == 0), "what is not held has no rest");
	/* The next one may have come since the grant was looked at. */
	require(!handle_holds(handle, 0) &&
	            (!handle_holds(handle, grant + 1) || handle_grant(handle) != grant),
	    "no other grant is held");
	require(grant != 0 || reason == MPSYNC_REASON_NONE, "no grant was lost for no reason");
}

handle_action *const handle_actions[HANDLE_ACTIONS] = {ask_once, handle_wait, try_awaited,
    try_blocking, handle_cancel, withdraw, handle_release, release_earlier, release_blocking,
    set_value, set_value_blocking, handle_look};

/* ---- Making and dropping ---- */

void handle_make(struct handle *handle, struct party *party, bool election)
{
	handle->party = party;
	handle->earlier = 0;
	handle->latest = 0;
	if (election)
		handle->election = mpsync_election_new(party->client, "name", NULL, NULL);
	else
		handle->lock = mpsync_lock_new(party->client, "name", NULL, NULL);
	require(handle->lock || handle->election, "a handle is made");
}

bool handle_is_made(const struct handle *handle)
{
	return handle->lock || handle->election;
}

void handle_drop(struct handle *handle)
{
	mpsync_lock_free(handle->lock);
	mpsync_election_free(handle->election);
	handle->lock = NULL;
	handle->election = NULL;
}

void party_close_start(struct party *party)
{
	const uint64_t op = book_request(party->book, BOOK_CLOSE);
	const mpsync_status status = mpsync_client_close_start(party->client, op, NULL);

	ALLOW(status, MPSYNC_E_CLOSED);
	book_answer(party->book, op, status);
}

void handle_hold(struct handle *handle)
{
	if (handle->election
	        ? mpsync_election_campaign(handle->election, NULL, FOR_EVER, NULL) == MPSYNC_OK
	        : mpsync_lock_acquire(handle->lock, FOR_EVER, NULL) == MPSYNC_OK)
		book_acquired(handle->party->book);
}

/* What is stopped ends while the client is open. */
void party_observe(struct party *party, bool stop)
{
	struct book *book = party->book;
	const uint64_t op = book_request(book, stop ? BOOK_BRIEF : BOOK_OBSERVE);
	const mpsync_status status = mpsync_client_observe_start(party->client, op, "name", NULL);

	ALLOW(status, MPSYNC_E_CLOSED);
	book_answer(book, op, status);
	if (stop)
		ALLOW(mpsync_client_observe_stop(party->client, op, NULL), MPSYNC_E_CLOSED);
}

void world_begin(struct world *world)
{
	memset(world, 0, sizeof *world);
	pthread_mutex_init(&world->mutex, NULL);
	for (size_t i = 0; i < CLIENTS; i++) {
		pthread_rwlock_init(&world->guards[i], NULL);
		world->parties[i] = party_new(world);
	}
	for (size_t i = 0; i < HANDLES; i++) {
		pthread_rwlock_init(&world->handles[i].guard, NULL);
		handle_make(&world->handles[i], world->parties[i % CLIENTS], i / CLIENTS % 2);
	}
}

/* Handles and their client may be given up in any order; without it they answer CLOSED. */
void world_end(struct world *world, bool clients_first)
{
	struct party *next;

	for (struct party *party = world->all; party && clients_first; party = party->next)
		party_close(party);
	for (size_t i = 0; i < HANDLES; i++) {
		for (int again = 0; again < 2 && clients_first && handle_is_made(&world->handles[i]);
		     again++)
			require(handle_try(&world->handles[i]) == MPSYNC_E_CLOSED, "its client is closed");
		handle_drop(&world->handles[i]);
		pthread_rwlock_destroy(&world->handles[i].guard);
	}
	for (struct party *party = world->all; party; party = next) {
		next = party->next;
		party_close(party);
		party_read(party);
		book_judge(party->book);
		book_free(party->book);
		pthread_mutex_destroy(&party->reading);
		mpsync_queue_free(party->queue);
		free(party);
	}
	for (size_t i = 0; i < CLIENTS; i++)
		pthread_rwlock_destroy(&world->guards[i]);
	pthread_mutex_destroy(&world->mutex);
}
