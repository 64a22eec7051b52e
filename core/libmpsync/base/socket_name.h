/*
 * The names of a connection's two ends. A client and its elector compare them to know whether a
 * proxy stands in between (rule 1, proof of death), so both use these functions.
 */
#ifndef MPSYNC_SOCKET_NAME_H
#define MPSYNC_SOCKET_NAME_H

#include <stddef.h>

#define SOCKET_NAME_SIZE 200

/* "127.0.0.1:40112", "[::1]:40112", "unix:@NAME" for an abstract Unix name; "" for any other. */
void socket_own_name(int descriptor, char text[SOCKET_NAME_SIZE]);
void socket_peer_name(int descriptor, char text[SOCKET_NAME_SIZE]);

#endif
