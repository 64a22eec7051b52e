/* How many connections there may be, and which of them are dispensable. */
#ifndef MPSYNC_CONNECTIONS_H
#define MPSYNC_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connections;

/* NULL without memory. The limit of descriptors must not be raised any more. */
struct connections *connections_new(size_t most);
void connections_free(struct connections *connections);

/* A port, or a socket's path, that is listened on. False without memory. */
bool connections_add_port(struct connections *connections, uint16_t port);
bool connections_add_path(struct connections *connections, const char *path);

/* One more has come: over the bound the longest idle ones are ended. */
void connections_accepted(struct connections *connections);

/* None of them is idle, and there are as many as there may be. */
bool connections_are_full(const struct connections *connections);

/* Something was asked on a Unix socket, of which the kernel does not know when it was used. */
void connections_used(struct connections *connections, int descriptor);

/* A stream, or a request that waits, is never idle. */
void connections_set_busy(struct connections *connections, int descriptor, bool busy);

#endif
