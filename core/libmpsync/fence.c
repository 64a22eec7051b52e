#include "stores/store.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

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
