/*
 * A program that holds locks, for the integration tests: takes commands on standard input, tells
 * events and answers on standard output, a line each.
 *
 *   acquire NAME WAIT_MS | release NAME | held NAME | remaining NAME | cancel NAME
 *   close: the client; the process goes on | quit
 *   exit: as a program that ends without closing anything, and releases at its end
 */
#include <mpsync.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_LOCKS 256

struct held_lock {
	char name[128];
	mpsync_lock *lock;
	uint64_t grant;
};

static struct held_lock locks[MOST_LOCKS];
static int lock_count;

static struct held_lock *lock_of(mpsync_client *client, const char *name)
{
	for (int i = 0; i < lock_count; i++)
		if (strcmp(locks[i].name, name) == 0)
			return &locks[i];
	snprintf(locks[lock_count].name, sizeof locks->name, "%s", name);
	locks[lock_count].lock = mpsync_lock_new(client, name, NULL, NULL);
	return &locks[lock_count++];
}

static void print_event(const mpsync_event *event)
{
	static const char *const names[] = {"", "held", "lost", "released", "busy", "cancelled",
	    "failed", "waiting", "leader", "log", "done"};

	if (event->type == MPSYNC_EVENT_HELD)
		for (int i = 0; i < lock_count; i++)
			if (mpsync_lock_id(locks[i].lock) == event->lock)
				locks[i].grant = event->grant;
	printf("%s %s %" PRIu64 " %s\n", names[event->type], event->name, event->token,
	    event->type == MPSYNC_EVENT_LOST ? mpsync_reason_text(event->reason)
	    : event->message                 ? event->message
	                                     : "-");
}

static int obey(mpsync_client *client, char *line)
{
	char command[32] = "";
	char name[128] = "";
	long wait_ms = -1;
	struct held_lock *lock;
	mpsync_error error = {0};

	sscanf(line, "%31s %127s %ld", command, name, &wait_ms);
	if (strcmp(command, "quit") == 0)
		return 0;
	if (strcmp(command, "close") == 0) {
		mpsync_client_close_start(client, 3, NULL);
		return 1;
	}
	if (strcmp(command, "exit") == 0)
		_exit(mpsync_exit(1000, NULL) == MPSYNC_OK ? 0 : 1);
	lock = lock_of(client, name);
	if (strcmp(command, "acquire") == 0)
		mpsync_lock_acquire_start(lock->lock, 1, wait_ms, &error);
	else if (strcmp(command, "release") == 0)
		mpsync_lock_release_start(lock->lock, 2, 0, &error);
	else if (strcmp(command, "cancel") == 0)
		mpsync_lock_cancel(lock->lock, &error);
	else if (strcmp(command, "held") == 0)
		printf("is_held %s %d\n", name, mpsync_lock_is_held(lock->lock, lock->grant));
	else if (strcmp(command, "remaining") == 0)
		printf(
		    "remaining %s %" PRId64 "\n", name, mpsync_lock_remaining_ms(lock->lock, lock->grant));
	if (error.status != MPSYNC_OK)
		printf("error %s %d %s\n", name, error.status, error.message);
	return 1;
}

int main(void)
{
	mpsync_error error;
	mpsync_queue *queue = mpsync_queue_new(&error);
	mpsync_client *client = mpsync_client_open(NULL, NULL, queue, &error);
	struct pollfd pollers[2] = {{.fd = STDIN_FILENO, .events = POLLIN}};
	char line[512];
	int go_on = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	if (!client) {
		printf("error - %d %s\n", error.status, error.message);
		return 1;
	}
	puts("ready");
	pollers[1] = (struct pollfd){.fd = mpsync_queue_fd(queue), .events = POLLIN};
	while (go_on && poll(pollers, 2, -1) >= 0) {
		mpsync_event *event;

		if (pollers[0].revents)
			go_on = fgets(line, sizeof line, stdin) && obey(client, line);
		while ((event = mpsync_queue_next(queue))) {
			print_event(event);
			mpsync_event_free(event);
		}
	}
	mpsync_client_close(client);
	for (int i = 0; i < lock_count; i++)
		mpsync_lock_free(locks[i].lock);
	mpsync_queue_free(queue);
	return 0;
}
