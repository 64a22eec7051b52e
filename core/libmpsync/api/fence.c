#include "protocol/store.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct store_fence *store_fence_new(void)
{
	struct store_fence *fence = calloc(1, sizeof *fence);

	if (!fence)
		return NULL;
	atomic_init(&fence->references, 1);
	atomic_init(&fence->descriptor, -1);
	return fence;
}

struct store_fence *store_fence_share(struct store_fence *fence)
{
	if (fence)
		atomic_fetch_add(&fence->references, 1);
	return fence;
}

void store_fence_drop(struct store_fence *fence)
{
	if (fence && atomic_fetch_sub(&fence->references, 1) == 1)
		free(fence);
}

/*
 * Is the descriptor still of our socket, and is our end of it open? CLOSE_WAIT is fine: only the
 * elector has gone, and the right lasts until its end.
 */
bool store_fence_stands(const struct store_fence *fence)
{
	const int descriptor = fence ? atomic_load(&fence->descriptor) : -1;
	uint64_t cookie = 0;
	socklen_t length = sizeof cookie;
	struct tcp_info info;

	if (descriptor < 0)
		return true;
	if (getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &length) != 0 ||
	    cookie != atomic_load(&fence->cookie))
		/* Another thread may have replaced the descriptor meanwhile: then the new one counts. */
		return descriptor != atomic_load(&fence->descriptor) && store_fence_stands(fence);
	length = sizeof info;
	if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		return true; /* a Unix socket */
	return info.tcpi_state == TCP_ESTABLISHED || info.tcpi_state == TCP_CLOSE_WAIT;
}

static bool peer_has_gone(int descriptor)
{
	struct tcp_info info;
	socklen_t length = sizeof info;

	if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		return recv(descriptor, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
	return info.tcpi_state != TCP_ESTABLISHED;
}

static void drop_retired(struct store_fence *fence, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < fence->retired_count; i++) {
		if (all || peer_has_gone(fence->retired[i]))
			close(fence->retired[i]);
		else
			fence->retired[kept++] = fence->retired[i];
	}
	fence->retired_count = kept;
}

static void retire(struct store_fence *fence, int descriptor, bool keep)
{
	drop_retired(fence, false);
	if (descriptor < 0)
		return;
	if (!keep || peer_has_gone(descriptor))
		close(descriptor);
	else if (fence->retired_count < STORE_MOST_RETIRED)
		fence->retired[fence->retired_count++] = descriptor;
	/* Else it stays open for ever: a leaked descriptor is better than a false proof of death. */
}

/*
 * The fence keeps its own copy of curl's descriptor. So, whatever curl closes, the elector sees the
 * connection end only when this process ends, or when the elector has a newer stream of this
 * client.
 */
bool store_fence_replace(struct store_fence *fence, int socket, bool keep)
{
	const int before = atomic_load(&fence->descriptor);
	const int copy = socket < 0 ? -1 : fcntl(socket, F_DUPFD_CLOEXEC, 3);
	uint64_t cookie = 0;
	socklen_t length = sizeof cookie;
	bool stands = false;

	atomic_store(&fence->descriptor, -1);
	if (copy >= 0 && getsockopt(copy, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0) {
		atomic_store(&fence->cookie, cookie);
		atomic_store(&fence->descriptor, copy);
		stands = true;
	} else if (copy >= 0) {
		close(copy);
	}
	retire(fence, before, keep);
	return stands;
}

void store_fence_forget(struct store_fence *fence)
{
	drop_retired(fence, true);
}
