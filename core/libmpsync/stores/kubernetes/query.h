/* Queries that concern no claim: what is permitted, and what is held. */
#ifndef MPSYNC_STORES_KUBE_QUERY_H
#define MPSYNC_STORES_KUBE_QUERY_H

#include "names.h"

struct kube_queries;

/* NULL without memory. Texts are copied. */
struct kube_queries *kube_queries_new(struct kube_api *api, struct kube_names *names,
    const char *collection, const char *namespace_name, const struct store_clock *clock);
void kube_queries_free(struct kube_queries *queries);

void kube_query(struct kube_queries *queries, struct store_query *query);
void kube_query_cancel(struct kube_queries *queries, struct store_query *query);

#endif
