/* The parts of one store over Leases. */
#ifndef MPSYNC_STORES_KUBE_BACKEND_H
#define MPSYNC_STORES_KUBE_BACKEND_H

#include "api.h"
#include "names.h"
#include "once.h"
#include "owner.h"
#include "pod.h"
#include "query.h"
#include "stores/records/records.h"

struct backend {
	struct record_backend base;
	struct kube_api *api;
	struct kube_names *names;
	struct kube_queries *queries;
	struct kube_pod *pod;     /* shows who leads; NULL: nothing does */
	struct kube_owner *owner; /* owns election Leases; NULL: nobody does */
	char *collection;         /* the path of the Leases */
	struct store *store;      /* NULL: the store is being opened */
	struct kube_ear ear;      /* is told what is wrong and concerns no claim */
	struct once litter;       /* it was said that free Leases stay behind */
	uint64_t further_ms;      /* the option request_timeout; 0: a sixth of the ttl */
};

#endif
