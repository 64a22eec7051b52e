/*
 * Goal: whose the files of a database are, what is given to a group, and in which words it is said
 * that a user may not use them. The linker leads what asks the system for that through here, so
 * that no other user is needed.
 */
#include "unit.h"

#include "failing.h"
#include "stores/sqlite/access.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STRANGER 54321

/* ---- The system's part ---- */

static uid_t user;            /* who this process is */
static const char *strangers; /* the end of the path of what a stranger owns */
static const char *denied;    /* the end of the path that may not be written */
static int mknod_error, chown_error, chmod_error;

static bool ends_with(const char *path, const char *end)
{
	const size_t length = strlen(path);

	return end && length >= strlen(end) && strcmp(path + length - strlen(end), end) == 0;
}

static int failing(int code)
{
	errno = code;
	return -1;
}

uid_t __wrap_geteuid(void);
int __real_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status);
int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __real_mknod(const char *path, mode_t mode, dev_t device);
int __wrap_mknod(const char *path, mode_t mode, dev_t device);
int __wrap_chown(const char *path, uid_t owner, gid_t group);
int __real_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode);

uid_t __wrap_geteuid(void)
{
	return user;
}

int __wrap_stat(const char *path, struct stat *status)
{
	const int code = __real_stat(path, status);

	if (code == 0 && ends_with(path, strangers))
		status->st_uid = STRANGER;
	return code;
}

int __wrap_access(const char *path, int mode)
{
	return (mode & W_OK) && ends_with(path, denied) ? failing(EACCES) : __real_access(path, mode);
}

int __wrap_mknod(const char *path, mode_t mode, dev_t device)
{
	return mknod_error ? failing(mknod_error) : __real_mknod(path, mode, device);
}

static char given[200]; /* the last path that was given to a group */
static gid_t given_to;

int __wrap_chown(const char *path, uid_t owner, gid_t group)
{
	assert_int_equal(owner, (uid_t)-1);
	snprintf(given, sizeof given, "%s", path);
	given_to = group;
	return chown_error ? failing(chown_error) : 0;
}

int __wrap_chmod(const char *path, mode_t mode)
{
	return chmod_error ? failing(chmod_error) : __real_chmod(path, mode);
}

/* ---- A folder of files ---- */

static char folder[] = "/tmp/mpsync-XXXXXX";
static char paths_text[SQLITE_PARTS][64];
static char *paths[SQLITE_PARTS];
static mpsync_error error;

static void make_file(const char *path, const char *bytes, size_t size)
{
	const int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(descriptor, bytes, size), (ssize_t)size);
	close(descriptor);
	assert_int_equal(__real_chmod(path, 0600), 0);
}

static int begin(void **state)
{
	static const char *const ends[SQLITE_PARTS] = {"", "-wal", "-shm", "-notify"};

	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < SQLITE_PARTS; i++) {
		snprintf(paths_text[i], sizeof paths_text[i], "%s/db%s", folder, ends[i]);
		paths[i] = paths_text[i];
		make_file(paths[i], "", 0);
	}
	user = getuid();
	strangers = denied = NULL;
	mknod_error = chown_error = chmod_error = 0;
	given[0] = '\0';
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < SQLITE_PARTS; i++)
		unlink(paths[i]);
	return rmdir(folder);
}

static void says(enum mpsync_status status, const char *words)
{
	if ((int)error.status != (int)status || !strstr(error.message, words))
		fail_msg("%d %s", error.status, error.message);
}

static mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(__real_stat(path, &status), 0);
	return status.st_mode & 07777;
}

/* ---- Options ---- */

static bool reads_group(const char *group, struct sqlite_access *access)
{
	struct mpsync_options options = {{0}};
	bool good;

	assert_int_equal(mpsync_options_set(&options, "group", group, NULL), MPSYNC_OK);
	good = sqlite_access_read(access, &options, &error);
	options_clear(&options);
	return good;
}

static void test_a_group_by_its_number_or_its_name(void **state)
{
	struct sqlite_access access;
	bool good;

	(void)state;
	assert_true(reads_group("12", &access));
	assert_int_equal(access.group, 12);
	assert_true(reads_group("root", &access));
	assert_int_equal(access.group, 0);
	/* The last number stands for no group at all. */
	assert_false(reads_group("4294967295", &access));
	says(MPSYNC_E_INVALID, "there is no group \"4294967295\"");
	assert_false(reads_group("12x", &access));
	says(MPSYNC_E_INVALID, "12x");
	failing_from(2, 1); /* behind the option's own text */
	good = reads_group("root", &access);
	assert_true(failing_end());
	assert_false(good);
	says(MPSYNC_E_NO_MEMORY, "memory");
}

/* ---- Making ---- */

static const struct sqlite_access unsaid = {.mode = (mode_t)-1, .group = (gid_t)-1};
static const struct sqlite_access shared = {.mode = 0660, .group = STRANGER};

static void test_a_file_that_cannot_be_made(void **state)
{
	static const struct {
		int code;
		enum mpsync_status status;
	} reasons[] = {{EACCES, MPSYNC_E_FORBIDDEN}, {EPERM, MPSYNC_E_FORBIDDEN},
	    {EROFS, MPSYNC_E_FORBIDDEN}, {ENOSPC, MPSYNC_E_UNREACHABLE}};

	(void)state;
	unlink(paths[SQLITE_DATABASE]);
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
		mknod_error = reasons[i].code;
		assert_false(sqlite_access_make(paths[SQLITE_DATABASE], &unsaid, &error));
		says(reasons[i].status, "cannot write the file");
	}
}

static void test_a_group_or_a_mode_that_cannot_be_given(void **state)
{
	const char *path = paths[SQLITE_DATABASE];

	(void)state;
	chown_error = EPERM;
	assert_false(sqlite_access_make(path, &shared, &error));
	says(MPSYNC_E_FORBIDDEN, "give that group the file");
	chown_error = 0;
	chmod_error = EIO;
	assert_false(sqlite_access_make(path, &shared, &error));
	says(MPSYNC_E_UNREACHABLE, "set the mode of");
	chmod_error = 0;
	assert_true(sqlite_access_make(path, &shared, &error));
	assert_string_equal(given, path);
	assert_int_equal(given_to, STRANGER);
	assert_int_equal(mode_of(path), 0660);
}

/* Goal: what another user made stays as that user made it. */
static void test_a_strangers_file_is_left_alone(void **state)
{
	(void)state;
	user = STRANGER;
	assert_true(sqlite_access_make(paths[SQLITE_DATABASE], &shared, &error));
	assert_string_equal(given, "");
	assert_int_equal(mode_of(paths[SQLITE_DATABASE]), 0600);
}

/* ---- Sharing ---- */

/* Goal: what lies beside a database may be used by whoever may use that, and nothing else is
 * touched: no link, and what is not this user's. */
static void test_files_beside_it_follow_it(void **state)
{
	(void)state;
	assert_int_equal(__real_chmod(paths[SQLITE_DATABASE], 0664), 0);
	unlink(paths[SQLITE_NOTIFY]);
	unlink(paths[SQLITE_SHM]);
	assert_int_equal(symlink("/nowhere", paths[SQLITE_SHM]), 0);
	chmod_error = EPERM;
	sqlite_access_share(paths);
	assert_int_equal(mode_of(paths[SQLITE_WAL]), 0600);
	chmod_error = 0;
	sqlite_access_share(paths);
	assert_int_equal(mode_of(paths[SQLITE_WAL]), 0664);
	assert_string_equal(given, "");
	unlink(paths[SQLITE_DATABASE]);
	assert_int_equal(__real_chmod(paths[SQLITE_WAL], 0600), 0);
	sqlite_access_share(paths);
	assert_int_equal(mode_of(paths[SQLITE_WAL]), 0600);
}

/* ---- Why not ---- */

static void explain(int code, enum mpsync_status status, const char *words)
{
	sqlite_access_explain(paths, code, &error);
	says(status, words);
}

static void test_a_sticky_folder(void **state)
{
	(void)state;
	assert_int_equal(__real_chmod(folder, 01777), 0);
	explain(SQLITE_CANTOPEN, MPSYNC_E_UNREACHABLE, "unable to open"); /* all is this user's */
	strangers = "-wal";
	explain(SQLITE_CANTOPEN, MPSYNC_E_FORBIDDEN, "fs.protected_regular");
	denied = "-wal"; /* then that is the reason */
	explain(SQLITE_CANTOPEN, MPSYNC_E_FORBIDDEN, "no permission to write");
	denied = NULL;
	/* The kernel lets the folder's own user in, and everybody where others cannot write there. */
	user = STRANGER + 1;
	strangers = "";
	explain(SQLITE_CANTOPEN, MPSYNC_E_UNREACHABLE, "unable to open");
	user = getuid();
	strangers = "-wal";
	assert_int_equal(__real_chmod(folder, 01755), 0);
	explain(SQLITE_CANTOPEN, MPSYNC_E_UNREACHABLE, "unable to open");
	assert_int_equal(__real_chmod(folder, 0700), 0);
	explain(SQLITE_CANTOPEN, MPSYNC_E_UNREACHABLE, "unable to open");
}

static void test_files_that_may_not_be_made(void **state)
{
	(void)state;
	denied = folder;
	explain(SQLITE_READONLY, MPSYNC_E_FORBIDDEN, "readonly"); /* they are there */
	unlink(paths[SQLITE_SHM]);
	explain(SQLITE_READONLY, MPSYNC_E_FORBIDDEN, "have to be made beside it");
}

static void test_files_that_may_not_be_written(void **state)
{
	(void)state;
	for (int i = SQLITE_DATABASE; i < SQLITE_NOTIFY; i++) {
		denied = paths[i];
		explain(SQLITE_PERM, MPSYNC_E_FORBIDDEN, "no permission to write");
		assert_non_null(strstr(error.message, paths[i]));
	}
}

/* Goal: a -wal is told to be damaged only if it is none. */
static void test_what_is_no_wal(void **state)
{
	static const char *const others[] = {
	    "\x00\x7f\x06\x82", "\x37\x00\x06\x82", "\x37\x7f\x00\x82", "\x37\x7f\x06\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		make_file(paths[SQLITE_WAL], others[i], 4);
		explain(SQLITE_CORRUPT, MPSYNC_E_CORRUPT, "db-wal is damaged");
	}
	make_file(paths[SQLITE_WAL], "\x37\x7f\x06\x83", 4);
	explain(SQLITE_CORRUPT, MPSYNC_E_CORRUPT, "is no database");
	unlink(paths[SQLITE_WAL]);
	explain(SQLITE_NOTADB, MPSYNC_E_CORRUPT, "is no database");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_group_by_its_number_or_its_name),
	    TEST(test_a_file_that_cannot_be_made),
	    TEST(test_a_group_or_a_mode_that_cannot_be_given),
	    TEST(test_a_strangers_file_is_left_alone),
	    TEST(test_files_beside_it_follow_it),
	    TEST(test_a_sticky_folder),
	    TEST(test_files_that_may_not_be_made),
	    TEST(test_files_that_may_not_be_written),
	    TEST(test_what_is_no_wal),
	};

	failing_install(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
