#include "kube_pod.h"

#include "../rfc3339.h"
#include "../status.h"
#include "lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL      "leader.metaparticle.io/"
#define TIMEOUT_MS 3000
#define RETRY_MS   500

/* One election that this Pod leads, or has just led. */
struct term {
	struct term *next;
	struct kube_pod *pod;
	char *name;
	char object[LEASE_NAME_SIZE];
	struct id claim;
	uint64_t until_ms;
	uint64_t retry_at_ms;
	struct kube_call *call; /* the label's */
	bool leads;
	bool labelled;  /* as far as is known: a request that went unanswered may have been done */
	bool labelling; /* what `call` does */
	void (*done)(void *context);
	void *context;
};

struct kube_pod {
	struct kube_api *api;
	struct store_clock clock;
	struct boot_timer timer;
	char *namespace_name;
	char *pod_name;
	bool labels;
	bool events;
	unsigned events_sent; /* and not answered */
	struct term *terms;
};

static uint64_t now(const struct kube_pod *pod)
{
	return pod->clock.boot_ms(pod->clock.context);
}

static struct term *find(struct kube_pod *pod, const char *name)
{
	struct term *term = pod->terms;

	while (term && strcmp(term->name, name) != 0)
		term = term->next;
	return term;
}

static void drop(struct term *term)
{
	struct term **link = &term->pod->terms;

	while (*link != term)
		link = &(*link)->next;
	*link = term->next;
	kube_cancel(term->call);
	free(term->name);
	free(term);
}

static void arm(struct kube_pod *pod)
{
	uint64_t at_ms = UINT64_MAX;

	for (const struct term *term = pod->terms; term; term = term->next) {
		if (term->leads && term->until_ms < at_ms)
			at_ms = term->until_ms;
		if (term->retry_at_ms && term->retry_at_ms < at_ms)
			at_ms = term->retry_at_ms;
	}
	boot_timer_arm(&pod->timer, at_ms);
}

/* ---- Events ---- */

static void on_event_answered(void *context, const struct kube_answer *answer)
{
	(void)answer; /* a courtesy: nothing depends on it */
	((struct kube_pod *)context)->events_sent--;
}

/* The name has to be another one each time. */
static bool fill_event(const struct term *term, cJSON *event, const char *text)
{
	const struct kube_pod *pod = term->pod;
	const int64_t wall_ms = pod->clock.wall_ms(pod->clock.context);
	cJSON *metadata = cJSON_AddObjectToObject(event, "metadata");
	cJSON *lease = cJSON_AddObjectToObject(event, "involvedObject");
	cJSON *source = cJSON_AddObjectToObject(event, "source");
	char time[RFC3339_SIZE];
	char name[LEASE_NAME_SIZE + 32];
	char message[600];

	rfc3339_write(time, wall_ms * 1000, 0);
	snprintf(name, sizeof name, "%.200s.%llx", term->object, (unsigned long long)wall_ms);
	snprintf(message, sizeof message, "%.250s %s", pod->pod_name, text);
	return cJSON_AddStringToObject(metadata, "name", name) &&
	       cJSON_AddStringToObject(metadata, "namespace", pod->namespace_name) &&
	       cJSON_AddStringToObject(lease, "apiVersion", "coordination.k8s.io/v1") &&
	       cJSON_AddStringToObject(lease, "kind", "Lease") &&
	       cJSON_AddStringToObject(lease, "name", term->object) &&
	       cJSON_AddStringToObject(lease, "namespace", pod->namespace_name) &&
	       cJSON_AddStringToObject(source, "component", "mpsync") &&
	       cJSON_AddStringToObject(event, "type", "Normal") &&
	       cJSON_AddStringToObject(event, "reason", "LeaderElection") &&
	       cJSON_AddStringToObject(event, "message", message) &&
	       cJSON_AddStringToObject(event, "firstTimestamp", time) &&
	       cJSON_AddStringToObject(event, "lastTimestamp", time) &&
	       cJSON_AddNumberToObject(event, "count", 1);
}

static void tell_event(const struct term *term, const char *text)
{
	struct kube_pod *pod = term->pod;
	cJSON *event = pod->events ? cJSON_CreateObject() : NULL;
	char *path = NULL;

	if (event && fill_event(term, event, text) &&
	    asprintf(&path, "/api/v1/namespaces/%s/events", pod->namespace_name) > 0) {
		pod->events_sent++;
		if (!kube_send(pod->api, &(struct kube_request){.method = "POST",
		                             .path = path,
		                             .body = event,
		                             .timeout_ms = TIMEOUT_MS,
		                             .done = on_event_answered,
		                             .context = pod}))
			pod->events_sent--;
		free(path);
	}
	cJSON_Delete(event);
}

/* ---- The label ---- */

static void settle(struct term *term);

static void tell_done(struct term *term)
{
	void (*done)(void *context) = term->done;

	term->done = NULL;
	if (done)
		done(term->context);
}

static void on_labelled(void *context, const struct kube_answer *answer)
{
	struct term *term = context;
	struct kube_pod *pod = term->pod;

	term->call = NULL;
	if (answer->unknown) {
		term->labelled |= term->labelling;
		/* Whoever lets go has waited long enough: taking it off goes on by itself. */
		if (!term->leads)
			tell_done(term);
		term->retry_at_ms = now(pod) + RETRY_MS;
		arm(pod);
		return;
	}
	/* Refused, or no such Pod: there is no label, and never will be. */
	term->labelled = term->labelling && !answer->refused && answer->status == 200;
	if (term->labelling && !term->labelled)
		pod->labels = false;
	settle(term);
}

static bool send_label(struct term *term)
{
	struct kube_pod *pod = term->pod;
	cJSON *patch = cJSON_CreateObject();
	cJSON *metadata = cJSON_AddObjectToObject(patch, "metadata");
	cJSON *labels = cJSON_AddObjectToObject(metadata, "labels");
	char key[sizeof LABEL + LEASE_NAME_SIZE];
	char *path = NULL;
	bool good;

	snprintf(key, sizeof key, LABEL "%s", term->object);
	good = term->leads ? cJSON_AddStringToObject(labels, key, "true") != NULL
	                   : cJSON_AddNullToObject(labels, key) != NULL;
	if (good &&
	    asprintf(&path, "/api/v1/namespaces/%s/pods/%s", pod->namespace_name, pod->pod_name) > 0) {
		term->labelling = term->leads;
		term->call = kube_send(pod->api, &(struct kube_request){.method = "PATCH",
		                                     .path = path,
		                                     .body = patch,
		                                     .merge = true,
		                                     .timeout_ms = TIMEOUT_MS,
		                                     .done = on_labelled,
		                                     .context = term});
		free(path);
	}
	cJSON_Delete(patch);
	return term->call;
}

/* Brings the label to what is so. One request at a time: they must not overtake one another. */
static void settle(struct term *term)
{
	struct kube_pod *pod = term->pod;

	if (term->call)
		return;
	term->retry_at_ms = 0;
	if (pod->labels && term->labelled != term->leads) {
		if (!send_label(term))
			term->retry_at_ms = now(pod) + RETRY_MS;
		arm(pod);
		return;
	}
	if (!term->leads) {
		tell_done(term);
		drop(term);
	}
	arm(pod);
}

static void end_term(struct term *term)
{
	if (!term->leads)
		return;
	term->leads = false;
	tell_event(term, "stopped leading");
	settle(term);
}

static void on_timer(void *context)
{
	struct kube_pod *pod = context;
	const uint64_t time = now(pod);
	struct term *next;

	for (struct term *term = pod->terms; term; term = next) {
		next = term->next;
		if (term->leads && time >= term->until_ms)
			end_term(term);
		else if (term->retry_at_ms && time >= term->retry_at_ms)
			settle(term);
	}
	arm(pod);
}

/* ---- What is told ---- */

static struct term *term_new(struct kube_pod *pod, const char *name)
{
	struct term *term = calloc(1, sizeof *term);

	if (!term)
		return NULL;
	term->pod = pod;
	term->name = strdup(name);
	if (!term->name || !lease_object_name(name, term->object)) {
		free(term->name);
		free(term);
		return NULL;
	}
	term->next = pod->terms;
	pod->terms = term;
	return term;
}

void kube_pod_leads(
    struct kube_pod *pod, const char *name, const struct id *claim, uint64_t until_ms)
{
	struct term *term = pod ? find(pod, name) : NULL;
	bool news;

	if (!pod)
		return;
	if (!term)
		term = term_new(pod, name);
	if (!term)
		return;
	news = !term->leads;
	term->leads = true;
	term->claim = *claim;
	term->until_ms = until_ms;
	if (news)
		tell_event(term, "became leader");
	settle(term);
}

void kube_pod_lost(struct kube_pod *pod, const char *name, const struct id *claim)
{
	struct term *term = pod ? find(pod, name) : NULL;

	if (term && (!claim || !id_equal(&term->claim, claim)))
		end_term(term);
}

bool kube_pod_resign(
    struct kube_pod *pod, const char *name, void (*done)(void *context), void *context)
{
	struct term *term = pod ? find(pod, name) : NULL;

	if (!term)
		return false;
	if (pod->labels && (term->labelled || term->call)) {
		term->done = done;
		term->context = context;
	}
	done = term->done;
	end_term(term);
	return done;
}

bool kube_pod_finishing(const struct kube_pod *pod)
{
	return pod && (pod->events_sent > 0 || pod->terms);
}

void kube_pod_forget(struct kube_pod *pod, const void *context)
{
	for (struct term *term = pod ? pod->terms : NULL; term; term = term->next)
		if (term->context == context)
			term->done = NULL;
}

bool kube_pod_new(struct kube_pod **made, struct kube_api *api, struct loop *loop,
    const struct store_clock *clock, const char *namespace_name,
    const struct mpsync_options *options, mpsync_error *error)
{
	const bool labels = strcmp(options_text(options, OPTION_LABEL_LEADER), "yes") == 0;
	const bool events = strcmp(options_text(options, OPTION_LEADER_EVENTS), "yes") == 0;
	const char *name = getenv("POD_NAME");
	struct kube_pod *pod;

	*made = NULL;
	if (!labels && !events)
		return true;
	if (!name || !*name) {
		fail(error, MPSYNC_E_INVALID,
		    "label_leader and leader_events need POD_NAME, from the Pod's own metadata.name");
		return false;
	}
	pod = calloc(1, sizeof *pod);
	if (pod) {
		pod->api = api;
		pod->clock = *clock;
		pod->labels = labels;
		pod->events = events;
		pod->timer.descriptor = -1;
		pod->namespace_name = strdup(namespace_name);
		pod->pod_name = strdup(name);
	}
	if (pod && pod->namespace_name && pod->pod_name &&
	    boot_timer_init(&pod->timer, loop->base, on_timer, pod)) {
		*made = pod;
		return true;
	}
	kube_pod_free(pod);
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

void kube_pod_free(struct kube_pod *pod)
{
	if (!pod)
		return;
	while (pod->terms)
		drop(pod->terms);
	boot_timer_clear(&pod->timer);
	free(pod->namespace_name);
	free(pod->pod_name);
	free(pod);
}
