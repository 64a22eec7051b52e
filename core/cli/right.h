/*
 * What a keeper holds or asks for: a lock, or a term of an election, which the library treats
 * alike.
 */
#ifndef MPSYNC_CLI_RIGHT_H
#define MPSYNC_CLI_RIGHT_H

#include "cli.h"

/* The number of the one run that a keeper has. */
#define RIGHT_RUN 1

struct right {
	mpsync_queue *queue;
	mpsync_client *client;
	mpsync_lock *lock;
	uint64_t grant; /* 0: not held */
	uint64_t token;
	int64_t wait_ms; /* how long to wait for the right; -1: for ever */
	int64_t ttl_ms;
	int64_t grace_ms;       /* between SIGTERM and SIGKILL */
	int64_t kill_margin_ms; /* SIGKILL is sent this long before the right ends */
};

/* 0, or the exit code after an error was printed. */
int right_open(struct right *right, const struct arguments *arguments, bool election);
int right_ask(struct right *right, const char *value);

/* Take over the grant of this event. */
void right_begin(struct right *right, const mpsync_event *event);

int64_t right_remaining_ms(const struct right *right);

/* Nothing runs under the right any more: give it back, and stand for it again. */
void right_hand_over(struct right *right);

/* End the run. Blocks until the store has confirmed the release, or the right has run out. */
void right_release(struct right *right);

/* "no renewal was acknowledged since … : why": the reason for a right that is about to run out. */
void right_describe_silence(const struct right *right, char *out, size_t size);

void right_close(struct right *right);

#endif
