/*
 * No more connections than there is room for: over the bound the longest idle ones go. evhttp tells
 * of no connection that has asked nothing yet, so the kernel is asked which there are, once for as
 * many new ones as there was room for.
 */
#include "connections.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* For the store, timers and the like, where the system allows fewer descriptors than are wanted. */
#define SPARE_DESCRIPTORS 24

struct connections {
	size_t most;
	size_t until_look; /* so many more may come before it is looked again */
	size_t size;       /* of busy: descriptors are below it */
	uint8_t *busy;     /* a stream, or a request that waits */
	uint16_t *ports;
	size_t port_count;
};

struct idle {
	int descriptor;
	uint32_t ms;
};

struct connections *connections_new(size_t most)
{
	struct connections *connections = calloc(1, sizeof *connections);
	struct rlimit limit = {0};

	if (!connections)
		return NULL;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (most + SPARE_DESCRIPTORS > limit.rlim_cur)
		most = limit.rlim_cur > 2 * SPARE_DESCRIPTORS ? limit.rlim_cur - SPARE_DESCRIPTORS
		                                              : limit.rlim_cur / 2 + 1;
	connections->most = most;
	connections->until_look = most;
	connections->size = limit.rlim_cur;
	connections->busy = calloc(connections->size + 1, 1);
	if (connections->busy)
		return connections;
	free(connections);
	return NULL;
}

void connections_free(struct connections *connections)
{
	if (!connections)
		return;
	free(connections->busy);
	free(connections->ports);
	free(connections);
}

bool connections_add_port(struct connections *connections, uint16_t port)
{
	uint16_t *ports =
	    realloc(connections->ports, (connections->port_count + 1) * sizeof *connections->ports);

	if (!ports)
		return false;
	connections->ports = ports;
	connections->ports[connections->port_count++] = port;
	return true;
}

void connections_set_busy(struct connections *connections, int descriptor, bool busy)
{
	if (descriptor >= 0 && (size_t)descriptor < connections->size)
		connections->busy[descriptor] = busy;
}

static bool is_ours(const struct connections *connections, int descriptor)
{
	struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof name;
	uint16_t port = 0;

	if (getsockname(descriptor, (struct sockaddr *)&name, &length) != 0)
		return false;
	if (name.ss_family == AF_INET)
		port = ntohs(((const struct sockaddr_in *)&name)->sin_port);
	else if (name.ss_family == AF_INET6)
		port = ntohs(((const struct sockaddr_in6 *)&name)->sin6_port);
	for (size_t i = 0; i < connections->port_count; i++)
		if (connections->ports[i] == port)
			return true;
	return false;
}

static size_t find_idle(const struct connections *connections, struct idle *idle, size_t *open)
{
	size_t count = 0;

	for (int descriptor = 0; (size_t)descriptor < connections->size; descriptor++) {
		struct tcp_info info;
		socklen_t length = sizeof info;

		if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
		    info.tcpi_state != TCP_ESTABLISHED || !is_ours(connections, descriptor))
			continue;
		++*open;
		if (!connections->busy[descriptor])
			idle[count++] = (struct idle){descriptor, info.tcpi_last_data_recv};
	}
	return count;
}

static int longest_first(const void *a, const void *b)
{
	const uint32_t x = ((const struct idle *)a)->ms;
	const uint32_t y = ((const struct idle *)b)->ms;

	return (x < y) - (x > y);
}

/* evhttp sees the end, and lets go of the connection. */
static size_t close_idle(const struct connections *connections, struct idle *idle, size_t *open)
{
	const size_t found = find_idle(connections, idle, open);
	const size_t spare = connections->most / 16 + 1;
	size_t closed = 0;

	qsort(idle, found, sizeof *idle, longest_first);
	while (closed<found && * open - closed + spare> connections->most)
		shutdown(idle[closed++].descriptor, SHUT_RDWR);
	return closed;
}

void connections_accepted(struct connections *connections)
{
	struct idle *idle;
	size_t open = 0;
	size_t left;

	if (--connections->until_look > 0)
		return;
	connections->until_look = 1;
	idle = calloc(connections->size + 1, sizeof *idle);
	if (!idle)
		return;
	left = close_idle(connections, idle, &open);
	free(idle);
	left = open - left;
	if (left < connections->most)
		connections->until_look = connections->most - left;
}
