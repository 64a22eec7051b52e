/*
 * An elector that starts asks its store once whether it answers, and may be used, so that its log
 * says what is wrong before anybody has asked for a lock: at once, and each minute while nobody
 * answers.
 */
#ifndef MPSYNC_ELECTOR_CHECKUP_H
#define MPSYNC_ELECTOR_CHECKUP_H

#include "net/loop.h"
#include "protocol/store.h"

#include <event2/event.h>

struct checkup {
	struct store *store;
	struct event *again;
	struct store_query query;
	void (*say)(void *context, const char *message);
	bool asking;
	bool told;
};

/* Stays where it is until its end. False without memory. */
bool checkup_begin(struct checkup *checkup, struct event_base *base, struct store *store,
    void (*say)(void *context, const char *message));
/* While the store is there. Zeroed, it has not begun. */
void checkup_end(struct checkup *checkup);

#endif
