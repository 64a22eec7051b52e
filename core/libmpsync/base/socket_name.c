#include "socket_name.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static void name_address(
    const struct sockaddr_storage *address, socklen_t length, char text[SOCKET_NAME_SIZE])
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_un *un = (const struct sockaddr_un *)address;
	const size_t before_name = offsetof(struct sockaddr_un, sun_path) + 1;
	char ip[INET6_ADDRSTRLEN] = "";

	if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
		snprintf(text, SOCKET_NAME_SIZE, "%s:%u", ip, ntohs(in->sin_port));
	} else if (address->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
		snprintf(text, SOCKET_NAME_SIZE, "[%s]:%u", ip, ntohs(in6->sin6_port));
	} else if (address->ss_family == AF_UNIX && length > before_name && !un->sun_path[0]) {
		/*
		 * Only an autobound, abstract name tells one client from another: a path is the same for
		 * all of them.
		 */
		snprintf(
		    text, SOCKET_NAME_SIZE, "unix:@%.*s", (int)(length - before_name), un->sun_path + 1);
	}
}

void socket_own_name(int descriptor, char text[SOCKET_NAME_SIZE])
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;

	*text = '\0';
	if (getsockname(descriptor, (struct sockaddr *)&address, &length) == 0)
		name_address(&address, length, text);
}

void socket_peer_name(int descriptor, char text[SOCKET_NAME_SIZE])
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;

	*text = '\0';
	if (getpeername(descriptor, (struct sockaddr *)&address, &length) == 0)
		name_address(&address, length, text);
}
