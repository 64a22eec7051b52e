#include "requests.h"

#include "base/wire.h"

#include <string.h>

void requests_heartbeat(struct request *request, const char *holder)
{
	struct heartbeat beat = {.holder = holder, .read_ms = request->read_ms};
	char problem[FIELDS_PROBLEM_SIZE];
	enum body kind;
	cJSON *object;
	bool right;

	if (!request_read_body(request, &kind, &object))
		return;
	right = heartbeat_parse(&beat, object, request_session(request), problem);
	cJSON_Delete(object);
	if (right)
		sessions_heartbeat(request->server->sessions, &beat, &request->base);
	else
		reply_error(request, 400, "invalid", problem);
}

void requests_open_stream(
    struct request *request, const char *holder, const struct evkeyvalq *parameters)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request->http);
	const char *last = evhttp_find_header(headers, "Last-Event-ID");
	struct id session = {{0}};
	uint64_t last_event = 0;
	uint64_t for_ms;
	uint64_t ping_ms;

	if (!request_duration(parameters, "for", &for_ms) ||
	    !request_duration(parameters, "ping", &ping_ms)) {
		reply_error(request, 400, "invalid", "for and ping have to be durations, as 1s");
	} else if (!session_parse(request_session(request), &session)) {
		reply_error(request, 400, "invalid", "Mpsync-Session has to be 32 lower-case hex digits");
	} else if (id_is_none(&session)) {
		stream_follow(request, holder, for_ms, ping_ms);
	} else {
		if (last && strcmp(last, "0") != 0 && !wire_token_parse(last, &last_event))
			last_event = 0;
		stream_session(request, holder, &session, last_event, for_ms, ping_ms);
	}
}
