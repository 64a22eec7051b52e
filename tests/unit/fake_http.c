#include "fake_http.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http {
	char base_url[64];
};

static struct http_call *under_way; /* the oldest first */

struct http *http_new(struct loop *loop, const struct http_settings *settings)
{
	struct http *http = calloc(1, sizeof *http);

	(void)loop;
	if (http)
		snprintf(http->base_url, sizeof http->base_url, "%s", settings->base_url);
	return http;
}

void http_free(struct http *http)
{
	free(http);
}

static void copy(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

struct http_call *http_start(struct http *http, const struct http_request *request)
{
	struct http_call *call = calloc(1, sizeof *call);
	struct http_call **last = &under_way;
	const size_t size = request->body_size;

	if (!call)
		return NULL;
	call->request = *request;
	copy(call->server, sizeof call->server, http->base_url);
	copy(call->path, sizeof call->path, request->path);
	copy(call->token, sizeof call->token, request->token);
	copy(call->authorization, sizeof call->authorization, request->authorization);
	if (size > 0)
		memcpy(call->body, request->body, size < sizeof call->body ? size : sizeof call->body);
	else
		copy(call->body, sizeof call->body, request->body);
	while (*last)
		last = &(*last)->next;
	*last = call;
	return call;
}

void http_cancel(struct http_call *call)
{
	struct http_call **link = &under_way;

	if (!call)
		return;
	while (*link && *link != call)
		link = &(*link)->next;
	if (*link)
		*link = call->next;
	free(call);
}

struct http_call *fake_call(void)
{
	return under_way;
}

void fake_answer(struct http_answer answered)
{
	struct http_call *call = under_way;

	assert_non_null(call);
	under_way = call->next;
	if (!answered.body)
		answered.body = "";
	if (!answered.grpc_message)
		answered.grpc_message = "";
	call->request.done(call->request.context, &answered);
	free(call);
}
