#include "right.h"

#include "api/client.h"
#include "api/run.h"
#include "base/clock.h"
#include "base/options.h"
#include "base/wire.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_GRACE_MS       5000
#define LONGEST_KILL_MARGIN_MS 200

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The command gets its time between SIGTERM and SIGKILL, and still ends before the right does. */
static int set_grace(struct right *right, const struct arguments *arguments)
{
	right->ttl_ms = options_ms(&right->client->options, OPTION_TTL);
	right->grace_ms = smaller(right->ttl_ms / 30, LONGEST_GRACE_MS);
	if (arguments->grace_ms < 0)
		return 0;
	if (arguments->grace_ms > right->ttl_ms / 5)
		return complain(EXIT_USAGE,
		    "--grace: %" PRId64 " ms do not fit into a ttl of %" PRId64
		    " ms: at most a fifth of it, %" PRId64 " ms; for this grace give --ttl %" PRId64
		    "ms or more",
		    arguments->grace_ms, right->ttl_ms, right->ttl_ms / 5, arguments->grace_ms * 5);
	right->grace_ms = arguments->grace_ms;
	return 0;
}

int right_open(struct right *right, const struct arguments *arguments, bool election)
{
	const char *name = arguments->positional[0];
	mpsync_error error;
	int code;

	/*
	 * The command may outlive its keeper for a moment, so the keeper's death must not count as
	 * proof that nothing runs under the right.
	 */
	mpsync_options_set(arguments->options, "fence", "time", NULL);
	right->queue = mpsync_queue_new(&error);
	if (!right->queue)
		return complain(exit_code_of(error.status), "%s", error.message);
	right->client = open_client(arguments, right->queue, &code);
	if (!right->client)
		return code;
	if (strncmp(mpsync_client_url(right->client), "memory:", strlen("memory:")) == 0)
		return complain(EXIT_USAGE,
		    "%s lives in this process alone: no other mpsync would see the lock; give --url "
		    "file:PATH",
		    mpsync_client_url(right->client));
	right->wait_ms = arguments->wait_ms;
	if (right->wait_ms == WAIT_AS_SET)
		right->wait_ms = options_ms(&right->client->options, OPTION_WAIT);
	/*
	 * The process exits after a try, so nobody could withdraw a grant whose answer comes later: the
	 * try waits for half a ttl instead of a third.
	 */
	right->client->try_ms = (uint64_t)options_ms(&right->client->options, OPTION_TTL) / 2;
	code = set_grace(right, arguments);
	if (code != 0)
		return code;
	right->lock = lock_new(right->client, name, NULL, election, &error);
	return right->lock ? 0 : complain(exit_code_of(error.status), "%s", error.message);
}

/* At its end the command waits for one more request, which may yet be granted. */
static void take_back_late_grants(struct right *right)
{
	right->client->taking_back_ms = right->client->try_ms;
}

int right_ask(struct right *right, const char *value)
{
	const struct run_wish wish = {
	    .op_id = RIGHT_RUN,
	    .value = value,
	    .wait_ms = right->wait_ms,
	    .notice_ms = right->grace_ms + smaller(right->ttl_ms / 20, LONGEST_KILL_MARGIN_MS),
	};
	mpsync_error error;
	mpsync_status status;

	take_back_late_grants(right);
	status = lock_run_start(right->lock, &wish, &error);
	return status == MPSYNC_OK ? 0 : complain(exit_code_of(status), "%s", error.message);
}

void right_begin(struct right *right, const mpsync_event *event)
{
	right->client->taking_back_ms = 0; /* the right was granted: no late grant can be left behind */
	right->grant = event->grant;
	right->token = event->token;
	/* What counts is the right that was granted: some stores choose the ttl themselves. */
	right->ttl_ms = right_remaining_ms(right) * 5 / 4;
	right->grace_ms = smaller(right->grace_ms, right->ttl_ms / 5);
	right->kill_margin_ms = smaller(right->ttl_ms / 20, LONGEST_KILL_MARGIN_MS);
}

int64_t right_remaining_ms(const struct right *right)
{
	return mpsync_lock_remaining_ms(right->lock, right->grant);
}

void right_hand_over(struct right *right)
{
	take_back_late_grants(right);
	lock_term_done(right->lock, 0, 0, NULL);
	right->grant = 0;
}

/* Whether the run goes on after it. */
static bool take_event(const struct right *right, const mpsync_event *event)
{
	if (event->type == MPSYNC_EVENT_LOG)
		log_say(right->client, LOG_WARN, "%s", event->message);
	return event->op_id != RIGHT_RUN ||
	       (event->type != MPSYNC_EVENT_DONE && event->type != MPSYNC_EVENT_FAILED);
}

void right_release(struct right *right)
{
	mpsync_error error;
	bool goes_on = right->grant != 0;

	right->grant = 0;
	if (goes_on)
		goes_on = lock_run_stop(right->lock, RIGHT_RUN, &error) == MPSYNC_OK &&
		          lock_term_done(right->lock, 0, 0, &error) == MPSYNC_OK;
	while (goes_on) {
		mpsync_event *event = mpsync_queue_wait(right->queue, -1);

		goes_on = !event || take_event(right, event);
		mpsync_event_free(event);
	}
}

void right_describe_silence(const struct right *right, char *out, size_t size)
{
	const int64_t silent_ms = right->ttl_ms * 4 / 5 - right_remaining_ms(right);
	char since[WIRE_TIME_SIZE];
	char why[400];

	wire_time(since, clock_wall_ms() - silent_ms);
	lock_last_trouble(right->lock, why, sizeof why);
	snprintf(out, size, "no renewal was acknowledged since %s (%" PRId64 ".%" PRId64 " s): %s",
	    since, silent_ms / 1000, silent_ms % 1000 / 100, *why ? why : "the store does not answer");
}

/* Say what the release left behind, if the store did not confirm it. */
static void say_what_is_left(const struct right *right)
{
	mpsync_event *event;

	while (right->queue && (event = mpsync_queue_next(right->queue))) {
		take_event(right, event);
		mpsync_event_free(event);
	}
}

void right_close(struct right *right)
{
	right_release(right);
	mpsync_lock_free(right->lock);
	if (right->client) {
		client_reference(right->client);
		mpsync_client_close(right->client);
		say_what_is_left(right);
		client_unreference(right->client);
	}
	mpsync_queue_free(right->queue);
}
