#include "page.h"

#include "lease.h"

#include <stdio.h>
#include <stdlib.h>

#define LEASES_PER_PAGE 500
#define LEAST_PER_PAGE  1
/*
 * A page becomes a fifth as long each time. Even if each Lease has the largest size that etcd
 * keeps, three requests are enough to find that out.
 */
#define SHORTER 5
/* Bytes of a page of several Leases: an elector has 64 MiB in all. */
#define MOST_BYTES ((size_t)4 * 1024 * 1024)

static unsigned size_of(const struct kube_page *page)
{
	unsigned size = LEASES_PER_PAGE;

	for (unsigned i = 0; i < page->fewer; i++)
		size /= SHORTER;
	return size > LEAST_PER_PAGE ? size : LEAST_PER_PAGE;
}

char *kube_page_path(const struct kube_page *page, const char *collection, const char *selector)
{
	char *path = NULL;

	if (asprintf(&path, "%s?limit=%u%s%s%s%s", collection, size_of(page),
	        page->next ? "&continue=" : "", page->next ? page->next : "", *selector ? "&" : "",
	        selector) < 0)
		return NULL;
	return path;
}

size_t kube_page_most(const struct kube_page *page)
{
	return size_of(page) > LEAST_PER_PAGE ? MOST_BYTES : 0;
}

bool kube_page_shorten(struct kube_page *page, const struct kube_answer *answer)
{
	if (!answer->too_long || size_of(page) == LEAST_PER_PAGE)
		return false;
	page->fewer++;
	return true;
}

bool kube_page_turn(struct kube_page *page, const cJSON *list)
{
	free(page->next);
	page->next = lease_next_page(list);
	return page->next;
}

void kube_page_clear(struct kube_page *page)
{
	free(page->next);
	page->next = NULL;
}
