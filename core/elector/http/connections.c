/*
 * Bounds the number of connections: above the bound the longest idle ones are closed. evhttp does
 * not tell of a connection that has sent no request yet, so the kernel is asked which connections
 * exist, once for as many new ones as there was room for.
 */
#include "connections.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Descriptors for the store, timers and the like, where the system allows fewer than are wanted. */
#define SPARE_DESCRIPTORS 24

/*
 * While there is no room, the kernel is asked at most this often, instead of for each new
 * connection.
 */
#define LOOK_MS 100

/* When a Unix socket was last used, as far as it was seen. Another inode is another socket. */
struct use {
	ino_t inode;
	uint64_t at_ms;
};

struct connections {
	size_t most;
	size_t until_look; /* this many more may come before the kernel is asked again */
	size_t size;       /* of busy; all descriptors are below it */
	uint8_t *busy;     /* for each descriptor: it has a stream, or a request that waits */
	struct use *uses;  /* of the same size */
	uint16_t *ports;
	size_t port_count;
	char **paths;
	size_t path_count;
	uint64_t looked_ms;
	bool full;
};

/*
 * Since when a connection is idle, rather than for how long: asking for ten thousand takes a while,
 * and those asked last would seem idle for longer.
 */
struct idle {
	int descriptor;
	uint64_t since_ms;
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
	connections->uses = calloc(connections->size + 1, sizeof *connections->uses);
	if (connections->busy && connections->uses)
		return connections;
	connections_free(connections);
	return NULL;
}

void connections_free(struct connections *connections)
{
	if (!connections)
		return;
	for (size_t i = 0; i < connections->path_count; i++)
		free(connections->paths[i]);
	free(connections->paths);
	free(connections->busy);
	free(connections->uses);
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

bool connections_add_path(struct connections *connections, const char *path)
{
	char **paths =
	    realloc(connections->paths, (connections->path_count + 1) * sizeof *connections->paths);
	char *copy = strdup(path);

	if (paths)
		connections->paths = paths;
	if (!paths || !copy) {
		free(copy);
		return false;
	}
	paths[connections->path_count++] = copy;
	return true;
}

void connections_set_busy(struct connections *connections, int descriptor, bool busy)
{
	if (descriptor >= 0 && (size_t)descriptor < connections->size)
		connections->busy[descriptor] = busy;
}

/* What a descriptor is. An accepted connection's local end has its listener's name. */
enum kind { NOT_OURS, TCP, UNIX };

static enum kind kind_of(const struct connections *connections, int descriptor)
{
	struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof name;
	int listens = 0;
	uint16_t port = 0;

	if (getsockname(descriptor, (struct sockaddr *)&name, &length) != 0)
		return NOT_OURS;
	length = sizeof listens;
	if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 || listens)
		return NOT_OURS;
	if (name.ss_family == AF_INET)
		port = ntohs(((const struct sockaddr_in *)&name)->sin_port);
	else if (name.ss_family == AF_INET6)
		port = ntohs(((const struct sockaddr_in6 *)&name)->sin6_port);
	for (size_t i = 0; i < connections->port_count; i++)
		if (name.ss_family != AF_UNIX && connections->ports[i] == port)
			return TCP;
	for (size_t i = 0; i < connections->path_count; i++)
		if (name.ss_family == AF_UNIX &&
		    strcmp(((const struct sockaddr_un *)&name)->sun_path, connections->paths[i]) == 0)
			return UNIX;
	return NOT_OURS;
}

void connections_used(struct connections *connections, int descriptor)
{
	struct stat status;

	if (descriptor < 0 || (size_t)descriptor >= connections->size ||
	    fstat(descriptor, &status) != 0)
		return;
	connections->uses[descriptor] = (struct use){status.st_ino, clock_boot_ms()};
}

/* When the socket was last used, or first seen. */
static uint64_t unix_idle_since_ms(struct connections *connections, int descriptor)
{
	struct stat status;
	const struct use *use = &connections->uses[descriptor];

	if (fstat(descriptor, &status) != 0)
		return clock_boot_ms();
	if (use->inode != status.st_ino)
		connections_used(connections, descriptor);
	return use->at_ms;
}

/* False: the connection is closing. */
static bool tcp_idle_since_ms(int descriptor, uint64_t *since_ms)
{
	struct tcp_info info;
	socklen_t length = sizeof info;

	if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
	    info.tcpi_state != TCP_ESTABLISHED)
		return false;
	*since_ms = clock_boot_ms() - info.tcpi_last_data_recv;
	return true;
}

static size_t find_idle(struct connections *connections, struct idle *idle, size_t *open)
{
	size_t count = 0;

	for (int descriptor = 0; (size_t)descriptor < connections->size; descriptor++) {
		const enum kind kind = kind_of(connections, descriptor);
		uint64_t since_ms = 0;

		if (kind == NOT_OURS || (kind == TCP && !tcp_idle_since_ms(descriptor, &since_ms)))
			continue;
		if (kind == UNIX)
			since_ms = unix_idle_since_ms(connections, descriptor);
		++*open;
		if (!connections->busy[descriptor])
			idle[count++] = (struct idle){descriptor, since_ms};
	}
	return count;
}

static int longest_first(const void *a, const void *b)
{
	const uint64_t x = ((const struct idle *)a)->since_ms;
	const uint64_t y = ((const struct idle *)b)->since_ms;

	return (x > y) - (x < y);
}

/* Shuts the connections down; evhttp sees their end and frees them. */
static size_t close_idle(struct connections *connections, struct idle *idle, size_t *open)
{
	const size_t found = find_idle(connections, idle, open);
	const size_t spare = connections->most / 16 + 1;
	size_t closed = 0;

	qsort(idle, found, sizeof *idle, longest_first);
	while (closed<found && * open - closed + spare> connections->most)
		shutdown(idle[closed++].descriptor, SHUT_RDWR);
	return closed;
}

bool connections_are_full(const struct connections *connections)
{
	return connections->full;
}

void connections_accepted(struct connections *connections)
{
	const uint64_t now_ms = clock_boot_ms();
	struct idle *idle;
	size_t open = 0;
	size_t left;

	if (connections->full && now_ms < connections->looked_ms + LOOK_MS)
		return;
	if (!connections->full && --connections->until_look > 0)
		return;
	connections->looked_ms = now_ms;
	connections->until_look = 1;
	idle = calloc(connections->size + 1, sizeof *idle);
	if (!idle)
		return;
	left = close_idle(connections, idle, &open);
	free(idle);
	left = open - left;
	connections->full = left >= connections->most;
	if (!connections->full)
		connections->until_look = connections->most - left;
}
