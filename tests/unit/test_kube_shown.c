/*
 * What a leader over Leases shows of itself, and what people are told of what they may: the label
 * of its Pod, Events, and the verbs that are missing.
 */
#include "unit.h"

#include "kube_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UID "a2b10c66-c4b5-4b53-a4ff-6f5c9a2ea0b1"
#define OWN_LEASE(version, holder)                                                                 \
	"{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID "\",\"resourceVersion\":\"" version             \
	"\",\"annotations\":{\"metaparticle.io/claim\":\"" CLAIM                                       \
	"\"},\"labels\":{\"metaparticle.io/type\":\"election\"}},\"spec\":{\"holderIdentity\":" holder \
	",\"leaseDurationSeconds\":15}}"
#define ME        "\"me_" CLAIM "\""
#define POD       "{\"metadata\":{\"name\":\"p\"}}"
#define LABEL     "leader.metaparticle.io/x"
#define LABEL_ON  "\"" LABEL "\":\"true\""
#define LABEL_OFF "\"" LABEL "\":null"

static const char *const no_options[] = {NULL};
static const char *const label[] = {"label_leader", "yes", NULL};
static const char *const events[] = {"leader_events", "yes", NULL};

/* ---- One that leads ---- */

struct leader {
	struct record_request request;
	unsigned answers;
};

static char said[700];

static void note_said(void *context, const char *message)
{
	(void)context;
	snprintf(said, sizeof said, "%s", message);
}

static void on_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	(void)record, (void)status, (void)message, (void)retry_in_ms;
	assert_int_equal(result, RECORD_OK);
	((struct leader *)request)->answers++;
}

static void begin(struct kube_world *world, const char *const *options)
{
	said[0] = '\0';
	setenv("POD_NAME", "p", 1);
	kube_world_begin(world, options);
	world->store->say = note_said;
}

/* It wins the election and renews. */
static struct leader lead(struct kube_world *world)
{
	struct leader leader = {.request = campaign(on_done)};

	world->backend->ops->write(world->backend, &leader.request);
	answer_json("POST", 201, OWN_LEASE("5", ME));
	return leader;
}

static void resign(struct kube_world *world, struct leader *leader)
{
	leader->answers = 0;
	leader->request.create = false;
	leader->request.record = (struct record){.election = true};
	world->backend->ops->write(world->backend, &leader->request);
}

/* ---- The label ---- */

/* Goal: nobody is routed here any more when another can lead. */
static void test_the_label_goes_before_the_lease(void **state)
{
	struct kube_world world;
	struct leader leader;

	(void)state;
	begin(&world, label);
	answer_json("PATCH", 200, POD);
	leader = lead(&world);
	assert_non_null(strstr(asked()->body, LABEL_ON));
	answer_json("PATCH", 200, POD);
	resign(&world, &leader);
	assert_non_null(strstr(asked()->body, LABEL_OFF));
	assert_true(world.backend->ops->finishing(world.backend));
	answer_json("PATCH", 200, POD);
	assert_non_null(strstr(asked()->path, "/leases/x"));
	answer_json("PATCH", 200, OWN_LEASE("6", "null"));
	assert_int_equal(leader.answers, 1);
	assert_false(world.backend->ops->finishing(world.backend));
	kube_world_end(&world);
}

/* Goal: a Pod that cannot be written keeps no lock: it is said once, and the lock is let go. */
static void test_a_label_that_fails_holds_nothing_up(void **state)
{
	const struct kube_answer forbidden = {
	    .refused = true, .problem = MPSYNC_E_FORBIDDEN, .message = "may not patch pods"};
	struct kube_world world;
	struct leader leader;

	(void)state;
	begin(&world, label);
	answer_json("PATCH", 200, POD);
	leader = lead(&world);
	answer("PATCH", &(struct kube_answer){.unknown = true, .message = "no answer"});
	assert_non_null(strstr(said, LABEL));
	assert_non_null(strstr(said, "no answer; trying again"));
	said[0] = '\0';
	resign(&world, &leader); /* it may have been put on all the same */
	assert_non_null(strstr(asked()->body, LABEL_OFF));
	answer("PATCH", &forbidden);
	assert_string_equal(said, "");
	answer_json("PATCH", 200, OWN_LEASE("6", "null"));
	assert_int_equal(leader.answers, 1);
	kube_world_end(&world);
}

/* Goal: the label of a process that was killed in this Pod goes as the next one begins. */
static void test_what_a_former_process_left_is_taken_off(void **state)
{
	struct kube_world world;

	(void)state;
	begin(&world, label);
	answer_json(
	    "PATCH", 200, "{\"metadata\":{\"labels\":{\"app\":\"web\",\"" LABEL "\":\"true\"}}}");
	assert_non_null(strstr(asked()->body, LABEL_OFF));
	answer_json("PATCH", 200, POD);
	assert_null(asked());
	kube_world_end(&world);
}

static void test_labels_and_events_need_the_pods_name(void **state)
{
	struct kube_world world;
	mpsync_error error;

	(void)state;
	unsetenv("POD_NAME");
	assert_false(kube_world_open(&world, label, &error));
	assert_int_equal(error.status, MPSYNC_E_INVALID);
	assert_non_null(strstr(error.message, "POD_NAME"));
}

/* ---- Events ---- */

static void test_events_tell_of_both_ends(void **state)
{
	struct kube_world world;
	struct leader leader;

	(void)state;
	begin(&world, events);
	leader = lead(&world);
	assert_string_equal(asked()->path, "/api/v1/namespaces/default/events");
	assert_non_null(strstr(asked()->body, "p became leader"));
	answer("POST", &(struct kube_answer){
	                   .refused = true, .problem = MPSYNC_E_FORBIDDEN, .message = "may not"});
	assert_string_equal(said, "no Event tells who leads: may not");
	resign(&world, &leader);
	assert_non_null(strstr(asked()->body, "p stopped leading"));
	answer_json("POST", 201, "{}");
	answer_json("PATCH", 200, OWN_LEASE("6", "null"));
	assert_int_equal(leader.answers, 1);
	kube_world_end(&world);
}

/* ---- Questions ---- */

struct question {
	struct store_query query;
	enum mpsync_status status;
	char message[500];
	unsigned found;
};

static void on_found(struct store_query *query, const struct store_lock *lock)
{
	(void)lock;
	((struct question *)query)->found++;
}

static void on_answered(struct store_query *query, enum mpsync_status status, const char *message)
{
	struct question *question = (struct question *)query;

	question->status = status;
	snprintf(question->message, sizeof question->message, "%s", message ? message : "");
}

static struct question ask(struct kube_world *world, struct question *question)
{
	question->status = MPSYNC_E_INTERNAL;
	question->found = 0;
	question->query.found = on_found;
	question->query.done = on_answered;
	world->backend->ops->query(world->backend, &question->query);
	return *question;
}

/* Goal: all that is missing is named at once, so that a Role is written once. */
static void test_a_check_names_every_verb_that_is_missing(void **state)
{
	static const char *const verbs[] = {"get", "list", "watch", "create", "patch", "delete"};
	struct question check = {.query = {.kind = STORE_CHECK}};
	struct kube_world world;

	(void)state;
	begin(&world, no_options);
	for (int all = 0; all < 2; all++) {
		ask(&world, &check);
		for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
			assert_non_null(strstr(asked()->body, verbs[i]));
			answer_json(
			    "POST", 201, all || i % 3 ? "{\"status\":{\"allowed\":true}}" : "{\"status\":{}}");
		}
		assert_int_equal(check.status, all ? MPSYNC_OK : MPSYNC_E_FORBIDDEN);
		assert_true(all || strstr(check.message, "may not get, create leases"));
	}
	kube_world_end(&world);
}

static void test_what_a_list_could_not_read_is_said(void **state)
{
	struct question list = {.query = {.kind = STORE_LIST, .prefix = "", .limit = 10}};
	struct question get = {.query = {.kind = STORE_GET, .name = "x"}};
	struct kube_world world;

	(void)state;
	begin(&world, no_options);
	ask(&world, &list);
	answer_json("GET", 410, "{}");
	assert_int_equal(list.status, MPSYNC_E_UNREACHABLE);
	assert_non_null(strstr(list.message, "try again"));
	ask(&world, &list);
	answer("GET", &(struct kube_answer){
	                  .refused = true, .problem = MPSYNC_E_FORBIDDEN, .message = "may not list"});
	assert_int_equal(list.status, MPSYNC_E_FORBIDDEN);
	ask(&world, &get);
	answer_json("GET", 200, "{\"metadata\":{\"name\":\"x\"}}");
	assert_int_equal(get.status, MPSYNC_E_CORRUPT);
	ask(&world, &get);
	answer_json("GET", 404, "{}");
	assert_int_equal(get.status, MPSYNC_E_NOT_HELD);
	ask(&world, &get);
	answer_json("GET", 200, OWN_LEASE("5", ME));
	assert_int_equal(get.status, MPSYNC_OK);
	assert_int_equal(get.found, 1);
	ask(&world, &get);
	world.backend->ops->query_cancel(world.backend, &get.query);
	assert_null(asked());
	assert_int_equal(get.status, MPSYNC_E_INTERNAL);
	kube_world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_label_goes_before_the_lease),
	    cmocka_unit_test(test_a_label_that_fails_holds_nothing_up),
	    cmocka_unit_test(test_what_a_former_process_left_is_taken_off),
	    cmocka_unit_test(test_labels_and_events_need_the_pods_name),
	    cmocka_unit_test(test_events_tell_of_both_ends),
	    cmocka_unit_test(test_a_check_names_every_verb_that_is_missing),
	    cmocka_unit_test(test_what_a_list_could_not_read_is_said),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
