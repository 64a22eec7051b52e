#ifndef MPSYNC_PUMP_H
#define MPSYNC_PUMP_H

#include <mpsync.h>
#include <node_api.h>

/*
 * Hands a client's events to the callback, in the loop, which the client's own thread wakes. With
 * the environment (the process, or a worker) it ends, and the client is closed.
 */
struct pump;

struct pump *pump_start(
    napi_env env, mpsync_client *client, mpsync_queue *queue, napi_value callback);
/* Whether the loop has to go on for the events that may come. */
void pump_ref(napi_env env, struct pump *pump, int wanted);

#endif
