/*
 * Where a list of Leases stands. A namespace may have tens of thousands, of anybody's: they are
 * listed in pages, which get shorter where the Leases are long.
 */
#ifndef MPSYNC_STORES_KUBE_PAGE_H
#define MPSYNC_STORES_KUBE_PAGE_H

#include "api.h"

/* Zeroed, it is the first page of a list. */
struct kube_page {
	char *next;     /* where the list goes on; NULL: at its beginning */
	unsigned fewer; /* so often it was shortened */
};

/* `selector`: of objects, as a query; "" for all. Owned by the caller; NULL without memory. */
char *kube_page_path(const struct kube_page *page, const char *collection, const char *selector);
/* Bytes of its answer; as kube_request's. */
size_t kube_page_most(const struct kube_page *page);
/* After an answer that was too long; false: there is no shorter page. */
bool kube_page_shorten(struct kube_page *page, const struct kube_answer *answer);
/* To the page behind this list's; false: it was the last, and a list would begin anew. */
bool kube_page_turn(struct kube_page *page, const cJSON *list);
void kube_page_clear(struct kube_page *page);

#endif
