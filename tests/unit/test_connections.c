/* Which connections an elector closes when there are too many. */
#include "unit.h"

#include "elector/http/connections.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT       4 /* that there is room for */
#define MOST        40
#define LOOK_MS     100
#define PATIENCE_MS 10000

static uint64_t clock_ms;
static uint64_t used_ms[64];    /* by descriptor: when it was used last */
static rlim_t most_descriptors; /* that the system allows; 0: as it is */

uint64_t __wrap_clock_boot_ms(void)
{
	return clock_ms;
}

int __real_getsockopt(int descriptor, int level, int option, void *value, socklen_t *length);

/* On a machine that is so busy that a look at one connection takes a while. */
int __wrap_getsockopt(int descriptor, int level, int option, void *value, socklen_t *length)
{
	struct tcp_info *info = value;

	if (level != IPPROTO_TCP || option != TCP_INFO)
		return __real_getsockopt(descriptor, level, option, value, length);
	clock_ms += LOOK_MS;
	*info = (struct tcp_info){.tcpi_state = TCP_ESTABLISHED,
	    .tcpi_last_data_recv = (uint32_t)(clock_ms - used_ms[descriptor])};
	return 0;
}

int __real_getrlimit(int resource, struct rlimit *limit);

int __wrap_getrlimit(int resource, struct rlimit *limit)
{
	if (!most_descriptors)
		return __real_getrlimit(resource, limit);
	*limit = (struct rlimit){most_descriptors, most_descriptors};
	return 0;
}

struct crowd {
	struct connections *connections;
	int listener;
	int count;
	int clients[MOST];
	int accepted[MOST];
};

/* Out of the way: what is accepted gets low descriptors. */
static int connect_client(const struct sockaddr_in *address)
{
	const int low = socket(AF_INET, SOCK_STREAM, 0);
	const int client = fcntl(low, F_DUPFD_CLOEXEC, 100);

	close(low);
	assert_int_equal(connect(client, (const struct sockaddr *)address, sizeof *address), 0);
	return client;
}

static void open_crowd_of(struct crowd *crowd, int count, size_t most)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	crowd->count = count;
	crowd->connections = connections_new(most);
	crowd->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(crowd->listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(crowd->listener, MOST), 0);
	getsockname(crowd->listener, (struct sockaddr *)&address, &length);
	assert_true(connections_add_port(crowd->connections, ntohs(address.sin_port)));
	for (int i = 0; i < count; i++) {
		crowd->clients[i] = connect_client(&address);
		crowd->accepted[i] = accept(crowd->listener, NULL, NULL);
		assert_in_range(crowd->accepted[i], 0, 63);
		used_ms[crowd->accepted[i]] = (uint64_t)(10 * i);
	}
	clock_ms = 1000;
}

static void open_crowd(struct crowd *crowd)
{
	open_crowd_of(crowd, COUNT, COUNT);
}

static void close_crowd(struct crowd *crowd)
{
	for (int i = 0; i < crowd->count; i++) {
		close(crowd->clients[i]);
		close(crowd->accepted[i]);
	}
	close(crowd->listener);
	connections_free(crowd->connections);
}

/* Its end, which has been sent, may take a moment to come. */
static bool was_closed(int client)
{
	struct pollfd poller = {.fd = client, .events = POLLIN};
	char byte;

	return poll(&poller, 1, PATIENCE_MS) == 1 && recv(client, &byte, 1, MSG_DONTWAIT) == 0;
}

static bool stands(int client)
{
	char byte;

	return recv(client, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void accept_all(struct crowd *crowd)
{
	for (int i = 0; i < crowd->count; i++)
		connections_accepted(crowd->connections);
}

/* Though the others were looked at so much later. */
static void test_longest_idle_one_is_closed(void **state)
{
	struct crowd crowd;

	(void)state;
	open_crowd(&crowd);
	accept_all(&crowd);
	assert_true(was_closed(crowd.clients[0]));
	for (int i = 1; i < COUNT; i++)
		assert_true(stands(crowd.clients[i]));
	assert_false(connections_are_full(crowd.connections));
	close_crowd(&crowd);
}

static void test_busy_ones_stay(void **state)
{
	struct crowd crowd;

	(void)state;
	open_crowd(&crowd);
	connections_set_busy(crowd.connections, crowd.accepted[0], true);
	accept_all(&crowd);
	assert_true(stands(crowd.clients[0]));
	assert_true(was_closed(crowd.clients[1]));
	close_crowd(&crowd);
}

static void test_it_is_full_when_all_are_busy(void **state)
{
	struct crowd crowd;

	(void)state;
	open_crowd(&crowd);
	for (int i = 0; i < COUNT; i++)
		connections_set_busy(crowd.connections, crowd.accepted[i], true);
	accept_all(&crowd);
	assert_true(connections_are_full(crowd.connections));
	for (int i = 0; i < COUNT; i++)
		assert_true(stands(crowd.clients[i]));
	close_crowd(&crowd);
}

/* Goal: the server, too, sees the end of what it closes, and so lets go of it. */
static void test_both_ends_see_the_end(void **state)
{
	struct crowd crowd;

	(void)state;
	open_crowd(&crowd);
	accept_all(&crowd);
	assert_true(was_closed(crowd.clients[0]));
	assert_true(was_closed(crowd.accepted[0]));
	close_crowd(&crowd);
}

/* Goal: where the system allows fewer descriptors than are wanted, some are left for the store. */
static void test_some_descriptors_are_left_for_the_store(void **state)
{
	struct crowd crowd;

	(void)state;
	most_descriptors = 60;
	open_crowd_of(&crowd, 36, 50);
	most_descriptors = 0;
	for (int i = 0; i < crowd.count; i++)
		connections_set_busy(crowd.connections, crowd.accepted[i], true);
	accept_all(&crowd);
	assert_true(connections_are_full(crowd.connections));
	close_crowd(&crowd);
}

/* Goal: a descriptor beyond the limit, which somebody has raised since, is left alone. */
static void test_a_descriptor_beyond_the_limit(void **state)
{
	struct connections *connections;

	(void)state;
	most_descriptors = 60;
	connections = connections_new(10);
	most_descriptors = 0;
	connections_set_busy(connections, 64, true);
	connections_set_busy(connections, -1, true);
	connections_used(connections, 64);
	connections_free(connections);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_longest_idle_one_is_closed),
	    cmocka_unit_test(test_busy_ones_stay),
	    cmocka_unit_test(test_it_is_full_when_all_are_busy),
	    cmocka_unit_test(test_both_ends_see_the_end),
	    cmocka_unit_test(test_some_descriptors_are_left_for_the_store),
	    cmocka_unit_test(test_a_descriptor_beyond_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
