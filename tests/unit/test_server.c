/* An elector's server and connections that end, wait, or bring more than was asked for. */
#include "server_world.h"
#include "stores/open.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLAIM_A "11111111111111111111111111111111"
#define CLAIM_B "22222222222222222222222222222222"
#define HOLD    "{\"holder\":\"a\",\"claim\":\"" CLAIM_A "\"}"
#define WAIT    "{\"holder\":\"b\",\"claim\":\"" CLAIM_B "\",\"wait\":\"60s\"}"

static const struct sessions_counters *counters(void)
{
	return sessions_counters(server_world.server.sessions);
}

static size_t open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* A client that has the lock /locks/n, and one that waits for it. */
static void hold_and_wait(int *holder, int *waiter)
{
	*holder = connect_client();
	*waiter = connect_client();
	client_ask(*holder, "PUT", "/locks/n", HOLD, false);
	client_expect(*holder, " 200 ");
	client_ask(*waiter, "PUT", "/locks/n", WAIT, false);
	until(counters()->waiters == 1);
}

static void close_both(int one, int other)
{
	close(one);
	close(other);
	settle_for_a_moment();
}

/* Goal: a request that waits counts until its client is gone, and no longer. */
static void test_who_is_gone_does_not_wait(void **state)
{
	int holder;
	int waiter;

	(void)state;
	hold_and_wait(&holder, &waiter);
	assert_int_equal(server_world.server.held_back, 1);
	close(waiter);
	until(server_world.server.held_back == 0);
	close(holder);
}

/* Goal: what a client sends while it waits is answered in its turn. */
static void test_a_request_behind_one_that_waits(void **state)
{
	int holder;
	int waiter;
	const char *answers;

	(void)state;
	hold_and_wait(&holder, &waiter);
	client_ask(waiter, "GET", "/healthz", NULL, false);
	assert_true(client_hears_nothing(waiter));
	client_ask(holder, "DELETE", "/locks/n", HOLD, false);
	client_expect(holder, " 200 ");
	answers = client_expect(waiter, "\"ok\"");
	assert_non_null(strstr(answers, "\"owner\":\"b\""));
	close_both(holder, waiter);
}

/* Goal: a client that waits may send a little ahead, and not without an end. */
static void test_what_is_sent_ahead_is_bounded(void **state)
{
	static const char bytes[65536];
	int holder;
	int waiter;
	size_t sent = 0;
	int refused = 0;

	(void)state;
	hold_and_wait(&holder, &waiter);
	while (refused < 20 && sent < 16 * 1024 * 1024) {
		const ssize_t now = send(waiter, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += now > 0 ? (size_t)now : 0;
		refused = now > 0 ? 0 : refused + 1;
		settle_for_a_moment();
	}
	assert_true(sent < 2 * 1024 * 1024);
	assert_int_equal(counters()->waiters, 1);
	close_both(holder, waiter);
}

/* Goal: a connection whose request was answered after a wait ends like any other. */
static void test_a_connection_ends_after_a_wait(void **state)
{
	int holder;
	int waiter;

	(void)state;
	hold_and_wait(&holder, &waiter);
	client_ask(holder, "DELETE", "/locks/n", HOLD, false);
	client_expect(waiter, " 200 ");
	assert_int_equal(server_world.server.held_back, 0);
	close(waiter);
	client_ask(holder, "GET", "/healthz", NULL, false);
	client_expect(holder, "\"ok\"");
	close(holder);
}

/* Goal: an answer for which the store was asked, and whose client is gone by then, is dropped with
 * all that it had. */
static void test_an_answer_for_a_client_that_is_gone(void **state)
{
	const int holder = connect_client();
	const int other = connect_client();

	(void)state;
	client_ask(holder, "PUT", "/locks/n", HOLD, false);
	client_expect(holder, " 200 ");
	server_world.keeps_queries = true;
	client_ask(other, "PUT", "/locks/n", "{\"holder\":\"b\",\"claim\":\"" CLAIM_B "\"}", false);
	until(server_world.kept);
	close(other);
	until(server_world.server.held_back == 1);
	for (int i = 0; i < 5; i++)
		settle_for_a_moment();
	answer_query();
	until(server_world.server.held_back == 0);
	client_ask(holder, "GET", "/healthz", NULL, false);
	client_expect(holder, "\"ok\"");
	close(holder);
}

/* Goal: whoever is turned away for a moment is told for how long. */
static void test_a_503_says_when_to_come_again(void **state)
{
	const int holder = connect_client();

	(void)state;
	for (int i = 0; i <= 100; i++) {
		char path[32];
		char body[128];

		snprintf(path, sizeof path, "/locks/%d", i);
		snprintf(body, sizeof body, "{\"holder\":\"a\",\"claim\":\"%032x\"}", i + 1);
		client_ask(holder, "PUT", path, body, false);
		if (i < 100)
			client_expect(holder, " 200 ");
	}
	assert_non_null(strstr(client_expect(holder, "too_many"), "Retry-After: 1\r\n"));
	close(holder);
}

/* ---- Streams ---- */

static int open_session(void)
{
	const int stream = connect_client();

	client_ask(stream, "GET", "/holders/a", NULL, true);
	client_expect(stream, "event: hello");
	return stream;
}

/* Goal: a session's stream takes no descriptor with it when it ends. */
static void test_a_stream_leaves_no_descriptor(void **state)
{
	const int first = connect_client();
	size_t before;

	(void)state;
	client_ask(first, "GET", "/healthz", NULL, false);
	client_expect(first, "\"ok\"");
	before = open_descriptors();
	for (int i = 0; i < 3; i++) {
		const int stream = open_session();

		close(stream);
		until(counters()->streams == 0);
	}
	assert_int_equal(open_descriptors(), before);
	close(first);
}

static unsigned long long generation_told(int client)
{
	const char *stream = strstr(client_expect(client, "\"grants\""), "\"stream\":");
	unsigned long long generation = 0;

	assert_non_null(stream);
	assert_int_equal(sscanf(stream, "\"stream\":%llu", &generation), 1);
	return generation;
}

static int hold_with_a_fence(void)
{
	const int stream = open_session();
	const int holder = connect_client();
	char beat[128];

	client_ask(holder, "PUT", "/locks/n", HOLD, true);
	client_expect(holder, " 200 ");
	client_ask(holder, "PUT", "/holders/a", "{\"fence\":\"time\"}", true);
	snprintf(beat, sizeof beat, "{\"fence\":\"stream\",\"stream\":%llu}", generation_told(holder));
	client_ask(holder, "PUT", "/holders/a", beat, true);
	client_expect(holder, "\"grants\"");
	close(holder);
	settle_for_a_moment();
	return stream;
}

/* Goal: the end of a declared stream on a Unix socket is proof when its client makes it. */
static void test_an_end_of_the_client_hands_over(void **state)
{
	const int stream = hold_with_a_fence();

	(void)state;
	close(stream);
	until(counters()->streams == 0);
	assert_int_equal(counters()->takeovers_proof, 1);
}

/* Goal: where the server lets the connection go, whose client lives, nothing is proved. */
static void test_an_end_of_the_server_proves_nothing(void **state)
{
	const int stream = hold_with_a_fence();

	(void)state;
	server_close(&server_world.server);
	assert_int_equal(counters()->streams, 0);
	assert_int_equal(counters()->takeovers_proof, 0);
	close(stream);
}

/* Goal: a watch that is gone is not told of what changes then, and leaves nothing behind. */
static void test_a_watch_that_is_gone(void **state)
{
	const int watch = connect_client();
	const int holder = connect_client();

	(void)state;
	client_ask(watch, "GET", "/locks/n?watch=1", NULL, false);
	client_expect(watch, "event: synced");
	close(watch);
	until(!server_world.server.streams);
	client_ask(holder, "PUT", "/locks/n", HOLD, false);
	client_expect(holder, " 200 ");
	client_ask(holder, "DELETE", "/locks/n", HOLD, false);
	client_expect(holder, " 200 ");
	settle_for_a_moment();
	close(holder);
}

/* Goal: what is gone is told by its name. */
static void test_what_is_gone_has_a_name(void **state)
{
	const int watch = connect_client();
	const int holder = connect_client();

	(void)state;
	client_ask(watch, "GET", "/locks?watch=1", NULL, false);
	client_expect(watch, "event: synced");
	client_ask(holder, "PUT", "/locks/n", HOLD, false);
	client_expect(watch, "event: lock");
	client_ask(holder, "DELETE", "/locks/n", HOLD, false);
	client_expect(watch, "event: gone\ndata: {\"name\":\"n\"}");
	close_both(holder, watch);
}

/* Goal: without memory for a session its stream ends, and its client comes again. */
static void test_a_stream_without_a_session_ends(void **state)
{
	const int stream = connect_client();

	(void)state;
	server_world.no_session = true;
	client_ask(stream, "GET", "/holders/a", NULL, true);
	client_expect(stream, "\r\n\r\n0\r\n\r\n");
	until(!server_world.server.streams);
	server_world.no_session = false;
	client_ask(stream, "GET", "/holders/a", NULL, true);
	client_expect(stream, "event: hello");
	close(stream);
}

/* A port of loopback that nobody listens on at this moment. */
static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof address;
	const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(descriptor, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
	close(descriptor);
	return ntohs(address.sin_port);
}

/* Goal: one address has one elector, and who comes second is told what to do. */
static void test_one_address_has_one_elector(void **state)
{
	struct server *server = &server_world.server;
	mpsync_error error;
	uint16_t port;

	(void)state;
	do
		port = free_port();
	while (!server_listen_tcp(server, "127.0.0.1", port, false, NULL, &error));
	assert_false(server_listen_tcp(server, "127.0.0.1", port, false, NULL, &error));
	assert_non_null(strstr(error.message, "is in use"));
	assert_non_null(strstr(error.message, "--listen"));
}

/* Goal: an elector has no other elector for its store. */
static void test_no_elector_behind_an_elector(void **state)
{
	mpsync_options *options = mpsync_options_new(NULL);
	mpsync_error error = {0};
	struct url url;

	(void)state;
	assert_true(url_parse(&url, "http://localhost:1", &error));
	assert_null(store_open(&url, options, true, &server_world.server.loop, &error));
	assert_int_equal(error.status, MPSYNC_E_UNSUPPORTED);
	url_clear(&url);
	mpsync_options_free(options);
}

#define over_a_server(test) cmocka_unit_test_setup_teardown(test, start_server, stop_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    over_a_server(test_who_is_gone_does_not_wait),
	    over_a_server(test_a_request_behind_one_that_waits),
	    over_a_server(test_what_is_sent_ahead_is_bounded),
	    over_a_server(test_a_connection_ends_after_a_wait),
	    over_a_server(test_an_answer_for_a_client_that_is_gone),
	    over_a_server(test_a_503_says_when_to_come_again),
	    over_a_server(test_a_stream_leaves_no_descriptor),
	    over_a_server(test_an_end_of_the_client_hands_over),
	    over_a_server(test_an_end_of_the_server_proves_nothing),
	    over_a_server(test_a_watch_that_is_gone),
	    over_a_server(test_what_is_gone_has_a_name),
	    over_a_server(test_a_stream_without_a_session_ends),
	    over_a_server(test_one_address_has_one_elector),
	    over_a_server(test_no_elector_behind_an_elector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
