/*
 * What handles may be asked, in every order: in sequences that name each, and at random from two
 * threads at once. handle_book.c judges what their callers are told. A seed may be given:
 *
 *   test_handles [SEED]
 */
#include "unit.h"

#include "handle_book.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDLES   4
#define CLIENTS   2
#define FOR_EVER  (-1)
#define BRIEFLY   3
#define STEPS     300
#define ROUNDS    12
#define SHORT_TTL "200ms"

static const char *place;
static unsigned seed = 1;

/* One client and all that was asked of it. It is kept to the end of the round. */
struct party {
	struct party *next;
	mpsync_queue *queue;
	mpsync_client *client; /* NULL: closed */
	struct book *book;
	pthread_mutex_t reading; /* so that events are booked in their order */
};

/* A lock or an election; freed and made anew only by who has the lock for writing. */
struct handle {
	pthread_rwlock_t guard;
	mpsync_lock *lock;
	mpsync_election *election;
	struct party *party;
	atomic_uint_fast64_t earlier; /* a grant that it had */
};

struct world {
	pthread_mutex_t mutex;
	pthread_rwlock_t guards[CLIENTS];
	struct party *parties[CLIENTS];
	struct party *all;
	struct handle handles[HANDLES];
};

static void require(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "%s (seed %u, at %s)\n", what, seed, place);
	abort();
}

/* ---- The parties ---- */

static struct party *party_new(struct world *world)
{
	struct party *party = calloc(1, sizeof *party);
	mpsync_options *options = mpsync_options_new(NULL);

	require(party && mpsync_options_set(options, "ttl", SHORT_TTL, NULL) == MPSYNC_OK, "options");
	party->queue = mpsync_queue_new(NULL);
	party->book = book_new();
	pthread_mutex_init(&party->reading, NULL);
	party->client = mpsync_client_open(place, options, party->queue, NULL);
	require(party->client, "a client opens");
	mpsync_options_free(options);
	pthread_mutex_lock(&world->mutex);
	party->next = world->all;
	world->all = party;
	pthread_mutex_unlock(&world->mutex);
	return party;
}

static void party_close(struct party *party)
{
	mpsync_client_close(party->client);
	party->client = NULL;
}

static void read_events(struct party *party)
{
	mpsync_event *event;

	pthread_mutex_lock(&party->reading);
	while ((event = mpsync_queue_next(party->queue)))
		book_event(party->book, event);
	pthread_mutex_unlock(&party->reading);
}

/* ---- What a handle is asked; the statuses are those that its state allows ---- */

static void allow(mpsync_status status, const char *call, const mpsync_status *allowed)
{
	while (*allowed != MPSYNC_OK && *allowed != status)
		allowed++;
	if (status == *allowed || status == MPSYNC_OK)
		return;
	fprintf(stderr, "%s: %s: ", call, mpsync_status_text(status));
	require(false, "it cannot be answered so");
}

#define ALLOW(status, ...) allow(status, __func__, (const mpsync_status[]){__VA_ARGS__, MPSYNC_OK})

static void ask_start(struct handle *handle, int64_t wait_ms)
{
	struct book *book = handle->party->book;
	const uint64_t op = book_request(book, BOOK_ACQUIRE);
	const mpsync_status status =
	    handle->election ? mpsync_election_campaign_start(handle->election, op, "v", wait_ms, NULL)
	                     : mpsync_lock_acquire_start(handle->lock, op, wait_ms, NULL);

	ALLOW(status, MPSYNC_E_ALREADY_HELD, MPSYNC_E_CLOSED);
	book_answer(book, op, status);
}

static void try_start(struct handle *handle)
{
	ask_start(handle, 0);
}

static void wait_start(struct handle *handle)
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

	ALLOW(status, MPSYNC_E_HELD, MPSYNC_E_TIMEOUT, MPSYNC_E_ALREADY_HELD, MPSYNC_E_CANCELLED,
	    MPSYNC_E_CLOSED);
	if (status == MPSYNC_OK)
		book_acquired(handle->party->book);
}

static void cancel(struct handle *handle)
{
	const mpsync_status status = handle->election ? mpsync_election_cancel(handle->election, NULL)
	                                              : mpsync_lock_cancel(handle->lock, NULL);

	ALLOW(status, MPSYNC_E_CLOSED);
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

static uint64_t grant_of(const struct handle *handle)
{
	return handle->election ? mpsync_election_grant(handle->election)
	                        : mpsync_lock_grant(handle->lock);
}

static bool is_held(const struct handle *handle, uint64_t grant)
{
	return handle->election ? mpsync_election_is_leader(handle->election, grant)
	                        : mpsync_lock_is_held(handle->lock, grant);
}

static void release_present(struct handle *handle)
{
	const uint64_t grant = grant_of(handle);

	if (grant)
		handle->earlier = grant;
	release_grant(handle, 0);
	require(!grant || !is_held(handle, grant), "what is released is not held any more");
}

static void release_earlier(struct handle *handle)
{
	if (handle->earlier && handle->earlier != grant_of(handle))
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
static void look(struct handle *handle)
{
	const uint64_t grant = grant_of(handle);
	const bool held = is_held(handle, grant);
	const int64_t remaining = handle->election
	                              ? mpsync_election_remaining_ms(handle->election, grant)
	                              : mpsync_lock_remaining_ms(handle->lock, grant);
	const int32_t reason = handle->election ? mpsync_election_lost_reason(handle->election, grant)
	                                        : mpsync_lock_lost_reason(handle->lock, grant);

	require(remaining >= 0 && (held || remaining == 0), "what is not held has no rest");
	require(!is_held(handle, 0) && !is_held(handle, grant + 1), "no other grant is held");
	require(grant != 0 || reason == MPSYNC_REASON_NONE, "no grant was lost for no reason");
}

typedef void action(struct handle *handle);
static action *const actions[] = {try_start, wait_start, try_awaited, try_blocking, cancel,
    release_present, release_earlier, release_blocking, set_value, set_value_blocking, look};
#define ACTIONS (sizeof actions / sizeof *actions)

/* ---- Making and dropping ---- */

static void make(struct handle *handle, struct party *party, bool election)
{
	handle->party = party;
	handle->earlier = 0;
	if (election)
		handle->election = mpsync_election_new(party->client, "name", NULL, NULL);
	else
		handle->lock = mpsync_lock_new(party->client, "name", NULL, NULL);
	require(handle->lock || handle->election, "a handle is made");
}

static bool is_made(const struct handle *handle)
{
	return handle->lock || handle->election;
}

static void drop(struct handle *handle)
{
	mpsync_lock_free(handle->lock);
	mpsync_election_free(handle->election);
	handle->lock = NULL;
	handle->election = NULL;
}

static void close_start(struct party *party)
{
	const uint64_t op = book_request(party->book, BOOK_CLOSE);
	const mpsync_status status = mpsync_client_close_start(party->client, op, NULL);

	ALLOW(status, MPSYNC_E_CLOSED);
	book_answer(party->book, op, status);
}

static void world_begin(struct world *world)
{
	memset(world, 0, sizeof *world);
	pthread_mutex_init(&world->mutex, NULL);
	for (size_t i = 0; i < CLIENTS; i++) {
		pthread_rwlock_init(&world->guards[i], NULL);
		world->parties[i] = party_new(world);
	}
	for (size_t i = 0; i < HANDLES; i++) {
		pthread_rwlock_init(&world->handles[i].guard, NULL);
		make(&world->handles[i], world->parties[i % CLIENTS], i / CLIENTS % 2);
	}
}

static void world_end(struct world *world)
{
	struct party *next;

	for (size_t i = 0; i < HANDLES; i++) {
		drop(&world->handles[i]);
		pthread_rwlock_destroy(&world->handles[i].guard);
	}
	for (struct party *party = world->all; party; party = next) {
		next = party->next;
		party_close(party);
		read_events(party);
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

/* ---- In sequences ---- */

static void hold(struct handle *handle)
{
	if (handle->election
	        ? mpsync_election_campaign(handle->election, NULL, FOR_EVER, NULL) == MPSYNC_OK
	        : mpsync_lock_acquire(handle->lock, FOR_EVER, NULL) == MPSYNC_OK)
		book_acquired(handle->party->book);
}

enum situation { FRESH, ANOTHER_HOLDS, HELD, WAITING, REVOKED, CLOSING, SITUATIONS };

static void bring_about(enum situation situation, struct handle *ours, struct handle *other)
{
	if (situation == ANOTHER_HOLDS || situation == WAITING)
		hold(other);
	if (situation == HELD || situation == REVOKED)
		hold(ours);
	if (situation == WAITING)
		wait_start(ours);
	if (situation == REVOKED)
		mpsync_client_force_release(other->party->client, "name", 0, NULL);
	if (situation == CLOSING)
		close_start(ours->party);
}

/* The two behind the actions: the handle is dropped, the client begins to close. */
static void take_step(size_t step, struct handle *handle)
{
	if (step < ACTIONS && is_made(handle))
		actions[step](handle);
	else if (step == ACTIONS)
		drop(handle);
	else if (step == ACTIONS + 1)
		close_start(handle->party);
}

static void play(enum situation situation, bool election, size_t first, size_t second)
{
	struct world world;
	struct handle *ours;

	world_begin(&world);
	ours = &world.handles[election ? CLIENTS : 0];
	bring_about(situation, ours, &world.handles[1]);
	take_step(first, ours);
	take_step(second, ours);
	if (is_made(ours))
		look(ours);
	world_end(&world);
}

/* Goal: in whatever state a handle is, any two calls after one another are answered as they have
 * to be, and nothing that was asked is left unanswered. */
static void test_each_call_in_each_state(void **state)
{
	(void)state;
	for (int situation = 0; situation < SITUATIONS; situation++)
		for (size_t first = 0; first < ACTIONS + 2; first++)
			for (size_t second = 0; second < ACTIONS + 2; second++)
				play(situation, (first + second) % 2, first, second);
}

/* ---- At random, from two threads ---- */

struct player {
	struct world *world;
	unsigned random;
	pthread_t thread;
};

static unsigned draw(struct player *player, unsigned below)
{
	return (unsigned)rand_r(&player->random) % below;
}

static void call_something(struct player *player)
{
	struct handle *handle = &player->world->handles[draw(player, HANDLES)];
	const unsigned step = draw(player, ACTIONS);

	pthread_rwlock_rdlock(&handle->guard);
	if (is_made(handle)) {
		actions[step](handle);
		if (draw(player, 2))
			read_events(handle->party);
	}
	pthread_rwlock_unlock(&handle->guard);
}

static void drop_or_make(struct player *player)
{
	const unsigned number = draw(player, CLIENTS);
	struct handle *handle = &player->world->handles[draw(player, HANDLES)];

	pthread_rwlock_rdlock(&player->world->guards[number]);
	pthread_rwlock_wrlock(&handle->guard);
	if (is_made(handle))
		drop(handle);
	else
		make(handle, player->world->parties[number], draw(player, 2));
	pthread_rwlock_unlock(&handle->guard);
	pthread_rwlock_unlock(&player->world->guards[number]);
}

/* What is asked of a client: nobody closes it meanwhile. */
static void ask_client(struct player *player)
{
	const unsigned number = draw(player, CLIENTS);
	struct party *party;
	mpsync_list *list;
	uint64_t op;

	pthread_rwlock_rdlock(&player->world->guards[number]);
	party = player->world->parties[number];
	switch (draw(player, 4)) {
	case 0:
		/* A file that another is just writing may be said not to answer. */
		ALLOW(mpsync_client_check(party->client, NULL), MPSYNC_E_UNREACHABLE, MPSYNC_E_CLOSED);
		break;
	case 1:
		list = mpsync_client_list(party->client, NULL, NULL);
		require(mpsync_list_count(list) <= 1, "one name has one holder");
		mpsync_list_free(list);
		break;
	case 2:
		ALLOW(mpsync_client_force_release(party->client, "name", 0, NULL), MPSYNC_E_NOT_HELD,
		    MPSYNC_E_CLOSED);
		break;
	default:
		op = book_request(party->book, BOOK_OBSERVE);
		book_answer(party->book, op, mpsync_client_observe_start(party->client, op, "name", NULL));
		if (draw(player, 2))
			mpsync_client_observe_stop(party->client, op, NULL);
	}
	pthread_rwlock_unlock(&player->world->guards[number]);
}

static void close_and_open(struct player *player)
{
	struct world *world = player->world;
	const unsigned number = draw(player, CLIENTS);

	if (draw(player, 3) > 0)
		return;
	pthread_rwlock_wrlock(&world->guards[number]);
	if (draw(player, 2))
		close_start(world->parties[number]);
	party_close(world->parties[number]);
	world->parties[number] = party_new(world);
	pthread_rwlock_unlock(&world->guards[number]);
}

/* One that is held before and after another was seen to be held: two held at once. */
static void compare_two(struct player *player)
{
	const unsigned low = draw(player, HANDLES - 1);
	struct handle *one = &player->world->handles[low];
	struct handle *two = &player->world->handles[low + 1];
	uint64_t grant;
	bool before;
	bool between;

	pthread_rwlock_rdlock(&one->guard);
	pthread_rwlock_rdlock(&two->guard);
	if (is_made(one) && is_made(two)) {
		grant = grant_of(one);
		before = is_held(one, grant);
		between = is_held(two, grant_of(two));
		require(!(before && between && is_held(one, grant)), "two hold one name");
	}
	pthread_rwlock_unlock(&two->guard);
	pthread_rwlock_unlock(&one->guard);
}

static void *play_at_random(void *argument)
{
	struct player *player = argument;

	for (int i = 0; i < STEPS; i++) {
		const unsigned what = draw(player, 20);

		if (what < 13)
			call_something(player);
		else if (what < 15)
			drop_or_make(player);
		else if (what < 17)
			ask_client(player);
		else if (what < 18)
			close_and_open(player);
		else
			compare_two(player);
	}
	return NULL;
}

/* Goal: whatever two threads ask at once, each request ends once, each grant ends once, and never
 * do two hold the name. */
static void test_anything_from_two_threads(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++, seed++) {
		struct world world;
		struct player players[2];

		world_begin(&world);
		for (unsigned i = 0; i < 2; i++) {
			players[i] = (struct player){.world = &world, .random = seed * 2 + i};
			assert_int_equal(
			    pthread_create(&players[i].thread, NULL, play_at_random, &players[i]), 0);
		}
		for (unsigned i = 0; i < 2; i++)
			pthread_join(players[i].thread, NULL);
		world_end(&world);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest all[] = {
	    cmocka_unit_test(test_each_call_in_each_state),
	    cmocka_unit_test(test_anything_from_two_threads),
	};
	static const struct CMUnitTest random_only[] = {
	    cmocka_unit_test(test_anything_from_two_threads),
	};
	char folder[] = "/tmp/mpsync-test-XXXXXX";
	char url[64];
	char remove[64];
	int failed;

	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 10);
	place = "memory:handles";
	failed = cmocka_run_group_tests_name("memory", all, NULL, NULL);
	if (!mkdtemp(folder))
		return 1;
	snprintf(url, sizeof url, "file:%s/locks.db", folder);
	snprintf(remove, sizeof remove, "rm -r %s", folder);
	place = url;
	failed += cmocka_run_group_tests_name("file", random_only, NULL, NULL);
	return system(remove) == 0 ? failed : 1;
}
