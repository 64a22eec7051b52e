#include "stores/store.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The socket is still ours, and this end of it is open. CLOSE_WAIT is well: the elector has gone,
 * and the right runs on to its end.
 */
bool store_fence_stands(const struct store_fence *fence)
{
	const int descriptor = atomic_load(&fence->descriptor);
	uint64_t cookie = 0;
	socklen_t length = sizeof cookie;
	struct tcp_info info;

	if (descriptor < 0)
		return true;
	if (getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &length) != 0 ||
	    cookie != atomic_load(&fence->cookie))
		/* It may have been replaced in between: then the new one counts. */
		return descriptor != atomic_load(&fence->descriptor) && store_fence_stands(fence);
	length = sizeof info;
	if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		return true; /* a Unix socket */
	return info.tcpi_state == TCP_ESTABLISHED || info.tcpi_state == TCP_CLOSE_WAIT;
}

/*
 * Whatever curl does with its own descriptor, the elector sees an end only when this process ends,
 * or when it has a newer stream of ours.
 */
bool store_fence_replace(struct store_fence *fence, int socket)
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
	if (before >= 0)
		close(before);
	return stands;
}
