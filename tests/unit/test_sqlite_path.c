/* Which file a path means: however it is spelled, whether it is there or not, and without memory.
 */
#include "unit.h"

#include "base/state_folder.h"
#include "failing.h"
#include "stores/sqlite/path.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static uid_t user; /* who this process is */

uid_t __wrap_geteuid(void);

uid_t __wrap_geteuid(void)
{
	return user;
}

static int begin(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/mpsync-path-XXXXXX");
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int end(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return chdir("/") == 0 ? system(command) : -1;
}

/* In the test's folder. */
static void means(const char *path, const char *file)
{
	mpsync_error error;
	char *resolved = sqlite_path_resolve(path, &error);
	char expected[160];

	if (!resolved)
		fail_msg("%s: %s", path, error.message);
	snprintf(expected, sizeof expected, "%s/%s", folder, file);
	assert_string_equal(resolved, expected);
	free(resolved);
}

static void is_refused(const char *path, enum mpsync_status status, const char *word)
{
	mpsync_error error;

	assert_null(sqlite_path_resolve(path, &error));
	assert_int_equal(error.status, status);
	if (!strstr(error.message, word))
		fail_msg("%s: %s", path, error.message);
}

static void test_every_spelling_means_the_same_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir("sub", 0700), 0);
	assert_int_equal(symlink("sub", "here"), 0);
	for (int there = 0; there < 2; there++) {
		means("sub/x.db", "sub/x.db");
		means("./sub/../sub//x.db", "sub/x.db");
		means("here/x.db", "sub/x.db");
		if (!there)
			close(open("sub/x.db", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
}

/* Goal: a link to a file that is still to be made means that file. */
static void test_links_to_nothing_are_followed(void **state)
{
	char absolute[128];

	(void)state;
	snprintf(absolute, sizeof absolute, "%s/sub/second", folder);
	assert_int_equal(symlink(absolute, "first"), 0);
	assert_int_equal(symlink("new.db", "sub/second"), 0);
	means("first", "sub/new.db");
	assert_int_equal(symlink("nowhere/x.db", "astray"), 0);
	is_refused("astray", MPSYNC_E_INVALID, "does not exist");
	assert_int_equal(symlink("round", "round"), 0);
	is_refused("round", MPSYNC_E_INVALID, "symbolic links");
}

static void test_what_is_no_file_is_refused(void **state)
{
	(void)state;
	is_refused("nowhere/x.db", MPSYNC_E_INVALID, "nowhere does not exist");
	is_refused("nowhere/", MPSYNC_E_INVALID, "does not exist");
	is_refused("sub/none/..", MPSYNC_E_INVALID, "does not exist");
	is_refused("sub/x.db/y.db", MPSYNC_E_INVALID, "Not a directory");
}

static void test_the_users_own_file(void **state)
{
	(void)state;
	setenv("XDG_STATE_HOME", folder, 1);
	means("", "mpsync/locks.db");
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", folder, 1);
	means("", ".local/state/mpsync/locks.db");
	setenv("HOME", "sub/x.db", 1); /* no folder can be made in a file */
	is_refused("", MPSYNC_E_FORBIDDEN, "cannot make the folder");
}

/* Goal: no file is made where nobody said, but for root, whose services have no HOME. */
static void test_a_user_without_a_home(void **state)
{
	char *path;

	(void)state;
	unsetenv("XDG_STATE_HOME");
	for (int empty = 0; empty < 2; empty++) {
		if (empty) {
			setenv("XDG_STATE_HOME", "", 1);
			setenv("HOME", "", 1);
		} else {
			unsetenv("HOME");
		}
		user = 1000;
		is_refused("", MPSYNC_E_INVALID, "HOME is not set");
		user = 0;
		path = state_file("locks.db");
		assert_string_equal(path, "/var/lib/mpsync/locks.db");
		free(path);
	}
	unsetenv("XDG_STATE_HOME");
}

static void test_folders_and_urls(void **state)
{
	static const struct {
		const char *path;
		const char *folder;
		const char *url;
	} paths[] = {
	    {"/x", "/", "file:/x"}, {"/a b/%?", "/a b", "file:/a%20b/%25%3F"}, {"x", ".", "file:x"}};

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		char *above = sqlite_path_folder(paths[i].path);
		char *url = sqlite_path_url(paths[i].path);

		assert_string_equal(above, paths[i].folder);
		assert_string_equal(url, paths[i].url);
		free(above);
		free(url);
	}
}

static void test_without_memory_it_says_so(void **state)
{
	static const char *const paths[] = {"first", "sub/../sub/x.db", "sub/none.db", ""};

	(void)state;
	setenv("HOME", folder, 1);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		bool failed = true;

		for (long nth = 1; failed; nth++) {
			mpsync_error error = {0};
			char *resolved;

			failing_from(nth, 1);
			resolved = sqlite_path_resolve(paths[i], &error);
			failed = failing_end();
			assert_int_equal(resolved == NULL, failed);
			assert_int_equal(error.status, failed ? MPSYNC_E_NO_MEMORY : MPSYNC_OK);
			free(resolved);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_spelling_means_the_same_file),
	    cmocka_unit_test(test_links_to_nothing_are_followed),
	    cmocka_unit_test(test_what_is_no_file_is_refused),
	    cmocka_unit_test(test_the_users_own_file),
	    cmocka_unit_test(test_a_user_without_a_home),
	    cmocka_unit_test(test_folders_and_urls),
	    cmocka_unit_test(test_without_memory_it_says_so),
	};

	failing_install(false);
	return cmocka_run_group_tests(tests, begin, end);
}
