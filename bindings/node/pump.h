#ifndef MPSYNC_PUMP_H
#define MPSYNC_PUMP_H

#include <mpsync.h>
#include <node_api.h>

/*
 * Hands a client's events to the callback, in the loop, which the client's own thread wakes. It
 * owns the client, the queue and the handles, and ends with the environment (the process, or a
 * worker) at the latest.
 */
struct pump;

/* `closes`: the client is closed with the environment; else the process's end is its end. */
struct pump *pump_start(
    napi_env env, mpsync_client *client, mpsync_queue *queue, int closes, napi_value callback);
/* Whether the loop has to go on for the events that may come. */
void pump_ref(napi_env env, struct pump *pump, int wanted);
/* The handle is freed by its number, or with the pump. */
void pump_keep_lock(struct pump *pump, mpsync_lock *lock);
void pump_keep_election(struct pump *pump, mpsync_election *election);
void pump_free(struct pump *pump, uint64_t id);
/* Of a client that has told that it is closed: frees it with all that it has. */
void pump_end(napi_env env, struct pump *pump);

#endif
