#include "queue.h"

#include "base/fork_mark.h"
#include "base/list.h"
#include "base/status.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct node {
	mpsync_event event; /* first, so that a pointer to the event is one to the node */
	struct node *next;
};

struct list {
	struct node *first;
	struct node *last;
};

/* A thread that waits for the events of one request, on its stack. */
struct waiter {
	uint64_t op_id;
	sem_t told;
	struct waiter *next;
};

struct mpsync_queue {
	atomic_uint references;
	fork_mark mark;
	int descriptor; /* an eventfd, readable while `open` has an event or a wake-up waits */
	pthread_mutex_t mutex;
	struct list open;
	struct list awaited; /* events with MPSYNC_OP_AWAITED */
	struct waiter *waiters;
	bool wakeup;
	void (*notify)(void *context); /* called when `open` gets an event after it was empty */
	void *notify_context;
};

static size_t size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *put(char **at, const char *text)
{
	char *start = *at;
	const size_t size = size_of(text);

	if (!text)
		return NULL;
	memcpy(start, text, size);
	*at += size;
	return start;
}

mpsync_event *queue_event(const mpsync_event *fields)
{
	struct node *node = calloc(1, sizeof *node + size_of(fields->name) + size_of(fields->holder) +
	                                  size_of(fields->value) + size_of(fields->message));
	char *at;

	if (!node)
		return NULL;
	at = (char *)(node + 1);
	node->event = *fields;
	node->event.name = put(&at, fields->name);
	node->event.holder = put(&at, fields->holder);
	node->event.value = put(&at, fields->value);
	node->event.message = put(&at, fields->message);
	return &node->event;
}

void mpsync_event_free(mpsync_event *event)
{
	free(event);
}

mpsync_queue *mpsync_queue_new(mpsync_error *error)
{
	mpsync_queue *queue = calloc(1, sizeof *queue);

	if (!queue) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	queue->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	queue->mark = queue->descriptor < 0 ? NULL : fork_mark_new();
	if (!queue->mark) {
		fail(
		    error, MPSYNC_E_INTERNAL, "no descriptor or memory for the queue: %s", strerror(errno));
		if (queue->descriptor >= 0)
			close(queue->descriptor);
		free(queue);
		return NULL;
	}
	pthread_mutex_init(&queue->mutex, NULL);
	atomic_init(&queue->references, 1);
	succeed(error);
	return queue;
}

mpsync_queue *queue_reference(mpsync_queue *queue)
{
	if (queue)
		atomic_fetch_add(&queue->references, 1);
	return queue;
}

/*
 * A forked child has a copy of the queue that another thread of the parent may have been changing,
 * and its descriptor is the parent's. So the child touches neither.
 */
static bool is_ours(const mpsync_queue *queue)
{
	return queue && fork_mark_is_ours(queue->mark);
}

mpsync_status queue_check_usable(const mpsync_queue *queue, mpsync_error *error)
{
	return is_ours(queue) ? MPSYNC_OK
	                      : fail(error, MPSYNC_E_FORKED, "%s", mpsync_status_text(MPSYNC_E_FORKED));
}

static void free_list(struct list *list)
{
	while (list->first) {
		struct node *node = list->first;

		list->first = node->next;
		free(node);
	}
}

void mpsync_queue_free(mpsync_queue *queue)
{
	if (!is_ours(queue) || atomic_fetch_sub(&queue->references, 1) > 1)
		return;
	free_list(&queue->open);
	free_list(&queue->awaited);
	close(queue->descriptor);
	fork_mark_free(queue->mark);
	pthread_mutex_destroy(&queue->mutex);
	free(queue);
}

int mpsync_queue_fd(const mpsync_queue *queue)
{
	return is_ours(queue) ? queue->descriptor : -1;
}

/* With the mutex held. The write cannot fail: the eventfd is written once between two reads. */
static void raise_descriptor(const mpsync_queue *queue)
{
	const uint64_t one = 1;

	if (write(queue->descriptor, &one, sizeof one) < 0)
		return;
}

static void lower_descriptor(const mpsync_queue *queue)
{
	uint64_t count;

	if (read(queue->descriptor, &count, sizeof count) < 0)
		return;
}

static void append(struct list *list, struct node *node)
{
	SINGLY_APPEND(list->first, list->last, node);
}

/* With the mutex held. */
static void tell_waiter(const mpsync_queue *queue, uint64_t op_id)
{
	struct waiter *waiter = queue->waiters;

	while (waiter && waiter->op_id != op_id)
		waiter = waiter->next;
	if (waiter)
		sem_post(&waiter->told);
}

/* With the mutex held. */
static void append_open(mpsync_queue *queue, struct node *node)
{
	const bool first = !queue->open.first;

	append(&queue->open, node);
	if (first && !queue->wakeup)
		raise_descriptor(queue);
	if (first && queue->notify)
		queue->notify(queue->notify_context);
}

void queue_push(mpsync_queue *queue, mpsync_event *event)
{
	struct node *node = (struct node *)event;

	pthread_mutex_lock(&queue->mutex);
	if (event->op_id & MPSYNC_OP_AWAITED) {
		append(&queue->awaited, node);
		tell_waiter(queue, event->op_id);
	} else {
		append_open(queue, node);
	}
	pthread_mutex_unlock(&queue->mutex);
}

/* With the mutex held. */
static struct node *take(mpsync_queue *queue)
{
	struct node *node = queue->open.first;

	if (!node)
		return NULL;
	queue->open.first = node->next;
	if (!queue->open.first && !queue->wakeup)
		lower_descriptor(queue);
	return node;
}

/* With the mutex held. */
static struct node *take_awaited(mpsync_queue *queue, uint64_t op_id)
{
	struct node *before = NULL;
	struct node *node = queue->awaited.first;

	while (node && node->event.op_id != op_id) {
		before = node;
		node = node->next;
	}
	if (!node)
		return NULL;
	if (before)
		before->next = node->next;
	else
		queue->awaited.first = node->next;
	if (queue->awaited.last == node)
		queue->awaited.last = before;
	return node;
}

mpsync_event *mpsync_queue_next(mpsync_queue *queue)
{
	struct node *node;

	if (!is_ours(queue))
		return NULL;
	pthread_mutex_lock(&queue->mutex);
	node = take(queue);
	pthread_mutex_unlock(&queue->mutex);
	return node ? &node->event : NULL;
}

mpsync_event *mpsync_queue_wait(mpsync_queue *queue, int64_t timeout_ms)
{
	struct pollfd poller;
	struct node *node;

	if (!is_ours(queue))
		return NULL;
	poller = (struct pollfd){.fd = queue->descriptor, .events = POLLIN};
	if (timeout_ms < 0)
		timeout_ms = -1;
	if (timeout_ms > INT32_MAX)
		timeout_ms = INT32_MAX;
	if (poll(&poller, 1, (int)timeout_ms) <= 0)
		return NULL;
	pthread_mutex_lock(&queue->mutex);
	if (queue->wakeup) {
		queue->wakeup = false;
		if (!queue->open.first)
			lower_descriptor(queue);
		node = NULL;
	} else {
		node = take(queue);
	}
	pthread_mutex_unlock(&queue->mutex);
	return node ? &node->event : NULL;
}

static void wait_until_told(mpsync_queue *queue, struct waiter *waiter)
{
	SINGLY_ADD(queue->waiters, waiter);
	pthread_mutex_unlock(&queue->mutex);
	/*
	 * A semaphore instead of a condition variable: a signal ends this wait, so that a language's
	 * runtime can run its signal handlers.
	 */
	sem_wait(&waiter->told);
	pthread_mutex_lock(&queue->mutex);
	SINGLY_REMOVE(queue->waiters, waiter);
}

mpsync_event *mpsync_queue_wait_for(mpsync_queue *queue, uint64_t op_id)
{
	struct waiter waiter = {.op_id = op_id};
	struct node *node;

	if (!queue || !(op_id & MPSYNC_OP_AWAITED))
		return NULL;
	if (!is_ours(queue))
		return queue_event(&(mpsync_event){.type = MPSYNC_EVENT_FAILED,
		    .status = MPSYNC_E_FORKED,
		    .op_id = op_id,
		    .message = mpsync_status_text(MPSYNC_E_FORKED)});
	sem_init(&waiter.told, 0, 0);
	pthread_mutex_lock(&queue->mutex);
	node = take_awaited(queue, op_id);
	if (!node) {
		wait_until_told(queue, &waiter);
		node = take_awaited(queue, op_id);
	}
	pthread_mutex_unlock(&queue->mutex);
	sem_destroy(&waiter.told);
	return node ? &node->event : NULL;
}

void mpsync_queue_wakeup(mpsync_queue *queue)
{
	if (!is_ours(queue))
		return;
	pthread_mutex_lock(&queue->mutex);
	if (!queue->wakeup && !queue->open.first)
		raise_descriptor(queue);
	queue->wakeup = true;
	pthread_mutex_unlock(&queue->mutex);
}

void mpsync_queue_notify(mpsync_queue *queue, void (*notify)(void *context), void *context)
{
	if (!is_ours(queue))
		return;
	pthread_mutex_lock(&queue->mutex);
	queue->notify = notify;
	queue->notify_context = context;
	if (notify && queue->open.first)
		notify(context);
	pthread_mutex_unlock(&queue->mutex);
}
