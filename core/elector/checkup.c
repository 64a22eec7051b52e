#include "checkup.h"

#include "base/container.h"

#include <stddef.h>

#define AGAIN_S 60

static bool ask_after(struct checkup *checkup, time_t seconds)
{
	const struct timeval after = {seconds, 0};

	return evtimer_add(checkup->again, &after) == 0;
}

static void on_checked(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct checkup *checkup = CONTAINER_OF(query, struct checkup, query);

	checkup->asking = false;
	if (status == MPSYNC_OK && checkup->told)
		checkup->say(NULL, "the store answers");
	if (status != MPSYNC_OK)
		checkup->say(NULL, message ? message : "the store is silent");
	checkup->told = status != MPSYNC_OK;
	/*
	 * The store refuses: a person has to look at that, and each request for a lock tells it as
	 * well, so it is not asked again.
	 */
	if (status == MPSYNC_E_UNREACHABLE)
		ask_after(checkup, AGAIN_S);
}

static void check(evutil_socket_t descriptor, short what, void *context)
{
	struct checkup *checkup = context;

	(void)descriptor, (void)what;
	checkup->query = (struct store_query){.kind = STORE_CHECK, .done = on_checked};
	checkup->asking = true;
	checkup->store->ops->query(checkup->store, &checkup->query);
}

bool checkup_begin(struct checkup *checkup, struct event_base *base, struct store *store,
    void (*say)(void *context, const char *message))
{
	*checkup = (struct checkup){.store = store, .say = say};
	checkup->again = evtimer_new(base, check, checkup);
	return checkup->again && ask_after(checkup, 0);
}

void checkup_end(struct checkup *checkup)
{
	if (checkup->asking)
		checkup->store->ops->query_cancel(checkup->store, &checkup->query);
	if (checkup->again)
		event_free(checkup->again);
}
