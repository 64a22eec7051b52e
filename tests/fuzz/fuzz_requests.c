/*
 * An elector over `memory:` and the bytes that come over its connections. The steps of an input
 * (world.h) begin with the number of a connection, whose bytes follow; with h or x and a number,
 * that connection ends by half or whole; with t and a number, so many milliseconds pass.
 */
#include "base/identity.h"
#include "world.h"

#include "elector/http/server.h"
#include "elector/protocol/anonymous.h"
#include "stores/memory/memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS 4
#define MOST_STEPS  100
#define MOST_MS     100000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char path[64];
static uint64_t boot_now_ms;
static struct server server;
static uint64_t engine_wakes_ms;
static uint64_t sessions_wake_ms;
static int connections[CONNECTIONS];

uint64_t world_now_ms(void)
{
	return boot_now_ms;
}

static uint64_t boot_ms(void *context)
{
	(void)context;
	return boot_now_ms;
}

static int64_t wall_ms(void *context)
{
	(void)context;
	return (int64_t)boot_now_ms;
}

static uint32_t draw(void *context)
{
	(void)context;
	return 7;
}

static void wake_engine(void *context, uint64_t at_ms)
{
	(void)context;
	engine_wakes_ms = at_ms;
}

static void wake_sessions(void *context, uint64_t at_ms)
{
	(void)context;
	sessions_wake_ms = at_ms;
}

static void on_timer(void *context)
{
	(void)context;
}

/* ---- Steps ---- */

/* What is answered must not stay in the socket, where it would hold up what comes behind it. */
static void read_answers(void)
{
	char bytes[4096];

	for (size_t i = 0; i < CONNECTIONS; i++)
		while (connections[i] >= 0 && recv(connections[i], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
			;
}

static void settle(void)
{
	for (int i = 0; i < 4; i++) {
		timers_ring();
		event_base_loop(server.loop.base, EVLOOP_NONBLOCK);
		if (engine_wakes_ms <= boot_now_ms)
			engine_run(server.engine);
		if (sessions_wake_ms <= boot_now_ms)
			sessions_run(server.sessions);
		read_answers();
	}
}

static int connect_to_server(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, sizeof path);
	if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) != 0)
		abort();
	return connection;
}

static void take(const char *step, size_t size)
{
	const unsigned number = size > 1 ? (unsigned char)step[*step == 'h' || *step == 'x'] : 0;
	int *connection = &connections[number % CONNECTIONS];

	if (*step == 't') {
		const unsigned long ms = strtoul(step + 1, NULL, 10);

		boot_now_ms += ms < MOST_MS ? ms : MOST_MS;
	} else if (*step == 'h' && *connection >= 0) {
		shutdown(*connection, SHUT_WR);
	} else if (*step == 'x' && *connection >= 0) {
		close(*connection);
		*connection = -1;
	} else if (*step != 'h' && *step != 'x') {
		if (*connection < 0)
			*connection = connect_to_server();
		send(*connection, step + 1, size - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	settle();
}

static void take_all(const char *bytes, size_t size)
{
	for (int i = 0; i < MOST_STEPS && size > 0; i++) {
		const char *end = memmem(bytes, size, WORLD_SEPARATOR, strlen(WORLD_SEPARATOR));
		const size_t length = end ? (size_t)(end - bytes) : size;
		const size_t used = end ? length + strlen(WORLD_SEPARATOR) : size;
		char *step = strndup(bytes, length);

		/* A NUL ends strndup's copy, not what is sent. */
		if (step && length > 0)
			take(strlen(step) == length ? step : bytes, length);
		free(step);
		bytes += used;
		size -= used;
	}
}

/* ---- The elector ---- */

static bool begin(void)
{
	const struct store_clock clock = {boot_ms, wall_ms, draw, NULL};
	struct engine_host engine = {.clock = clock,
	    .random_id = id_random,
	    .digest_id = id_digest,
	    .owner = &sessions_owner,
	    .wake_at = wake_engine};
	const struct sessions_host host = {.answer = reply_answer,
	    .send = stream_send,
	    .end = stream_end,
	    .wake_at = wake_sessions,
	    .context = &server};
	const struct anonymous anonymous = {.holder = "anonymous"};
	struct store *store;

	signal(SIGPIPE, SIG_IGN); /* as the elector does */
	boot_now_ms = 1000000;
	engine_wakes_ms = sessions_wake_ms = UINT64_MAX;
	server = (struct server){.loop.timer.descriptor = -1,
	    .sessions_timer.descriptor = -1,
	    .instance = {{1}},
	    .store_kind = "memory"};
	server.connections = connections_new(CONNECTIONS);
	if (!server.connections || !loop_init(&server.loop, true, on_timer, &server))
		return false;
	event_base_priority_init(server.loop.base, 2);
	store = memory_open("fuzz", &server.loop, &clock);
	server.engine = store ? engine_new(&engine, store) : NULL;
	server.sessions = server.engine ? sessions_new(server.engine, &clock, &host, &server.instance,
	                                      &anonymous, 1000)
	                                : NULL;
	return server.sessions && server_listen_unix(&server, path, NULL);
}

static void end(void)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (connections[i] >= 0)
			close(connections[i]);
		connections[i] = -1;
	}
	if (server.sessions)
		settle();
	server_close(&server);
	engine_free(server.engine);
	sessions_free(server.sessions);
	loop_clear(&server.loop);
	connections_free(server.connections);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		connections[i] = -1;
	snprintf(path, sizeof path, "/tmp/mpsync-fuzz-%d.sock", getpid());
	if (begin())
		take_all((const char *)bytes, size);
	end();
	return 0;
}
