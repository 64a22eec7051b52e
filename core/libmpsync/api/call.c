#include "call.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

void call_init(struct call *call)
{
	memset(call, 0, sizeof *call);
	sem_init(&call->done, 0, 0);
}

mpsync_status call_wait(struct call *call, mpsync_error *error)
{
	mpsync_status status;

	while (sem_wait(&call->done) != 0)
		; /* interrupted by a signal */
	sem_destroy(&call->done);
	status = (mpsync_status)call->event.status;
	if (status == MPSYNC_OK)
		return succeed(error);
	return fail(error, status, "%s", call->message);
}

static void describe(char *out, size_t size, const mpsync_event *event)
{
	const char *text = mpsync_status_text(event->status);

	if (event->message)
		snprintf(out, size, "%s", event->message);
	else if (event->holder)
		snprintf(out, size, "%s: %s has it", text, event->holder);
	else
		snprintf(out, size, "%s", text);
}

void call_end(struct call *call, const mpsync_event *event)
{
	call->event = *event;
	describe(call->message, sizeof call->message, event);
	sem_post(&call->done);
}
