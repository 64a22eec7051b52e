/*
 * The requests that an elector answers: about one lock (lock_requests.c), about many
 * (list_requests.c), by a holder (holder_requests.c). routes.c finds the one for a path; requests.c
 * reads what all of them have.
 */
#ifndef MPSYNC_ELECTOR_REQUESTS_H
#define MPSYNC_ELECTOR_REQUESTS_H

#include "fields.h"
#include "server.h"

/* False: the request was answered. */
bool request_read_body(struct request *request, enum body *kind, cJSON **object);
/* Keeps a copy. False: the request was answered. */
bool request_set_name(struct request *request, const char *name);
/* The text of the header Mpsync-Session, or NULL. */
const char *request_session(const struct request *request);
/* A duration of the query; 0 when it is absent. False: it is not a duration. */
bool request_duration(const struct evkeyvalq *parameters, const char *name, uint64_t *ms);

void requests_put_lock(struct request *request, const char *name, bool create);
void requests_delete_lock(struct request *request, const char *name);
void requests_get_lock(struct request *request, const char *name);
void requests_list_locks(struct request *request, const struct evkeyvalq *parameters);
void requests_heartbeat(struct request *request, const char *holder);
void requests_open_stream(
    struct request *request, const char *holder, const struct evkeyvalq *parameters);

#endif
