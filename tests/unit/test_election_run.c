/* Runs of elections and locks through the public API, over the two embedded stores. */
#include "unit.h"

#include <mpsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUN      7
#define TTL      "15s"
#define PAUSE_MS 500 /* of work that failed for the first time: at least so long, with that ttl */
#define SOON     60000

static const char *place;

struct candidate {
	mpsync_queue *queue;
	mpsync_client *client;
	mpsync_election *election;
};

static struct candidate candidate_new(const char *name, const char *option, const char *value)
{
	mpsync_options *options = mpsync_options_new(NULL);
	struct candidate candidate;

	assert_int_equal(mpsync_options_set(options, "ttl", TTL, NULL), MPSYNC_OK);
	if (option)
		assert_int_equal(mpsync_options_set(options, option, value, NULL), MPSYNC_OK);
	candidate.queue = mpsync_queue_new(NULL);
	candidate.client = mpsync_client_open(place, options, candidate.queue, NULL);
	assert_non_null(candidate.client);
	candidate.election = mpsync_election_new(candidate.client, name, NULL, NULL);
	assert_non_null(candidate.election);
	mpsync_options_free(options);
	return candidate;
}

static void candidate_free(struct candidate *candidate)
{
	mpsync_election_free(candidate->election);
	mpsync_client_close(candidate->client);
	mpsync_queue_free(candidate->queue);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The next event but for what is said while it waits; NULL: none within that time. */
static mpsync_event *next(mpsync_queue *queue, int64_t timeout_ms)
{
	const int64_t end_ms = now_ms() + timeout_ms;
	mpsync_event *event;

	do {
		const int64_t left_ms = end_ms - now_ms();

		event = mpsync_queue_wait(queue, left_ms > 0 ? left_ms : 0);
		if (event && event->type != MPSYNC_EVENT_WAITING && event->type != MPSYNC_EVENT_LOG)
			return event;
		mpsync_event_free(event);
	} while (now_ms() < end_ms);
	return NULL;
}

static mpsync_event expect(mpsync_queue *queue, int32_t type)
{
	mpsync_event *event = next(queue, SOON);
	mpsync_event copy;

	assert_non_null(event);
	if (event->type != type)
		fail_msg("event %d where %d was due", event->type, type);
	copy = *event;
	mpsync_event_free(event);
	return copy;
}

static mpsync_event begin(struct candidate *candidate)
{
	assert_int_equal(
	    mpsync_election_run_start(candidate->election, RUN, NULL, -1, NULL), MPSYNC_OK);
	return expect(candidate->queue, MPSYNC_EVENT_TERM);
}

static void expect_ending(struct candidate *candidate, uint64_t grant, int32_t reason)
{
	const mpsync_event ending = expect(candidate->queue, MPSYNC_EVENT_ENDING);

	assert_int_equal(ending.op_id, RUN);
	assert_int_equal(ending.grant, grant);
	assert_int_equal(ending.reason, reason);
}

static void expect_end(struct candidate *candidate, int32_t status)
{
	const mpsync_event end = expect(candidate->queue, MPSYNC_EVENT_DONE);

	assert_int_equal(end.op_id, RUN);
	assert_int_equal(end.status, status);
}

/* Returns once its right was renewed, while nobody else is told anything. */
static void await_renewal(const struct candidate *leader, uint64_t grant, mpsync_queue *other)
{
	int64_t rest_ms = mpsync_election_remaining_ms(leader->election, grant);
	int64_t before_ms;

	do {
		before_ms = rest_ms;
		assert_null(next(other, 50));
		assert_int_equal(mpsync_election_is_leader(leader->election, grant), 1);
		rest_ms = mpsync_election_remaining_ms(leader->election, grant);
	} while (rest_ms <= before_ms);
}

static void term_done(struct candidate *candidate)
{
	assert_int_equal(mpsync_election_term_done(candidate->election, 0, 0, NULL), MPSYNC_OK);
}

/* Goal: term after term, each with its events and a token of its own. */
static void test_term_after_term(void **state)
{
	struct candidate candidate = candidate_new(__func__, NULL, NULL);
	mpsync_event term = begin(&candidate);
	uint64_t token = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(term.op_id, RUN);
		assert_int_equal(term.left_ms, -1);
		assert_true(term.token > token);
		token = term.token;
		assert_int_equal(mpsync_election_is_leader(candidate.election, term.grant), 1);
		assert_int_equal(
		    mpsync_election_term_done(candidate.election, term.grant, 0, NULL), MPSYNC_OK);
		expect_ending(&candidate, term.grant, MPSYNC_REASON_RETURNED);
		term = expect(candidate.queue, MPSYNC_EVENT_TERM);
	}
	assert_int_equal(mpsync_election_run_stop(candidate.election, RUN, NULL), MPSYNC_OK);
	expect_ending(&candidate, term.grant, MPSYNC_REASON_STOPPED);
	term_done(&candidate);
	expect_end(&candidate, MPSYNC_OK);
	candidate_free(&candidate);
}

/* Goal: the next leader begins when the work of the former one has ended, and not before; till then
 * is_leader says yes. */
static void test_next_leader_waits_for_the_work(void **state)
{
	struct candidate a = candidate_new(__func__, NULL, NULL);
	struct candidate b = candidate_new(__func__, NULL, NULL);
	const mpsync_event term = begin(&a);

	(void)state;
	assert_int_equal(mpsync_election_run_start(b.election, RUN, NULL, -1, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_run_stop(a.election, RUN, NULL), MPSYNC_OK);
	expect_ending(&a, term.grant, MPSYNC_REASON_STOPPED);
	await_renewal(&a, term.grant, b.queue);
	term_done(&a);
	expect_end(&a, MPSYNC_OK);
	assert_int_equal(mpsync_election_is_leader(a.election, term.grant), 0);
	expect(b.queue, MPSYNC_EVENT_TERM);
	candidate_free(&a);
	candidate_free(&b);
}

/* Goal: with `drain` the next leader waits no longer than that for the work, and the former one
 * stands again only after it. */
static void test_drain_has_a_limit(void **state)
{
	struct candidate a = candidate_new(__func__, "drain", "2s");
	struct candidate b = candidate_new(__func__, NULL, NULL);
	const mpsync_event term = begin(&a);
	mpsync_event event;

	(void)state;
	assert_int_equal(mpsync_election_run_start(b.election, RUN, NULL, -1, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_resign(a.election, NULL), MPSYNC_OK);
	event = expect(a.queue, MPSYNC_EVENT_ENDING);
	assert_int_equal(event.reason, MPSYNC_REASON_ASKED);
	assert_true(event.left_ms > 0 && event.left_ms <= 2000);
	event = expect(b.queue, MPSYNC_EVENT_TERM);
	assert_int_equal(mpsync_election_is_leader(a.election, term.grant), 0);
	assert_int_equal(mpsync_election_run_stop(b.election, RUN, NULL), MPSYNC_OK);
	expect_ending(&b, event.grant, MPSYNC_REASON_STOPPED);
	term_done(&b);
	expect_end(&b, MPSYNC_OK);
	assert_null(next(a.queue, 100)); /* the name is free, and it does not stand */
	term_done(&a);
	expect(a.queue, MPSYNC_EVENT_TERM);
	candidate_free(&a);
	candidate_free(&b);
}

/* Goal: a resign from within the work returns, and its own request ends with the term. */
static void test_resign_from_within(void **state)
{
	struct candidate candidate = candidate_new(__func__, NULL, NULL);
	const mpsync_event term = begin(&candidate);
	mpsync_event event;

	(void)state;
	assert_int_equal(
	    mpsync_election_resign_start(candidate.election, 8, term.grant, NULL), MPSYNC_OK);
	expect_ending(&candidate, term.grant, MPSYNC_REASON_ASKED);
	assert_int_equal(mpsync_election_resign(candidate.election, NULL), MPSYNC_OK);
	term_done(&candidate);
	event = expect(candidate.queue, MPSYNC_EVENT_RELEASED);
	assert_int_equal(event.op_id, 8);
	expect(candidate.queue, MPSYNC_EVENT_TERM);
	candidate_free(&candidate);
}

/* Goal: whoever takes it by force ends the term at once; it stands again after the work. */
static void test_loss(void **state)
{
	struct candidate candidate = candidate_new(__func__, NULL, NULL);
	mpsync_event term = begin(&candidate);
	mpsync_event ending;

	(void)state;
	assert_int_equal(mpsync_client_force_release(candidate.client, __func__, 0, NULL), MPSYNC_OK);
	ending = expect(candidate.queue, MPSYNC_EVENT_ENDING);
	assert_int_equal(ending.reason, MPSYNC_REASON_REVOKED);
	assert_int_equal(ending.left_ms, 0);
	assert_int_equal(mpsync_election_is_leader(candidate.election, term.grant), 0);
	assert_int_equal(
	    mpsync_election_lost_reason(candidate.election, term.grant), MPSYNC_REASON_REVOKED);
	assert_int_equal(mpsync_election_resign(candidate.election, NULL), MPSYNC_E_NOT_HELD);
	assert_null(next(candidate.queue, 200));
	term_done(&candidate);
	term = expect(candidate.queue, MPSYNC_EVENT_TERM);
	assert_true(term.token > ending.token);
	candidate_free(&candidate);
}

/* Goal: a run that is stopped before it begins ends, and the next one does not. */
static void test_stopped_before_it_began(void **state)
{
	struct candidate candidate = candidate_new(__func__, NULL, NULL);

	(void)state;
	assert_int_equal(mpsync_election_run_stop(candidate.election, RUN, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_run_start(candidate.election, RUN, NULL, -1, NULL), MPSYNC_OK);
	expect_end(&candidate, MPSYNC_OK);
	assert_int_equal(
	    mpsync_election_run_start(candidate.election, RUN + 1, NULL, -1, NULL), MPSYNC_OK);
	expect(candidate.queue, MPSYNC_EVENT_TERM);
	candidate_free(&candidate);
}

/* Goal: nothing queues behind a run that is stopping, however long its work takes; the next run may
 * be asked for as soon as the end was told. */
static void test_nothing_queues_behind_a_run_that_stops(void **state)
{
	struct candidate candidate = candidate_new(__func__, NULL, NULL);
	const mpsync_event term = begin(&candidate);

	(void)state;
	assert_int_equal(mpsync_election_run_stop(candidate.election, RUN, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_run_start(candidate.election, RUN + 1, NULL, -1, NULL),
	    MPSYNC_E_ALREADY_HELD);
	expect_ending(&candidate, term.grant, MPSYNC_REASON_STOPPED);
	assert_int_equal(mpsync_election_run_start(candidate.election, RUN + 1, NULL, -1, NULL),
	    MPSYNC_E_ALREADY_HELD);
	assert_int_equal(
	    mpsync_election_campaign(candidate.election, NULL, 0, NULL), MPSYNC_E_ALREADY_HELD);
	term_done(&candidate);
	expect_end(&candidate, MPSYNC_OK);
	assert_int_equal(
	    mpsync_election_run_start(candidate.election, RUN + 2, NULL, -1, NULL), MPSYNC_OK);
	assert_int_equal(expect(candidate.queue, MPSYNC_EVENT_TERM).op_id, RUN + 2);
	candidate_free(&candidate);
}

/* Goal: a handle has one run, and no other request beside it; after its end it is free. */
static void test_one_run_at_a_time(void **state)
{
	struct candidate a = candidate_new(__func__, NULL, NULL);
	struct candidate b = candidate_new(__func__, NULL, NULL);

	(void)state;
	begin(&a);
	assert_int_equal(
	    mpsync_election_run_start(a.election, 9, NULL, -1, NULL), MPSYNC_E_ALREADY_HELD);
	assert_int_equal(mpsync_election_campaign(a.election, NULL, 0, NULL), MPSYNC_E_ALREADY_HELD);
	assert_int_equal(mpsync_election_run_start(b.election, RUN, NULL, -1, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_cancel(b.election, NULL), MPSYNC_OK);
	expect_end(&b, MPSYNC_OK);
	assert_int_equal(mpsync_election_run_start(b.election, RUN, NULL, 50, NULL), MPSYNC_OK);
	assert_int_equal(expect(b.queue, MPSYNC_EVENT_BUSY).status, MPSYNC_E_TIMEOUT);
	assert_int_equal(mpsync_election_campaign(b.election, NULL, 0, NULL), MPSYNC_E_HELD);
	candidate_free(&a);
	candidate_free(&b);
}

/* Goal: closing waits for no work, tells it, and frees the name. */
static void test_close(void **state)
{
	struct candidate a = candidate_new(__func__, NULL, NULL);
	struct candidate b = candidate_new(__func__, NULL, NULL);
	const mpsync_event term = begin(&a);

	(void)state;
	mpsync_client_close(a.client);
	expect_ending(&a, term.grant, MPSYNC_REASON_CLOSED);
	expect_end(&a, MPSYNC_E_CLOSED);
	assert_int_equal(mpsync_election_term_done(a.election, 0, 0, NULL), MPSYNC_E_NOT_HELD);
	begin(&b);
	mpsync_election_free(b.election);
	expect(b.queue, MPSYNC_EVENT_ENDING);
	expect_end(&b, MPSYNC_E_CLOSED);
	mpsync_election_free(a.election);
	mpsync_queue_free(a.queue);
	mpsync_client_close(b.client);
	mpsync_queue_free(b.queue);
}

/* Goal: what breaks the contract is refused with words. */
static void test_misuse(void **state)
{
	struct candidate candidate = candidate_new(__func__, NULL, NULL);
	mpsync_client *mute = mpsync_client_open(place, NULL, NULL, NULL);
	mpsync_election *election = mpsync_election_new(mute, __func__, NULL, NULL);
	mpsync_event term;
	mpsync_error error;

	(void)state;
	assert_int_equal(mpsync_election_run_start(election, RUN, NULL, -1, &error), MPSYNC_E_INVALID);
	assert_non_null(strstr(error.message, "queue"));
	assert_int_equal(
	    mpsync_election_run_start(candidate.election, 0, NULL, -1, &error), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_election_run_start(NULL, RUN, NULL, -1, NULL), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_election_run_stop(NULL, RUN, NULL), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_election_term_done(NULL, 0, 0, NULL), MPSYNC_E_INVALID);
	assert_int_equal(mpsync_election_term_done(candidate.election, 0, 0, NULL), MPSYNC_E_NOT_HELD);
	term = begin(&candidate);
	assert_int_equal(
	    mpsync_election_term_done(candidate.election, term.grant + 1, 0, NULL), MPSYNC_E_NOT_HELD);
	term_done(&candidate);
	assert_int_equal(
	    mpsync_election_term_done(candidate.election, term.grant, 0, NULL), MPSYNC_E_NOT_HELD);
	mpsync_election_free(election);
	mpsync_client_close(mute);
	candidate_free(&candidate);
}

/* Goal: a lock's run is one term; a thread may wait for its events alone. */
static void test_run_of_a_lock(void **state)
{
	const uint64_t run = RUN | MPSYNC_OP_AWAITED;
	struct candidate candidate = candidate_new(__func__, NULL, NULL);
	mpsync_lock *lock = mpsync_lock_new(candidate.client, "l", NULL, NULL);
	const int32_t types[] = {MPSYNC_EVENT_TERM, MPSYNC_EVENT_ENDING, MPSYNC_EVENT_DONE};
	mpsync_event *event;

	(void)state;
	assert_int_equal(mpsync_lock_run_start(lock, run, -1, NULL), MPSYNC_OK);
	for (size_t i = 0; i < 3; i++) {
		event = mpsync_queue_wait_for(candidate.queue, run);
		assert_int_equal(event->type, types[i]);
		assert_int_equal(event->status, MPSYNC_OK);
		if (i == 0)
			assert_int_equal(mpsync_lock_run_stop(lock, run, NULL), MPSYNC_OK);
		if (i == 1)
			assert_int_equal(mpsync_lock_term_done(lock, event->grant, 0, NULL), MPSYNC_OK);
		mpsync_event_free(event);
	}
	assert_int_equal(mpsync_lock_acquire(lock, 0, NULL), MPSYNC_OK);
	mpsync_lock_free(lock);
	candidate_free(&candidate);
}

/* Its work has failed: when that was. */
static int64_t fail_term(struct candidate *candidate, uint64_t grant)
{
	const int64_t failed_ms = now_ms();

	assert_int_equal(mpsync_election_term_done(candidate->election, grant, 1, NULL), MPSYNC_OK);
	expect(candidate->queue, MPSYNC_EVENT_ENDING);
	return failed_ms;
}

/* Goal: after work that failed another candidate leads first, unless it comes after the pause: as
 * here where this thread had no processor for so long. */
static void test_work_that_fails_lets_others_come_first(void **state)
{
	struct candidate a = candidate_new(__func__, NULL, NULL);
	const mpsync_event term = begin(&a);
	struct candidate b = candidate_new(__func__, NULL, NULL);
	int64_t failed_ms = fail_term(&a, term.grant);
	mpsync_event *event;

	(void)state;
	assert_int_equal(mpsync_election_campaign_start(b.election, 1, NULL, -1, NULL), MPSYNC_OK);
	while (!(event = next(b.queue, 10))) {
		mpsync_event *again = next(a.queue, 0);

		if (again) {
			assert_int_equal(again->type, MPSYNC_EVENT_TERM);
			assert_true(now_ms() - failed_ms >= PAUSE_MS);
			failed_ms = fail_term(&a, again->grant);
		}
		mpsync_event_free(again);
	}
	assert_int_equal(event->type, MPSYNC_EVENT_HELD);
	mpsync_event_free(event);
	assert_int_equal(mpsync_election_resign(b.election, NULL), MPSYNC_OK);
	expect(a.queue, MPSYNC_EVENT_TERM);
	candidate_free(&a);
	candidate_free(&b);
}

int main(void)
{
	static char folder[] = "/tmp/mpsync-run-XXXXXX";
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_term_after_term),
	    cmocka_unit_test(test_next_leader_waits_for_the_work),
	    cmocka_unit_test(test_drain_has_a_limit),
	    cmocka_unit_test(test_resign_from_within),
	    cmocka_unit_test(test_loss),
	    cmocka_unit_test(test_stopped_before_it_began),
	    cmocka_unit_test(test_nothing_queues_behind_a_run_that_stops),
	    cmocka_unit_test(test_one_run_at_a_time),
	    cmocka_unit_test(test_close),
	    cmocka_unit_test(test_misuse),
	    cmocka_unit_test(test_run_of_a_lock),
	    cmocka_unit_test(test_work_that_fails_lets_others_come_first),
	};
	char url[100];
	char command[100];
	int failed;

	place = "memory:election-run";
	failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
	if (!mkdtemp(folder))
		return 1;
	snprintf(url, sizeof url, "file:%s/locks.db", folder);
	place = url;
	failed += cmocka_run_group_tests_name("file", tests, NULL, NULL);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command) == 0 ? failed : 1;
}
