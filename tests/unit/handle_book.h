/*
 * What a client's callers asked, and what they were told: each request ends exactly once, in a way
 * of its kind, and each grant ends exactly once, by LOST or RELEASED. One book for each client.
 */
#ifndef HANDLE_BOOK_H
#define HANDLE_BOOK_H

#include <mpsync.h>
#include <stdbool.h>

/* BRIEF: an observation that is stopped. */
enum book_kind { BOOK_ACQUIRE, BOOK_RELEASE, BOOK_VALUE, BOOK_OBSERVE, BOOK_BRIEF, BOOK_CLOSE };

struct book;

struct book *book_new(void);
void book_free(struct book *book);

/* A new number for a request that is about to be made. */
uint64_t book_request(struct book *book, enum book_kind kind);
/* What the call answered: only OK promises an end. */
void book_answer(struct book *book, uint64_t op_id, mpsync_status status);
/* True if that was the request's last event. Frees the event. */
bool book_event(struct book *book, mpsync_event *event);

/* Reads the queue until every request but observations has ended; aborts after long. */
void book_settle(struct book *book, mpsync_queue *queue);

/* Blocking calls that succeeded: they have no events. */
void book_acquired(struct book *book);
void book_released(struct book *book);

/* The client is closed, and its queue empty. */
void book_judge(struct book *book);

#endif
