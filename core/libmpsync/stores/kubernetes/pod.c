#include "pod.h"

#include "base/list.h"
#include "base/status.h"
#include "events.h"
#include "lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL      "leader.metaparticle.io/"
#define MOST_LABEL 63 /* characters of its name, behind the prefix */
#define TIMEOUT_MS 3000
/* Doubles with each failure. */
#define FIRST_RETRY_MS   500
#define LONGEST_RETRY_MS 30000
/* A label that is there is written again this often, in case somebody has removed it. */
#define CHECK_MS 10000

/* An election that this Pod leads or has led, or whose label a former process left. */
struct term {
	struct term *next;
	struct kube_pod *pod;
	char object[LEASE_NAME_SIZE]; /* of the Lease */
	char label[LEASE_NAME_SIZE];
	struct id claim;
	uint64_t until_ms;
	uint64_t retry_at_ms; /* 0: nothing is to be done */
	uint64_t retry_ms;
	struct kube_call *call; /* that changes the label */
	bool leads;
	bool labelled;  /* as far as is known: an unanswered request may have been carried out */
	bool labelling; /* what `call` does with the label */
	struct once failed;
	void (*done)(void *context);
	void *context;
};

struct kube_pod {
	struct kube_api *api;
	struct store_clock clock;
	struct kube_ear ear;
	struct kube_call *look; /* finds the labels that a former process left */
	uint64_t look_at_ms;    /* 0: done, or under way */
	uint64_t look_retry_ms;
	struct once look_failed;
	struct boot_timer timer;
	char *namespace_name;
	char *pod_name;
	bool labels;
	struct kube_events *events; /* NULL: no Events are written */
	struct term *terms;
};

static uint64_t now(const struct kube_pod *pod)
{
	return pod->clock.boot_ms(pod->clock.context);
}

static struct term *find_label(struct kube_pod *pod, const char *label)
{
	struct term *term = pod->terms;

	while (term && strcmp(term->label, label) != 0)
		term = term->next;
	return term;
}

static struct term *find(struct kube_pod *pod, const char *name)
{
	char label[LEASE_NAME_SIZE];

	return lease_short_name(name, MOST_LABEL, label) ? find_label(pod, label) : NULL;
}

static void drop(struct term *term)
{
	SINGLY_REMOVE(term->pod->terms, term);
	kube_cancel(term->call);
	free(term);
}

static void arm(struct kube_pod *pod)
{
	uint64_t at_ms = pod->look_at_ms ? pod->look_at_ms : UINT64_MAX;

	for (const struct term *term = pod->terms; term; term = term->next) {
		if (term->leads && term->until_ms < at_ms)
			at_ms = term->until_ms;
		if (term->retry_at_ms && term->retry_at_ms < at_ms)
			at_ms = term->retry_at_ms;
	}
	boot_timer_arm(&pod->timer, at_ms);
}

/* ---- The label ---- */

static bool settle(struct term *term);

static void tell_done(struct term *term)
{
	void (*done)(void *context) = term->done;

	term->done = NULL;
	if (done)
		done(term->context);
}

/* When to try again after the n-th failure. */
static uint64_t retry_at(const struct kube_pod *pod, uint64_t *retry_ms)
{
	*retry_ms = *retry_ms ? *retry_ms * 2 : FIRST_RETRY_MS;
	if (*retry_ms > LONGEST_RETRY_MS)
		*retry_ms = LONGEST_RETRY_MS;
	return now(pod) + *retry_ms;
}

static void say_failure(const struct kube_pod *pod, struct once *failed, const char *label,
    const struct kube_answer *answer)
{
	once_say(failed, &pod->ear, "the label " LABEL "%.63s of the Pod %.250s: %.200s; trying again",
	    label, pod->pod_name,
	    answer->message && *answer->message ? answer->message : "there is no such Pod");
}

static void on_labelled(void *context, const struct kube_answer *answer)
{
	struct term *term = context;
	struct kube_pod *pod = term->pod;
	const bool gone = !answer->unknown && answer->status == 404;

	term->call = NULL;
	if (!answer->unknown && answer->status == 200) {
		term->labelled = term->labelling;
		term->retry_ms = 0;
		term->failed.said = false;
		if (settle(term) && term->leads && !term->call)
			term->retry_at_ms = now(pod) + CHECK_MS;
		arm(pod);
		return;
	}
	/* An unanswered request may have been carried out. Without a Pod there is no label. */
	term->labelled = !gone && (term->labelled || (answer->unknown && term->labelling));
	say_failure(pod, &term->failed, term->label, answer);
	/* The caller that releases waits no longer: the label is removed in the background. */
	if (!term->leads)
		tell_done(term);
	if (!term->leads && !term->labelled)
		drop(term);
	else
		term->retry_at_ms = retry_at(pod, &term->retry_ms);
	arm(pod);
}

/* The answer shows the Pod's labels after the change. `label` NULL: nothing is changed. */
static struct kube_call *patch_pod(struct kube_pod *pod, const char *label, bool on,
    void (*done)(void *context, const struct kube_answer *answer), void *context)
{
	cJSON *patch = cJSON_CreateObject();
	cJSON *metadata = cJSON_AddObjectToObject(patch, "metadata");
	cJSON *labels = cJSON_AddObjectToObject(metadata, "labels");
	char key[sizeof LABEL + LEASE_NAME_SIZE];
	struct kube_call *call = NULL;
	char *path = NULL;
	bool good = labels;

	snprintf(key, sizeof key, LABEL "%s", label ? label : "");
	if (label)
		good = on ? cJSON_AddStringToObject(labels, key, "true") != NULL
		          : cJSON_AddNullToObject(labels, key) != NULL;
	if (good &&
	    asprintf(&path, "/api/v1/namespaces/%s/pods/%s", pod->namespace_name, pod->pod_name) > 0) {
		call = kube_send(pod->api, &(struct kube_request){.method = "PATCH",
		                               .path = path,
		                               .body = patch,
		                               .merge = true,
		                               .timeout_ms = TIMEOUT_MS,
		                               .done = done,
		                               .context = context});
		free(path);
	}
	cJSON_Delete(patch);
	return call;
}

static void send_label(struct term *term)
{
	struct kube_pod *pod = term->pod;

	term->labelling = term->leads;
	term->call = patch_pod(pod, term->label, term->leads, on_labelled, term);
	if (!term->call)
		term->retry_at_ms = retry_at(pod, &term->retry_ms);
}

/*
 * Add or remove the label, as it should be. There is one request at a time, since two could
 * overtake each other. False: the term is over, and is no more.
 */
static bool settle(struct term *term)
{
	struct kube_pod *pod = term->pod;
	const bool goes_on = term->leads;

	if (term->call)
		return true;
	if (pod->labels && term->labelled != term->leads) {
		term->retry_at_ms = 0;
		send_label(term);
		arm(pod);
		return true;
	}
	if (!goes_on) {
		tell_done(term);
		drop(term);
	}
	arm(pod);
	return goes_on;
}

static void end_term(struct term *term)
{
	if (!term->leads)
		return;
	term->leads = false;
	kube_events_tell(term->pod->events, term->object, "stopped leading");
	settle(term);
}

/* Repeat what failed, or what somebody may have undone. */
static void retry(struct term *term)
{
	term->retry_at_ms = 0;
	if (term->pod->labels && !term->call)
		send_label(term);
}

/* ---- What a former process left ---- */

static struct term *term_new(struct kube_pod *pod, const char *name);

static void on_looked(void *context, const struct kube_answer *answer)
{
	struct kube_pod *pod = context;
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(answer->json, "metadata");
	const cJSON *label;

	pod->look = NULL;
	if (answer->unknown || answer->status != 200) {
		say_failure(pod, &pod->look_failed, "", answer);
		pod->look_at_ms = retry_at(pod, &pod->look_retry_ms);
		arm(pod);
		return;
	}
	cJSON_ArrayForEach (label, cJSON_GetObjectItemCaseSensitive(metadata, "labels")) {
		const char *name = label->string + strlen(LABEL);
		struct term *term;

		if (strncmp(label->string, LABEL, strlen(LABEL)) != 0 || find_label(pod, name))
			continue;
		term = term_new(pod, name);
		if (!term)
			continue;
		snprintf(term->label, sizeof term->label, "%s", name);
		term->labelled = true;
		settle(term);
	}
}

static void look(struct kube_pod *pod)
{
	pod->look_at_ms = 0;
	pod->look = patch_pod(pod, NULL, false, on_looked, pod);
	if (!pod->look)
		pod->look_at_ms = retry_at(pod, &pod->look_retry_ms);
}

static void on_timer(void *context)
{
	struct kube_pod *pod = context;
	const uint64_t time = now(pod);
	struct term *next;

	if (pod->look_at_ms && time >= pod->look_at_ms)
		look(pod);
	for (struct term *term = pod->terms; term; term = next) {
		next = term->next;
		if (term->leads && time >= term->until_ms)
			end_term(term);
		else if (term->retry_at_ms && time >= term->retry_at_ms)
			retry(term);
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
	if (!lease_object_name(name, term->object) ||
	    !lease_short_name(name, MOST_LABEL, term->label)) {
		free(term);
		return NULL;
	}
	SINGLY_ADD(pod->terms, term);
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
		kube_events_tell(pod->events, term->object, "became leader");
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
	return pod && (kube_events_finishing(pod->events) || pod->terms);
}

void kube_pod_forget(struct kube_pod *pod, const void *context)
{
	for (struct term *term = pod ? pod->terms : NULL; term; term = term->next)
		if (term->context == context)
			term->done = NULL;
}

bool kube_pod_new(struct kube_pod **made, const struct kube_pod_host *host,
    const char *namespace_name, const struct mpsync_options *options, mpsync_error *error)
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
		pod->api = host->api;
		pod->clock = host->clock;
		pod->ear = host->ear;
		pod->labels = labels;
		pod->timer.descriptor = -1;
		pod->namespace_name = strdup(namespace_name);
		pod->pod_name = strdup(name);
	}
	if (pod && events)
		pod->events = kube_events_new(pod->api, &pod->clock, &pod->ear, namespace_name, name);
	if (pod && pod->namespace_name && pod->pod_name && (pod->events || !events) &&
	    boot_timer_init(&pod->timer, host->loop->base, on_timer, pod)) {
		if (labels)
			look(pod);
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
	kube_cancel(pod->look);
	while (pod->terms)
		drop(pod->terms);
	boot_timer_clear(&pod->timer);
	kube_events_free(pod->events);
	free(pod->namespace_name);
	free(pod->pod_name);
	free(pod);
}
