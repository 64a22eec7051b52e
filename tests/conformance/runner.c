/* The runner of the conformance scenarios over the C API; see README.md. */
#include <mpsync.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_HANDLES 16
#define MOST_WORDS   5
#define LINE_MOST    4096

struct handle {
	char key[16];
	mpsync_lock *lock;
	mpsync_election *election;
	uint64_t id;
	uint64_t grant;
	char name[1100];
	char file[512];
	int turns;
	int counting;
};

struct runner {
	mpsync_queue *queue;
	mpsync_client *client;
	struct handle handles[MOST_HANDLES];
	size_t count;
};

enum op { OP_TAKE = 1, OP_RELEASE, OP_VALUE, OP_LOOK, OP_OBSERVE };

/* An op_id says which handle and what for. */
static uint64_t op_of(const struct runner *runner, const struct handle *handle, enum op op)
{
	return (uint64_t)(handle - runner->handles) * 8 + (uint64_t)op;
}

static struct handle *handle_of(struct runner *runner, const char *key)
{
	for (size_t i = 0; i < runner->count; i++)
		if (strcmp(runner->handles[i].key, key) == 0)
			return &runner->handles[i];
	if (runner->count == MOST_HANDLES)
		abort();
	snprintf(runner->handles[runner->count].key, sizeof runner->handles->key, "%s", key);
	return &runner->handles[runner->count++];
}

static void tell_error(const struct handle *handle, int32_t status)
{
	if (status == MPSYNC_E_HELD || status == MPSYNC_E_TIMEOUT)
		printf("%s\tbusy\n", handle->key);
	else
		printf("%s\terror\t%d\n", handle->key, (int)status);
}

static void make(struct runner *runner, struct handle *handle, int election, char **words)
{
	mpsync_error error;
	mpsync_options *options = mpsync_options_new(&error);

	if (strcmp(words[3], "-") != 0 &&
	    mpsync_options_set(options, "ttl", words[3], &error) != MPSYNC_OK) {
		tell_error(handle, error.status);
		mpsync_options_free(options);
		return;
	}
	if (election) {
		handle->election = mpsync_election_new(runner->client, words[2], options, &error);
		handle->id = mpsync_election_id(handle->election);
	} else {
		handle->lock = mpsync_lock_new(runner->client, words[2], options, &error);
		handle->id = mpsync_lock_id(handle->lock);
	}
	mpsync_options_free(options);
	snprintf(handle->name, sizeof handle->name, "%s", words[2]);
	if (handle->lock || handle->election)
		printf("%s\tok\n", handle->key);
	else
		tell_error(handle, error.status);
}

static void release(const struct runner *runner, const struct handle *handle, mpsync_error *error)
{
	if (handle->election)
		mpsync_election_resign_start(
		    handle->election, op_of(runner, handle, OP_RELEASE), handle->grant, error);
	else
		mpsync_lock_release_start(
		    handle->lock, op_of(runner, handle, OP_RELEASE), handle->grant, error);
}

static int holds(const struct handle *handle)
{
	return handle->election ? mpsync_election_is_leader(handle->election, handle->grant)
	                        : mpsync_lock_is_held(handle->lock, handle->grant);
}

/* The child tells by its exit status, and prints nothing. */
static void tell_child(const struct handle *handle)
{
	int status;
	const pid_t child = fork();

	if (child == 0)
		_exit(holds(handle));
	waitpid(child, &status, 0);
	printf("%s\tchild\t%s\n", handle->key, WEXITSTATUS(status) ? "yes" : "no");
}

static void drop(struct handle *handle)
{
	mpsync_lock_free(handle->lock);
	mpsync_election_free(handle->election);
	handle->lock = NULL;
	handle->election = NULL;
	printf("%s\tdropped\n", handle->key);
}

static void start_counting(
    const struct runner *runner, struct handle *handle, char **words, mpsync_error *error)
{
	snprintf(handle->file, sizeof handle->file, "%s", words[2]);
	handle->turns = atoi(words[3]);
	handle->counting = 1;
	mpsync_lock_acquire_start(handle->lock, op_of(runner, handle, OP_TAKE), -1, error);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void tell_speed(const struct handle *handle, long times)
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

static void pass(const struct handle *handle, long times)
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

static void obey(struct runner *runner, char **words)
{
	struct handle *handle = handle_of(runner, words[1]);
	const char *verb = words[0];
	mpsync_error error = {0};

	if (strcmp(verb, "lock") == 0 || strcmp(verb, "election") == 0)
		make(runner, handle, verb[0] == 'e', words);
	else if (strcmp(verb, "acquire") == 0)
		mpsync_lock_acquire_start(
		    handle->lock, op_of(runner, handle, OP_TAKE), atol(words[2]), &error);
	else if (strcmp(verb, "campaign") == 0)
		mpsync_election_campaign_start(
		    handle->election, op_of(runner, handle, OP_TAKE), words[2], atol(words[3]), &error);
	else if (strcmp(verb, "cancel") == 0)
		mpsync_lock_cancel(handle->lock, &error);
	else if (strcmp(verb, "release") == 0)
		release(runner, handle, &error);
	else if (strcmp(verb, "held") == 0)
		printf("%s\t%s\n", handle->key, holds(handle) ? "yes" : "no");
	else if (strcmp(verb, "value") == 0)
		mpsync_election_set_value_start(
		    handle->election, op_of(runner, handle, OP_VALUE), words[2], &error);
	else if (strcmp(verb, "leader") == 0)
		mpsync_client_observe_start(
		    runner->client, op_of(runner, handle, OP_LOOK), handle->name, &error);
	else if (strcmp(verb, "observe") == 0)
		mpsync_client_observe_start(
		    runner->client, op_of(runner, handle, OP_OBSERVE), handle->name, &error);
	else if (strcmp(verb, "count") == 0)
		start_counting(runner, handle, words, &error);
	else if (strcmp(verb, "speed") == 0)
		tell_speed(handle, atol(words[2]));
	else if (strcmp(verb, "pass") == 0)
		pass(handle, atol(words[2]));
	else if (strcmp(verb, "drop") == 0)
		drop(handle);
	else if (strcmp(verb, "fork") == 0)
		tell_child(handle);
	if (error.status != MPSYNC_OK)
		tell_error(handle, error.status);
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

static void take_turn(const struct runner *runner, const struct handle *handle, uint64_t token)
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

static void on_held(const struct runner *runner, struct handle *handle, const mpsync_event *event)
{
	handle->grant = event->grant;
	if (handle->counting)
		take_turn(runner, handle, event->token);
	else
		printf("%s\theld\t%" PRIu64 "\n", handle->key, event->token);
}

static void on_released(const struct runner *runner, struct handle *handle)
{
	mpsync_error error;

	if (!handle->counting)
		printf("%s\treleased\n", handle->key);
	else if (--handle->turns > 0)
		mpsync_lock_acquire_start(handle->lock, op_of(runner, handle, OP_TAKE), -1, &error);
	else
		printf("%s\tdone\n", handle->key);
}

static void on_leader(
    const struct runner *runner, const struct handle *handle, enum op op, const mpsync_event *event)
{
	const char *verb = op == OP_LOOK ? "leader" : "sees";

	if (!event->holder)
		printf("%s\t%s\t-\n", handle->key, verb);
	else if (op == OP_LOOK)
		printf("%s\t%s\t%s\t%s\t%" PRIu64 "\n", handle->key, verb, event->holder, event->value,
		    event->token);
	else
		printf("%s\t%s\t%s\t%s\n", handle->key, verb, event->holder, event->value);
	if (op == OP_LOOK)
		mpsync_client_observe_stop(runner->client, event->op_id, NULL);
}

static void tell_lost(const struct runner *runner, const mpsync_event *event)
{
	for (size_t i = 0; i < runner->count; i++)
		if (runner->handles[i].id == event->lock)
			printf("%s\tlost\n", runner->handles[i].key);
}

static void on_event(struct runner *runner, const mpsync_event *event)
{
	struct handle *handle = &runner->handles[event->op_id / 8];
	const enum op op = (enum op)(event->op_id % 8);

	switch (event->type) {
	case MPSYNC_EVENT_LOST:
		tell_lost(runner, event);
		break;
	case MPSYNC_EVENT_HELD:
		on_held(runner, handle, event);
		break;
	case MPSYNC_EVENT_RELEASED:
		if (op == OP_RELEASE)
			on_released(runner, handle);
		break;
	case MPSYNC_EVENT_LEADER:
		on_leader(runner, handle, op, event);
		break;
	case MPSYNC_EVENT_DONE:
		if (op == OP_VALUE)
			printf("%s\tdone\n", handle->key);
		break;
	case MPSYNC_EVENT_BUSY:
	case MPSYNC_EVENT_CANCELLED:
	case MPSYNC_EVENT_FAILED:
		tell_error(handle, event->status);
		break;
	default:
		break;
	}
}

/* An empty word is a word. */
static void split(char *line, char **words)
{
	char *rest = line;

	line[strcspn(line, "\n")] = '\0';
	for (int i = 0; i < MOST_WORDS; i++)
		words[i] = rest ? strsep(&rest, "\t") : "";
}

static int obey_line(struct runner *runner)
{
	char line[LINE_MOST];
	char *words[MOST_WORDS];

	if (!fgets(line, sizeof line, stdin))
		return 0;
	split(line, words);
	obey(runner, words);
	return 1;
}

int main(void)
{
	mpsync_error error;
	struct runner runner = {.queue = mpsync_queue_new(&error)};
	struct pollfd pollers[2] = {{.fd = STDIN_FILENO, .events = POLLIN}};
	int go_on = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	runner.client = mpsync_client_open(NULL, NULL, runner.queue, &error);
	if (!runner.client) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	pollers[1] = (struct pollfd){.fd = mpsync_queue_fd(runner.queue), .events = POLLIN};
	while (go_on && poll(pollers, 2, -1) >= 0) {
		mpsync_event *event;

		if (pollers[0].revents)
			go_on = obey_line(&runner);
		while ((event = mpsync_queue_next(runner.queue))) {
			on_event(&runner, event);
			mpsync_event_free(event);
		}
	}
	mpsync_client_close(runner.client);
	for (size_t i = 0; i < runner.count; i++) {
		mpsync_lock_free(runner.handles[i].lock);
		mpsync_election_free(runner.handles[i].election);
	}
	mpsync_queue_free(runner.queue);
	return 0;
}
