/* What goes wrong again and again is said once, until it works again. */
#ifndef MPSYNC_STORES_KUBE_ONCE_H
#define MPSYNC_STORES_KUBE_ONCE_H

#include "api.h"

/* Who listens. */
struct kube_ear {
	void (*say)(void *context, const char *message);
	void *context;
};

struct once {
	bool said;
};

void once_say(struct once *once, const struct kube_ear *ear, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says what a refusal means, and what the server said of it. Where nobody answered nothing is
 * known. */
void once_hear(struct once *once, const struct kube_ear *ear, const struct kube_answer *answer,
    const char *meaning);

#endif
