/* What the parts of the C runner share; see README.md. */
#ifndef RUNNER_H
#define RUNNER_H

#include <mpsync.h>

#define MOST_HANDLES 16

struct handle {
	char key[16];
	mpsync_lock *lock;
	mpsync_election *election;
	uint64_t id;
	uint64_t grant;
	uint64_t take; /* the request that waits; 0: none does */
	uint64_t run;  /* the run that was begun, or is stopped before it begins */
	int cutting;   /* `take` is being withdrawn */
	int runs;
	int in_term; /* the work of a term has not returned */
	int tells_waits;
	int looks; /* who leads was asked, and not answered yet */
	char name[1100];
	char file[512];
	int turns;
	int counting;
};

struct runner {
	mpsync_queue *queue;
	mpsync_client *client;
	uint64_t serial;
	struct handle handles[MOST_HANDLES];
	size_t count;
};

enum op { OP_TAKE = 1, OP_RELEASE, OP_VALUE, OP_LOOK, OP_OBSERVE, OP_RUN, OP_RESIGN, OP_CLOSE };

/* A number of its own for each request, which says of which handle and what for. */
uint64_t op_new(struct runner *runner, const struct handle *handle, enum op op);

void tell_error(const struct handle *handle, int32_t status);

/* Of the present grant. */
void release(struct runner *runner, const struct handle *handle, mpsync_error *error);

/* ---- runner_lead.c ---- */

void lead(struct runner *runner, struct handle *handle, const char *value, mpsync_error *error);
void stop_leading(struct runner *runner, struct handle *handle, mpsync_error *error);
void end_work(struct handle *handle, int failed, mpsync_error *error);
void hand_over(struct runner *runner, struct handle *handle, mpsync_error *error);
void on_run_event(struct handle *handle, const mpsync_event *event);

/* ---- runner_turns.c ---- */

void start_counting(
    struct runner *runner, struct handle *handle, char **words, mpsync_error *error);
void take_turn(struct runner *runner, struct handle *handle, uint64_t token);
void end_turn(struct runner *runner, struct handle *handle);
void tell_speed(const struct handle *handle, long times);
void pass(const struct handle *handle, long times);

#endif
