/*
 * The connection whose end is taken as proof of this process's death, on real sockets: what ends
 * it here, what ends it at the other side, and what is kept open for how long.
 */
#include "unit.h"

#include "protocol/store.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 60000

struct pair {
	int ours;
	int theirs;
};

static struct pair connect_tcp(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pair pair = {.ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(connect(pair.ours, (struct sockaddr *)&address, sizeof address), 0);
	pair.theirs = accept(listener, NULL, NULL);
	assert_true(pair.theirs >= 0);
	close(listener);
	return pair;
}

static struct store_fence fence_on(int socket)
{
	struct store_fence fence;

	memset(&fence, 0, sizeof fence);
	atomic_init(&fence.descriptor, -1);
	assert_int_equal(store_fence_replace(&fence, socket, false), socket >= 0);
	return fence;
}

/* Does the other side see an end? */
static bool has_ended(int descriptor)
{
	struct pollfd poller = {.fd = descriptor, .events = POLLIN};

	return poll(&poller, 1, PATIENCE_MS) == 1 && recv(descriptor, &(char){0}, 1, MSG_DONTWAIT) == 0;
}

static void drop(struct store_fence *fence)
{
	store_fence_replace(fence, -1, false);
	store_fence_forget(fence);
}

/* Goal: it stands without the descriptor that it was made of, and after the elector has gone. */
static void test_it_stands_for_itself(void **state)
{
	const struct pair pair = connect_tcp();
	struct store_fence fence = fence_on(pair.ours);

	(void)state;
	close(pair.ours);
	assert_true(store_fence_stands(&fence));
	close(pair.theirs);
	assert_true(has_ended(atomic_load(&fence.descriptor)));
	assert_true(store_fence_stands(&fence));
	drop(&fence);
	assert_true(store_fence_stands(&fence)); /* none is needed any more */
}

/* Goal: what somebody in this process does to the socket is noticed by who asks for the right. */
static void test_it_falls_with_its_socket(void **state)
{
	struct pair pair = connect_tcp();
	struct store_fence fence = fence_on(pair.ours);

	(void)state;
	shutdown(pair.ours, SHUT_RDWR);
	assert_false(store_fence_stands(&fence));
	drop(&fence);
	close(pair.ours);
	close(pair.theirs);

	pair = connect_tcp();
	fence = fence_on(pair.ours);
	/* As closefrom() does, and a file that is opened then. */
	assert_true(dup2(pair.theirs, atomic_load(&fence.descriptor)) >= 0);
	assert_false(store_fence_stands(&fence));
	close(atomic_load(&fence.descriptor));
	assert_false(store_fence_stands(&fence));
	atomic_store(&fence.descriptor, -1);
	close(pair.ours);
	close(pair.theirs);
}

static void test_a_unix_socket_is_one_too(void **state)
{
	int ends[2];
	struct store_fence fence;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	fence = fence_on(ends[0]);
	assert_true(store_fence_stands(&fence));
	close(ends[0]);
	drop(&fence);
	assert_true(has_ended(ends[1]));
	close(ends[1]);
}

/*
 * Goal: a former elector that lives sees no end while it may have told of something: its connection
 * stays open until that side ends it, or all are forgotten.
 */
static void test_former_ones_are_kept(void **state)
{
	const struct pair first = connect_tcp();
	const struct pair second = connect_tcp();
	const struct pair third = connect_tcp();
	struct store_fence fence = fence_on(first.ours);

	(void)state;
	close(first.ours);
	assert_true(store_fence_replace(&fence, second.ours, true));
	assert_int_equal(fence.retired_count, 1);
	close(first.theirs);
	assert_true(has_ended(fence.retired[0]));
	close(second.ours);
	assert_true(store_fence_replace(&fence, third.ours, true));
	assert_int_equal(fence.retired_count, 1); /* the first one's peer has gone */
	close(third.ours);
	drop(&fence);
	assert_true(has_ended(second.theirs));
	assert_true(has_ended(third.theirs));
	close(second.theirs);
	close(third.theirs);
}

static void test_what_is_no_socket_is_no_fence(void **state)
{
	const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct store_fence fence = fence_on(-1);

	(void)state;
	assert_false(store_fence_replace(&fence, file, false));
	assert_true(store_fence_stands(&fence));
	drop(&fence);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_it_stands_for_itself),
	    cmocka_unit_test(test_it_falls_with_its_socket),
	    cmocka_unit_test(test_a_unix_socket_is_one_too),
	    cmocka_unit_test(test_former_ones_are_kept),
	    cmocka_unit_test(test_what_is_no_socket_is_no_fence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
