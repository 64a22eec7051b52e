/* A server of HTTP/1.1 on a port of loopback, on a thread of its own that allocates nothing. */
#ifndef MPSYNC_HTTP_WORLD_H
#define MPSYNC_HTTP_WORLD_H

#include "unit.h"

#include <stdint.h>

/*
 * It answers by the last part of the path: "body", "pieces" (a body without a length, in two
 * pieces), "short" (less than it promised), "later" (the second time it is asked; the first time
 * never), "never", "first" (a first piece, and never an end), "busy" (503, and when to come again),
 * "patient" and "past" (503, and a time that is far away or gone), "grpc" (the headers of gRPC).
 */
uint16_t http_world_start(void);
void http_world_stop(void);
/* The requests that were read since the last call of this, one behind the other. */
const char *http_world_asked(void);

#endif
