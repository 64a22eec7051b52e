/*
 * Speeds, printed as medians and 99th percentiles; never a test.
 *
 *   bench is_held URL | bench pair URL | bench terms URL | bench handoff URL
 *   bench drain URL COUNT
 *   bench contend URL COUNT HOLD_MS SECONDS | bench renew URL COUNT | bench idle URL
 */
#include <mpsync.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANDOFFS   500
#define CALLS      1000000
#define MOST_TURNS 50000
#define WARM_S     5

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

/* Until an event of this type. */
static uint64_t await(mpsync_queue *queue, int32_t type)
{
	for (;;) {
		mpsync_event *event = mpsync_queue_wait(queue, -1);
		const bool so = event && event->type == type;
		const uint64_t grant = event ? event->grant : 0;

		mpsync_event_free(event);
		if (so)
			return grant;
	}
}

/* What a run's term costs, its end and the next one's begin, beside a resign and a campaign. */
static void terms(const char *url)
{
	mpsync_queue *queue = mpsync_queue_new(NULL);
	mpsync_client *client = mpsync_client_open(url, NULL, queue, NULL);
	mpsync_election *single = mpsync_election_new(client, "single", NULL, NULL);
	mpsync_election *run = mpsync_election_new(client, "run", NULL, NULL);
	double single_us[HANDOFFS];
	double run_us[HANDOFFS];
	uint64_t held;
	uint64_t term;

	mpsync_election_campaign_start(single, 1, NULL, -1, NULL);
	held = await(queue, MPSYNC_EVENT_HELD);
	mpsync_election_run_start(run, 2, NULL, -1, NULL);
	term = await(queue, MPSYNC_EVENT_TERM);
	/* In turns, for the machine's own speed varies from one moment to another. */
	for (int i = 0; i < HANDOFFS; i++) {
		double start = now_us();

		mpsync_election_resign_start(single, 3, held, NULL);
		await(queue, MPSYNC_EVENT_RELEASED);
		mpsync_election_campaign_start(single, 4, NULL, -1, NULL);
		held = await(queue, MPSYNC_EVENT_HELD);
		single_us[i] = now_us() - start;

		start = now_us();
		mpsync_election_term_done(run, term, 0, NULL);
		term = await(queue, MPSYNC_EVENT_TERM);
		run_us[i] = now_us() - start;
	}
	show("resign and campaign", url, single_us, HANDOFFS);
	show("a term's end and the next one", url, run_us, HANDOFFS);
	mpsync_election_free(single);
	mpsync_election_free(run);
	mpsync_client_close(client);
	mpsync_queue_free(queue);
}

/* Many clients that want one name. */
struct crowd {
	mpsync_queue *queue;
	mpsync_client **clients;
	mpsync_lock **locks;
	int count;
};

/* An acquire's op_id says whose it is; a release's is greater by the size of the crowd. */
static void ask(const struct crowd *crowd, int i)
{
	mpsync_lock_acquire_start(crowd->locks[i], (uint64_t)i + 1, -1, NULL);
}

static void let_go(const struct crowd *crowd, int i)
{
	mpsync_lock_release_start(crowd->locks[i], (uint64_t)(crowd->count + i) + 1, 0, NULL);
}

static struct crowd crowd_new(const char *url, int count)
{
	struct crowd crowd = {
	    .queue = mpsync_queue_new(NULL),
	    .clients = calloc((size_t)count, sizeof(mpsync_client *)),
	    .locks = calloc((size_t)count, sizeof(mpsync_lock *)),
	    .count = count,
	};

	for (int i = 0; i < count; i++) {
		crowd.clients[i] = mpsync_client_open(url, NULL, crowd.queue, NULL);
		crowd.locks[i] = mpsync_lock_new(crowd.clients[i], "crowd", NULL, NULL);
		ask(&crowd, i);
	}
	return crowd;
}

static void crowd_free(struct crowd *crowd)
{
	for (int i = 0; i < crowd->count; i++) {
		mpsync_lock_free(crowd->locks[i]);
		mpsync_client_close(crowd->clients[i]);
	}
	mpsync_queue_free(crowd->queue);
	free(crowd->locks);
	free(crowd->clients);
}

/* All wait; each lets go as soon as it has it. */
static void drain(const char *url, int count)
{
	double *took_us = calloc((size_t)count, sizeof *took_us);
	mpsync_client *first = open_client(url);
	mpsync_lock *gate = mpsync_lock_new(first, "crowd", NULL, NULL);
	struct crowd crowd;
	double released_us;
	int waiting = 0;
	int held = 0;

	mpsync_lock_acquire(gate, -1, NULL);
	crowd = crowd_new(url, count);
	while (waiting < count) {
		mpsync_event *event = mpsync_queue_wait(crowd.queue, -1);

		waiting += event && event->type == MPSYNC_EVENT_WAITING;
		mpsync_event_free(event);
	}
	released_us = now_us();
	mpsync_lock_release(gate, NULL);
	while (held < count) {
		mpsync_event *event = mpsync_queue_wait(crowd.queue, -1);

		if (event && event->type == MPSYNC_EVENT_HELD) {
			took_us[held++] = now_us() - released_us;
			released_us = now_us();
			let_go(&crowd, (int)event->op_id - 1);
		}
		mpsync_event_free(event);
	}
	printf("%d waiters: ", count);
	show("hand-off", url, took_us, count);
	crowd_free(&crowd);
	mpsync_lock_free(gate);
	mpsync_client_close(first);
	free(took_us);
}

static double jain(const int *grants, int count)
{
	double sum = 0;
	double squares = 0;

	for (int i = 0; i < count; i++) {
		sum += grants[i];
		squares += (double)grants[i] * grants[i];
	}
	return sum * sum / (count * squares);
}

/* For so long each asks again as soon as it has let go; the number of hand-offs. */
static int take_turns_for(const struct crowd *crowd, useconds_t hold_us, double seconds,
    double took_us[MOST_TURNS], int *grants)
{
	const double end_us = now_us() + seconds * 1e6;
	double released_us = 0;
	int turns = 0;

	while (turns < MOST_TURNS && now_us() < end_us) {
		mpsync_event *event = mpsync_queue_wait(crowd->queue, 100);

		if (event && event->type == MPSYNC_EVENT_HELD) {
			grants[event->op_id - 1]++;
			if (released_us > 0)
				took_us[turns++] = now_us() - released_us;
			usleep(hold_us);
			released_us = now_us();
			let_go(crowd, (int)event->op_id - 1);
		} else if (event && event->type == MPSYNC_EVENT_RELEASED) {
			ask(crowd, (int)event->op_id - 1 - crowd->count);
		}
		mpsync_event_free(event);
	}
	return turns;
}

/* The line before the result says when what is measured begins. */
static void contend(const char *url, int count, int hold_ms, double seconds)
{
	const useconds_t hold_us = (useconds_t)hold_ms * 1000;
	double *took_us = calloc(MOST_TURNS, sizeof *took_us);
	int *grants = calloc((size_t)count, sizeof *grants);
	struct crowd crowd = crowd_new(url, count);
	int turns;

	take_turns_for(&crowd, hold_us, WARM_S, took_us, grants);
	memset(grants, 0, (size_t)count * sizeof *grants);
	puts("warm");
	fflush(stdout);
	turns = take_turns_for(&crowd, hold_us, seconds, took_us, grants);
	printf("%d again and again, each for %d ms, Jain's fairness %.3f: ", count, hold_ms,
	    jain(grants, count));
	show("hand-off", url, took_us, turns);
	fflush(stdout);
	crowd_free(&crowd);
	free(grants);
	free(took_us);
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
	double start_s;
	double freed_us;
	int lost = 0;
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, "renew-%d", i);
		locks[i] = mpsync_lock_new(client, name, NULL, NULL);
		mpsync_lock_acquire(locks[i], -1, NULL);
	}
	start_s = cpu_s();
	sleep(15);
	for (int i = 0; i < count; i++)
		lost += !mpsync_lock_is_held(locks[i], mpsync_lock_grant(locks[i]));
	printf("%d locks held over %s: %.2f %% of one core, %d lost\n", count, url,
	    (cpu_s() - start_s) / 15 * 100, lost);
	freed_us = now_us();
	for (int i = 0; i < count; i++)
		mpsync_lock_free(locks[i]);
	mpsync_client_close(client);
	printf("given back in %.1f s\n", (now_us() - freed_us) / 1e6);
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
	else if (strcmp(argv[1], "terms") == 0)
		terms(argv[2]);
	else if (strcmp(argv[1], "idle") == 0)
		idle(argv[2]);
	else if (strcmp(argv[1], "drain") == 0 && argc > 3)
		drain(argv[2], atoi(argv[3]));
	else if (strcmp(argv[1], "contend") == 0 && argc > 5)
		contend(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]));
	else if (strcmp(argv[1], "handoff") == 0)
		handoff(argv[2]);
	else if (strcmp(argv[1], "renew") == 0 && argc > 3)
		renew(argv[2], atoi(argv[3]));
	return 0;
}
