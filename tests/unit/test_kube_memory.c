/*
 * Goal: a store over Leases that lacks memory says so, tells each request once, and goes on when
 * there is some; and what asked for the Lease's owner may leave at any moment. Method: it is
 * opened, and one leads by it, with its first, second, third… allocation failing.
 */
#include "unit.h"

#include "failing.h"
#include "kube_world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_ALLOCATIONS 5000
#define UID              "a2b10c66-c4b5-4b53-a4ff-6f5c9a2ea0b1"
#define LABEL            "leader.metaparticle.io/former"

static const char *const everything[] = {
    "label_leader", "yes", "leader_events", "yes", "lease_owner", "apps/v1/deployments/web", NULL};

static long failing_one; /* which allocation fails */

static void fail_from_here(void)
{
	failing_from(failing_one, 1);
}

/* ---- The API server's part, read before anything fails ---- */

static cJSON *lease, *released, *pod, *owner;

static void read_answers(void)
{
	lease = cJSON_Parse(
	    "{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID
	    "\",\"resourceVersion\":\"5\",\"annotations\":{\"metaparticle.io/"
	    "claim\":\"" CLAIM "\"},\"labels\":{\"metaparticle.io/type\":\"election\"}},\"spec\":"
	    "{\"holderIdentity\":\"me_" CLAIM "\",\"leaseDurationSeconds\":15}}");
	released = cJSON_Parse("{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID
	                       "\",\"resourceVersion\":\"6\"},\"spec\":{}}");
	pod = cJSON_Parse("{\"metadata\":{\"name\":\"p\",\"labels\":{\"" LABEL "\":\"true\"}}}");
	owner = cJSON_Parse("{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{"
	                    "\"name\":\"web\",\"uid\":\"" UID "\"}}");
	assert_true(lease && released && pod && owner);
}

static void free_answers(void)
{
	cJSON_Delete(lease);
	cJSON_Delete(released);
	cJSON_Delete(pod);
	cJSON_Delete(owner);
}

/* Everything that is asked, until nothing is; but for watches. */
static void answer_all(void)
{
	struct kube_call *call = asked();

	while (call) {
		const char *method = call->request.method;
		struct kube_answer answered = {.status = 200, .json = lease};

		if (call->request.event) {
			call = call->next;
			continue;
		}
		if (strcmp(method, "POST") == 0)
			answered.status = 201;
		if (strstr(call->path, "/pods/"))
			answered.json = pod;
		else if (strstr(call->path, "/deployments/"))
			answered.json = owner;
		else if (strcmp(method, "PATCH") == 0)
			answered.json = released;
		answer(method, &answered);
		call = asked();
	}
}

/* ---- One that leads ---- */

struct leader {
	struct record_request request;
	unsigned told;
	enum record_result result;
	enum mpsync_status status;
};

static void on_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms)
{
	struct leader *leader = (struct leader *)request;

	(void)record, (void)message, (void)retry_in_ms;
	leader->told++;
	leader->result = result;
	leader->status = status;
}

static struct leader candidate(void)
{
	return (struct leader){.request = campaign(on_done)};
}

static void write_once(struct kube_world *world, struct leader *leader)
{
	leader->told = 0;
	world->backend->ops->write(world->backend, &leader->request);
	answer_all();
	assert_int_equal(leader->told, 1);
}

static void lead_and_resign(struct kube_world *world)
{
	struct leader leader = candidate();

	write_once(world, &leader);
	if (failing_end())
		assert_true(leader.result == RECORD_OK || leader.status != MPSYNC_OK);
	else
		assert_int_equal(leader.result, RECORD_OK);
	if (leader.result != RECORD_OK)
		write_once(world, &leader); /* there is memory by now */
	assert_int_equal(leader.result, RECORD_OK);
	leader.request.create = false;
	leader.request.record = (struct record){.election = true};
	write_once(world, &leader);
	assert_int_equal(leader.result, RECORD_OK);
}

static bool scenario(void)
{
	struct kube_world world;
	mpsync_error error = {0};
	const bool opened = kube_world_open_without(&world, everything, fail_from_here, &error);

	if (opened) {
		answer_all();
		lead_and_resign(&world);
		kube_world_end(&world);
	} else {
		/* Without a word on memory only where the status has it. */
		if (!strstr(error.message, "memory") && error.status != MPSYNC_E_NO_MEMORY)
			fail_msg("%ld: %s", failing_one, error.message);
	}
	return failing_end();
}

static void test_each_allocation_fails_once(void **state)
{
	(void)state;
	for (failing_one = 1; scenario(); failing_one++)
		assert_true(failing_one < MOST_ALLOCATIONS);
}

/* Goal: who leaves while the owner is asked for is told nothing; those who stay are. */
static void test_who_leaves_while_the_owner_is_asked_for(void **state)
{
	struct leader leaving = candidate();
	struct leader staying = candidate();
	struct kube_world world;

	(void)state;
	kube_world_begin(&world, everything);
	answer_all();
	staying.request.name = "y";
	world.backend->ops->write(world.backend, &staying.request);
	world.backend->ops->write(world.backend, &leaving.request);
	assert_string_equal(asked()->request.method, "GET");
	world.backend->ops->cancel(world.backend, &leaving.request);
	answer_all();
	assert_int_equal(leaving.told, 0);
	assert_int_equal(staying.told, 1);
	/* Nothing is left of one whose store is closed meanwhile. */
	leaving.request.name = "z";
	world.backend->ops->write(world.backend, &leaving.request);
	world.backend->ops->cancel(world.backend, &leaving.request);
	kube_world_end(&world);
}

static void test_what_is_no_owner(void **state)
{
	static const char *const owners[] = {"apps/v1", "apps/v1/deployments/web/x", "apps//v1/web",
	    "apps/./deployments/web", ".apps/v1/deployments/web", "Apps/v1/deployments/web",
	    "apps/v1/deployments/"};
	struct kube_world world;
	mpsync_error error;

	(void)state;
	for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
		const char *const options[] = {"lease_owner", owners[i], NULL};

		assert_false(kube_world_open(&world, options, &error));
		assert_int_equal(error.status, MPSYNC_E_INVALID);
		assert_non_null(strstr(error.message, owners[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_allocation_fails_once),
	    cmocka_unit_test(test_who_leaves_while_the_owner_is_asked_for),
	    cmocka_unit_test(test_what_is_no_owner),
	};
	int failed;

	failing_install(true);
	alarm(300);
	setenv("POD_NAME", "p", 1);
	read_answers();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free_answers();
	return failed;
}
