/*
 * Goal: whoever is a descendant is signalled and killed, and nobody else, whatever ends or begins
 * while /proc is read. The linker leads what is read of processes through here.
 */
#include "unit.h"

#include "base/process.h"
#include "cli/tree.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- What is read of processes ---- */

static pid_t reused;   /* its number is another process's from the second look on; 0: none is */
static unsigned looks; /* at it */
static unsigned
    missed; /* so many walks find no children: they were another process's, which ended */

bool __real_process_read(int32_t pid, struct process_stat *stat);
bool __wrap_process_read(int32_t pid, struct process_stat *stat);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);

bool __wrap_process_read(int32_t pid, struct process_stat *stat)
{
	const bool read = __real_process_read(pid, stat);

	if (read && pid == reused && ++looks > 1)
		stat->start++;
	return read;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	if (missed > 0 && strstr(path, "/children")) {
		missed--;
		return NULL;
	}
	return __real_fopen(path, mode);
}

/* ---- What is asked of the kernel ---- */

static int open_error;   /* of pidfd_open; 0: it opens */
static int signal_error; /* of pidfd_send_signal */
static bool in_cgroup;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
bool __wrap_cgroup_has(const struct cgroup *cgroup, pid_t pid);

long __wrap_syscall(long number, ...)
{
	long arguments[4];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 4; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	errno = number == SYS_pidfd_open ? open_error : signal_error;
	if (errno)
		return -1;
	return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3]);
}

bool __wrap_cgroup_has(const struct cgroup *cgroup, pid_t pid)
{
	(void)cgroup, (void)pid;
	return in_cgroup;
}

/* ---- This process and its children ---- */

static const struct cgroup none = {.directory = -1};

static struct tree own_tree(void)
{
	return (struct tree){.root = getpid(), .cgroup = &none};
}

/*
 * The process has begun when this returns: fork() leaves its signals blocked for a moment, in which
 * the first of two would only be kept, and the second end it.
 */
static pid_t start_process(void)
{
	int begun[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(begun), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(begun[0]);
		close(begun[1]);
		for (;;)
			pause();
	}
	close(begun[1]);
	assert_int_equal(read(begun[0], &byte, 1), 0);
	close(begun[0]);
	return pid;
}

/* By which signal it was ended: this one, unless there was another before. */
static int end_process(pid_t pid, int number)
{
	int status = 0;

	kill(pid, number);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return WTERMSIG(status);
}

static unsigned open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* ---- Tests ---- */

static void test_a_walk_leaves_nothing_open(void **state)
{
	const pid_t child = start_process();
	const unsigned before = open_descriptors();
	size_t count = 0;
	pid_t *children;

	(void)state;
	children = tree_children(getpid(), &count);
	assert_int_equal(count, 1);
	assert_int_equal(children[0], child);
	free(children);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(end_process(child, SIGTERM), SIGTERM);
}

static void test_a_zombie_does_not_live(void **state)
{
	const struct tree tree = own_tree();
	const pid_t child = start_process();
	siginfo_t info;

	(void)state;
	assert_int_equal(tree_signal(&tree, 0, TREE_ALL).living, 1);
	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(tree_signal(&tree, 0, TREE_ALL).living, 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void *go_on(void *argument)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pause() < 0)
		;
	return argument;
}

static pid_t start_process_without_first_thread(void)
{
	const pid_t pid = fork();
	struct process_stat stat = {0};
	pthread_t thread;

	if (pid == 0) {
		pthread_create(&thread, NULL, go_on, NULL);
		pthread_exit(NULL);
	}
	while (process_read(pid, &stat) && stat.state != 'Z')
		sched_yield();
	return pid;
}

/* Goal: a process lives as long as one of its threads does, and is killed. */
static void test_a_process_whose_first_thread_has_ended_lives(void **state)
{
	const struct tree tree = own_tree();
	const pid_t child = start_process_without_first_thread();

	(void)state;
	assert_int_equal(tree_signal(&tree, SIGKILL, TREE_ALL).living, 1);
	assert_int_equal(end_process(child, SIGTERM), SIGKILL);
}

static void test_another_process_with_the_number_of_one_that_ended_is_left_alone(void **state)
{
	const struct tree tree = own_tree();
	const pid_t child = start_process();

	(void)state;
	reused = child;
	tree_signal(&tree, SIGTERM, TREE_ALL);
	reused = 0;
	assert_int_equal(end_process(child, SIGKILL), SIGKILL);
}

/* Goal: a group of its own does not hide a process, but where the group is meant. */
static void test_only_the_group_is_signalled_where_it_is_meant(void **state)
{
	const struct tree tree = own_tree();
	const pid_t child = start_process();
	const pid_t apart = start_process();

	(void)state;
	assert_int_equal(setpgid(apart, 0), 0);
	assert_int_equal(tree_signal(&tree, SIGTERM, TREE_GROUP).living, 1);
	assert_int_equal(end_process(child, SIGKILL), SIGTERM);
	assert_int_equal(end_process(apart, SIGKILL), SIGKILL);
}

/* Goal: one walk that finds nobody is no proof. */
static void test_what_one_walk_missed_is_killed_by_the_next(void **state)
{
	const struct tree tree = own_tree();
	const pid_t child = start_process();

	(void)state;
	missed = 1;
	tree_kill(&tree, false);
	assert_int_equal(end_process(child, SIGTERM), SIGKILL);
}

static void test_who_was_there_before_is_spared(void **state)
{
	const pid_t before = start_process();
	const pid_t child = start_process();
	struct tree tree = own_tree();
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tree.spared = &before;
	tree.spared_count = 1;
	tree_kill(&tree, true);
	assert_int_equal(waitpid(child, NULL, WNOHANG), -1); /* its status was taken */
	assert_int_equal(end_process(before, SIGTERM), SIGTERM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void test_a_kernel_without_descriptors_of_processes(void **state)
{
	const struct tree tree = own_tree();
	const pid_t child = start_process();

	(void)state;
	open_error = ENOSYS;
	assert_int_equal(tree_signal(&tree, SIGTERM, TREE_ALL).living, 1);
	open_error = 0;
	assert_int_equal(end_process(child, SIGKILL), SIGTERM);
}

/* Goal: who may not be signalled is told by its number, unless the cgroup's end is its own too; who
 * has just ended is nobody. */
static void test_another_users_process(void **state)
{
	const struct tree tree = own_tree();
	const pid_t child = start_process();
	struct tree_count count;

	(void)state;
	signal_error = EPERM;
	count = tree_signal(&tree, SIGTERM, TREE_ALL);
	assert_int_equal(count.living, 0);
	assert_int_equal(count.refused, 1);
	assert_int_equal(count.example, child);
	in_cgroup = true;
	count = tree_signal(&tree, SIGTERM, TREE_ALL);
	assert_int_equal(count.living, 1);
	assert_int_equal(count.refused, 0);
	in_cgroup = false;
	signal_error = 0;
	open_error = ESRCH;
	count = tree_signal(&tree, SIGTERM, TREE_ALL);
	assert_int_equal(count.living + count.refused, 0);
	open_error = 0;
	assert_int_equal(end_process(child, SIGKILL), SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_walk_leaves_nothing_open),
	    cmocka_unit_test(test_a_zombie_does_not_live),
	    cmocka_unit_test(test_a_process_whose_first_thread_has_ended_lives),
	    cmocka_unit_test(test_another_process_with_the_number_of_one_that_ended_is_left_alone),
	    cmocka_unit_test(test_only_the_group_is_signalled_where_it_is_meant),
	    cmocka_unit_test(test_what_one_walk_missed_is_killed_by_the_next),
	    cmocka_unit_test(test_who_was_there_before_is_spared),
	    cmocka_unit_test(test_a_kernel_without_descriptors_of_processes),
	    cmocka_unit_test(test_another_users_process),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
