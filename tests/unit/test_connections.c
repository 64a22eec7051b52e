/* Which connections an elector closes when there are too many. */
#include "unit.h"

#include "elector/http/connections.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT   4
#define LOOK_MS 100

static uint64_t clock_ms;
static uint64_t used_ms[64]; /* by descriptor: when it was used last */

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

struct crowd {
	struct connections *connections;
	int listener;
	int clients[COUNT];
	int accepted[COUNT];
};

static void open_crowd(struct crowd *crowd)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	crowd->connections = connections_new(COUNT);
	crowd->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(crowd->listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(crowd->listener, COUNT), 0);
	getsockname(crowd->listener, (struct sockaddr *)&address, &length);
	assert_true(connections_add_port(crowd->connections, ntohs(address.sin_port)));
	for (int i = 0; i < COUNT; i++) {
		crowd->clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(crowd->clients[i], (struct sockaddr *)&address, length), 0);
		crowd->accepted[i] = accept(crowd->listener, NULL, NULL);
		assert_in_range(crowd->accepted[i], 0, 63);
		used_ms[crowd->accepted[i]] = (uint64_t)(10 * i);
	}
	clock_ms = 1000;
}

static void close_crowd(struct crowd *crowd)
{
	for (int i = 0; i < COUNT; i++) {
		close(crowd->clients[i]);
		close(crowd->accepted[i]);
	}
	close(crowd->listener);
	connections_free(crowd->connections);
}

static bool was_closed(int client)
{
	char byte;

	return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
}

static void accept_all(struct crowd *crowd)
{
	for (int i = 0; i < COUNT; i++)
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
		assert_false(was_closed(crowd.clients[i]));
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
	assert_false(was_closed(crowd.clients[0]));
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
		assert_false(was_closed(crowd.clients[i]));
	close_crowd(&crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_longest_idle_one_is_closed),
	    cmocka_unit_test(test_busy_ones_stay),
	    cmocka_unit_test(test_it_is_full_when_all_are_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
