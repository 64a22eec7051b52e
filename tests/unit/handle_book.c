#include "handle_book.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_REQUESTS 20000
#define MOST_GRANTS   20000
#define NUMBER        (~MPSYNC_OP_AWAITED)
#define LONG_MS       120000

struct request {
	enum book_kind kind;
	bool accepted;
	unsigned ends;
};

struct grant {
	bool held; /* told by HELD */
	unsigned ends;
};

struct book {
	pthread_mutex_t mutex;
	struct request requests[MOST_REQUESTS];
	struct grant grants[MOST_GRANTS];
	uint64_t count;
	unsigned acquired;
	unsigned released;
};

static void require(bool right, const char *what, const mpsync_event *event)
{
	if (right)
		return;
	fprintf(stderr, "%s", what);
	if (event)
		fprintf(stderr, ": event %d, status %d, op %" PRIx64 ", lock %" PRIu64 ", grant %" PRIu64,
		    event->type, event->status, event->op_id, event->lock, event->grant);
	fprintf(stderr, "\n");
	abort();
}

struct book *book_new(void)
{
	struct book *book = calloc(1, sizeof *book);

	require(book, "no memory", NULL);
	pthread_mutex_init(&book->mutex, NULL);
	return book;
}

void book_free(struct book *book)
{
	pthread_mutex_destroy(&book->mutex);
	free(book);
}

uint64_t book_request(struct book *book, enum book_kind kind)
{
	uint64_t op_id;

	pthread_mutex_lock(&book->mutex);
	op_id = ++book->count;
	require(op_id < MOST_REQUESTS, "too many requests", NULL);
	book->requests[op_id].kind = kind;
	pthread_mutex_unlock(&book->mutex);
	return op_id;
}

void book_answer(struct book *book, uint64_t op_id, mpsync_status status)
{
	pthread_mutex_lock(&book->mutex);
	book->requests[op_id & NUMBER].accepted = status == MPSYNC_OK;
	pthread_mutex_unlock(&book->mutex);
}

void book_acquired(struct book *book)
{
	pthread_mutex_lock(&book->mutex);
	book->acquired++;
	pthread_mutex_unlock(&book->mutex);
}

void book_released(struct book *book)
{
	pthread_mutex_lock(&book->mutex);
	book->released++;
	pthread_mutex_unlock(&book->mutex);
}

/* Does the event end a request of this kind? It must be one that the kind may have. */
static bool is_end(enum book_kind kind, const mpsync_event *event)
{
	bool ends = false;
	bool right = true;

	switch (event->type) {
	case MPSYNC_EVENT_HELD:
	case MPSYNC_EVENT_BUSY:
	case MPSYNC_EVENT_CANCELLED:
		ends = true;
		right = kind == BOOK_ACQUIRE;
		break;
	case MPSYNC_EVENT_WAITING:
		right = kind == BOOK_ACQUIRE;
		break;
	case MPSYNC_EVENT_RELEASED:
		ends = true;
		right = kind == BOOK_RELEASE;
		break;
	case MPSYNC_EVENT_FAILED:
		ends = true;
		right = kind <= BOOK_VALUE && event->status != MPSYNC_OK;
		break;
	case MPSYNC_EVENT_DONE:
		ends = true;
		right = kind >= BOOK_VALUE;
		break;
	case MPSYNC_EVENT_LEADER:
	case MPSYNC_EVENT_LOG:
		right = kind == BOOK_OBSERVE || kind == BOOK_BRIEF;
		break;
	default:
		right = false;
	}
	require(right, "an event that its request cannot have", event);
	return ends;
}

static void take_grant(struct book *book, const mpsync_event *event)
{
	struct grant *grant;

	require(event->grant > 0 && event->grant < MOST_GRANTS, "no such grant", event);
	grant = &book->grants[event->grant];
	if (event->type == MPSYNC_EVENT_HELD) {
		/* What is awaited is read past the queue, where its end may have been read already. */
		require(!grant->held, "a grant is told twice", event);
		require(grant->ends == 0 || (event->op_id & MPSYNC_OP_AWAITED),
		    "a grant is told after its end", event);
		require(event->token > 0, "a grant without a token", event);
		grant->held = true;
	} else {
		require(grant->ends++ == 0, "a grant ends twice", event);
	}
}

bool book_event(struct book *book, mpsync_event *event)
{
	bool ends = false;

	pthread_mutex_lock(&book->mutex);
	if (event->op_id) {
		const uint64_t number = event->op_id & NUMBER;
		struct request *request = &book->requests[number];

		require(number <= book->count, "a request that was not made", event);
		require(request->ends == 0, "an event after its request's end", event);
		ends = is_end(request->kind, event);
		request->ends += ends;
	} else {
		require(event->type == MPSYNC_EVENT_LOST || event->type == MPSYNC_EVENT_RELEASED ||
		            event->type == MPSYNC_EVENT_DONE || event->type == MPSYNC_EVENT_LOG,
		    "nobody asked for it", event);
	}
	if (event->type == MPSYNC_EVENT_HELD || event->type == MPSYNC_EVENT_LOST ||
	    event->type == MPSYNC_EVENT_RELEASED)
		take_grant(book, event);
	pthread_mutex_unlock(&book->mutex);
	mpsync_event_free(event);
	return ends;
}

static bool is_settled(struct book *book)
{
	bool settled = true;

	pthread_mutex_lock(&book->mutex);
	for (uint64_t i = 1; i <= book->count; i++)
		settled &= book->requests[i].ends || !book->requests[i].accepted ||
		           book->requests[i].kind == BOOK_OBSERVE;
	pthread_mutex_unlock(&book->mutex);
	return settled;
}

void book_settle(struct book *book, mpsync_queue *queue)
{
	while (!is_settled(book)) {
		mpsync_event *event = mpsync_queue_wait(queue, LONG_MS);

		require(event, "a request does not end", NULL);
		book_event(book, event);
	}
}

void book_judge(struct book *book)
{
	unsigned begun = book->acquired;
	unsigned ended = book->released;

	for (uint64_t i = 1; i <= book->count; i++) {
		const struct request *request = &book->requests[i];

		if (request->ends != (request->accepted ? 1 : 0))
			fprintf(stderr, "request %" PRIu64 " of kind %d, %s: ", i, (int)request->kind,
			    request->accepted ? "accepted" : "refused");
		require(request->ends == (request->accepted ? 1 : 0),
		    request->accepted ? "it never ended" : "it was told of", NULL);
	}
	for (uint64_t i = 1; i < MOST_GRANTS; i++) {
		begun += book->grants[i].held;
		ended += book->grants[i].ends;
	}
	if (begun != ended)
		fprintf(stderr, "%u grants have begun, %u ended: ", begun, ended);
	require(begun == ended, "held is followed by exactly one end", NULL);
}
