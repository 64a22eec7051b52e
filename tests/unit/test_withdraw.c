/*
 * A request that is taken back leaves nothing, whatever has become of it, and the handle can be
 * asked again at once. Over the store of a URL, which may be given:
 *
 *   test_withdraw [URL]
 */
#include "unit.h"

#include <mpsync.h>

#define LONG_MS 120000 /* by which an event was lost */
#define ROUNDS  200

static const char *url = "memory:";

struct place {
	mpsync_queue *queue;
	mpsync_client *client;
	mpsync_lock *lock;
	mpsync_lock *other; /* of another client, whose calls block */
	mpsync_client *other_client;
};

static int open_place(void **state)
{
	static struct place place;

	place.queue = mpsync_queue_new(NULL);
	place.client = mpsync_client_open(url, NULL, place.queue, NULL);
	place.other_client = mpsync_client_open(url, NULL, NULL, NULL);
	place.lock = mpsync_lock_new(place.client, "name", NULL, NULL);
	place.other = mpsync_lock_new(place.other_client, "name", NULL, NULL);
	*state = &place;
	return place.lock && place.other ? 0 : -1;
}

static int close_place(void **state)
{
	struct place *place = *state;

	mpsync_lock_free(place->lock);
	mpsync_lock_free(place->other);
	mpsync_client_close(place->client);
	mpsync_client_close(place->other_client);
	mpsync_queue_free(place->queue);
	return 0;
}

static mpsync_status ask(struct place *place, uint64_t op_id)
{
	return mpsync_lock_acquire_start(place->lock, op_id, -1, NULL);
}

/* The next event but WAITING. */
static mpsync_event next_event(struct place *place)
{
	mpsync_event copy = {.type = MPSYNC_EVENT_WAITING};

	while (copy.type == MPSYNC_EVENT_WAITING) {
		mpsync_event *event = mpsync_queue_wait(place->queue, LONG_MS);

		assert_non_null(event);
		copy = *event;
		mpsync_event_free(event);
	}
	return copy;
}

static uint64_t expect(struct place *place, int32_t type, uint64_t op_id)
{
	const mpsync_event event = next_event(place);

	assert_int_equal(event.type, type);
	assert_int_equal(event.op_id, op_id);
	return event.grant;
}

static void withdraw(struct place *place, uint64_t op_id)
{
	assert_int_equal(mpsync_lock_withdraw(place->lock, op_id, NULL), MPSYNC_OK);
}

static void test_a_waiting_request_and_the_next(void **state)
{
	struct place *place = *state;

	assert_int_equal(mpsync_lock_acquire(place->other, -1, NULL), MPSYNC_OK);
	assert_int_equal(ask(place, 1), MPSYNC_OK);
	withdraw(place, 1);
	assert_int_equal(ask(place, 2), MPSYNC_OK);
	assert_int_equal(ask(place, 3), MPSYNC_E_ALREADY_HELD);
	expect(place, MPSYNC_EVENT_CANCELLED, 1);
	assert_int_equal(mpsync_lock_release(place->other, NULL), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_HELD, 2);
}

static void test_a_grant_that_was_told(void **state)
{
	struct place *place = *state;
	uint64_t grant;

	assert_int_equal(ask(place, 1), MPSYNC_OK);
	grant = expect(place, MPSYNC_EVENT_HELD, 1);
	withdraw(place, 1);
	assert_int_equal(expect(place, MPSYNC_EVENT_RELEASED, 0), grant);
	assert_false(mpsync_lock_is_held(place->lock, grant));
	assert_int_equal(mpsync_lock_acquire(place->other, 0, NULL), MPSYNC_OK);
}

/* Whether the grant is on its way or was told, nothing is left, and the next request is granted. */
static void test_at_any_moment(void **state)
{
	struct place *place = *state;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		mpsync_event event;

		assert_int_equal(ask(place, 2 * i), MPSYNC_OK);
		withdraw(place, 2 * i);
		assert_int_equal(ask(place, 2 * i + 1), MPSYNC_OK);
		event = next_event(place);
		assert_int_equal(event.op_id, 2 * i);
		if (event.type == MPSYNC_EVENT_HELD)
			expect(place, MPSYNC_EVENT_RELEASED, 0);
		else
			assert_int_equal(event.type, MPSYNC_EVENT_CANCELLED);
		expect(place, MPSYNC_EVENT_HELD, 2 * i + 1);
		assert_int_equal(mpsync_lock_release_start(place->lock, 1, 0, NULL), MPSYNC_OK);
		expect(place, MPSYNC_EVENT_RELEASED, 1);
	}
	assert_int_equal(mpsync_lock_acquire(place->other, 0, NULL), MPSYNC_OK);
}

static void test_who_asks_while_it_is_released(void **state)
{
	struct place *place = *state;

	assert_int_equal(ask(place, 1), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_HELD, 1);
	assert_int_equal(mpsync_lock_release_start(place->lock, 2, 0, NULL), MPSYNC_OK);
	assert_int_equal(ask(place, 3), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_RELEASED, 2);
	expect(place, MPSYNC_EVENT_HELD, 3);
}

static void test_a_request_that_has_not_begun(void **state)
{
	struct place *place = *state;

	assert_int_equal(mpsync_lock_acquire(place->other, -1, NULL), MPSYNC_OK);
	assert_int_equal(ask(place, 1), MPSYNC_OK);
	withdraw(place, 1);
	assert_int_equal(ask(place, 2), MPSYNC_OK);
	withdraw(place, 2);
	assert_int_equal(ask(place, 3), MPSYNC_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(next_event(place).type, MPSYNC_EVENT_CANCELLED);
	assert_int_equal(mpsync_lock_release(place->other, NULL), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_HELD, 3);
}

static void test_another_request_stays(void **state)
{
	struct place *place = *state;
	uint64_t grant;

	assert_int_equal(ask(place, 1), MPSYNC_OK);
	grant = expect(place, MPSYNC_EVENT_HELD, 1);
	withdraw(place, 7);
	assert_int_equal(mpsync_lock_release_start(place->lock, 2, 0, NULL), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_RELEASED, 2);
	assert_int_equal(ask(place, 3), MPSYNC_OK);
	grant = expect(place, MPSYNC_EVENT_HELD, 3);
	withdraw(place, 1);
	assert_int_equal(ask(place, 4), MPSYNC_E_ALREADY_HELD);
	assert_int_equal(mpsync_lock_acquire(place->other, 0, NULL), MPSYNC_E_HELD);
	assert_true(mpsync_lock_is_held(place->lock, grant));
}

static void test_a_run_behind_a_request(void **state)
{
	struct place *place = *state;
	uint64_t grant;

	assert_int_equal(ask(place, 1), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_HELD, 1);
	withdraw(place, 1);
	assert_int_equal(mpsync_lock_run_start(place->lock, 2, -1, NULL), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_RELEASED, 0);
	grant = expect(place, MPSYNC_EVENT_TERM, 2);
	withdraw(place, 2);
	assert_int_equal(expect(place, MPSYNC_EVENT_ENDING, 2), grant);
	assert_int_equal(mpsync_lock_term_done(place->lock, grant, 0, NULL), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_DONE, 2);
}

static void test_what_waits_ends_with_its_client(void **state)
{
	struct place *place = *state;
	mpsync_event event;

	assert_int_equal(mpsync_lock_acquire(place->other, -1, NULL), MPSYNC_OK);
	assert_int_equal(ask(place, 1), MPSYNC_OK);
	withdraw(place, 1);
	assert_int_equal(ask(place, 2), MPSYNC_OK);
	assert_int_equal(mpsync_client_close_start(place->client, 3, NULL), MPSYNC_OK);
	expect(place, MPSYNC_EVENT_CANCELLED, 1);
	event = next_event(place);
	assert_int_equal(event.op_id, 2);
	assert_true(event.type == MPSYNC_EVENT_CANCELLED || event.status == MPSYNC_E_CLOSED);
	expect(place, MPSYNC_EVENT_DONE, 3);
}

static void test_a_request_without_a_number(void **state)
{
	struct place *place = *state;

	assert_int_equal(mpsync_lock_withdraw(place->lock, 0, NULL), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_lock_withdraw(NULL, 1, NULL), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_election_withdraw(NULL, 1, NULL), MPSYNC_E_INVALID);
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    IN_A_PLACE(test_a_waiting_request_and_the_next),
	    IN_A_PLACE(test_a_grant_that_was_told),
	    IN_A_PLACE(test_at_any_moment),
	    IN_A_PLACE(test_who_asks_while_it_is_released),
	    IN_A_PLACE(test_a_request_that_has_not_begun),
	    IN_A_PLACE(test_another_request_stays),
	    IN_A_PLACE(test_a_run_behind_a_request),
	    IN_A_PLACE(test_what_waits_ends_with_its_client),
	    IN_A_PLACE(test_a_request_without_a_number),
	};

	if (argc > 1)
		url = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
