#include "http_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_CONNECTIONS 100

struct answer {
	const char *path;
	const char *text;
	bool ends; /* the connection ends behind it */
};

static const struct answer answers[] = {
    {"body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nMpsync-Wire: 1\r\n\r\nhello", false},
    {"later", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater", false},
    {"pieces", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none two", true},
    {"short", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", true},
    {"first", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false},
    {"busy", "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", false},
    {"patient", "HTTP/1.1 503 Busy\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n", false},
    {"past",
        "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
        "Content-Length: 0\r\n\r\n",
        false},
    {"grpc",
        "HTTP/1.1 200 OK\r\ngrpc-status: 5\r\ngrpc-message: it is gone\r\n"
        "Content-Length: 0\r\n\r\n",
        false},
};

static struct pollfd places[MOST_CONNECTIONS]; /* the first is the listener, the second ends it */
static nfds_t place_count;
static int stopper;
static pthread_t thread;
static unsigned later_count;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static char asked[16384];
static size_t asked_size;

static void note(const char *text, size_t size)
{
	pthread_mutex_lock(&guard);
	if (asked_size + size < sizeof asked) {
		memcpy(asked + asked_size, text, size);
		asked_size += size;
	}
	pthread_mutex_unlock(&guard);
}

const char *http_world_asked(void)
{
	static char copy[sizeof asked];

	pthread_mutex_lock(&guard);
	memcpy(copy, asked, asked_size);
	copy[asked_size] = '\0';
	asked_size = 0;
	pthread_mutex_unlock(&guard);
	return copy;
}

static void leave(nfds_t i)
{
	close(places[i].fd);
	places[i] = places[--place_count];
}

static const struct answer *answer_for(const char *request)
{
	const char *end = strstr(request, " HTTP/1.1\r\n");

	for (size_t i = 0; end && i < sizeof answers / sizeof *answers; i++) {
		const size_t length = strlen(answers[i].path);

		if (strncmp(end - length, answers[i].path, length) == 0)
			return &answers[i];
	}
	return NULL;
}

/* The tests' requests come whole. */
static void serve(nfds_t i)
{
	char request[4096];
	const ssize_t size = recv(places[i].fd, request, sizeof request - 1, 0);
	const struct answer *answer;

	if (size <= 0) {
		leave(i);
		return;
	}
	request[size] = '\0';
	note(request, (size_t)size);
	answer = answer_for(request);
	if (answer && strcmp(answer->path, "later") == 0 && later_count++ % 2 == 0)
		answer = NULL;
	if (answer)
		(void)!send(places[i].fd, answer->text, strlen(answer->text), MSG_NOSIGNAL);
	if (answer && answer->ends)
		leave(i);
}

static void *run(void *context)
{
	while (places[1].revents == 0) {
		poll(places, place_count, -1);
		for (nfds_t i = place_count - 1; i > 1; i--)
			if (places[i].revents)
				serve(i);
		if (places[0].revents && place_count < MOST_CONNECTIONS)
			places[place_count++] = (struct pollfd){
			    .fd = accept4(places[0].fd, NULL, NULL, SOCK_CLOEXEC), .events = POLLIN};
	}
	return context;
}

uint16_t http_world_start(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ends[2];

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, MOST_CONNECTIONS), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(pipe(ends), 0);
	stopper = ends[1];
	places[0] = (struct pollfd){.fd = listener, .events = POLLIN};
	places[1] = (struct pollfd){.fd = ends[0], .events = POLLIN};
	place_count = 2;
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	return ntohs(address.sin_port);
}

void http_world_stop(void)
{
	close(stopper);
	pthread_join(thread, NULL);
	while (place_count > 0)
		leave(place_count - 1);
}
