/*
 * When an elector starts, it asks its store whether it answers and may be used, so that the log
 * says what is wrong before anybody asks for a lock: at once, and each minute while the store does
 * not answer.
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

/* The checkup must not be moved until checkup_end. False without memory. */
bool checkup_begin(struct checkup *checkup, struct event_base *base, struct store *store,
    void (*say)(void *context, const char *message));
/* Before the store is closed. A checkup that is all zero has not begun. */
void checkup_end(struct checkup *checkup);

#endif
