/*
 * The store over Leases as it is opened, over an API server whose part the test plays: each request
 * is kept until it is answered. Needs the archive, so that api.c stays out.
 */
#ifndef KUBE_WORLD_H
#define KUBE_WORLD_H

#include "base/options.h"
#include "net/loop.h"
#include "stores/kubernetes/api.h"
#include "stores/records/records.h"

struct kube_world {
	struct loop loop;
	struct store *store;
	struct record_backend *backend;
};

struct kube_call {
	struct kube_call *next;
	struct kube_request request;
	char path[300];
	char body[2000];
};

/* Options by name and value, ended by NULL. False: it is refused, and there is no world. */
bool kube_world_open(
    struct kube_world *world, const char *const *options, struct mpsync_error *error);
/* From `before` on allocations may fail. */
bool kube_world_open_without(struct kube_world *world, const char *const *options,
    void (*before)(void), struct mpsync_error *error);
void kube_world_begin(struct kube_world *world, const char *const *options);
void kube_world_end(struct kube_world *world);

/* The claim of whoever campaigns here. */
#define CLAIM "01010101010101010101010101010101"
/* A candidate's first write, to a Lease x that is not there yet. */
struct record_request campaign(void (*done)(struct record_request *request,
    enum record_result result, const struct record *record, enum mpsync_status status,
    const char *message, uint64_t retry_in_ms));

/* The oldest request that is under way; NULL: there is none. */
struct kube_call *asked(void);
unsigned cancelled(void);

/* Of the oldest request with this method. */
void answer(const char *method, const struct kube_answer *answered);
void answer_json(const char *method, long status, const char *json);
void send_event(const char *json);
/* 0: its connection was lost. */
void end_watch(long status);

#endif
