/* The runner of the conformance scenarios over the C API; see README.md. */
#include "runner.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_WORDS 5
#define LINE_MOST  4096
#define OP_BITS    4
#define PLACE_BITS 4

uint64_t op_new(struct runner *runner, const struct handle *handle, enum op op)
{
	const uint64_t place = (uint64_t)(handle - runner->handles);

	return (++runner->serial << (OP_BITS + PLACE_BITS)) | place << OP_BITS | (uint64_t)op;
}

static enum op op_of(const mpsync_event *event)
{
	return (enum op)(event->op_id % (1 << OP_BITS));
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

void tell_error(const struct handle *handle, int32_t status)
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

void release(struct runner *runner, const struct handle *handle, mpsync_error *error)
{
	const uint64_t op = op_new(runner, handle, OP_RELEASE);

	if (handle->election)
		mpsync_election_resign_start(handle->election, op, handle->grant, error);
	else
		mpsync_lock_release_start(handle->lock, op, handle->grant, error);
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

static void collect(struct handle *handle)
{
	mpsync_lock_free(handle->lock);
	mpsync_election_free(handle->election);
	handle->lock = NULL;
	handle->election = NULL;
	printf("%s\tcollected\n", handle->key);
}

static void acquire(
    struct runner *runner, struct handle *handle, const char *wait_ms, mpsync_error *error)
{
	const uint64_t op = op_new(runner, handle, OP_TAKE);

	if (mpsync_lock_acquire_start(handle->lock, op, atol(wait_ms), error) == MPSYNC_OK)
		handle->take = op;
}

static void campaign(
    struct runner *runner, struct handle *handle, char **words, mpsync_error *error)
{
	mpsync_election_campaign_start(
	    handle->election, op_new(runner, handle, OP_TAKE), words[2], atol(words[3]), error);
}

static void cut(struct handle *handle, mpsync_error *error)
{
	if (handle->take == 0)
		return;
	handle->cutting = 1;
	mpsync_lock_withdraw(handle->lock, handle->take, error);
}

static void observe(struct runner *runner, struct handle *handle, enum op op, mpsync_error *error)
{
	handle->looks |= op == OP_LOOK;
	mpsync_client_observe_start(runner->client, op_new(runner, handle, op), handle->name, error);
}

/* What is asked of locks and elections; 0: nothing of that name. */
static int obey_handle(
    struct runner *runner, struct handle *handle, char **words, mpsync_error *error)
{
	const char *verb = words[0];

	if (strcmp(verb, "lock") == 0 || strcmp(verb, "election") == 0)
		make(runner, handle, verb[0] == 'e', words);
	else if (strcmp(verb, "acquire") == 0)
		acquire(runner, handle, words[2], error);
	else if (strcmp(verb, "campaign") == 0)
		campaign(runner, handle, words, error);
	else if (strcmp(verb, "cancel") == 0)
		mpsync_lock_cancel(handle->lock, error);
	else if (strcmp(verb, "cut") == 0)
		cut(handle, error);
	else if (strcmp(verb, "release") == 0)
		release(runner, handle, error);
	else if (strcmp(verb, "held") == 0)
		printf("%s\t%s\n", handle->key, holds(handle) ? "yes" : "no");
	else if (strcmp(verb, "value") == 0)
		mpsync_election_set_value_start(
		    handle->election, op_new(runner, handle, OP_VALUE), words[2], error);
	else if (strcmp(verb, "leader") == 0)
		observe(runner, handle, OP_LOOK, error);
	else if (strcmp(verb, "observe") == 0)
		observe(runner, handle, OP_OBSERVE, error);
	else if (strcmp(verb, "waits") == 0)
		handle->tells_waits = 1;
	else if (strcmp(verb, "collect") == 0)
		collect(handle);
	else if (strcmp(verb, "fork") == 0)
		tell_child(handle);
	else
		return 0;
	return 1;
}

static int obey_lead(
    struct runner *runner, struct handle *handle, char **words, mpsync_error *error)
{
	const char *verb = words[0];

	if (strcmp(verb, "lead") == 0)
		lead(runner, handle, words[2], error);
	else if (strcmp(verb, "stop") == 0)
		stop_leading(runner, handle, error);
	else if (strcmp(verb, "done") == 0)
		end_work(handle, strcmp(words[2], "fail") == 0, error);
	else if (strcmp(verb, "resign") == 0)
		hand_over(runner, handle, error);
	else
		return 0;
	return 1;
}

static int obey_turns(
    struct runner *runner, struct handle *handle, char **words, mpsync_error *error)
{
	const char *verb = words[0];

	if (strcmp(verb, "count") == 0)
		start_counting(runner, handle, words, error);
	else if (strcmp(verb, "speed") == 0)
		tell_speed(handle, atol(words[2]));
	else if (strcmp(verb, "pass") == 0)
		pass(handle, atol(words[2]));
	else
		return 0;
	return 1;
}

static void obey(struct runner *runner, char **words)
{
	struct handle *handle;
	mpsync_error error = {0};

	if (strcmp(words[0], "exit") == 0)
		exit(0);
	if (strcmp(words[0], "close") == 0) {
		mpsync_client_close_start(
		    runner->client, op_new(runner, runner->handles, OP_CLOSE), &error);
		return;
	}
	handle = handle_of(runner, words[1]);
	if (!obey_handle(runner, handle, words, &error) && !obey_lead(runner, handle, words, &error) &&
	    !obey_turns(runner, handle, words, &error))
		abort();
	if (error.status != MPSYNC_OK)
		tell_error(handle, error.status);
}

static void on_held(struct runner *runner, struct handle *handle, const mpsync_event *event)
{
	if (handle->cutting)
		return; /* it is on its way back */
	handle->take = 0;
	handle->grant = event->grant;
	if (handle->counting)
		take_turn(runner, handle, event->token);
	else
		printf("%s\theld\t%" PRIu64 "\n", handle->key, event->token);
}

static void end_cut(struct handle *handle)
{
	handle->cutting = 0;
	handle->take = 0;
	printf("%s\tcut\n", handle->key);
}

static void on_released(struct runner *runner, struct handle *handle, enum op op)
{
	if (handle->cutting)
		end_cut(handle);
	else if (op == OP_RELEASE && handle->counting)
		end_turn(runner, handle);
	else if (op == OP_RELEASE)
		printf("%s\treleased\n", handle->key);
}

static void on_refused(struct handle *handle, const mpsync_event *event)
{
	if (op_of(event) == OP_RESIGN)
		return; /* its term was over */
	if (handle->cutting) {
		end_cut(handle);
		return;
	}
	if (op_of(event) == OP_TAKE)
		handle->take = 0;
	tell_error(handle, event->status);
}

static void on_leader(
    const struct runner *runner, struct handle *handle, enum op op, const mpsync_event *event)
{
	const char *verb = op == OP_LOOK ? "leader" : "sees";

	/* A look is one answer: changes that come until the observation has ended are none. */
	if (op == OP_LOOK && !handle->looks)
		return;
	handle->looks &= op != OP_LOOK;
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

static void on_lost(struct handle *handle)
{
	if (handle->cutting)
		end_cut(handle);
	else
		printf("%s\tlost\n", handle->key);
}

static void on_waiting(const struct handle *handle, const mpsync_event *event)
{
	if (handle->tells_waits)
		printf("%s\twaits\t%s\t%" PRIu32 "\n", handle->key, event->holder ? event->holder : "-",
		    event->position);
}

/* By its number, for an event that answers no request has none. */
static struct handle *handle_with(struct runner *runner, const mpsync_event *event)
{
	for (size_t i = 0; i < runner->count; i++)
		if (event->lock != 0 && runner->handles[i].id == event->lock)
			return &runner->handles[i];
	return &runner->handles[event->op_id >> OP_BITS & ((1 << PLACE_BITS) - 1)];
}

static void on_done(const struct handle *handle, enum op op)
{
	if (op == OP_VALUE)
		printf("%s\tdone\n", handle->key);
	else if (op == OP_CLOSE)
		printf("0\tclosed\n");
}

static void on_event(struct runner *runner, const mpsync_event *event)
{
	struct handle *handle = handle_with(runner, event);
	const enum op op = op_of(event);

	if (event->type == MPSYNC_EVENT_WAITING) {
		on_waiting(handle, event);
		return;
	}
	if (op == OP_RUN) {
		on_run_event(handle, event);
		return;
	}
	switch (event->type) {
	case MPSYNC_EVENT_LOST:
		on_lost(handle);
		break;
	case MPSYNC_EVENT_HELD:
		on_held(runner, handle, event);
		break;
	case MPSYNC_EVENT_RELEASED:
		on_released(runner, handle, op);
		break;
	case MPSYNC_EVENT_LEADER:
		on_leader(runner, handle, op, event);
		break;
	case MPSYNC_EVENT_DONE:
		on_done(handle, op);
		break;
	case MPSYNC_EVENT_BUSY:
	case MPSYNC_EVENT_CANCELLED:
	case MPSYNC_EVENT_FAILED:
		on_refused(handle, event);
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

/* As docs/c.md has it, for stores that do not notice a process's death. */
static void release_at_exit(void)
{
	mpsync_exit(1000, NULL);
}

int main(void)
{
	mpsync_error error;
	struct runner runner = {.queue = mpsync_queue_new(&error)};
	struct pollfd pollers[2] = {{.fd = STDIN_FILENO, .events = POLLIN}};
	int go_on = 1;

	atexit(release_at_exit);
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
