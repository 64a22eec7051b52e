/* Observers of names, and the watches that tell them of changes. */
#include "store.h"

#include "base/list.h"

#include <stdlib.h>

#define WATCH_RETRY_MS 1000

struct etcd_observing {
	struct etcd_watch watch;
	struct etcd_observing *next;
	struct etcd *etcd;
	struct store_observer *observer;
	char *path;
	uint64_t retry_ms; /* CLAIM_NEVER: it watches */
};

static void changed(struct etcd_watch *watch)
{
	struct etcd_observing *observing = (struct etcd_observing *)watch;

	observers_changed(&observing->etcd->observers, observing->observer->name);
}

static void on_put(struct etcd_watch *watch, const struct etcd_key *key)
{
	(void)key;
	changed(watch);
}

static void on_gone(struct etcd_watch *watch, const char *key, int64_t revision)
{
	(void)key, (void)revision;
	changed(watch);
}

static void on_ended(struct etcd_watch *watch)
{
	struct etcd_observing *observing = (struct etcd_observing *)watch;

	observing->retry_ms = etcd_now(observing->etcd) + WATCH_RETRY_MS;
	etcd_arm(observing->etcd);
}

static void start_watching(struct etcd_observing *observing)
{
	observing->retry_ms = CLAIM_NEVER;
	observing->watch = (struct etcd_watch){.key = observing->path,
	    .all = true,
	    .began = changed,
	    .put = on_put,
	    .gone = on_gone,
	    .ended = on_ended};
	etcd_watch(observing->etcd->rpc, &observing->watch);
}

/* ---- Silence ---- */

static void listen_later(struct etcd *etcd)
{
	etcd->listen_ms = etcd_now(etcd) + etcd->quiet_ms / 2;
	etcd_arm(etcd);
}

/* Watches end with the connection that hangs, and begin anew on another one. */
static void on_listened(struct etcd_call *call, const struct etcd_answer *answer)
{
	struct etcd *etcd = call->context;

	if (answer->result == ETCD_UNKNOWN)
		etcd_next_member(etcd->rpc);
	listen_later(etcd);
}

/*
 * Where nothing changes a watch is silent, and so it is where its connection hangs: a request on
 * that connection tells the two apart, within a ttl.
 */
static void listen_for_life(struct etcd *etcd)
{
	etcd->listen_ms = CLAIM_NEVER;
	etcd->listening = (struct etcd_call){.kind = ETCD_TXN,
	    .then = {{.kind = ETCD_GET, .key = etcd->observing->path}},
	    .then_count = 1,
	    .timeout_ms = etcd->quiet_ms / 2,
	    .done = on_listened,
	    .context = etcd};
	etcd_send(etcd->rpc, &etcd->listening);
}

/* ---- Beginning and ending ---- */

void etcd_observe(struct store *store, struct store_observer *observer)
{
	struct etcd *etcd = (struct etcd *)store;
	struct etcd_observing *observing = calloc(1, sizeof *observing);
	char *path = observer->name ? etcd_queue_path(etcd->prefix, observer->name)
	                            : etcd_sessions_path(etcd->prefix);

	if (!observing || !path) {
		free(observing);
		free(path);
		observer->failed(observer, MPSYNC_E_NO_MEMORY, "out of memory");
		return;
	}
	observing->etcd = etcd;
	observing->observer = observer;
	observing->path = path;
	SINGLY_ADD(etcd->observing, observing);
	if (!observing->next)
		listen_later(etcd);
	start_watching(observing);
	observers_add(&etcd->observers, observer);
}

void etcd_observe_stop(struct store *store, struct store_observer *observer)
{
	struct etcd *etcd = (struct etcd *)store;
	struct etcd_observing **link = &etcd->observing;
	struct etcd_observing *observing;

	observers_remove(&etcd->observers, observer);
	while (*link && (*link)->observer != observer)
		link = &(*link)->next;
	observing = *link;
	if (!observing)
		return;
	*link = observing->next;
	if (!etcd->observing)
		etcd_cancel(&etcd->listening);
	etcd_unwatch(&observing->watch);
	free(observing->path);
	free(observing);
}

void etcd_observe_run(struct etcd *etcd, uint64_t now_ms)
{
	for (struct etcd_observing *observing = etcd->observing; observing; observing = observing->next)
		if (observing->retry_ms <= now_ms)
			start_watching(observing);
	if (etcd->observing && etcd->listen_ms <= now_ms)
		listen_for_life(etcd);
}

uint64_t etcd_observe_due_ms(const struct etcd *etcd)
{
	uint64_t due_ms = etcd->observing ? etcd->listen_ms : CLAIM_NEVER;

	for (const struct etcd_observing *observing = etcd->observing; observing;
	     observing = observing->next)
		if (observing->retry_ms < due_ms)
			due_ms = observing->retry_ms;
	return due_ms;
}

void etcd_observe_close(struct etcd *etcd)
{
	while (etcd->observing)
		etcd_observe_stop(&etcd->store, etcd->observing->observer);
}
