/*
 * Goal: whatever is asked of an elector is answered, and with the status that says what was wrong:
 * paths, methods, hosts, pages, bodies, and a store that fails. Method: a whole server, over a Unix
 * socket and over TCP; each request as it stands on the wire.
 */
#include "server_world.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLAIM "\"claim\":\"11111111111111111111111111111111\""

static struct server *const server = &server_world.server;

/* A request, and what its answer begins with, or has in it. */
struct exchange {
	const char *request;
	const char *answer;
};

/* Each on a connection of its own, for some end it. */
static void exchange_all(
    int (*connect_to)(void), const struct exchange *exchanges, size_t count, const char *rest)
{
	for (size_t i = 0; i < count; i++) {
		const int client = connect_to();
		char request[2048];

		snprintf(request, sizeof request, "%s%s", exchanges[i].request, rest);
		client_send(client, request);
		if (!strstr(client_expect(client, "\r\n\r\n"), exchanges[i].answer))
			fail_msg("%s: not %s", exchanges[i].request, exchanges[i].answer);
		close(client);
	}
}

#define EXCHANGE_ALL(connect_to, exchanges, rest)                                                  \
	exchange_all(connect_to, exchanges, sizeof exchanges / sizeof *exchanges, rest)

static uint16_t port;

static int connect_by_tcp(void)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(port)};
	const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	return client;
}

static void listen_on_tcp(bool status_only)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof address;

	do {
		const int free_one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_int_equal(bind(free_one, (struct sockaddr *)&address, size), 0);
		assert_int_equal(getsockname(free_one, (struct sockaddr *)&address, &size), 0);
		close(free_one);
		port = ntohs(address.sin_port);
		address.sin_port = 0;
	} while (!server_listen_tcp(server, "127.0.0.1", port, status_only, NULL, NULL));
}

/* ---- Paths and methods ---- */

static void test_paths_and_methods(void **state)
{
	static const struct exchange exchanges[] = {
	    {"GET /healthz HTTP/1.1", " 200 "},
	    {"GET /readyz HTTP/1.1", " 200 "},
	    {"OPTIONS /healthz HTTP/1.1", "Allow: GET, HEAD, OPTIONS"},
	    {"PUT /metrics HTTP/1.1", " 405 "},
	    {"GET /nothing HTTP/1.1", " 404 "},
	    {"OPTIONS /holders/a HTTP/1.1", "Allow: GET, PUT, OPTIONS"},
	    {"DELETE /holders/a HTTP/1.1", " 405 "},
	    {"GET /holders/ HTTP/1.1", " 400 "},
	    {"GET /holders/a%00b HTTP/1.1", " 400 "},
	    {"GET /holders/%0a HTTP/1.1", " 400 "},
	    {"GET /locks/%zz HTTP/1.1", " 400 "},
	    {"GET /locks/a%00b HTTP/1.1", " 400 "},
	    {"GET /locks/a HTTP/1.1", " 404 "},
	    {"OPTIONS /locks/a HTTP/1.1", " 204 "},
	    {"PATCH /locks/a HTTP/1.1", " 405 "},
	    {"HEAD /locks?watch=1 HTTP/1.1", "text/event-stream"},
	    {"GET /locks?watch=1&for=x HTTP/1.1", " 400 "},
	    {"GET /locks?watch=1&for=1s&ping=x HTTP/1.1", " 400 "},
	    {"GET /locks?limit=x HTTP/1.1", " 400 "},
	};

	(void)state;
	EXCHANGE_ALL(connect_client, exchanges, "\r\nHost: x\r\n\r\n");
}

/* ---- Who may ask ---- */

static void test_pages_of_others(void **state)
{
	static const struct exchange exchanges[] = {
	    {"GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: http://x", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: https://x", " 403 "},
	    {"GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: http://y", " 403 "},
	    {"GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nOrigin: http://x", " 403 "},
	    {"GET /healthz HTTP/1.1\r\nOrigin: http://x", " 403 "},
	    {"GET /healthz HTTP/1.1\r\nSec-Fetch-Site: none", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nSec-Fetch-Site: same-origin", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nSec-Fetch-Site: cross-site", " 403 "},
	    {"GET /healthz HTTP/1.1\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: none", " 403 "},
	    {"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x", " 400 "},
	};

	(void)state;
	EXCHANGE_ALL(connect_client, exchanges, "\r\n\r\n");
}

/* Goal: over TCP only what asks for this very host is served, in whatever form it names it. */
static void test_hosts(void **state)
{
	static const struct exchange exchanges[] = {
	    {"GET /healthz HTTP/1.1\r\nHost: localhost", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nHost: LocalHost.:1", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:13131", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nHost: [::1]", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nHost: [::1]:13131", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nHost: proxy:8", " 200 "},
	    {"GET /healthz HTTP/1.1\r\nHost: proxy:9", " 421 "},
	    {"GET /healthz HTTP/1.1\r\nHost: evil", " 421 "},
	    {"GET /healthz HTTP/1.1\r\nHost: :1", " 421 "},
	    {"GET /healthz HTTP/1.1\r\nHost: [::1", " 421 "},
	    {"GET /healthz HTTP/1.1\r\nHost: [::1]x", " 421 "},
	    {"GET /healthz HTTP/1.1\r\nHost: localhost:1x", " 421 "},
	    {"GET http://localhost/healthz HTTP/1.1\r\nHost: evil", " 200 "},
	    {"GET http://localhost:8/healthz HTTP/1.1\r\nHost: evil", " 200 "},
	    {"GET http://[::1]/healthz HTTP/1.1\r\nHost: evil", " 200 "},
	    {"GET http://[::1]:8/healthz HTTP/1.1\r\nHost: evil", " 200 "},
	    {"GET http://evil/healthz HTTP/1.1\r\nHost: localhost", " 421 "},
	    {"GET /healthz HTTP/1.0", " 200 "},
	    {"GET /healthz HTTP/1.1", " 400 "},
	};
	static char *hosts[] = {(char *)"proxy:8", NULL};
	char host[700];
	const struct exchange long_host[] = {{host, " 421 "}};

	(void)state;
	server->hosts = hosts;
	listen_on_tcp(false);
	EXCHANGE_ALL(connect_by_tcp, exchanges, "\r\n\r\n");
	snprintf(host, sizeof host, "GET /healthz HTTP/1.1\r\nHost: %0600d", 7);
	EXCHANGE_ALL(connect_by_tcp, long_host, "\r\n\r\n");
	server->hosts = NULL;
}

/* Goal: where only the state is shown, nobody reaches locks, by whatever name. */
static void test_an_address_for_the_state_alone(void **state)
{
	static const struct exchange exchanges[] = {
	    {"GET /healthz HTTP/1.1\r\nHost: anybody", " 200 "},
	    {"GET /metrics HTTP/1.1\r\nHost: anybody", " 200 "},
	    {"GET /openapi.yaml HTTP/1.1\r\nHost: anybody", " 404 "},
	    {"GET /locks HTTP/1.1\r\nHost: anybody", " 404 "},
	    {"PUT /locks/a HTTP/1.1\r\nHost: anybody\r\nContent-Length: 2\r\n\r\n{}", " 404 "},
	    {"GET /holders/a HTTP/1.1\r\nHost: anybody", " 404 "},
	};

	(void)state;
	listen_on_tcp(true);
	EXCHANGE_ALL(connect_by_tcp, exchanges, "\r\n\r\n");
}

/* ---- Bodies ---- */

struct body {
	const char *method, *body, *answer;
};

static void send_bodies(int (*connect_to)(void), const struct body *bodies, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const int client = connect_to();
		char request[1024];

		snprintf(request, sizeof request,
		    "%s /locks/n HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
		    bodies[i].method, strlen(bodies[i].body), bodies[i].body);
		client_send(client, request);
		if (!strstr(client_expect(client, "\r\n\r\n"), bodies[i].answer))
			fail_msg("%s: not %s", bodies[i].body, bodies[i].answer);
		close(client);
	}
}

#define SEND_BODIES(connect_to, bodies)                                                            \
	send_bodies(connect_to, bodies, sizeof bodies / sizeof *bodies)

static void test_fields_that_are_wrong(void **state)
{
	static const struct body bodies[] = {
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"wait\":\"6m\"}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"ttl\":\"1ms\"}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"ttl\":\"999999h\"}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"queue\":1}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"order\":0}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"order\":\"x\"}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"type\":\"x\"}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"token\":\"x\"}", " 400 "},
	    {"PUT", "{\"holder\":\"a\",\"claim\":\"x\"}", " 400 "},
	    {"PUT", "{\"holder\":\"a\\n\"," CLAIM "}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"none\":1}", " 400 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"value\":1}", " 400 "},
	    {"PUT", "[1]", " 400 "},
	    {"PUT", "{", " 400 "},
	    {"DELETE", "", " 400 "},
	    {"DELETE", "{\"force\":true,\"now\":1}", " 400 "},
	    {"DELETE", "{\"force\":true,\"none\":1}", " 400 "},
	    {"DELETE", "{\"force\":true}", " 404 "},
	    {"PUT", "{\"holder\":\"a\"," CLAIM ",\"value\":null,\"type\":\"lock\"}", " 200 "},
	    {"DELETE", "{\"force\":true,\"now\":false}", " 200 "},
	};

	(void)state;
	SEND_BODIES(connect_client, bodies);
}

/* Goal: nobody takes a name by TCP from its holder unless the elector was told that it may. */
static void test_force_by_tcp(void **state)
{
	static const struct body before[] = {{"DELETE", "{\"force\":true}", " 403 "}};
	static const struct body behind[] = {{"DELETE", "{\"force\":true}", " 404 "}};

	(void)state;
	listen_on_tcp(false);
	SEND_BODIES(connect_by_tcp, before);
	server->allow_force = true;
	SEND_BODIES(connect_by_tcp, behind);
}

/* ---- A store that fails ---- */

static void fail_query(const char *message)
{
	struct store_query *query;

	until(server_world.kept);
	query = server_world.kept;
	server_world.kept = NULL;
	query->done(query, MPSYNC_E_UNREACHABLE, message);
}

/* Goal: who asks is told, in the words of the store or without them; old clients, which ask by GET
 * and do not know 503, that nobody is known to hold the name. */
static void test_a_store_that_fails(void **state)
{
	static const struct {
		const char *method, *path, *body, *answer;
	} asked[] = {
	    {"GET", "/readyz", NULL, " 503 "},
	    {"GET", "/locks/n", NULL, "\"store_unreachable\""},
	    {"GET", "/locks", NULL, " 503 "},
	    {"DELETE", "/locks/n", "{\"force\":true}", " 503 "},
	};

	(void)state;
	server_world.keeps_queries = true;
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
		for (int wordless = 0; wordless < 2; wordless++) {
			const int client = connect_client();

			client_ask(client, asked[i].method, asked[i].path, asked[i].body, false);
			fail_query(wordless ? NULL : "it is on fire");
			client_expect(client, asked[i].answer);
			close(client);
		}
	server_world.keeps_queries = false;
}

#define over_a_server(test) cmocka_unit_test_setup_teardown(test, start_server, stop_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    over_a_server(test_paths_and_methods),
	    over_a_server(test_pages_of_others),
	    over_a_server(test_hosts),
	    over_a_server(test_an_address_for_the_state_alone),
	    over_a_server(test_fields_that_are_wrong),
	    over_a_server(test_force_by_tcp),
	    over_a_server(test_a_store_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
