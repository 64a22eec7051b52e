#include "requests.h"

#include "base/duration.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <string.h>

bool request_read_body(struct request *request, enum body *kind, cJSON **object)
{
	struct evbuffer *buffer = evhttp_request_get_input_buffer(request->http);
	const size_t size = evbuffer_get_length(buffer);
	const char *bytes = size ? (const char *)evbuffer_pullup(buffer, -1) : "";
	char problem[FIELDS_PROBLEM_SIZE];

	*kind = body_parse(bytes, size, object, problem);
	if (*kind == BODY_BAD)
		reply_error(request, 400, "invalid", problem);
	return *kind != BODY_BAD;
}

const char *request_session(const struct request *request)
{
	return evhttp_find_header(evhttp_request_get_input_headers(request->http), "Mpsync-Session");
}

bool request_set_name(struct request *request, const char *name)
{
	request->name = strdup(name);
	if (request->name)
		return true;
	reply_error(request, 503, "too_many", "out of memory; try again later");
	return false; /* the client went away while its body was read */
}

bool request_duration(const struct evkeyvalq *parameters, const char *name, uint64_t *ms)
{
	const char *text = evhttp_find_header(parameters, name);

	*ms = 0;
	return !text || (duration_parse(text, ms) && *ms > 0);
}
