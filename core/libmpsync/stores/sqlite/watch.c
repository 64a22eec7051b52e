#include "store.h"

#include "base/list.h"
#include "base/process.h"
#include "path.h"

#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* The event of a write to the -wal comes before its commit can be read. */
#define WAL_SETTLES_MS 10
/*
 * How often waiters look at the file when the user has no inotify instance left (the kernel gives
 * 128 to each user).
 */
#define LOOK_EVERY_MS 20

/* A holder whose death a waiter of this client waits for. */
struct watched_holder {
	struct watched_holder *next;
	struct sqlite *sqlite;
	char *name;
	struct record_host host;
	struct event *event;
	int descriptor;
};

/* ---- Holders whose death is awaited ---- */

static void drop_holder(struct watched_holder *holder)
{
	SINGLY_REMOVE(holder->sqlite->holders, holder);
	event_free(holder->event);
	close(holder->descriptor);
	free(holder->name);
	free(holder);
}

static void on_holder_ended(evutil_socket_t descriptor, short what, void *context)
{
	struct watched_holder *holder = context;
	struct sqlite *sqlite = holder->sqlite;
	char *name = holder->name;

	(void)descriptor, (void)what;
	holder->name = NULL;
	drop_holder(holder);
	records_changed(sqlite->base.records, name, false, NULL);
	free(name);
}

static struct watched_holder *find_holder(struct sqlite *sqlite, const char *name)
{
	struct watched_holder *holder = sqlite->holders;

	while (holder && strcmp(holder->name, name) != 0)
		holder = holder->next;
	return holder;
}

static bool same_process(const struct record_host *a, const struct record_host *b)
{
	return a->pid == b->pid && a->pid_start == b->pid_start && a->pidns == b->pidns &&
	       id_equal(&a->boot, &b->boot);
}

static void watch_holder(
    struct sqlite *sqlite, const char *name, const struct record_host *host, int descriptor)
{
	struct watched_holder *holder = calloc(1, sizeof *holder);

	if (holder) {
		holder->name = strdup(name);
		holder->event = event_new(sqlite->loop->base, descriptor, EV_READ, on_holder_ended, holder);
	}
	if (!holder || !holder->name || !holder->event || event_add(holder->event, NULL) != 0) {
		if (holder) {
			free(holder->name);
			if (holder->event)
				event_free(holder->event);
		}
		free(holder);
		close(descriptor);
		return;
	}
	holder->sqlite = sqlite;
	holder->host = *host;
	holder->descriptor = descriptor;
	SINGLY_ADD(sqlite->holders, holder);
}

bool sqlite_holder_is_dead(struct sqlite *sqlite, const char *name, const struct record *record)
{
	struct watched_holder *known = find_holder(sqlite, name);
	const struct record_host *host = &record->host;
	bool dead = false;
	int descriptor;

	if (known && same_process(&known->host, host))
		return false;
	if (known)
		drop_holder(known);
	if (host->pid <= 0 || host->pidns != sqlite->self.pidns ||
	    !id_equal(&host->boot, &sqlite->self.boot) || same_process(host, &sqlite->self))
		return false;
	descriptor = process_watch(host, &dead);
	if (descriptor >= 0 && sqlite->watches > 0)
		watch_holder(sqlite, name, host, descriptor);
	else if (descriptor >= 0)
		close(descriptor);
	return dead;
}

/* ---- The file ---- */

static void watch_files(struct sqlite *sqlite)
{
	char *const *paths = sqlite->file->paths;
	char *folder = sqlite_path_folder(sqlite->path);

	sqlite->notify_watch = inotify_add_watch(sqlite->inotify_fd, paths[SQLITE_NOTIFY], IN_MODIFY);
	inotify_add_watch(sqlite->inotify_fd, paths[SQLITE_WAL], IN_MODIFY);
	if (folder)
		inotify_add_watch(
		    sqlite->inotify_fd, folder, IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM);
	free(folder);
}

void sqlite_watch_again(struct sqlite *sqlite)
{
	if (sqlite->inotify_fd >= 0)
		watch_files(sqlite);
}

static void look_later(struct sqlite *sqlite, long after_ms)
{
	const struct timeval after = {0, after_ms * 1000};

	if (!evtimer_pending(sqlite->settle, NULL))
		evtimer_add(sqlite->settle, &after);
}

static void on_settled(evutil_socket_t descriptor, short what, void *context)
{
	struct sqlite *sqlite = context;

	(void)descriptor, (void)what;
	if (sqlite->watches == 0)
		return;
	records_changed(sqlite->base.records, NULL, false, NULL);
	if (sqlite->inotify_fd < 0)
		look_later(sqlite, LOOK_EVERY_MS);
}

static void on_file_event(evutil_socket_t descriptor, short what, void *context)
{
	struct sqlite *sqlite = context;
	_Alignas(struct inotify_event) char buffer[4096];
	bool notified = false;
	ssize_t length;

	(void)what;
	while ((length = read(descriptor, buffer, sizeof buffer)) > 0) {
		for (char *at = buffer; at < buffer + length;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			notified |= event->wd == sqlite->notify_watch;
			at += sizeof *event + event->len;
		}
	}
	if (sqlite->watches == 0)
		return;
	/* Whoever looks after files came and went opens and watches those that are there now. */
	if (notified) {
		evtimer_del(sqlite->settle);
		records_changed(sqlite->base.records, NULL, false, NULL);
	} else {
		look_later(sqlite, WAL_SETTLES_MS);
	}
}

static void stop_watching(struct sqlite *sqlite)
{
	if (sqlite->notified)
		event_free(sqlite->notified);
	if (sqlite->inotify_fd >= 0)
		close(sqlite->inotify_fd);
	sqlite->notified = NULL;
	sqlite->inotify_fd = -1;
	while (sqlite->holders)
		drop_holder(sqlite->holders);
}

static void start_watching(struct sqlite *sqlite)
{
	if (sqlite->inotify_fd >= 0)
		return;
	sqlite->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (sqlite->inotify_fd < 0) {
		look_later(sqlite, LOOK_EVERY_MS);
		return;
	}
	watch_files(sqlite);
	sqlite->notified = event_new(
	    sqlite->loop->base, sqlite->inotify_fd, EV_READ | EV_PERSIST, on_file_event, sqlite);
	if (!sqlite->notified || event_add(sqlite->notified, NULL) != 0)
		stop_watching(sqlite);
}

void sqlite_watch(struct record_backend *base, const char *name, bool on)
{
	struct sqlite *sqlite = sqlite_of(base);
	struct watched_holder *holder;

	sqlite->watches += on ? 1 : (uint32_t)-1;
	if (on) {
		start_watching(sqlite);
		return;
	}
	holder = name ? find_holder(sqlite, name) : NULL;
	if (holder)
		drop_holder(holder);
	if (sqlite->watches == 0)
		stop_watching(sqlite);
}

/* ---- Beginning and end ---- */

bool sqlite_watch_init(struct sqlite *sqlite)
{
	sqlite->settle = evtimer_new(sqlite->loop->base, on_settled, sqlite);
	return sqlite->settle;
}

void sqlite_watch_clear(struct sqlite *sqlite)
{
	stop_watching(sqlite);
	if (sqlite->settle)
		event_free(sqlite->settle);
}
