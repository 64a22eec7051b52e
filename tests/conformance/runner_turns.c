/* Turns of a lock, one after the other: what they do to a number, and how long they take. */
#include "runner.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void ask_for_turn(struct runner *runner, struct handle *handle, mpsync_error *error)
{
	mpsync_lock_acquire_start(handle->lock, op_new(runner, handle, OP_TAKE), -1, error);
}

void start_counting(struct runner *runner, struct handle *handle, char **words, mpsync_error *error)
{
	snprintf(handle->file, sizeof handle->file, "%s", words[2]);
	handle->turns = atoi(words[3]);
	handle->counting = 1;
	ask_for_turn(runner, handle, error);
}

static int read_number(const char *file)
{
	int number = 0;
	FILE *stream = fopen(file, "r");

	if (!stream || fscanf(stream, "%d", &number) != 1)
		abort();
	fclose(stream);
	return number;
}

void take_turn(struct runner *runner, struct handle *handle, uint64_t token)
{
	const int number = read_number(handle->file);
	FILE *stream = fopen(handle->file, "w");
	mpsync_error error;

	if (!stream)
		abort();
	fprintf(stream, "%d", number + 1);
	fclose(stream);
	printf("%s\tturn\t%" PRIu64 "\n", handle->key, token);
	release(runner, handle, &error);
}

void end_turn(struct runner *runner, struct handle *handle)
{
	mpsync_error error;

	if (--handle->turns > 0)
		ask_for_turn(runner, handle, &error);
	else
		printf("%s\tdone\n", handle->key);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void tell_speed(const struct handle *handle, long times)
{
	int64_t began;
	uint64_t grant;

	mpsync_lock_acquire(handle->lock, -1, NULL);
	grant = mpsync_lock_grant(handle->lock);
	began = now_ns();
	for (long i = 0; i < times; i++)
		if (!mpsync_lock_is_held(handle->lock, grant))
			abort();
	printf("%s\tns\t%" PRId64 "\n", handle->key, (now_ns() - began) / times);
	mpsync_lock_release(handle->lock, NULL);
}

void pass(const struct handle *handle, long times)
{
	printf("%s\ttimes", handle->key);
	for (long i = 0; i < times; i++) {
		mpsync_lock_acquire(handle->lock, -1, NULL);
		printf("\t%" PRId64, now_ns());
		usleep(3000);
		printf("\t%" PRId64, now_ns());
		mpsync_lock_release(handle->lock, NULL);
		usleep(1000);
	}
	putchar('\n');
}
