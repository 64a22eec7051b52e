#include "server_world.h"

#include "base/clock.h"
#include "base/identity.h"
#include "elector/protocol/anonymous.h"
#include "stores/memory/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 120000
#define SESSION     "0123456789abcdef0123456789abcdef"

struct server_world server_world;

/* ---- Time ---- */

static uint64_t boot_ms(void *context)
{
	(void)context;
	return clock_boot_ms();
}

static int64_t wall_ms(void *context)
{
	(void)context;
	return clock_wall_ms();
}

static uint32_t draw(void *context)
{
	(void)context;
	return 7;
}

static void on_engine_timer(void *context)
{
	engine_run(((struct server *)context)->engine);
}

static void on_sessions_timer(void *context)
{
	sessions_run(((struct server *)context)->sessions);
}

static void wake_engine(void *context, uint64_t at_ms)
{
	boot_timer_arm(&((struct server *)context)->loop.timer, at_ms);
}

static void wake_sessions(void *context, uint64_t at_ms)
{
	boot_timer_arm(&((struct server *)context)->sessions_timer, at_ms);
}

void settle_for_a_moment(void)
{
	event_base_loop(server_world.server.loop.base, EVLOOP_NONBLOCK);
	usleep(1000);
}

uint64_t patience_ms(void)
{
	return clock_boot_ms() + PATIENCE_MS;
}

void settle_until(uint64_t give_up_ms)
{
	assert_true(clock_boot_ms() < give_up_ms);
	settle_for_a_moment();
}

/* ---- The store's queries ---- */

static void query_now_or_later(struct store *store, struct store_query *query)
{
	if (server_world.keeps_queries)
		server_world.kept = query;
	else
		server_world.store_ops.query(store, query);
}

void answer_query(void)
{
	struct store_query *query = server_world.kept;

	server_world.kept = NULL;
	server_world.store_ops.query(engine_store(server_world.server.engine), query);
}

/* ---- Beginning and end ---- */

struct session_stream *__real_sessions_stream_open(struct sessions *sessions, const struct id *id,
    const char *holder, uint64_t last_event, const char *peer, void *connection);
struct session_stream *__wrap_sessions_stream_open(struct sessions *sessions, const struct id *id,
    const char *holder, uint64_t last_event, const char *peer, void *connection);

struct session_stream *__wrap_sessions_stream_open(struct sessions *sessions, const struct id *id,
    const char *holder, uint64_t last_event, const char *peer, void *connection)
{
	if (server_world.no_session)
		return NULL;
	return __real_sessions_stream_open(sessions, id, holder, last_event, peer, connection);
}

static void open_engine(struct server *server)
{
	const struct store_clock clock = {boot_ms, wall_ms, draw, server};
	const struct engine_host host = {.clock = clock,
	    .random_id = id_random,
	    .digest_id = id_digest,
	    .owner = &sessions_owner,
	    .wake_at = wake_engine,
	    .on_behalf = true};

	server->engine = engine_new(&host, memory_open("server", &server->loop, &clock));
	assert_non_null(server->engine);
	server_world.store_ops = server_world.ops = *engine_store(server->engine)->ops;
	server_world.ops.query = query_now_or_later;
	engine_store(server->engine)->ops = &server_world.ops;
}

static void open_sessions(struct server *server)
{
	const struct sessions_host host = {.answer = reply_answer,
	    .send = stream_send,
	    .is_behind = stream_is_behind,
	    .end = stream_end,
	    .wake_at = wake_sessions,
	    .context = server};
	const struct anonymous anonymous = {.holder = "anonymous"};

	assert_true(
	    boot_timer_init(&server->sessions_timer, server->loop.base, on_sessions_timer, server));
	server->sessions = sessions_new(server->engine, &engine_store(server->engine)->clock, &host,
	    &server->instance, &anonymous, 100);
	assert_non_null(server->sessions);
}

int start_server(void **state)
{
	struct server *server = &server_world.server;

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the elector does */
	memset(&server_world, 0, sizeof server_world);
	*server = (struct server){.loop.timer.descriptor = -1,
	    .sessions_timer.descriptor = -1,
	    .instance = {{1}},
	    .store_kind = "memory"};
	snprintf(server_world.folder, sizeof server_world.folder, "/tmp/mpsync-XXXXXX");
	assert_non_null(mkdtemp(server_world.folder));
	snprintf(server_world.path, sizeof server_world.path, "%s/socket", server_world.folder);
	server->connections = connections_new(100);
	assert_non_null(server->connections);
	assert_true(loop_init(&server->loop, true, on_engine_timer, server));
	event_base_priority_init(server->loop.base, 2);
	open_engine(server);
	open_sessions(server);
	assert_true(server_listen_unix(server, server_world.path, NULL));
	return 0;
}

int stop_server(void **state)
{
	struct server *server = &server_world.server;

	(void)state;
	streams_close(server);
	server_close(server);
	engine_free(server->engine);
	sessions_free(server->sessions);
	boot_timer_clear(&server->sessions_timer);
	loop_clear(&server->loop);
	connections_free(server->connections);
	rmdir(server_world.folder);
	return 0;
}

/* ---- Clients ---- */

int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, server_world.path, sizeof server_world.path);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	return client;
}

void client_send(int client, const char *text)
{
	assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void client_ask(int client, const char *method, const char *path, const char *body, bool session)
{
	char text[1024];

	snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s",
	    method, path, session ? "Mpsync-Session: " SESSION "\r\n" : "", body ? strlen(body) : 0,
	    body ? body : "");
	client_send(client, text);
}

const char *client_expect(int client, const char *text)
{
	static char read[65536];
	const uint64_t give_up_ms = patience_ms();
	size_t size = 0;

	read[0] = '\0';
	while (!strstr(read, text)) {
		ssize_t got;

		settle_until(give_up_ms);
		got = recv(client, read + size, sizeof read - 1 - size, MSG_DONTWAIT);
		assert_true(got > 0 || (got < 0 && errno == EAGAIN));
		size += got > 0 ? (size_t)got : 0;
		read[size] = '\0';
	}
	return read;
}

bool client_hears_nothing(int client)
{
	char byte;

	for (int i = 0; i < 5; i++)
		settle_for_a_moment();
	return recv(client, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}
