/*
 * Speeds, printed as medians and 99th percentiles; never a test.
 *
 *   bench is_held URL | bench handoff URL | bench renew URL COUNT
 */
#include <mpsync.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANDOFFS 500
#define CALLS    1000000

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static mpsync_client *open_client(const char *url)
{
	mpsync_error error;
	mpsync_client *client = mpsync_client_open(url, NULL, NULL, &error);

	if (client)
		return client;
	fprintf(stderr, "%s\n", error.message);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a;
	const double y = *(const double *)b;

	return (x > y) - (x < y);
}

static void is_held(const char *url)
{
	mpsync_client *client = open_client(url);
	mpsync_lock *lock = mpsync_lock_new(client, "bench", NULL, NULL);
	uint64_t grant;
	double start;
	int held = 0;

	mpsync_lock_acquire(lock, -1, NULL);
	grant = mpsync_lock_grant(lock);
	start = now_us();
	for (int i = 0; i < CALLS; i++)
		held += mpsync_lock_is_held(lock, grant);
	printf("is_held over %s: %.1f ns (%d of %d yes)\n", url, (now_us() - start) * 1000 / CALLS,
	    held, CALLS);
	mpsync_lock_free(lock);
	mpsync_client_close(client);
}

/* Shared by the two processes: who released when. */
struct turn {
	volatile double released_us;
	volatile int rounds;
	double took_us[2 * HANDOFFS];
	volatile int count;
};

static void take_turns(const char *url, struct turn *turn)
{
	mpsync_client *client = open_client(url);
	mpsync_lock *lock = mpsync_lock_new(client, "handoff", NULL, NULL);

	for (int i = 0; i < HANDOFFS; i++) {
		double held;

		if (mpsync_lock_acquire(lock, -1, NULL) != MPSYNC_OK)
			exit(1);
		held = now_us();
		if (turn->released_us > 0)
			turn->took_us[turn->count++] = held - turn->released_us;
		/* Long enough for the other to wait by then. */
		usleep(2000);
		turn->released_us = now_us();
		mpsync_lock_release(lock, NULL);
		usleep(500);
	}
	mpsync_lock_free(lock);
	mpsync_client_close(client);
}

static void handoff(const char *url)
{
	struct turn *turn =
	    mmap(NULL, sizeof *turn, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const pid_t child = fork();

	take_turns(url, turn);
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	qsort(turn->took_us, (size_t)turn->count, sizeof *turn->took_us, compare);
	printf("hand-off over %s: median %.0f us, p99 %.0f us, of %d\n", url,
	    turn->took_us[turn->count / 2], turn->took_us[turn->count * 99 / 100], turn->count);
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void renew(const char *url, int count)
{
	mpsync_client *client = open_client(url);
	mpsync_lock **locks = calloc((size_t)count, sizeof(mpsync_lock *));
	double start;
	int lost = 0;
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, "renew-%d", i);
		locks[i] = mpsync_lock_new(client, name, NULL, NULL);
		mpsync_lock_acquire(locks[i], -1, NULL);
	}
	start = cpu_s();
	sleep(15);
	for (int i = 0; i < count; i++)
		lost += !mpsync_lock_is_held(locks[i], mpsync_lock_grant(locks[i]));
	printf("%d locks held over %s: %.2f %% of one core, %d lost\n", count, url,
	    (cpu_s() - start) / 15 * 100, lost);
	for (int i = 0; i < count; i++)
		mpsync_lock_free(locks[i]);
	mpsync_client_close(client);
	free(locks);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "is_held") == 0)
		is_held(argv[2]);
	else if (strcmp(argv[1], "handoff") == 0)
		handoff(argv[2]);
	else if (strcmp(argv[1], "renew") == 0 && argc > 3)
		renew(argv[2], atoi(argv[3]));
	return 0;
}
