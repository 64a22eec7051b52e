/*
 * A page of a list of Leases. A namespace may have tens of thousands of Leases, which are read in
 * pages; where Leases are large, pages get shorter.
 */
#ifndef MPSYNC_STORES_KUBE_PAGE_H
#define MPSYNC_STORES_KUBE_PAGE_H

#include "api.h"

/* Zeroed, it is the first page of a list. */
struct kube_page {
	char *next;     /* where the list continues; NULL: at its beginning */
	unsigned fewer; /* how often pages were shortened */
};

/*
 * `selector` is a query that chooses objects; "" for all. Owned by the caller; NULL without memory.
 */
char *kube_page_path(const struct kube_page *page, const char *collection, const char *selector);
/* The bytes that its answer may have, as kube_request takes them. */
size_t kube_page_most(const struct kube_page *page);
/* Make the page shorter, after an answer that was too long. False: it cannot be shorter. */
bool kube_page_shorten(struct kube_page *page, const struct kube_answer *answer);
/* Go to the next page. False: this was the last one, and the next is the first again. */
bool kube_page_turn(struct kube_page *page, const cJSON *list);
void kube_page_clear(struct kube_page *page);

#endif
