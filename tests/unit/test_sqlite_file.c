/*
 * Goal: which files may be used, by whom, and why not; and what a process with one open may do.
 * The linker leads what makes files, and what says where they lie, through here.
 */
#include "unit.h"

#include "child.h"
#include "sqlite_world.h"
#include "stores/sqlite/access.h"
#include "stores/sqlite/store.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CIFS_MAGIC 0xFF534D42
#define SMB2_MAGIC 0xFE534D42

/* ---- Making it ---- */

static bool another_is_quicker;

int __real_mknod(const char *path, mode_t mode, dev_t device);
int __wrap_mknod(const char *path, mode_t mode, dev_t device);

int __wrap_mknod(const char *path, mode_t mode, dev_t device)
{
	if (another_is_quicker)
		assert_int_equal(__real_mknod(path, mode, device), 0);
	return __real_mknod(path, mode, device);
}

static void test_who_makes_it_at_the_same_time_is_welcome(void **state)
{
	struct sqlite_world *world = *state;
	char path[128];
	struct store *store;

	snprintf(path, sizeof path, "%s/new.db", world->folder);
	another_is_quicker = true;
	store = sqlite_world_open(world, path);
	another_is_quicker = false;
	store->ops->close(store);
}

/* Goal: also where the file was there before, as long as it is one's own. */
static void test_the_mode_that_is_asked_for_is_set(void **state)
{
	struct sqlite_world *world = *state;
	struct sqlite_access access;
	struct stat status;

	assert_int_equal(stat(world->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(mpsync_options_set(&world->options, "mode", "0640", NULL), MPSYNC_OK);
	assert_true(sqlite_access_read(&access, &world->options, NULL));
	options_clear(&world->options);
	assert_true(sqlite_access_make(world->path, &access, NULL));
	assert_int_equal(stat(world->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
}

static void test_a_group_that_does_not_exist_is_named(void **state)
{
	struct sqlite_world *world = *state;
	struct sqlite_access access;
	mpsync_error error;

	assert_int_equal(
	    mpsync_options_set(&world->options, "group", "no-such-group", NULL), MPSYNC_OK);
	assert_false(sqlite_access_read(&access, &world->options, &error));
	assert_int_equal(error.status, MPSYNC_E_INVALID);
	assert_non_null(strstr(error.message, "no-such-group"));
	options_clear(&world->options);
}

/* ---- What can be shared ---- */

static unsigned long file_system; /* 0: as it is */

int __real_statfs(const char *path, struct statfs *status);
int __wrap_statfs(const char *path, struct statfs *status);

int __wrap_statfs(const char *path, struct statfs *status)
{
	const int code = __real_statfs(path, status);

	if (file_system)
		status->f_type = (__typeof__(status->f_type))file_system;
	return code;
}

static void is_refused(const char *path, enum mpsync_status status, const char *word)
{
	struct stat found;
	mpsync_error error;

	assert_false(sqlite_access_check(path, &found, &error));
	assert_int_equal(error.status, status);
	assert_non_null(strstr(error.message, path));
	assert_non_null(strstr(error.message, word));
}

/* Goal: where another host may have the file too, its -shm is not shared, and so nothing is. */
static void test_what_lies_on_another_host_is_refused(void **state)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} networks[] = {{NFS_SUPER_MAGIC, "NFS"}, {CIFS_MAGIC, "SMB"}, {SMB2_MAGIC, "SMB"},
	    {SMB_SUPER_MAGIC, "SMB"}, {V9FS_MAGIC, "9p"}, {FUSE_SUPER_MAGIC, "FUSE"}};
	const struct sqlite_world *world = *state;
	struct stat status;

	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
		file_system = networks[i].magic;
		is_refused(world->path, MPSYNC_E_UNSUPPORTED, networks[i].name);
	}
	file_system = EXT4_SUPER_MAGIC;
	assert_true(sqlite_access_check(world->path, &status, NULL));
	file_system = 0;
}

static void test_what_is_no_file_is_refused(void **state)
{
	const struct sqlite_world *world = *state;
	char pipe[128];

	snprintf(pipe, sizeof pipe, "%s/pipe", world->folder);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	is_refused(pipe, MPSYNC_E_INVALID, "not a file");
	is_refused("/dev/null", MPSYNC_E_INVALID, "not a file");
	is_refused(world->folder, MPSYNC_E_INVALID, "not a file");
}

static void test_a_file_that_is_gone_cannot_be_used(void **state)
{
	const struct sqlite_world *world = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/gone.db", world->folder);
	is_refused(path, MPSYNC_E_UNREACHABLE, "No such file");
}

/* ---- Why not ---- */

static void write_over(const char *path, const char *text)
{
	const int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
	close(descriptor);
}

/* Goal: it says which of the files is no longer what it was, and leaves none of them open. */
static void test_damage_is_found_and_nothing_stays_open(void **state)
{
	const struct sqlite_world *world = *state;
	const struct sqlite *sqlite = sqlite_of(backend_of(world));
	char *const *paths = sqlite->file->paths;
	const unsigned before = descriptors_of("");
	mpsync_error error;

	sqlite_access_explain(paths, SQLITE_CORRUPT, &error);
	assert_int_equal(error.status, MPSYNC_E_CORRUPT);
	assert_non_null(strstr(error.message, "or it or its -wal is damaged"));
	write_over(paths[SQLITE_WAL], "garbage");
	sqlite_access_explain(paths, SQLITE_CORRUPT, &error);
	assert_non_null(strstr(error.message, "locks.db-wal"));
	assert_int_equal(descriptors_of(""), before);
}

static void test_what_sqlite_says_is_told_with_the_file_and_a_cure(void **state)
{
	static const struct {
		int code;
		enum mpsync_status status;
		const char *word;
	} reasons[] = {{SQLITE_FULL, MPSYNC_E_UNREACHABLE, "make room"},
	    {SQLITE_BUSY, MPSYNC_E_UNREACHABLE, "another program keeps"},
	    {SQLITE_NOTADB, MPSYNC_E_CORRUPT, "damaged"},
	    {SQLITE_CANTOPEN, MPSYNC_E_UNREACHABLE, "unable to open"},
	    {SQLITE_NOMEM, MPSYNC_E_NO_MEMORY, "out of memory"},
	    {SQLITE_IOERR_READ, MPSYNC_E_UNREACHABLE, "disk I/O error"}};
	const struct sqlite_world *world = *state;
	const struct sqlite *sqlite = sqlite_of(backend_of(world));

	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
		mpsync_error error;

		sqlite_access_explain(sqlite->file->paths, reasons[i].code, &error);
		assert_int_equal(error.status, reasons[i].status);
		assert_non_null(strstr(error.message, world->path));
		assert_non_null(strstr(error.message, reasons[i].word));
	}
}

/* ---- Forks ---- */

struct user {
	struct sqlite_file *file;
	sem_t entered;
	sem_t left;
	atomic_bool inside;
};

static void *use_for_a_while(void *argument)
{
	struct user *user = argument;

	assert_true(sqlite_file_enter(user->file));
	user->inside = true;
	sem_post(&user->entered);
	usleep(50 * 1000);
	user->inside = false;
	sqlite_file_leave(user->file);
	sem_post(&user->left);
	return NULL;
}

/* Goal: a child is given SQLite at rest, and not in the middle of another thread's transaction. */
static void test_a_fork_waits_for_whoever_uses_the_file(void **state)
{
	const struct sqlite_world *world = *state;
	struct user user = {.file = sqlite_of(backend_of(world))->file};
	pthread_t thread;
	pid_t child;
	int code = -1;

	sem_init(&user.entered, 0, 0);
	sem_init(&user.left, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, use_for_a_while, &user), 0);
	/* Else ThreadSanitizer misses a join in the child. */
	pthread_detach(thread);
	sem_wait(&user.entered);
	child = fork();
	if (child == 0)
		leave_child(user.inside);
	sem_wait(&user.left);
	assert_int_equal(waitpid(child, &code, 0), child);
	assert_int_equal(code, 0);
	sem_destroy(&user.entered);
	sem_destroy(&user.left);
}

/* Goal: a child that lives on keeps none of its parent's locks, nor the files that were removed. */
static void test_a_forked_child_has_none_of_the_files_open(void **state)
{
	const struct sqlite_world *world = *state;
	const pid_t child = fork();
	int code = -1;

	if (child == 0)
		leave_child(descriptors_of(world->folder) != 0);
	assert_int_equal(waitpid(child, &code, 0), child);
	assert_int_equal(code, 0);
	assert_int_not_equal(descriptors_of(world->folder), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sqlite_world_begin, sqlite_world_end)
	const struct CMUnitTest tests[] = {
	    TEST(test_who_makes_it_at_the_same_time_is_welcome),
	    TEST(test_the_mode_that_is_asked_for_is_set),
	    TEST(test_a_group_that_does_not_exist_is_named),
	    TEST(test_what_lies_on_another_host_is_refused),
	    TEST(test_what_is_no_file_is_refused),
	    TEST(test_a_file_that_is_gone_cannot_be_used),
	    TEST(test_damage_is_found_and_nothing_stays_open),
	    TEST(test_what_sqlite_says_is_told_with_the_file_and_a_cure),
	    TEST(test_a_fork_waits_for_whoever_uses_the_file),
	    TEST(test_a_forked_child_has_none_of_the_files_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
