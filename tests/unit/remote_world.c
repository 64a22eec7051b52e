#include "remote_world.h"

#include "stores/elector/elector.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http {
	char unused;
};

struct remote_world remote_world;

static char last_secret[40]; /* in what was asked for a claim last */

/* ---- HTTP, without a network ---- */

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

static void free_call(struct http_call *call)
{
	struct http_call **link = &remote_world.calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	free(call);
}

void http_free(struct http *http)
{
	while (remote_world.calls)
		free_call(remote_world.calls);
	free(http);
}

/* Without memory, which a test may have taken away. */
static void remember_secret(const char *text)
{
	const char *claim = strstr(text, "\"claim\":\"");

	if (claim)
		snprintf(last_secret, ID_HEX_SIZE, "%s", claim + strlen("\"claim\":\""));
}

struct http_call *http_start(struct http *http, const struct http_request *request)
{
	struct http_call **last = &remote_world.calls;
	struct http_call *call = remote_world.no_calls ? NULL : calloc(1, sizeof *call);

	(void)http;
	if (!call)
		return NULL;
	call->request = *request;
	call->is_stream = request->data;
	snprintf(call->method, sizeof call->method, "%s", request->method);
	snprintf(call->path, sizeof call->path, "%s", request->path);
	snprintf(call->text, sizeof call->text, "%s", request->body ? request->body : "");
	remember_secret(call->text);
	while (*last)
		last = &(*last)->next;
	*last = call;
	return call;
}

void http_cancel(struct http_call *call)
{
	if (call)
		free_call(call);
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

struct http_call *asked(const char *method, const char *path)
{
	struct http_call *call = remote_world.calls;

	while (
	    call && (strcmp(call->method, method) != 0 || strncmp(call->path, path, strlen(path)) != 0))
		call = call->next;
	return call;
}

struct http_call *expect(const char *method, const char *path)
{
	struct http_call *call = asked(method, path);

	assert_non_null(call);
	return call;
}

const char *text_in(const struct http_call *call, const char *field)
{
	static char copy[256];
	cJSON *body = cJSON_Parse(call->text);
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, field);

	*copy = '\0';
	if (cJSON_IsString(item))
		snprintf(copy, sizeof copy, "%s", item->valuestring);
	else if (item)
		assert_true(cJSON_PrintPreallocated((cJSON *)(uintptr_t)item, copy, sizeof copy, false));
	cJSON_Delete(body);
	return copy;
}

const char *secret_of_claim(void)
{
	return last_secret;
}

static void end_call(struct http_call *call, const struct http_answer *given)
{
	const struct http_request request = call->request;

	free_call(call);
	request.done(request.context, given);
}

void answer(struct http_call *call, long status, const char *format, ...)
{
	char body[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(body, sizeof body, format, arguments);
	va_end(arguments);
	end_call(call, &(struct http_answer){.status = status,
	                   .body = body,
	                   .body_size = strlen(body),
	                   .retry_after_s = status == 503,
	                   .from_elector = true});
}

void answer_as_nobody(struct http_call *call, long status)
{
	end_call(call, &(struct http_answer){.status = status, .body = "", .problem = "no answer"});
}

void tell(uint64_t id, const char *event, const char *format, ...)
{
	struct http_call *stream = expect("GET", "/holders/");
	char data[1024];
	char text[1200];
	int size = 0;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(data, sizeof data, format, arguments);
	va_end(arguments);
	if (id)
		size = snprintf(text, sizeof text, "id: %" PRIu64 "\n", id);
	size +=
	    snprintf(text + size, sizeof text - (size_t)size, "event: %s\ndata: %s\n\n", event, data);
	assert_true(stream->request.data(stream->request.context, text, (size_t)size));
}

void hello(const char *elector, unsigned generation, bool resumed)
{
	tell(0, "hello",
	    "{\"elector\":\"%s\",\"stream\":%u,\"peer\":\"\",\"resumed\":%s,\"features\":[\"low\","
	    "\"order\"]}",
	    elector, generation, resumed ? "true" : "false");
}

void end_stream(long status)
{
	struct http_call *stream = expect("GET", "/holders/");

	if (status == 200)
		answer(stream, 200, "%s", "");
	else
		answer_as_nobody(stream, status);
}

int open_remote(void **state)
{
	const struct store_clock clock = begin_store_world();
	struct mpsync_options options = {{0}};
	struct url url = {0};

	(void)state;
	memset(&remote_world, 0, sizeof remote_world);
	assert_true(url_parse(&url, "http://localhost:13131", NULL));
	assert_int_equal(mpsync_options_set(&options, "identity", "h", NULL), MPSYNC_OK);
	give_store(elector_open(&url, &options, NULL, &clock, NULL));
	url_clear(&url);
	options_clear(&options);
	return 0;
}

int close_remote(void **state)
{
	(void)state;
	store_world.store->ops->close(store_world.store);
	return 0;
}

struct store_claim *hold(void)
{
	struct store_claim *claim = new_claim("n");

	attempt(claim);
	hello(ELECTOR_A, 1, false);
	answer(expect("PUT", "/locks/n"), 200,
	    "{\"elector\":\"%s\",\"spec\":{\"token\":\"7\",\"remaining\":\"12s\"}}", ELECTOR_A);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	return claim;
}

struct store_claim *queue_up(void)
{
	struct store_claim *claim = new_claim("n");

	attempt(claim);
	hello(ELECTOR_A, 1, false);
	answer(expect("PUT", "/locks/n"), 202, "{\"elector\":\"%s\",\"spec\":{\"owner\":\"other\"}}",
	    ELECTOR_A);
	assert_int_equal(store_world.told.event, CLAIM_BUSY);
	return claim;
}
