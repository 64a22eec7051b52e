#include "events.h"

#include "base/rfc3339.h"
#include "lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 3000

struct kube_events {
	struct kube_api *api;
	struct store_clock clock;
	const struct kube_ear *ear;
	struct once refused;
	char *namespace_name;
	char *pod_name;
	unsigned sent; /* requests without an answer yet */
};

/* Nothing depends on Events. */
static void on_answered(void *context, const struct kube_answer *answer)
{
	struct kube_events *events = context;

	events->sent--;
	once_hear(&events->refused, events->ear, answer, "no Event tells who leads");
}

/* Each Event needs another name. */
static bool fill(
    const struct kube_events *events, cJSON *event, const char *lease_name, const char *text)
{
	const int64_t wall_ms = events->clock.wall_ms(events->clock.context);
	cJSON *metadata = cJSON_AddObjectToObject(event, "metadata");
	cJSON *lease = cJSON_AddObjectToObject(event, "involvedObject");
	cJSON *source = cJSON_AddObjectToObject(event, "source");
	char time[RFC3339_SIZE];
	char name[LEASE_NAME_SIZE + 32];
	char message[600];

	rfc3339_write(time, wall_ms * 1000, 0);
	snprintf(name, sizeof name, "%.200s.%llx", lease_name, (unsigned long long)wall_ms);
	snprintf(message, sizeof message, "%.250s %s", events->pod_name, text);
	return cJSON_AddStringToObject(metadata, "name", name) &&
	       cJSON_AddStringToObject(metadata, "namespace", events->namespace_name) &&
	       cJSON_AddStringToObject(lease, "apiVersion", "coordination.k8s.io/v1") &&
	       cJSON_AddStringToObject(lease, "kind", "Lease") &&
	       cJSON_AddStringToObject(lease, "name", lease_name) &&
	       cJSON_AddStringToObject(lease, "namespace", events->namespace_name) &&
	       cJSON_AddStringToObject(source, "component", "mpsync") &&
	       cJSON_AddStringToObject(event, "type", "Normal") &&
	       cJSON_AddStringToObject(event, "reason", "LeaderElection") &&
	       cJSON_AddStringToObject(event, "message", message) &&
	       cJSON_AddStringToObject(event, "firstTimestamp", time) &&
	       cJSON_AddStringToObject(event, "lastTimestamp", time) &&
	       cJSON_AddNumberToObject(event, "count", 1);
}

void kube_events_tell(struct kube_events *events, const char *lease_name, const char *text)
{
	cJSON *event = events ? cJSON_CreateObject() : NULL;
	char *path = NULL;

	if (event && fill(events, event, lease_name, text) &&
	    asprintf(&path, "/api/v1/namespaces/%s/events", events->namespace_name) > 0) {
		events->sent++;
		if (!kube_send(events->api, &(struct kube_request){.method = "POST",
		                                .path = path,
		                                .body = event,
		                                .timeout_ms = TIMEOUT_MS,
		                                .done = on_answered,
		                                .context = events}))
			events->sent--;
		free(path);
	}
	cJSON_Delete(event);
}

bool kube_events_finishing(const struct kube_events *events)
{
	return events && events->sent > 0;
}

struct kube_events *kube_events_new(struct kube_api *api, const struct store_clock *clock,
    const struct kube_ear *ear, const char *namespace_name, const char *pod_name)
{
	struct kube_events *events = calloc(1, sizeof *events);

	if (!events)
		return NULL;
	events->api = api;
	events->clock = *clock;
	events->ear = ear;
	events->namespace_name = strdup(namespace_name);
	events->pod_name = strdup(pod_name);
	if (events->namespace_name && events->pod_name)
		return events;
	kube_events_free(events);
	return NULL;
}

void kube_events_free(struct kube_events *events)
{
	if (!events)
		return;
	free(events->namespace_name);
	free(events->pod_name);
	free(events);
}
