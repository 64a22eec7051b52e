/* One request of the records store to the API server: it reads, writes or removes a Lease. */
#ifndef MPSYNC_STORES_KUBE_FLIGHT_H
#define MPSYNC_STORES_KUBE_FLIGHT_H

#include "backend.h"

enum operation { READ, WRITE, REMOVE };

/* Begin the request, which is answered in any case, perhaps at once. */
void flight_begin(
    struct backend *backend, struct record_request *request, enum operation operation);
/* Cancel the request: it is not answered any more. */
void flight_cancel(struct record_request *request);

#endif
