/* A child that is forked while another thread is at work in the library finds all of it usable. */
#include "unit.h"

#include "child.h"

#include <mpsync.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS      300
#define PATIENCE_S 120
/* Turns of a loop, so that each fork comes at another moment of the first use. */
#define MOMENTS 10000

static atomic_bool over;
static const char *url = "memory:";

/* Each client has a thread of its own, and whatever OpenSSL makes for a thread is made anew. */
static bool take_a_turn(const char *name)
{
	mpsync_client *client = mpsync_client_open(url, NULL, NULL, NULL);
	mpsync_lock *lock = mpsync_lock_new(client, name, NULL, NULL);
	const bool good = mpsync_lock_acquire(lock, -1, NULL) == MPSYNC_OK &&
	                  mpsync_lock_release(lock, NULL) == MPSYNC_OK;

	mpsync_lock_free(lock);
	mpsync_client_close(client);
	return good;
}

static void *take_turns(void *unused)
{
	(void)unused;
	while (!atomic_load(&over))
		if (!take_a_turn("parent"))
			abort();
	return NULL;
}

static void test_forked_beside_other_threads(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, take_turns, NULL), 0);
	for (int i = 0; i < FORKS; i++) {
		const pid_t child = fork();
		int status;

		if (child == 0) {
			alarm(PATIENCE_S);
			leave_child(take_a_turn("child") ? 0 : 1);
		}
		assert_true(child > 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
}

/* A program whose other thread uses the library for the first time while this one forks. */
static int fork_beside_the_first_use(int moment)
{
	pthread_t thread;
	pid_t child;
	int status = 1;

	alarm(PATIENCE_S);
	pthread_create(&thread, NULL, take_turns, NULL);
	for (volatile int i = 0; i < moment; i++)
		;
	child = fork();
	if (child == 0) {
		alarm(PATIENCE_S);
		leave_child(take_a_turn("child") ? 0 : 1);
	}
	waitpid(child, &status, 0);
	return status == 0 ? 0 : 1;
}

static void fork_at_every_moment(void)
{
	for (int i = 0; i < FORKS; i++) {
		const pid_t program = fork();
		int status;

		if (program == 0)
			leave_child(fork_beside_the_first_use(i * MOMENTS));
		assert_int_equal(waitpid(program, &status, 0), program);
		assert_int_equal(status, 0);
	}
}

static void test_forked_beside_the_first_use(void **state)
{
	(void)state;
	fork_at_every_moment();
}

static void test_forked_beside_the_first_use_of_a_file(void **state)
{
	char folder[] = "/tmp/mpsync-fork-XXXXXX";
	char file_url[sizeof folder + sizeof "file:/locks.db"];
	char command[sizeof folder + sizeof "rm -r "];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file_url, sizeof file_url, "file:%s/locks.db", folder);
	snprintf(command, sizeof command, "rm -r %s", folder);
	url = file_url;
	fork_at_every_moment();
	url = "memory:";
	assert_int_equal(system(command), 0);
}

int main(void)
{
	/* The first ones must not have used the library before. */
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forked_beside_the_first_use),
	    cmocka_unit_test(test_forked_beside_the_first_use_of_a_file),
	    cmocka_unit_test(test_forked_beside_other_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
