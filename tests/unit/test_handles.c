/*
 * What handles may be asked, in every order: each two calls in each state, and at random from two
 * threads at once. handle_book.c judges what their callers are told. A seed may be given:
 *
 *   test_handles [SEED]
 */
#include "unit.h"

#include "handles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEPS  300
#define ROUNDS 12

const char *handles_place;
unsigned handles_seed = 1;

/* ---- In sequences ---- */

enum situation { FRESH, ANOTHER_HOLDS, HELD, WAITING, REVOKED, CLOSING, SITUATIONS };

static void bring_about(enum situation situation, struct handle *ours, struct handle *other)
{
	if (situation == ANOTHER_HOLDS || situation == WAITING)
		handle_hold(other);
	if (situation == HELD || situation == REVOKED)
		handle_hold(ours);
	if (situation == WAITING)
		handle_wait(ours);
	if (situation == REVOKED)
		mpsync_client_force_release(other->party->client, "name", 0, NULL);
	if (situation == CLOSING)
		party_close_start(ours->party);
}

/* Behind the actions: the handle is dropped, the client observes, the client begins to close. */
enum { DROP = HANDLE_ACTIONS, OBSERVE, OBSERVE_BRIEFLY, CLOSE, STEPS_OF_A_SEQUENCE };

static void take_step(size_t step, struct handle *handle)
{
	if (step < HANDLE_ACTIONS && handle_is_made(handle))
		handle_actions[step](handle);
	else if (step == DROP)
		handle_drop(handle);
	else if (step == CLOSE)
		party_close_start(handle->party);
	else if (step > DROP)
		party_observe(handle->party, step == OBSERVE_BRIEFLY);
}

/* Whatever it was asked, it can be given back, asked again, and dropped; others get the name. */
static void leave(struct handle *ours, struct handle *other, bool was_revoked)
{
	struct party *party = ours->party;

	if (handle_is_made(ours)) {
		handle_cancel(ours);
		book_settle(party->book, party->queue);
		handle_release(ours);
		book_settle(party->book, party->queue);
		require(handle_grant(ours) == 0, "what has ended is no present grant");
		require(handle_try(ours) == MPSYNC_OK, "a handle can be asked again");
		book_settle(party->book, party->queue);
	}
	handle_drop(ours);
	handle_release(other);
	book_settle(other->party->book, other->party->queue);
	/* The name of a revoked grant is not free for its ttl. */
	if (was_revoked)
		return;
	require(mpsync_lock_acquire(other->lock, LONG_MS, NULL) == MPSYNC_OK, "the name is free again");
	book_acquired(other->party->book);
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
	if (handle_is_made(ours))
		handle_look(ours);
	if (situation != CLOSING && first != CLOSE && second != CLOSE)
		leave(ours, &world.handles[1], situation == REVOKED);
	world_end(&world, second % 2);
}

/* Goal: in whatever state a handle is, any two calls after one another are answered as they have
 * to be, and nothing that was asked is left unanswered. */
static void test_each_call_in_each_state(void **state)
{
	(void)state;
	for (enum situation situation = FRESH; situation < SITUATIONS; situation++)
		for (size_t first = 0; first < STEPS_OF_A_SEQUENCE; first++)
			for (size_t second = 0; second < STEPS_OF_A_SEQUENCE; second++)
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
	const unsigned step = draw(player, HANDLE_ACTIONS);

	pthread_rwlock_rdlock(&handle->guard);
	if (handle_is_made(handle)) {
		handle_actions[step](handle);
		if (draw(player, 2))
			party_read(handle->party);
	}
	pthread_rwlock_unlock(&handle->guard);
}

static void drop_or_make(struct player *player)
{
	const unsigned number = draw(player, CLIENTS);
	struct handle *handle = &player->world->handles[draw(player, HANDLES)];

	pthread_rwlock_rdlock(&player->world->guards[number]);
	pthread_rwlock_wrlock(&handle->guard);
	if (handle_is_made(handle))
		handle_drop(handle);
	else
		handle_make(handle, player->world->parties[number], draw(player, 2));
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
		party_close_start(world->parties[number]);
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
	if (handle_is_made(one) && handle_is_made(two)) {
		grant = handle_grant(one);
		before = handle_holds(one, grant);
		between = handle_holds(two, handle_grant(two));
		require(!(before && between && handle_holds(one, grant)), "two hold one name");
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
	for (int round = 0; round < ROUNDS; round++, handles_seed++) {
		struct world world;
		struct player players[2];

		world_begin(&world);
		for (unsigned i = 0; i < 2; i++) {
			players[i] = (struct player){.world = &world, .random = handles_seed * 2 + i};
			assert_int_equal(
			    pthread_create(&players[i].thread, NULL, play_at_random, &players[i]), 0);
		}
		for (unsigned i = 0; i < 2; i++)
			pthread_join(players[i].thread, NULL);
		world_end(&world, round % 2);
	}
}

#define REFUSES(call) assert_int_equal(call, MPSYNC_E_INVALID)

/* Goal: every function takes NULL where its handle belongs. */
static void test_everything_takes_null(void **state)
{
	mpsync_error error;

	(void)state;
	REFUSES(mpsync_client_close_start(NULL, 1, &error));
	REFUSES(mpsync_client_check(NULL, &error));
	REFUSES(mpsync_client_force_release(NULL, "name", 0, &error));
	REFUSES(mpsync_client_observe_start(NULL, 1, "name", &error));
	REFUSES(mpsync_client_observe_stop(NULL, 1, &error));
	REFUSES(mpsync_options_set(NULL, "ttl", "1s", &error));
	REFUSES(mpsync_lock_acquire_start(NULL, 1, 0, &error));
	REFUSES(mpsync_lock_acquire(NULL, 0, &error));
	REFUSES(mpsync_lock_cancel(NULL, &error));
	REFUSES(mpsync_lock_release_start(NULL, 1, 0, &error));
	REFUSES(mpsync_lock_release(NULL, &error));
	REFUSES(mpsync_election_campaign_start(NULL, 1, NULL, 0, &error));
	REFUSES(mpsync_election_campaign(NULL, NULL, 0, &error));
	REFUSES(mpsync_election_cancel(NULL, &error));
	REFUSES(mpsync_election_resign_start(NULL, 1, 0, &error));
	REFUSES(mpsync_election_resign(NULL, &error));
	REFUSES(mpsync_election_set_value_start(NULL, 1, NULL, &error));
	REFUSES(mpsync_election_set_value(NULL, NULL, &error));
	assert_null(mpsync_client_list(NULL, NULL, &error));
	assert_null(mpsync_client_url(NULL));
	assert_null(mpsync_lock_new(NULL, "name", NULL, &error));
	assert_null(mpsync_election_new(NULL, "name", NULL, &error));
	assert_null(mpsync_list_at(NULL, 0));
	assert_int_equal(mpsync_list_count(NULL) + mpsync_lock_id(NULL) + mpsync_election_id(NULL), 0);
	assert_int_equal(mpsync_lock_is_held(NULL, 1) + mpsync_election_is_leader(NULL, 1), 0);
	assert_int_equal(mpsync_lock_grant(NULL) + mpsync_election_grant(NULL), 0);
	assert_int_equal(mpsync_lock_token(NULL, 1) + mpsync_election_token(NULL, 1), 0);
	assert_int_equal(mpsync_lock_remaining_ms(NULL, 1) + mpsync_election_remaining_ms(NULL, 1), 0);
	assert_int_equal(mpsync_lock_lost_reason(NULL, 1) + mpsync_election_lost_reason(NULL, 1), 0);
	mpsync_client_close(NULL);
	mpsync_list_free(NULL);
	mpsync_options_free(NULL);
	mpsync_lock_free(NULL);
	mpsync_election_free(NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest all[] = {
	    cmocka_unit_test(test_everything_takes_null),
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
		handles_seed = (unsigned)strtoul(argv[1], NULL, 10);
	handles_place = "memory:handles";
	failed = cmocka_run_group_tests_name("memory", all, NULL, NULL);
	if (!mkdtemp(folder))
		return 1;
	snprintf(url, sizeof url, "file:%s/locks.db", folder);
	snprintf(remove, sizeof remove, "rm -r %s", folder);
	handles_place = url;
	failed += cmocka_run_group_tests_name("file", random_only, NULL, NULL);
	return system(remove) == 0 ? failed : 1;
}
