/* A run of an election, as every language's `lead` has it. */
#include "runner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t run_of(struct runner *runner, struct handle *handle)
{
	if (handle->run == 0)
		handle->run = op_new(runner, handle, OP_RUN);
	return handle->run;
}

void lead(struct runner *runner, struct handle *handle, const char *value, mpsync_error *error)
{
	const uint64_t op = handle->runs ? op_new(runner, handle, OP_RUN) : run_of(runner, handle);

	if (mpsync_election_run_start(handle->election, op, value, -1, error) == MPSYNC_OK)
		handle->runs = 1;
}

void stop_leading(struct runner *runner, struct handle *handle, mpsync_error *error)
{
	mpsync_election_run_stop(handle->election, run_of(runner, handle), error);
}

void end_work(struct handle *handle, int failed, mpsync_error *error)
{
	if (!handle->in_term)
		return;
	handle->in_term = 0;
	mpsync_election_term_done(handle->election, handle->grant, failed, error);
}

void hand_over(struct runner *runner, struct handle *handle, mpsync_error *error)
{
	mpsync_election_resign_start(
	    handle->election, op_new(runner, handle, OP_RESIGN), handle->grant, error);
}

static void tell_term(struct handle *handle, const mpsync_event *event)
{
	handle->grant = event->grant;
	handle->in_term = 1;
	printf("%s\tterm\t%" PRIu64 "\n", handle->key, event->token);
}

/* Work that has returned is told nothing. */
static void tell_ending(const struct handle *handle, const mpsync_event *event)
{
	if (handle->in_term)
		printf("%s\tending\t%s\t%s\n", handle->key, mpsync_reason_text(event->reason),
		    event->left_ms < 0   ? "all"
		    : event->left_ms > 0 ? "some"
		                         : "none");
}

void on_run_event(struct handle *handle, const mpsync_event *event)
{
	switch (event->type) {
	case MPSYNC_EVENT_TERM:
		tell_term(handle, event);
		return;
	case MPSYNC_EVENT_ENDING:
		tell_ending(handle, event);
		return;
	case MPSYNC_EVENT_DONE:
	case MPSYNC_EVENT_BUSY:
	case MPSYNC_EVENT_FAILED:
		handle->run = 0;
		handle->runs = 0;
		handle->in_term = 0;
		if (event->status == MPSYNC_OK)
			printf("%s\tover\n", handle->key);
		else
			tell_error(handle, event->status);
		return;
	default:
		return;
	}
}
