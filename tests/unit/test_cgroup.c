/*
 * Goal: a command's cgroup is made where this process may make one, wherever that is mounted, and
 * nowhere else; what the killed left is removed, and nothing of the living. Method: the linker
 * leads what is read of /proc through here; the hierarchy is a folder of the test's.
 */
#include "unit.h"

#include "cli/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- What is read ---- */

static const char *own;    /* /proc/self/cgroup; NULL: it cannot be read */
static const char *mounts; /* /proc/self/mountinfo */
static bool kernel_kills;  /* the kernel has cgroup.kill */

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __wrap_faccessat(int directory, const char *path, int mode, int flags);

FILE *__wrap_fopen(const char *path, const char *mode)
{
	const char *text = strcmp(path, "/proc/self/cgroup") == 0      ? own
	                   : strcmp(path, "/proc/self/mountinfo") == 0 ? mounts
	                                                               : NULL;

	(void)mode;
	return text ? fmemopen((char *)text, strlen(text), "r") : NULL;
}

int __wrap_faccessat(int directory, const char *path, int mode, int flags)
{
	(void)directory, (void)mode, (void)flags;
	assert_string_equal(path, "cgroup.kill");
	return kernel_kills ? 0 : -1;
}

/* ---- The hierarchy ---- */

static char folder[] = "/tmp/mpsync-XXXXXX";
static char mount[200];

static const char *in_folder(const char *name)
{
	static char path[200];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

/* Mounted there, with this part of the hierarchy as its root. */
static void mount_root(const char *root)
{
	snprintf(mount, sizeof mount,
	    "22 1 0:21 / /proc rw - proc proc rw\n"
	    "30 1 0:26 %s %s rw shared:9 - cgroup2 cgroup2 rw\n",
	    root, folder);
	mounts = mount;
}

static int begin(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	own = "1:name=systemd:/other\n0::/a\n";
	mount_root("/a");
	kernel_kills = true;
	return 0;
}

static int end(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void write_members(const struct cgroup *cgroup, const char *text)
{
	const int file =
	    openat(cgroup->directory, "cgroup.procs", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	close(file);
}

/* As the kernel has it, what belongs to a cgroup goes with it. */
static void remove_cgroup(struct cgroup *cgroup)
{
	unlinkat(cgroup->directory, "cgroup.procs", 0);
	cgroup_remove(cgroup);
}

/* Where it is made, in the folder. */
static void is_made_in(const char *part)
{
	struct cgroup cgroup;
	char start[250];

	assert_true(cgroup_new(&cgroup));
	snprintf(start, sizeof start, "%s%s/mpsync-%ld-", folder, part, (long)getpid());
	if (strncmp(cgroup.path, start, strlen(start)) != 0)
		fail_msg("%s is not in %s", cgroup.path, start);
	assert_true(cgroup_is(&cgroup));
	assert_int_equal(access(cgroup.path, F_OK), 0);
	remove_cgroup(&cgroup);
	assert_int_equal(access(cgroup.path, F_OK), -1);
}

static void is_not_made(void)
{
	struct cgroup cgroup;

	assert_false(cgroup_new(&cgroup));
	assert_false(cgroup_is(&cgroup));
	assert_false(cgroup_has(&cgroup, getpid()));
	cgroup_kill(&cgroup);
}

/* ---- Tests ---- */

static void test_wherever_the_hierarchy_is_mounted(void **state)
{
	(void)state;
	is_made_in("");
	assert_int_equal(mkdir(in_folder("b"), 0700), 0);
	own = "0::/a/b\n";
	is_made_in("/b");
	own = "0::/b\n";
	mount_root("/");
	is_made_in("/b");
	assert_int_equal(rmdir(in_folder("b")), 0);
}

static void test_where_it_cannot_be_had(void **state)
{
	static const char *const elsewhere[] = {
	    "", "1:name=systemd:/a\n", "0::/../outside\n", "0::/a", "0::/ab\n", "0::/other\n"};

	(void)state;
	own = NULL;
	is_not_made();
	for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
		own = elsewhere[i];
		is_not_made();
	}
	own = "0::/a/none\n"; /* a folder that is not there */
	is_not_made();
	own = "0::/a\n";
	mounts = NULL;
	is_not_made();
	mounts =
	    "30 1 0:26 / /proc rw - proc proc rw\n30 1 0:26 /a /with\\040space rw - cgroup2 x rw\n";
	is_not_made();
	mount_root("/a");
	kernel_kills = false;
	is_not_made();
}

/* Goal: the name of another's cgroup is not taken, and neither is what is no cgroup. */
static void test_names_that_are_taken(void **state)
{
	struct cgroup first;
	struct cgroup second;
	char file[100];

	(void)state;
	snprintf(file, sizeof file, "%s", in_folder("mpsync-file"));
	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_true(cgroup_new(&first));
	assert_true(cgroup_new(&second));
	assert_string_not_equal(first.path, second.path);
	remove_cgroup(&first);
	remove_cgroup(&second);
	assert_int_equal(unlink(file), 0);
}

static void test_what_the_killed_left(void **state)
{
	char abandoned[100];
	char living[100];
	int lock;

	(void)state;
	snprintf(abandoned, sizeof abandoned, "%s", in_folder("mpsync-1-0"));
	snprintf(living, sizeof living, "%s", in_folder("mpsync-2-0"));
	assert_int_equal(mkdir(abandoned, 0700), 0);
	assert_int_equal(mkdir(living, 0700), 0);
	lock = open(living, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_SH), 0);
	is_made_in("");
	assert_int_equal(access(abandoned, F_OK), -1);
	assert_int_equal(access(living, F_OK), 0);
	close(lock);
	assert_int_equal(rmdir(living), 0);
}

static void test_who_is_in_it(void **state)
{
	struct cgroup cgroup;

	(void)state;
	assert_true(cgroup_new(&cgroup));
	assert_false(cgroup_has(&cgroup, 12)); /* its list cannot be read */
	write_members(&cgroup, "12\n345\n");
	assert_true(cgroup_has(&cgroup, 12));
	assert_true(cgroup_has(&cgroup, 345));
	assert_false(cgroup_has(&cgroup, 34));
	remove_cgroup(&cgroup);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(test_wherever_the_hierarchy_is_mounted),
	    TEST(test_where_it_cannot_be_had),
	    TEST(test_names_that_are_taken),
	    TEST(test_what_the_killed_left),
	    TEST(test_who_is_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
