/*
 * Speeds, printed as medians and 99th percentiles; never a test.
 *
 *   bench is_held URL | bench pair URL | bench handoff URL | bench crowd URL COUNT
 *   bench renew URL COUNT | bench idle URL
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

static void show(const char *what, const char *url, double *took_us, int count)
{
	qsort(took_us, (size_t)count, sizeof *took_us, compare);
	printf("%s over %s: median %.0f us, p99 %.0f us, of %d\n", what, url, took_us[count / 2],
	    took_us[count * 99 / 100], count);
}

/* Nobody else wants it. */
static void pair(const char *url)
{
	mpsync_client *client = open_client(url);
	mpsync_lock *lock = mpsync_lock_new(client, "pair", NULL, NULL);
	double took_us[HANDOFFS];

	for (int i = 0; i < HANDOFFS; i++) {
		const double start = now_us();

		if (mpsync_lock_acquire(lock, -1, NULL) != MPSYNC_OK)
			exit(1);
		mpsync_lock_release(lock, NULL);
		took_us[i] = now_us() - start;
	}
	show("lock and unlock", url, took_us, HANDOFFS);
	mpsync_lock_free(lock);
	mpsync_client_close(client);
}

/* Many clients wait for one name; each lets go as soon as it has it. */
static void crowd(const char *url, int count)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client **clients = calloc((size_t)count, sizeof(mpsync_client *));
	mpsync_lock **locks = calloc((size_t)count, sizeof(mpsync_lock *));
	double *took_us = calloc((size_t)count, sizeof *took_us);
	mpsync_client *first = open_client(url);
	mpsync_lock *gate = mpsync_lock_new(first, "crowd", NULL, NULL);
	double released_us;
	int waiting = 0;
	int held = 0;

	mpsync_lock_acquire(gate, -1, NULL);
	for (int i = 0; i < count; i++) {
		clients[i] = mpsync_client_open(url, NULL, queue, NULL);
		locks[i] = mpsync_lock_new(clients[i], "crowd", NULL, NULL);
		mpsync_lock_acquire_start(locks[i], (uint64_t)i + 1, -1, NULL);
	}
	while (waiting < count) {
		mpsync_event *event = mpsync_queue_wait(queue, -1);

		waiting += event && event->type == MPSYNC_EVENT_WAITING;
		mpsync_event_free(event);
	}
	released_us = now_us();
	mpsync_lock_release(gate, NULL);
	while (held < count) {
		mpsync_event *event = mpsync_queue_wait(queue, -1);

		if (event && event->type == MPSYNC_EVENT_HELD) {
			took_us[held++] = now_us() - released_us;
			released_us = now_us();
			mpsync_lock_release_start(locks[event->op_id - 1], (uint64_t)count + 1, 0, NULL);
		}
		mpsync_event_free(event);
	}
	printf("%d waiters: ", count);
	show("hand-off", url, took_us, count);
	for (int i = 0; i < count; i++) {
		mpsync_lock_free(locks[i]);
		mpsync_client_close(clients[i]);
	}
	mpsync_lock_free(gate);
	mpsync_client_close(first);
	mpsync_queue_free(queue);
	free(took_us);
	free(locks);
	free(clients);
}

/* Holds one lock until its input ends, to be measured from outside. */
static void idle(const char *url)
{
	mpsync_client *client = open_client(url);
	mpsync_lock *lock = mpsync_lock_new(client, "idle", NULL, NULL);

	mpsync_lock_acquire(lock, -1, NULL);
	puts("held");
	fflush(stdout);
	while (getchar() != EOF)
		;
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
	show("hand-off", url, turn->took_us, turn->count);
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
	else if (strcmp(argv[1], "pair") == 0)
		pair(argv[2]);
	else if (strcmp(argv[1], "idle") == 0)
		idle(argv[2]);
	else if (strcmp(argv[1], "crowd") == 0 && argc > 3)
		crowd(argv[2], atoi(argv[3]));
	else if (strcmp(argv[1], "handoff") == 0)
		handoff(argv[2]);
	else if (strcmp(argv[1], "renew") == 0 && argc > 3)
		renew(argv[2], atoi(argv[3]));
	return 0;
}
