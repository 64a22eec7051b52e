/*
 * Goal: who waits for a file hears at once of what frees it: of others' writes, of the death of its
 * holder, of another file in its place; and nothing stays open of what was watched.
 */
#include "unit.h"

#include "base/process.h"
#include "sqlite_world.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool no_inotify;

int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);

/* A user has 128 instances by default, and other programs may have them all for a while. */
static int new_inotify(int flags)
{
	int descriptor;

	while ((descriptor = __real_inotify_init1(flags)) < 0 && errno == EMFILE)
		usleep(1000);
	return descriptor;
}

int __wrap_inotify_init1(int flags)
{
	if (!no_inotify)
		return new_inotify(flags);
	errno = EMFILE;
	return -1;
}

/* ---- Holders ---- */

static pid_t start_process(void)
{
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static uint64_t start_of(pid_t pid)
{
	struct process_stat stat;

	assert_true(process_read(pid, &stat));
	return stat.start;
}

/* As if the process had taken the name; no other one's right ends by time here. */
static void hold_as(struct sqlite_world *world, struct kept_claim *claim, pid_t pid, uint64_t start)
{
	take(world, claim);
	forget(world, claim);
	sqlite_world_execute(world, "UPDATE lock SET pid = %d, pid_start = %" PRIu64, (int)pid, start);
}

/* What was written until then is no news any more. */
static void wait_for_news(struct sqlite_world *world, struct kept_claim *waiter)
{
	for (int i = 0; i < 2; i++) {
		attempt(world, waiter);
		assert_int_equal(world->event, CLAIM_BUSY);
		let_pass(world, 50);
	}
	world->event = CLAIM_BUSY;
}

static void test_a_waiter_hears_of_its_holders_death(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim former = claim_of("x", 1);
	struct kept_claim waiter = claim_of("x", 2);
	const pid_t holder = start_process();

	hold_as(world, &former, holder, start_of(holder));
	wait_for_news(world, &waiter);
	assert_int_equal(descriptors_of("pidfd"), 1);
	end_process(holder);
	await_grant(world, &waiter);
	assert_int_equal(descriptors_of("pidfd"), 0);
	forget(world, &waiter);
}

/* Goal: this process would hear of no death of its own. */
static void test_a_process_does_not_watch_itself(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim holder = claim_of("x", 1);
	struct kept_claim waiter = claim_of("x", 2);

	take(world, &holder);
	attempt(world, &waiter);
	assert_int_equal(world->event, CLAIM_BUSY);
	assert_int_equal(descriptors_of("pidfd"), 0);
	forget(world, &holder);
	forget(world, &waiter);
}

/* Goal: the number of a process that has ended is some other one's later, and may be ours. */
static void test_a_former_process_with_our_number_has_ended(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim former = claim_of("x", 1);
	struct kept_claim next = claim_of("x", 2);

	hold_as(world, &former, getpid(), start_of(getpid()) - 1);
	take(world, &next);
	forget(world, &next);
}

static void test_only_the_present_holder_is_watched(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim first = claim_of("x", 1);
	struct kept_claim waiter = claim_of("x", 2);
	const pid_t former = start_process();
	const pid_t present = start_process();

	hold_as(world, &first, former, start_of(former));
	attempt(world, &waiter);
	sqlite_world_execute(
	    world, "UPDATE lock SET pid = %d, pid_start = %" PRIu64, (int)present, start_of(present));
	attempt(world, &waiter);
	assert_int_equal(world->event, CLAIM_BUSY);
	assert_int_equal(descriptors_of("pidfd"), 1);
	end_process(former);
	end_process(present);
	await_grant(world, &waiter);
	forget(world, &waiter);
}

static void on_forced(struct store_query *query, enum mpsync_status status, const char *message)
{
	(void)query, (void)message;
	assert_int_equal(status, MPSYNC_OK);
}

/* Goal: a look at a holder on behalf of nobody who waits leaves nothing open. */
static void test_a_look_leaves_nothing_open(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim claim = claim_of("x", 1);
	struct store_query query = {.kind = STORE_FORCE, .name = "x", .done = on_forced};
	const pid_t holder = start_process();

	hold_as(world, &claim, holder, start_of(holder));
	world->store->ops->query(world->store, &query);
	assert_int_equal(descriptors_of("pidfd"), 0);
	end_process(holder);
}

/* Goal: a program may try as many names as it likes, whoever holds them for however long. */
static void test_a_try_leaves_nothing_open(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim claim = claim_of("x", 1);
	struct kept_claim rival = claim_of("x", 2);
	const pid_t holder = start_process();

	rival.claim.once = true;
	hold_as(world, &claim, holder, start_of(holder));
	attempt(world, &rival);
	assert_int_equal(world->event, CLAIM_BUSY);
	forget(world, &rival);
	assert_int_equal(descriptors_of("pidfd"), 0);
	assert_int_equal(descriptors_of("inotify"), 0);
	end_process(holder);
}

/* ---- The file ---- */

static void release(struct sqlite_world *world, struct kept_claim *claim)
{
	world->store->ops->withdraw(world->store, &claim->claim);
	assert_int_equal(world->event, CLAIM_FREED);
	forget(world, claim);
}

static void test_nothing_is_watched_when_nobody_waits(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim holder = claim_of("x", 1);
	struct kept_claim waiter = claim_of("x", 2);

	take(world, &holder);
	attempt(world, &waiter);
	assert_int_equal(descriptors_of("inotify"), 1);
	release(world, &waiter);
	assert_int_equal(descriptors_of("inotify"), 0);
	forget(world, &holder);
}

/* Goal: a backup that is put in the place of the file by its name, not written into it. */
static void test_a_file_that_takes_the_place_of_another_is_looked_at(void **state)
{
	static const char *const parts[] = {"-wal", "-shm", "-notify", ""};
	struct sqlite_world *world = *state;
	struct kept_claim holder = claim_of("x", 1);
	struct kept_claim waiter = claim_of("x", 2);
	char folder[96];
	char from[128];
	char to[128];
	struct store *backup;

	snprintf(folder, sizeof folder, "%s/backup", world->folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(from, sizeof from, "%s/locks.db", folder);
	backup = sqlite_world_open(world, from);
	backup->ops->close(backup);
	take(world, &holder);
	wait_for_news(world, &waiter);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		snprintf(from, sizeof from, "%s/locks.db%s", folder, parts[i]);
		snprintf(to, sizeof to, "%s%s", world->path, parts[i]);
		assert_int_equal(rename(from, to), 0);
	}
	await_grant(world, &waiter);
	forget(world, &waiter);
	forget(world, &holder);
}

static void test_without_inotify_a_waiter_looks_again_and_again(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim holder = claim_of("x", 1);
	struct kept_claim waiter = claim_of("x", 2);

	no_inotify = true;
	take(world, &holder);
	attempt(world, &waiter);
	let_pass(world, 100);
	attempt(world, &waiter);
	assert_int_equal(world->event, CLAIM_BUSY);
	sqlite_world_execute(world, "DELETE FROM lock");
	await_grant(world, &waiter);
	no_inotify = false;
	forget(world, &waiter);
	forget(world, &holder);
}

/* ---- What others are told ---- */

static int watch_notify(const struct sqlite_world *world)
{
	const int descriptor = new_inotify(IN_NONBLOCK | IN_CLOEXEC);
	char path[128];

	snprintf(path, sizeof path, "%s-notify", world->path);
	assert_true(inotify_add_watch(descriptor, path, IN_MODIFY) >= 0);
	return descriptor;
}

/* Since it was asked last. */
static bool was_told(int descriptor)
{
	_Alignas(struct inotify_event) char buffer[4096];

	return read(descriptor, buffer, sizeof buffer) > 0;
}

/*
 * Goal: the event on the -wal comes before what was committed can be read. Whatever others may wait
 * for is told by the notification file after that; a renewal is nobody else's news.
 */
static void test_what_others_wait_for_is_told_after_it_can_be_read(void **state)
{
	struct sqlite_world *world = *state;
	struct kept_claim holder = claim_of("x", 1);
	struct kept_claim waiter = claim_of("x", 2);
	struct store_claim *claims[] = {&holder.claim};
	const int told = watch_notify(world);

	take(world, &holder);
	assert_true(was_told(told));
	world->store->ops->renew(world->store, claims, 1);
	assert_false(was_told(told));
	holder.claim.value = "a";
	holder.claim.value_version++;
	world->store->ops->renew(world->store, claims, 1);
	assert_true(was_told(told));
	attempt(world, &waiter);
	assert_int_equal(world->event, CLAIM_BUSY);
	assert_false(was_told(told));
	release(world, &waiter); /* those behind it are nearer now */
	assert_true(was_told(told));
	release(world, &holder);
	assert_true(was_told(told));
	close(told);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sqlite_world_begin, sqlite_world_end)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_waiter_hears_of_its_holders_death),
	    TEST(test_a_process_does_not_watch_itself),
	    TEST(test_a_former_process_with_our_number_has_ended),
	    TEST(test_only_the_present_holder_is_watched),
	    TEST(test_a_look_leaves_nothing_open),
	    TEST(test_a_try_leaves_nothing_open),
	    TEST(test_nothing_is_watched_when_nobody_waits),
	    TEST(test_a_file_that_takes_the_place_of_another_is_looked_at),
	    TEST(test_without_inotify_a_waiter_looks_again_and_again),
	    TEST(test_what_others_wait_for_is_told_after_it_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
