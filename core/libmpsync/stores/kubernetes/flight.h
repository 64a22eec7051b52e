/* One request of the records to the API server: a read, a write or a removal of a Lease. */
#ifndef MPSYNC_STORES_KUBE_FLIGHT_H
#define MPSYNC_STORES_KUBE_FLIGHT_H

#include "backend.h"

enum operation { READ, WRITE, REMOVE };

/* The request is answered in any case, perhaps at once. */
void flight_begin(
    struct backend *backend, struct record_request *request, enum operation operation);
/* The request is not answered any more. */
void flight_cancel(struct record_request *request);

#endif
