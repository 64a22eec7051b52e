/*
 * Goal: a client's thread leaves the program's signals to the program, and what the client holds or
 * waits for has ended when the client is closed: also where another program keeps the file locked.
 */
#include "unit.h"

#include <mpsync.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_S  120
#define PATIENCE_MS (PATIENCE_S * 1000)

struct place {
	char folder[64];
	char path[96];
	char url[128];
	sqlite3 *other; /* another program, with the file open too */
};

static int begin(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	mpsync_client *client;

	alarm(PATIENCE_S);
	strcpy(place->folder, "/tmp/mpsync-thread-XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->path, sizeof place->path, "%s/locks.db", place->folder);
	snprintf(place->url, sizeof place->url, "file:%s", place->path);
	client = mpsync_client_open(place->url, NULL, NULL, NULL);
	assert_non_null(client);
	mpsync_client_close(client);
	assert_int_equal(sqlite3_open(place->path, &place->other), SQLITE_OK);
	/* As other programs do where a client writes just now. */
	sqlite3_busy_timeout(place->other, PATIENCE_MS);
	*state = place;
	return 0;
}

static int end(void **state)
{
	struct place *place = *state;
	char command[96];

	sqlite3_close(place->other);
	snprintf(command, sizeof command, "rm -rf %s", place->folder);
	assert_int_equal(system(command), 0);
	free(place);
	alarm(0);
	return 0;
}

static void execute(const struct place *place, const char *sql)
{
	assert_int_equal(sqlite3_exec(place->other, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int count(const struct place *place, const char *sql)
{
	sqlite3_stmt *statement;
	int found;

	assert_int_equal(sqlite3_prepare_v2(place->other, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	found = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return found;
}

/* The next event; that it waits may be told more than once. */
static mpsync_event *expect(mpsync_queue *queue, int32_t type, uint64_t op_id)
{
	mpsync_event *event = mpsync_queue_wait(queue, -1);

	while (event && event->type == MPSYNC_EVENT_WAITING && type != MPSYNC_EVENT_WAITING) {
		mpsync_event_free(event);
		event = mpsync_queue_wait(queue, -1);
	}
	assert_non_null(event);
	assert_int_equal(event->type, type);
	assert_int_equal(event->op_id, op_id);
	return event;
}

static void expect_and_free(mpsync_queue *queue, int32_t type, uint64_t op_id)
{
	mpsync_event_free(expect(queue, type, op_id));
}

/* ---- Signals ---- */

static void take_signal(int number)
{
	(void)number;
}

static void test_the_programs_signals_are_its_own(void **state)
{
	const struct place *place = *state;
	struct sigaction action = {.sa_handler = take_signal};
	mpsync_client *client;
	sigset_t set;
	sigset_t before;
	sigset_t pending;
	int number;

	sigaction(SIGUSR1, &action, NULL);
	client = mpsync_client_open(place->url, NULL, NULL, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	/* To the process: any of its threads that does not block it takes it. */
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	usleep(50 * 1000);
	assert_int_equal(sigpending(&pending), 0);
	assert_true(sigismember(&pending, SIGUSR1));
	assert_int_equal(sigwait(&set, &number), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	mpsync_client_close(client);
}

/* ---- What is under way while the file is locked ---- */

/* Goal: what is being given back has no value any more that could be stored. */
static void test_no_value_is_set_while_it_is_released(void **state)
{
	const struct place *place = *state;
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = mpsync_client_open(place->url, NULL, queue, NULL);
	mpsync_election *election = mpsync_election_new(client, "x", NULL, NULL);
	mpsync_event *event;

	assert_int_equal(mpsync_election_campaign(election, "a", -1, NULL), MPSYNC_OK);
	execute(place, "BEGIN IMMEDIATE");
	assert_int_equal(mpsync_election_resign_start(election, 1, 0, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_set_value_start(election, 2, "b", NULL), MPSYNC_OK);
	event = expect(queue, MPSYNC_EVENT_FAILED, 2);
	assert_int_equal(event->status, MPSYNC_E_NOT_HELD);
	mpsync_event_free(event);
	execute(place, "COMMIT");
	expect_and_free(queue, MPSYNC_EVENT_RELEASED, 1);
	mpsync_election_free(election);
	mpsync_client_close(client);
	mpsync_queue_free(queue);
}

/* Goal: a place in the order of a living process would keep others waiting. */
static void test_closing_gives_the_places_back(void **state)
{
	const struct place *place = *state;
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *holding = mpsync_client_open(place->url, NULL, NULL, NULL);
	mpsync_client *waiting = mpsync_client_open(place->url, NULL, queue, NULL);
	mpsync_lock *held = mpsync_lock_new(holding, "x", NULL, NULL);
	mpsync_lock *awaited = mpsync_lock_new(waiting, "x", NULL, NULL);

	assert_int_equal(mpsync_lock_acquire(held, -1, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_lock_acquire_start(awaited, 1, -1, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_WAITING, 1);
	while (count(place, "SELECT count(*) FROM waiter") == 0)
		usleep(1000);
	execute(place, "BEGIN IMMEDIATE");
	assert_int_equal(mpsync_client_close_start(waiting, 2, NULL), MPSYNC_OK);
	expect_and_free(queue, MPSYNC_EVENT_CANCELLED, 1);
	usleep(20 * 1000);
	execute(place, "COMMIT");
	expect_and_free(queue, MPSYNC_EVENT_DONE, 2);
	assert_int_equal(count(place, "SELECT count(*) FROM waiter"), 0);
	mpsync_lock_free(awaited);
	mpsync_lock_free(held);
	mpsync_client_close(waiting);
	mpsync_client_close(holding);
	mpsync_queue_free(queue);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_programs_signals_are_its_own),
	    TEST(test_no_value_is_set_while_it_is_released),
	    TEST(test_closing_gives_the_places_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
