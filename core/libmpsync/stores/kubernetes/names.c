#include "names.h"

#include "base/list.h"
#include "base/text.h"
#include "lease.h"
#include "watch.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* So many names have a watch each; with more, one watch of the namespace serves all of them. */
#define MOST_SINGLE 4

struct name {
	struct name *next;
	struct name *previous;
	struct kube_names *names;
	char *name;
	uint32_t watchers;
	struct kube_watch *watch; /* of this name alone; NULL: there is none */
	struct record last;
	bool there;           /* `last` is stored now */
	bool unwatched;       /* the last watch of this name was refused */
	bool known;           /* a watch told it, or it was read while there was one */
	bool untold;          /* read before its event came: other observers do not know it yet */
	uint64_t version;     /* the newest that is known */
	uint64_t list_number; /* the last list that had this name */
};

struct kube_names {
	struct record_backend *backend;
	struct kube_api *api;
	struct loop *loop;
	char *collection;
	uint32_t quiet_ms;
	void *tree; /* for tsearch, of struct name */
	struct name *all;
	struct kube_watch *whole; /* of the whole namespace; NULL: there is none */
	bool whole_listed;
	bool whole_refused; /* the account may watch single names only */
	uint32_t everyone;  /* observers of all names */
	unsigned singles;
	uint64_t list_number;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

static struct name *find(struct kube_names *names, const char *text)
{
	struct name probe = {.name = (char *)text};
	struct name **found = tfind(&probe, &names->tree, compare);

	return found ? *found : NULL;
}

static struct name *find_or_add(struct kube_names *names, const char *text)
{
	struct name *name = find(names, text);

	if (name)
		return name;
	name = calloc(1, sizeof *name);
	if (!name)
		return NULL;
	name->names = names;
	name->name = strdup(text);
	if (!name->name || !tsearch(name, &names->tree, compare)) {
		free(name->name);
		free(name);
		return NULL;
	}
	DOUBLY_ADD(names->all, name);
	return name;
}

static void stop_single(struct name *name)
{
	if (!name->watch)
		return;
	kube_watch_free(name->watch);
	name->watch = NULL;
	name->names->singles--;
}

static void drop(struct name *name)
{
	struct kube_names *names = name->names;

	stop_single(name);
	DOUBLY_REMOVE(names->all, name);
	tdelete(name, &names->tree, compare);
	record_clear(&name->last);
	free(name->name);
	free(name);
}

/*
 * Where everything is watched, a name without waiters is kept too: lists are answered from these
 * names.
 */
static void drop_if_idle(struct name *name)
{
	if (name->watchers == 0 && !(name->there && name->names->everyone > 0))
		drop(name);
}

/* ---- What is told ---- */

/* A renewal, or another program's annotation, is no news to observers. */
static bool is_news(const struct name *name, const struct record *record)
{
	return !name->known || !name->there || !id_equal(&name->last.uid, &record->uid) ||
	       !id_equal(&name->last.claim, &record->claim) ||
	       !text_same(name->last.holder, record->holder) ||
	       !text_same(name->last.value, record->value) || name->last.revoked != record->revoked;
}

static void remember(struct name *name, const struct record *record)
{
	record_clear(&name->last);
	name->there = record && record_copy(&name->last, record);
	name->known = name->there || !record;
	if (record)
		name->version = record->version;
}

/* Telling may end the watching of the name, so the name is not touched afterwards. */
static void tell(struct name *name, const struct record *record)
{
	struct records *records = name->names->backend->records;
	const bool news = !record || name->untold || is_news(name, record);
	char *text = strdup(name->name);

	remember(name, record);
	name->untold = false;
	drop_if_idle(name);
	if (text && news)
		records_changed(records, text, true, record);
	else if (text)
		records_seen(records, text, record);
	free(text);
}

static void tell_object(struct kube_names *names, const cJSON *object, bool deleted)
{
	const char *text = lease_lock_name(object);
	const uint64_t version = lease_version(object);
	struct name *name = text ? find(names, text) : NULL;
	char problem[LEASE_PROBLEM_SIZE];
	struct record record;

	if (text && !name && names->everyone > 0 && !deleted)
		name = find_or_add(names, text);
	if (!name || version < name->version)
		return;
	name->list_number = names->list_number;
	name->version = version;
	name->unwatched = false;
	if (!lease_read(object, text, &record, problem)) {
		/*
		 * A contender that reads this Lease is told what is wrong with it; lists show what can be
		 * shown.
		 */
		if (lease_look(object, text, &record, problem))
			remember(name, deleted ? NULL : &record);
		record_clear(&record);
		name->known = false;
		records_changed(names->backend->records, text, false, NULL);
		return;
	}
	/*
	 * The event of a deletion has the last state of the Lease, which may show that it was released
	 * before.
	 */
	if (!deleted || !record.holder)
		tell(name, &record);
	name = deleted ? find(names, text) : NULL;
	if (name)
		tell(name, NULL);
	record_clear(&record);
}

static struct name *next_unlisted(struct kube_names *names, uint64_t version)
{
	struct name *name = names->all;

	while (name && (name->list_number == names->list_number || name->version >= version))
		name = name->next;
	return name;
}

static void on_whole_object(void *context, const cJSON *object, bool deleted)
{
	tell_object(context, object, deleted);
}

static void on_whole_listed(void *context, uint64_t version)
{
	struct kube_names *names = context;
	struct name *name;

	for (name = names->all; name; name = name->next)
		stop_single(name);
	while ((name = next_unlisted(names, version))) {
		name->list_number = names->list_number;
		name->version = version;
		tell(name, NULL);
	}
	names->whole_listed = true;
	names->list_number++;
}

static void on_single_object(void *context, const cJSON *object, bool deleted)
{
	const struct name *name = context;

	tell_object(name->names, object, deleted);
}

static void on_single_listed(void *context, uint64_t version)
{
	struct name *name = context;

	if (version <= name->version)
		return;
	name->version = version;
	tell(name, NULL);
}

static void on_single_refused(void *context, const struct kube_answer *answer)
{
	struct name *name = context;
	struct kube_names *names = name->names;
	const bool news = !name->unwatched;

	stop_single(name);
	name->unwatched = true;
	records_unwatched(names->backend->records, name->name, answer->problem, answer->message);
	/* Once: a waiter that asks again does so in its own time, so this is no loop. */
	if (news)
		records_changed(names->backend->records, name->name, false, NULL);
}

/* ---- Watching ---- */

static void start_single(struct name *name, uint64_t version)
{
	struct kube_names *names = name->names;
	const struct kube_watch_sink sink = {.object = on_single_object,
	    .listed = on_single_listed,
	    .refused = on_single_refused,
	    .context = name};
	char object[LEASE_NAME_SIZE];

	if (name->watch || !lease_object_name(name->name, object))
		return;
	name->watch = kube_watch_new(
	    names->api, names->loop, names->collection, object, version, names->quiet_ms, &sink);
	names->singles += name->watch != NULL;
}

/* A Role may be limited to names, so from now on names are watched one by one. */
static void on_whole_refused(void *context, const struct kube_answer *answer)
{
	struct kube_names *names = context;

	kube_watch_free(names->whole);
	names->whole = NULL;
	names->whole_refused = true;
	if (names->everyone > 0)
		records_unwatched(names->backend->records, NULL, answer->problem, answer->message);
	for (struct name *name = names->all; name; name = name->next)
		if (name->watchers > 0)
			start_single(name, 0);
}

static void start_whole(struct kube_names *names)
{
	const struct kube_watch_sink sink = {.object = on_whole_object,
	    .listed = on_whole_listed,
	    .refused = on_whole_refused,
	    .context = names};

	if (names->whole || names->whole_refused)
		return;
	names->list_number++;
	names->whole_listed = false;
	names->whole =
	    kube_watch_new(names->api, names->loop, names->collection, NULL, 0, names->quiet_ms, &sink);
}

static void stop_whole_if_idle(struct kube_names *names)
{
	const struct name *name = names->all;

	if (!names->whole || names->everyone > 0)
		return;
	while (name && name->watchers == 0)
		name = name->next;
	if (name)
		return;
	kube_watch_free(names->whole);
	names->whole = NULL;
}

static void watch_all(struct kube_names *names, bool on)
{
	struct name *next;

	names->everyone += on ? 1 : (uint32_t)-1;
	if (on) {
		names->whole_refused = false; /* if the watch is refused again, this observer is told */
		start_whole(names);
	}
	for (struct name *name = names->everyone ? NULL : names->all; name; name = next) {
		next = name->next;
		drop_if_idle(name);
	}
	stop_whole_if_idle(names);
}

void kube_names_watch(struct kube_names *names, const char *text, bool on)
{
	struct name *name = !text ? NULL : on ? find_or_add(names, text) : find(names, text);

	if (!text) {
		watch_all(names, on);
	} else if (name && on) {
		name->watchers++;
	} else if (name && name->watchers > 0 && --name->watchers == 0) {
		stop_single(name);
		drop_if_idle(name);
		stop_whole_if_idle(names);
	}
}

void kube_names_read(
    struct kube_names *names, const char *text, const struct record *record, const struct id *claim)
{
	struct name *name = find(names, text);
	const bool observer = id_is_none(claim);
	const bool anothers =
	    record && ((record->holder && !id_equal(&record->claim, claim)) || record->next);

	if (!name || (record && record->version < name->version))
		return;
	if (record) {
		name->untold = name->untold || is_news(name, record);
		remember(name, record);
	}
	if (name->watch || names->whole || name->watchers == 0 || !(observer || anothers))
		return;
	if (names->singles < MOST_SINGLE || names->whole_refused)
		start_single(name, record ? record->version : 0);
	else
		start_whole(names);
}

bool kube_names_know(struct kube_names *names, const char *text, const struct record **record)
{
	const struct name *name = find(names, text);
	const bool whole = names->whole_listed && kube_watch_is_live(names->whole);

	*record = name && name->there ? &name->last : NULL;
	if (!name)
		return whole && names->everyone > 0;
	return name->known && (whole || kube_watch_is_live(name->watch));
}

bool kube_names_know_all(const struct kube_names *names)
{
	return names->everyone > 0 && names->whole_listed && kube_watch_is_live(names->whole);
}

void kube_names_each(struct kube_names *names,
    void (*each)(void *context, const char *name, const struct record *record), void *context)
{
	for (const struct name *name = names->all; name; name = name->next)
		if (name->there)
			each(context, name->name, &name->last);
}

struct kube_names *kube_names_new(struct record_backend *backend, struct kube_api *api,
    struct loop *loop, const char *collection, uint32_t quiet_ms)
{
	struct kube_names *names = calloc(1, sizeof *names);

	if (!names)
		return NULL;
	names->backend = backend;
	names->api = api;
	names->loop = loop;
	names->quiet_ms = quiet_ms;
	names->collection = strdup(collection);
	if (names->collection)
		return names;
	free(names);
	return NULL;
}

void kube_names_free(struct kube_names *names)
{
	if (!names)
		return;
	while (names->all)
		drop(names->all);
	kube_watch_free(names->whole);
	free(names->collection);
	free(names);
}
