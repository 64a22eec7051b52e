/* How the end of a request reaches its caller. */
#ifndef MPSYNC_API_CALL_H
#define MPSYNC_API_CALL_H

#include <mpsync.h>
#include <semaphore.h>
#include <stdbool.h>

/* A caller that blocks until its request has ended. */
struct call {
	sem_t done;
	mpsync_event event; /* status and, in `message`, why */
	char message[200];
};

/* Where the end of a request is told: to a blocked caller, or by an event with its number. */
struct op {
	uint64_t id;
	struct call *call;
	bool open;
};

void call_init(struct call *call);
mpsync_status call_wait(struct call *call, mpsync_error *error);
/*
 * The caller may return as soon as it is told, and the call is on its stack: nothing touches the
 * call after this.
 */
void call_end(struct call *call, const mpsync_event *event);

#endif
