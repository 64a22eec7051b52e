/* What the store over Leases makes of an API server's answers and of its watches' events. */
#include "unit.h"

#include "kube_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UID "a2b10c66-c4b5-4b53-a4ff-6f5c9a2ea0b1"
#define LEASE(version, holder)                                                                     \
	"{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID "\",\"resourceVersion\":\"" version             \
	"\"},\"spec\":{\"holderIdentity\":\"" holder "\",\"leaseDurationSeconds\":15}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}"
/* Ours, an election. */
#define OWN_LEASE                                                                                  \
	"{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID "\",\"resourceVersion\":\"5\",\"annotations\":" \
	"{\"metaparticle.io/claim\":\"" CLAIM "\"},\"labels\":{\"metaparticle.io/type\":"              \
	"\"election\"}},\"spec\":{\"holderIdentity\":\"me_" CLAIM "\",\"leaseDurationSeconds\":15}}"

static const char *const no_options[] = {NULL};

/* ---- A request of the records, and what it came to ---- */

struct asker {
	struct record_request request;
	unsigned answers;
	enum record_result result;
	char holder[100];
};

static void on_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct asker *asker = (struct asker *)request;

	(void)status, (void)message, (void)retry_in_ms;
	asker->answers++;
	asker->result = result;
	snprintf(
	    asker->holder, sizeof asker->holder, "%s", record && record->holder ? record->holder : "");
}

static struct asker asker_of(void)
{
	return (struct asker){.request = {.name = "x",
	                          .claim = {{1}},
	                          .ttl_ms = 15000,
	                          .done = on_done,
	                          .record = {.holder = (char *)"me", .ttl_ms = 15000}}};
}

static void look(struct kube_world *world, struct asker *asker, bool fresh)
{
	asker->request.fresh = fresh;
	asker->answers = 0;
	world->backend->ops->read(world->backend, &asker->request);
}

/* Somebody waits for the name, which is held: a watch keeps it up to date. */
static struct asker watching(struct kube_world *world)
{
	struct asker asker = asker_of();

	world->backend->ops->watch(world->backend, "x", true);
	look(world, &asker, true);
	answer_json("GET", 200, LEASE("5", "a"));
	assert_string_equal(asker.holder, "a");
	return asker;
}

static void knows(struct kube_world *world, struct asker *asker, const char *holder)
{
	look(world, asker, false);
	assert_int_equal(asker->answers, 1);
	assert_int_equal(asker->result, RECORD_OK);
	assert_string_equal(asker->holder, holder);
}

/* ---- Watches ---- */

static void test_an_old_event_does_not_undo_a_newer_one(void **state)
{
	struct kube_world world;
	struct asker asker;

	(void)state;
	kube_world_begin(&world, no_options);
	asker = watching(&world);
	send_event(EVENT("MODIFIED", LEASE("9", "b")));
	knows(&world, &asker, "b");
	send_event(EVENT("MODIFIED", LEASE("8", "a")));
	knows(&world, &asker, "b");
	kube_world_end(&world);
}

static void test_what_an_ended_watch_told_is_asked_for_again(void **state)
{
	struct kube_world world;
	struct asker asker;

	(void)state;
	kube_world_begin(&world, no_options);
	asker = watching(&world);
	send_event(EVENT("MODIFIED", LEASE("9", "b")));
	knows(&world, &asker, "b");
	end_watch(0);
	look(&world, &asker, false);
	assert_int_equal(asker.answers, 0);
	answer_json("GET", 200, LEASE("10", "c"));
	assert_string_equal(asker.holder, "c");
	kube_world_end(&world);
}

/* Goal: one server of several may be behind the others, and lists what was there before. */
static void test_a_list_from_before_takes_nothing_away(void **state)
{
	struct kube_world world;
	struct asker asker;

	(void)state;
	kube_world_begin(&world, no_options);
	asker = watching(&world);
	send_event(EVENT("MODIFIED", LEASE("9", "b")));
	end_watch(410);
	event_base_loop(world.loop.base, EVLOOP_ONCE);
	answer_json("GET", 200, "{\"metadata\":{\"resourceVersion\":\"4\"},\"items\":[]}");
	knows(&world, &asker, "b");
	kube_world_end(&world);
}

/* ---- Observers ---- */

struct spy {
	struct store_observer observer;
	char holder[100];
};

static void on_changed(struct store_observer *observer, const struct store_lock *lock)
{
	struct spy *spy = (struct spy *)observer;

	snprintf(spy->holder, sizeof spy->holder, "%s", lock->holder);
}

static void on_gone(struct store_observer *observer, const char *name)
{
	(void)observer, (void)name;
}

static void on_synced(struct store_observer *observer)
{
	(void)observer;
}

/* Goal: what this process has read itself, before the watch tells it, is news to observers. */
static void test_an_observer_is_told_what_a_request_has_read(void **state)
{
	struct spy spy = {
	    .observer = {.name = "x", .changed = on_changed, .gone = on_gone, .synced = on_synced}};
	struct kube_world world;
	struct asker asker;

	(void)state;
	kube_world_begin(&world, no_options);
	asker = watching(&world);
	world.store->ops->observe(world.store, &spy.observer);
	assert_string_equal(spy.holder, "a");
	look(&world, &asker, true);
	answer_json("GET", 200, LEASE("9", "b"));
	assert_string_equal(spy.holder, "a");
	send_event(EVENT("MODIFIED", LEASE("9", "b")));
	assert_string_equal(spy.holder, "b");
	world.store->ops->observe_stop(world.store, &spy.observer);
	kube_world_end(&world);
}

/* ---- Requests ---- */

static void test_a_write_that_was_sent_twice_is_uncertain(void **state)
{
	struct kube_world world;
	struct asker asker = asker_of();

	(void)state;
	kube_world_begin(&world, no_options);
	world.backend->ops->write(world.backend, &asker.request);
	answer("PATCH", &(struct kube_answer){.status = 409, .further = true});
	assert_int_equal(asker.result, RECORD_CONFLICT);
	assert_true(asker.request.uncertain);
	world.backend->ops->write(world.backend, &asker.request);
	answer("PATCH", &(struct kube_answer){.status = 409});
	assert_false(asker.request.uncertain);
	kube_world_end(&world);
}

static void test_a_request_that_nobody_waits_for_is_ended(void **state)
{
	struct kube_world world;
	struct asker asker = asker_of();

	(void)state;
	kube_world_begin(&world, no_options);
	world.backend->ops->write(world.backend, &asker.request);
	world.backend->ops->cancel(world.backend, &asker.request);
	assert_int_equal(cancelled(), 1);
	assert_null(asked());
	assert_int_equal(asker.answers, 0);
	kube_world_end(&world);
}

/* ---- Lists ---- */

struct listing {
	struct store_query query;
	char names[100];
	bool done;
};

static void on_found(struct store_query *query, const struct store_lock *lock)
{
	struct listing *listing = (struct listing *)query;

	strcat(listing->names, lock->name);
	strcat(listing->names, ",");
}

static void on_listed(struct store_query *query, enum mpsync_status status, const char *message)
{
	(void)message;
	assert_int_equal(status, MPSYNC_OK);
	((struct listing *)query)->done = true;
}

#define NAMED(name)                                                                                \
	"{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" UID                                          \
	"\",\"resourceVersion\":\"7\"},\"spec\":{\"holderIdentity\":\"a\"}}"

/* Goal: behind this name, from both of the server's pages, in order, and no more than asked for. */
static void test_a_list_goes_on_behind_the_one_before(void **state)
{
	struct kube_world world;
	struct listing listing = {.query = {.kind = STORE_LIST,
	                              .prefix = "",
	                              .after = "b",
	                              .limit = 2,
	                              .found = on_found,
	                              .done = on_listed}};

	(void)state;
	kube_world_begin(&world, no_options);
	world.backend->ops->query(world.backend, &listing.query);
	answer_json("GET", 200,
	    "{\"metadata\":{\"continue\":\"more\"},\"items\":[" NAMED("e") "," NAMED("b") "]}");
	assert_non_null(strstr(asked()->path, "continue=more"));
	answer_json("GET", 200, "{\"items\":[" NAMED("d") "," NAMED("c") "," NAMED("a") "]}");
	assert_true(listing.done);
	assert_string_equal(listing.names, "c,d,");
	kube_world_end(&world);
}

/* ---- Owners and Pods ---- */

static void test_an_owner_that_could_not_be_read_is_asked_for_again(void **state)
{
	static const char *const options[] = {"lease_owner", "v1/configmaps/web", NULL};
	struct kube_world world;
	struct asker asker = asker_of();

	(void)state;
	kube_world_begin(&world, options);
	asker.request.create = true;
	asker.request.record.election = true;
	world.backend->ops->write(world.backend, &asker.request);
	assert_string_equal(asked()->path, "/api/v1/namespaces/default/configmaps/web");
	answer("GET", &(struct kube_answer){.unknown = true, .message = "no answer"});
	assert_int_equal(asker.result, RECORD_UNKNOWN);
	world.backend->ops->write(world.backend, &asker.request);
	answer_json("GET", 200,
	    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"web\",\"uid\":"
	    "\"" UID "\"}}");
	assert_non_null(strstr(asked()->body, "ownerReferences"));
	answer_json("POST", 201, OWN_LEASE);
	assert_int_equal(asker.result, RECORD_OK);
	kube_world_end(&world);
}

#define POD "{\"metadata\":{\"name\":\"p\"}}"

static void test_the_label_goes_when_another_leads(void **state)
{
	static const char *const options[] = {"label_leader", "yes", NULL};
	struct kube_world world;
	struct asker asker = asker_of();

	(void)state;
	setenv("POD_NAME", "p", 1);
	kube_world_begin(&world, options);
	answer_json("PATCH", 200, POD); /* no former process left a label */
	asker.request.create = true;
	asker.request.claim = (struct id){{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
	asker.request.record.election = true;
	asker.request.record.deadline_ms = UINT32_MAX;
	world.backend->ops->write(world.backend, &asker.request);
	answer_json("POST", 201, OWN_LEASE);
	assert_non_null(strstr(asked()->body, "\"leader.metaparticle.io/x\":\"true\""));
	answer_json("PATCH", 200, POD);
	look(&world, &asker, true);
	answer_json("GET", 200, OWN_LEASE);
	assert_null(asked()); /* it leads as before */
	look(&world, &asker, true);
	answer_json("GET", 200, LEASE("9", "b"));
	assert_non_null(strstr(asked()->body, "\"leader.metaparticle.io/x\":null"));
	answer_json("PATCH", 200, POD);
	kube_world_end(&world);
	unsetenv("POD_NAME");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_old_event_does_not_undo_a_newer_one),
	    cmocka_unit_test(test_what_an_ended_watch_told_is_asked_for_again),
	    cmocka_unit_test(test_a_list_from_before_takes_nothing_away),
	    cmocka_unit_test(test_an_observer_is_told_what_a_request_has_read),
	    cmocka_unit_test(test_a_write_that_was_sent_twice_is_uncertain),
	    cmocka_unit_test(test_a_request_that_nobody_waits_for_is_ended),
	    cmocka_unit_test(test_a_list_goes_on_behind_the_one_before),
	    cmocka_unit_test(test_an_owner_that_could_not_be_read_is_asked_for_again),
	    cmocka_unit_test(test_the_label_goes_when_another_leads),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
