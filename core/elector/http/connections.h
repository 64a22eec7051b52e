/* How many connections there may be, and which of them may be closed for others. */
#ifndef MPSYNC_CONNECTIONS_H
#define MPSYNC_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connections;

/* NULL without memory. Reads the limit of descriptors, which must not be raised afterwards. */
struct connections *connections_new(size_t most);
void connections_free(struct connections *connections);

/* A port or a Unix socket's path that the server listens on. False without memory. */
bool connections_add_port(struct connections *connections, uint16_t port);
bool connections_add_path(struct connections *connections, const char *path);

/* A connection was accepted: above the bound the longest idle ones are closed. */
void connections_accepted(struct connections *connections);

/* Is there no room, and no idle connection that could be closed? */
bool connections_are_full(const struct connections *connections);

/* A request came on a Unix socket; the kernel does not know when those were used. */
void connections_used(struct connections *connections, int descriptor);

/* A connection with a stream, or with a request that waits, is never idle. */
void connections_set_busy(struct connections *connections, int descriptor, bool busy);

#endif
