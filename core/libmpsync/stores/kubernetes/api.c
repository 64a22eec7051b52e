#include "api.h"

#include "authorization.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An object has at most 1.5 MiB in etcd; as JSON it is longer. */
#define MOST_OBJECT ((size_t)8 * 1024 * 1024)

struct kube_call {
	struct request base;
	struct kube_api *api;
	struct kube_request request;
	bool again; /* it was sent again with new credentials */
};

struct kube_api {
	struct kube_config config;
	struct kube_authorization authorization;
	struct requests *requests;
	bool spoke; /* the server has answered at least once */
};

static struct kube_call *call_of(struct request *request)
{
	return (struct kube_call *)request;
}

/* ---- Answers ---- */

static void explain_silence(const struct kube_api *api, const struct http_answer *heard,
    struct kube_answer *answer, char *text, size_t size)
{
	/*
	 * A server that was trusted before may be in the middle of changing its certificate, so this
	 * passes; one that never was has another certificate than the configuration says.
	 */
	answer->refused = heard->untrusted && !api->spoke;
	answer->problem = answer->refused ? MPSYNC_E_UNAUTHENTICATED : MPSYNC_E_UNREACHABLE;
	answer->unknown = !answer->refused;
	if (heard->untrusted)
		snprintf(text, size, "the API server %.80s and %.80s do not agree on certificates: %.130s",
		    api->config.server, api->config.source, heard->problem);
	else if (heard->too_long)
		snprintf(text, size, "an answer of the API server %.200s is too long", api->config.server);
	else if (heard->refused && !api->spoke)
		snprintf(text, size,
		    "the API server %.100s does not answer: %.150s; check the server that %.80s names, and "
		    "the way to it",
		    api->config.server, heard->problem, api->config.source);
	else
		snprintf(text, size, "the API server %.100s does not answer: %.150s", api->config.server,
		    heard->problem);
}

/* The server's own message explains best what is wrong with it. */
static const char *servers_words(const struct kube_answer *answer)
{
	const char *words =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer->json, "message"));

	return words && *words ? words : "it does not say why";
}

/* Does RBAC refuse? A quota, or a namespace that is being deleted, refuses with the same status. */
static bool lacks_verb(const char *words)
{
	return strstr(words, "cannot ") && strstr(words, " resource ");
}

static void explain_status(
    const struct kube_api *api, struct kube_answer *answer, char *text, size_t size)
{
	const char *words = servers_words(answer);

	if (answer->status == 401) {
		answer->problem = MPSYNC_E_UNAUTHENTICATED;
		answer->refused = true;
		snprintf(text, size,
		    "the API server %.80s does not accept the credentials of %.80s (401): %.130s",
		    api->config.server, api->config.source, words);
	} else if (answer->status == 403) {
		answer->problem = MPSYNC_E_FORBIDDEN;
		answer->refused = true;
		snprintf(text, size, "%.300s%s", words,
		    lacks_verb(words) ? "; docs/kubernetes.md has the Role that is needed" : "");
	} else if (answer->status == 429 || answer->status >= 500) {
		answer->problem = MPSYNC_E_UNREACHABLE;
		answer->unknown = true;
		snprintf(text, size, "the API server is in trouble (%ld): %.250s", answer->status, words);
	} else if (answer->status >= 400 && answer->status != 404 && answer->status != 409 &&
	           answer->status != 410) {
		/* 422: an admission policy of the cluster refuses, which is no mistake of the program. */
		answer->problem = answer->status == 422 ? MPSYNC_E_FORBIDDEN : MPSYNC_E_INVALID;
		answer->refused = true;
		snprintf(text, size, "the API server refuses it (%ld): %.300s", answer->status, words);
	} else if (!answer->json) {
		answer->problem = MPSYNC_E_INVALID;
		answer->refused = true;
		snprintf(text, size, "%.150s is no Kubernetes API server: it answered %ld without JSON",
		    api->config.server, answer->status);
	}
}

static void answer_call(struct kube_call *call, const struct http_answer *heard)
{
	struct kube_api *api = call->api;
	struct kube_answer answer = {.status = heard->status};
	const bool is_document = heard->status && (heard->status != 200 || !call->request.event);
	cJSON *json = is_document ? cJSON_Parse(heard->body) : NULL;
	char text[480] = "";

	answer.json = json;
	answer.further = heard->further;
	answer.too_long = heard->too_long;
	answer.retry_in_ms = (uint64_t)heard->retry_after_s * 1000;
	if (!heard->status)
		explain_silence(api, heard, &answer, text, sizeof text);
	else if (is_document)
		explain_status(api, &answer, text, sizeof text);
	answer.message = text;
	api->spoke |= heard->status != 0;
	call->request.done(call->request.context, &answer);
	cJSON_Delete(json);
}

/* Credentials that never worked are a mistake; those that did may work again. */
static struct kube_answer without_credentials(const struct kube_api *api)
{
	const char *problem = api->authorization.problem;

	return (struct kube_answer){.refused = *problem && !api->spoke,
	    .unknown = !*problem || api->spoke,
	    .problem = *problem ? MPSYNC_E_UNAUTHENTICATED : MPSYNC_E_NO_MEMORY,
	    .message = *problem ? problem : "out of memory"};
}

static struct kube_answer unsent(const struct kube_api *api, enum request_end end)
{
	struct kube_answer answer = {.unknown = true, .problem = MPSYNC_E_UNREACHABLE};

	if (end == REQUEST_UNAUTHORIZED)
		return without_credentials(api);
	if (end == REQUEST_IMPATIENT) {
		answer.message = api->authorization.silence;
	} else if (end == REQUEST_DISCONNECTED) {
		answer.message = "the connection to the API server was replaced";
	} else {
		answer.problem = MPSYNC_E_NO_MEMORY;
		answer.message = "out of memory";
	}
	return answer;
}

static bool on_done(struct request *request, enum request_end end, const struct http_answer *heard)
{
	struct kube_call *call = call_of(request);
	struct kube_answer answer;

	if (end != REQUEST_ANSWERED) {
		answer = unsent(call->api, end);
		call->request.done(call->request.context, &answer);
		return true;
	}
	if (heard->status == 401 && !call->again &&
	    kube_authorization_refresh(&call->api->authorization)) {
		call->again = true;
		return false;
	}
	answer_call(call, heard);
	return true;
}

/* ---- Watches: one JSON document a line ---- */

static size_t line_size(const char *bytes, size_t size, size_t seen)
{
	const char *end = memchr(bytes + seen, '\n', size - seen);

	if (end)
		return (size_t)(end - bytes) + 1;
	return size > MOST_OBJECT ? SIZE_MAX : 0;
}

/* False ends the watch, which begins anew: an event that could not be read must not be missed. */
static bool on_line(struct request *request, const char *line, size_t size)
{
	const struct kube_call *call = call_of(request);
	cJSON *event = cJSON_ParseWithLength(line, size);

	if (!event)
		return false;
	call->request.event(call->request.context, event);
	cJSON_Delete(event);
	return true;
}

/* ---- Sending ---- */

static struct http_settings settings_of(void *context, unsigned number)
{
	const struct kube_api *api = context;

	(void)number;
	return kube_config_settings(&api->config);
}

static enum request_permit authorize(
    void *context, struct request *request, struct http_request *http)
{
	struct kube_api *api = context;
	const enum request_permit permit = kube_authorization_prepare(&api->authorization);

	(void)request;
	http->authorization = api->authorization.header;
	return permit;
}

static const struct requests_service service = {
    settings_of, authorize, line_size, on_line, on_done};

static void on_plugin_asked(void *context, bool certificate)
{
	struct kube_api *api = context;

	if (certificate)
		requests_reconnect(api->requests);
	if (api->authorization.has_credentials)
		requests_authorized(api->requests);
	else
		requests_refuse(api->requests);
}

const char *kube_api_silence(const struct kube_api *api)
{
	return kube_authorization_silence(&api->authorization);
}

struct kube_call *kube_send(struct kube_api *api, const struct kube_request *request)
{
	struct kube_call *call = calloc(1, sizeof *call);
	char *body = request->body ? cJSON_PrintUnformatted(request->body) : NULL;

	if (call && (body || !request->body)) {
		call->api = api;
		call->request = *request;
		call->base.stream = request->event;
		call->base.patience_ms = request->timeout_ms;
		requests_send(api->requests, &call->base,
		    &(struct http_request){
		        .method = request->method,
		        .path = request->path,
		        .body = body,
		        .content_type = request->merge ? "application/merge-patch+json" : NULL,
		        .headers = api->config.headers,
		        .timeout_ms = request->timeout_ms,
		        .further_ms = request->further_ms,
		        .whole_ms = request->whole_ms,
		        .most = request->most ? request->most : MOST_OBJECT,
		    });
	} else {
		free(call);
		call = NULL;
	}
	cJSON_free(body);
	return call;
}

void kube_cancel(struct kube_call *call)
{
	request_cancel(call ? &call->base : NULL);
}

struct kube_api *kube_api_new(
    struct loop *loop, struct kube_config *config, const struct store_clock *clock)
{
	struct kube_api *api = calloc(1, sizeof *api);

	if (!api) {
		kube_config_clear(config);
		return NULL;
	}
	api->config = *config;
	*config = (struct kube_config){0};
	api->authorization = (struct kube_authorization){.loop = loop,
	    .clock = *clock,
	    .config = &api->config,
	    .asked = on_plugin_asked,
	    .context = api};
	api->requests = requests_new(loop, &service, api);
	if (api->requests)
		return api;
	kube_api_free(api);
	return NULL;
}

void kube_api_free(struct kube_api *api)
{
	if (!api)
		return;
	kube_authorization_clear(&api->authorization);
	requests_free(api->requests);
	kube_config_clear(&api->config);
	free(api);
}
