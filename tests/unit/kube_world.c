#include "kube_world.h"

#include "unit.h"

#include "base/clock.h"
#include "base/url.h"
#include "stores/kubernetes/kubernetes.h"
#include "stores/records/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct kube_call *calls; /* the oldest first */
static unsigned cancel_count;

/* ---- Instead of api.c ---- */

struct kube_api *kube_api_new(
    struct loop *loop, struct kube_config *config, const struct store_clock *clock)
{
	static char api;

	(void)loop, (void)clock;
	kube_config_clear(config);
	return (struct kube_api *)&api;
}

void kube_api_free(struct kube_api *api)
{
	(void)api;
}

const char *kube_api_silence(const struct kube_api *api)
{
	(void)api;
	return NULL;
}

struct kube_call *kube_send(struct kube_api *api, const struct kube_request *request)
{
	struct kube_call *call = calloc(1, sizeof *call);
	struct kube_call **link = &calls;
	char *body = request->body ? cJSON_PrintUnformatted(request->body) : NULL;

	(void)api;
	if (!call) {
		cJSON_free(body);
		return NULL;
	}
	call->request = *request;
	snprintf(call->path, sizeof call->path, "%s", request->path);
	snprintf(call->body, sizeof call->body, "%s", body ? body : "");
	cJSON_free(body);
	while (*link)
		link = &(*link)->next;
	*link = call;
	return call;
}

static void drop(struct kube_call *call)
{
	struct kube_call **link = &calls;

	while (*link && *link != call)
		link = &(*link)->next;
	assert_non_null(*link);
	*link = call->next;
}

void kube_cancel(struct kube_call *call)
{
	if (!call)
		return;
	cancel_count++;
	drop(call);
	free(call);
}

/* ---- The test's part ---- */

struct record_request campaign(void (*done)(struct record_request *request,
    enum record_result result, const struct record *record, enum mpsync_status status,
    const char *message, uint64_t retry_in_ms))
{
	struct record_request request = {.name = "x",
	    .ttl_ms = 15000,
	    .create = true,
	    .done = done,
	    .record = {
	        .holder = (char *)"me", .ttl_ms = 15000, .election = true, .deadline_ms = UINT32_MAX}};

	assert_true(id_from_hex(&request.claim, CLAIM));
	return request;
}

struct kube_call *asked(void)
{
	return calls;
}

unsigned cancelled(void)
{
	return cancel_count;
}

void answer(const char *method, const struct kube_answer *answered)
{
	struct kube_call *call = calls;

	while (call && (strcmp(call->request.method, method) != 0 || call->request.event))
		call = call->next;
	assert_non_null(call);
	drop(call);
	call->request.done(call->request.context, answered);
	free(call);
}

void answer_json(const char *method, long status, const char *json)
{
	cJSON *object = cJSON_Parse(json);

	assert_non_null(object);
	answer(method, &(struct kube_answer){.status = status, .json = object});
	cJSON_Delete(object);
}

static struct kube_call *the_watch(void)
{
	struct kube_call *call = calls;

	while (call && !call->request.event)
		call = call->next;
	assert_non_null(call);
	return call;
}

void send_event(const char *json)
{
	const struct kube_call *call = the_watch();
	cJSON *event = cJSON_Parse(json);

	assert_non_null(event);
	call->request.event(call->request.context, event);
	cJSON_Delete(event);
}

void end_watch(long status)
{
	struct kube_call *call = the_watch();
	const struct kube_answer answered = {.status = status, .unknown = status == 0};

	drop(call);
	call->request.done(call->request.context, &answered);
	free(call);
}

/* ---- Beginning and end ---- */

static void no_timer(void *context)
{
	(void)context;
}

static void no_answer(void *engine, struct store_claim *claim, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word)
{
	(void)engine, (void)claim, (void)event, (void)particulars, (void)word;
}

static void no_wake(void *engine, uint64_t at_ms)
{
	(void)engine, (void)at_ms;
}

bool kube_world_open_without(struct kube_world *world, const char *const *options,
    void (*before)(void), struct mpsync_error *error)
{
	static const char text[] = "current-context: c\n"
	                           "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
	                           "clusters: [{name: c, cluster: {server: 'https://server'}}]\n"
	                           "users: [{name: u, user: {token: secret}}]\n";
	const struct store_clock clock = clock_real(NULL);
	const int file = memfd_create("kubeconfig", MFD_CLOEXEC);
	struct mpsync_options set = {{0}};
	struct url url;
	char path[64];

	cancel_count = 0;
	assert_true(loop_init(&world->loop, false, no_timer, NULL));
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	assert_int_equal(mpsync_options_set(&set, "kubeconfig", path, NULL), MPSYNC_OK);
	for (; *options; options += 2)
		assert_int_equal(mpsync_options_set(&set, options[0], options[1], NULL), MPSYNC_OK);
	assert_true(url_parse(&url, "kubernetes:", NULL));
	before();
	world->store = kubernetes_open(&url, &set, false, &world->loop, &clock, error);
	url_clear(&url);
	options_clear(&set);
	close(file);
	if (!world->store) {
		loop_clear(&world->loop);
		return false;
	}
	world->store->sink = (struct store_sink){.answer = no_answer, .wake_at = no_wake};
	world->backend = ((struct records *)world->store)->backend;
	return true;
}

static void nothing(void)
{
}

bool kube_world_open(
    struct kube_world *world, const char *const *options, struct mpsync_error *error)
{
	return kube_world_open_without(world, options, nothing, error);
}

void kube_world_begin(struct kube_world *world, const char *const *options)
{
	mpsync_error error = {0};

	if (!kube_world_open(world, options, &error))
		fail_msg("%s", error.message);
}

void kube_world_end(struct kube_world *world)
{
	world->store->ops->close(world->store);
	loop_clear(&world->loop);
	assert_null(calls);
}
