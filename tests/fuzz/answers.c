/*
 * core/libmpsync/net/http.h without a network, and credential plugins without a process: requests
 * wait for what the input says.
 *
 *   A STATUS CALL BODY   answers a request
 *   G STATUS CALL BODY   as gRPC does
 *   S CALL BYTES         a piece of a stream
 *   E STATUS CALL BODY   the stream ends
 *   P OUTPUT             a plugin ends, having printed that
 *
 * STATUS and CALL are a character each; CALL counts from the oldest one under way.
 */
#include "world.h"

#include "net/http.h"
#include "stores/kubernetes/credential.h"
#include "stores/kubernetes/exec.h"

#include <stdlib.h>
#include <string.h>

struct http {
	struct http *next;
};

struct http_call {
	struct http_call *next;
	struct http *http;
	bool stream;
	uint64_t end_ms; /* UINT64_MAX: it has none */
	void (*done)(void *context, const struct http_answer *answer);
	bool (*data)(void *context, const char *bytes, size_t size);
	void *context;
};

static struct http_call *calls; /* the oldest first */

struct http_settings http_settings_of(const char *base_url, const struct mpsync_options *options)
{
	(void)options;
	return (struct http_settings){.base_url = base_url};
}

struct http *http_new(struct loop *loop, const struct http_settings *settings)
{
	(void)loop, (void)settings;
	return calloc(1, sizeof(struct http));
}

void http_free(struct http *http)
{
	struct http_call *next;

	for (struct http_call *call = calls; http && call; call = next) {
		next = call->next;
		if (call->http == http)
			http_cancel(call);
	}
	free(http);
}

struct http_call *http_start(struct http *http, const struct http_request *request)
{
	struct http_call *call = calloc(1, sizeof *call);
	struct http_call **last = &calls;

	if (!call)
		return NULL;
	*call = (struct http_call){.http = http,
	    .stream = request->data,
	    .end_ms = request->timeout_ms ? world_now_ms() + request->timeout_ms : UINT64_MAX,
	    .done = request->done,
	    .data = request->data,
	    .context = request->context};
	while (*last)
		last = &(*last)->next;
	*last = call;
	return call;
}

static void unlink_call(const struct http_call *call)
{
	struct http_call **link = &calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
}

void http_cancel(struct http_call *call)
{
	if (!call)
		return;
	unlink_call(call);
	free(call);
}

int http_descriptor(const struct http_call *call)
{
	(void)call;
	return -1;
}

char *http_encode(const char *text)
{
	return strdup(text);
}

/* ---- What the input says ---- */

static void end_call(struct http_call *call, const struct http_answer *answer)
{
	const struct http_call ended = *call;

	unlink_call(call);
	free(call);
	ended.done(ended.context, answer);
}

static struct http_call *find(bool stream, char number)
{
	struct http_call *found = NULL;
	unsigned left = (uint8_t)number % 8;

	for (struct http_call *call = calls; call; call = call->next) {
		if (call->stream != stream)
			continue;
		found = call;
		if (left-- == 0)
			break;
	}
	return found;
}

static struct http_answer answer_of(const char *step, size_t size)
{
	static const long statuses[] = {
	    0, 200, 201, 202, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 200, 200};
	const char *body = size > 3 ? step + 3 : "";
	const uint8_t status = (uint8_t)step[1];

	return (struct http_answer){
	    .status = *step == 'G' ? 200 : statuses[status % 16],
	    .body = body,
	    .body_size = size > 3 ? size - 3 : 0,
	    .problem = "no answer",
	    .refused = status == 'r',
	    .untrusted = status == 'u',
	    .timed_out = status == 't',
	    .retry_after_s = status == 'w' ? 1 : 0,
	    .from_elector = status != 'n' && statuses[status % 16] != 0,
	    .grpc_status = *step == 'G' ? status % 17 : -1,
	    .grpc_message = "message",
	};
}

/* ---- Plugins ---- */

struct kube_exec {
	kube_exec_done *done;
	void *context;
};

static struct kube_exec *plugin; /* one at a time, as each client has it */

struct kube_exec *kube_exec_start(struct loop *loop, const struct kube_config *config,
    kube_exec_done *done, void *context, char *problem, size_t problem_size)
{
	(void)loop, (void)config, (void)problem, (void)problem_size;
	plugin = calloc(1, sizeof *plugin);
	if (plugin)
		*plugin = (struct kube_exec){done, context};
	return plugin;
}

void kube_exec_cancel(struct kube_exec *exec)
{
	if (!exec)
		return;
	free(exec);
	plugin = NULL;
}

static void end_plugin(const char *output)
{
	const struct kube_exec ended = plugin ? *plugin : (struct kube_exec){0};
	cJSON *credential;
	const cJSON *status = kube_credential_read(output, &credential);

	kube_exec_cancel(plugin);
	if (ended.done)
		ended.done(ended.context, status, status ? "" : "problem");
	cJSON_Delete(credential);
}

void answers_step(const char *step, size_t size)
{
	const bool stream = *step == 'S' || *step == 'E';
	struct http_call *call;
	struct http_answer answer;

	if (*step == 'P')
		end_plugin(step + 1);
	if (size < 3 || !strchr("AGSE", *step))
		return;
	call = find(stream, *step == 'S' ? step[1] : step[2]);
	if (!call)
		return;
	answer = answer_of(step, size);
	if (*step != 'S')
		end_call(call, &answer);
	else if (!call->data(call->context, step + 2, size - 2))
		end_call(call, &(struct http_answer){.status = 200, .body = "", .grpc_status = -1});
}

void answers_time_out(void)
{
	struct http_call *call = calls;

	while (call) {
		if (call->end_ms > world_now_ms()) {
			call = call->next;
			continue;
		}
		end_call(
		    call, &(struct http_answer){
		              .body = "", .problem = "no answer", .timed_out = true, .grpc_status = -1});
		call = calls;
	}
}

void answers_fail(void)
{
	unsigned count = 0;

	end_plugin(NULL);
	for (const struct http_call *call = calls; call; call = call->next)
		count++;
	for (; calls && count > 0; count--)
		end_call(
		    calls, &(struct http_answer){.body = "", .problem = "no answer", .grpc_status = -1});
}
