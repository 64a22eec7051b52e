#include "http_calls.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/*
 * How many requests with a connection each run at once. With more, each of them takes longer, and
 * all together as well.
 */
#define MOST_AT_ONCE 64
/* A server's Retry-After is obeyed for so long at most. */
#define LONGEST_RETRY_AFTER_S 86400

/* ---- Calls, and the requests that each consists of ---- */

static void move(struct http_call *call, struct call_list *list)
{
	if (call->list)
		TAILQ_REMOVE(call->list, call, link);
	call->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, call, link);
}

void http_move_try(struct http_try *try, struct try_list *list)
{
	if (try->list)
		TAILQ_REMOVE(try->list, try, link);
	try->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, try, link);
}

static void free_try(struct http_try *try)
{
	http_move_try(try, NULL);
	for (size_t i = 0; i < FURTHER_MOST; i++)
		if (try->call->tries[i] == try)
			try->call->tries[i] = NULL;
	if (try->line)
		line_leave(try);
	if (try->easy)
		curl_easy_cleanup(try->easy);
	free(try->answer);
	free(try);
}

static void free_call(struct http_call *call)
{
	move(call, NULL);
	call->http->at_once -= call->counted;
	for (size_t i = 0; i < FURTHER_MOST; i++)
		if (call->tries[i])
			free_try(call->tries[i]);
	if (call->deliver)
		event_free(call->deliver);
	curl_slist_free_all(call->headers);
	free(call->path);
	free(call->body);
	free(call);
}

static struct http_try **free_place(struct http_call *call)
{
	size_t i = 0;

	while (i < FURTHER_MOST && call->tries[i])
		i++;
	return i < FURTHER_MOST ? &call->tries[i] : NULL;
}

/* NULL without memory. */
static struct http_try *try_new(struct http_call *call)
{
	struct http_try **place = free_place(call);
	struct http_try *try = place ? calloc(1, sizeof *try) : NULL;

	if (!try)
		return NULL;
	*place = try;
	try->call = call;
	try->descriptor = -1;
	try->grpc_status = -1;
	try->easy = curl_easy_init();
	return try;
}

/*
 * A request that curl refuses is finished too, and its caller is told from the loop like any other.
 */
static void launch(struct http_try *try, struct line *line, bool fresh)
{
	struct http *http = try->call->http;

	try->line = line;
	try->sent_ms = clock_boot_ms();
	if (line)
		line->tries++;
	if (line && try->easy && http_set_up(try, fresh) &&
	    curl_multi_add_handle(line->multi, try->easy) == CURLM_OK) {
		http_move_try(try, &http->under_way);
		return;
	}
	try->code = CURLE_OUT_OF_MEMORY;
	http_move_try(try, &http->finished);
	event_active(http->tell, EV_TIMEOUT, 0);
}

/* ---- Further requests ---- */

static void arm_further(struct http *http, uint64_t at_ms)
{
	const uint64_t now = clock_boot_ms();
	const uint64_t after_ms = at_ms > now ? at_ms - now : 0;
	const struct timeval after = {(time_t)(after_ms / 1000), (suseconds_t)(after_ms % 1000) * 1000};

	if (at_ms >= http->further_at_ms)
		return;
	http->further_at_ms = at_ms;
	if (evtimer_add(http->further, &after) != 0)
		event_active(http->further, EV_TIMEOUT, 0);
}

static void send_further(struct http_call *call)
{
	struct http *http = call->http;
	struct http_try *latest = NULL;
	struct http_try *try;

	for (size_t i = 0; i < FURTHER_MOST; i++)
		if (call->tries[i] && (!latest || call->tries[i]->sent_ms > latest->sent_ms))
			latest = call->tries[i];
	try = latest ? try_new(call) : NULL;
	if (try)
		launch(try, line_other(http, latest->sent_ms), true);
	else
		further_failed(&call->further);
}

static void on_further(evutil_socket_t descriptor, short what, void *context)
{
	struct http *http = context;
	const uint64_t now = clock_boot_ms();
	struct http_call *call;

	(void)descriptor, (void)what;
	http->further_at_ms = FURTHER_NEVER;
	TAILQ_FOREACH(call, &http->calls, link)
	{
		if (further_send(&call->further, now))
			send_further(call);
		arm_further(http, further_next_ms(&call->further));
	}
}

/* ---- What is finished ---- */

static void give_waiting(struct http *http);

static void explain(const struct http_try *try, struct http_answer *answer)
{
	const CURLcode code = try->code;

	answer->problem = *try->problem ? try->problem : curl_easy_strerror(code);
	answer->too_long = try->too_long;
	answer->refused = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
	                  code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
	                  code == CURLE_SSL_CERTPROBLEM;
	answer->untrusted =
	    answer->refused && code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST;
	answer->timed_out = code == CURLE_OPERATION_TIMEDOUT;
}

/* The seconds of Retry-After, which may also be a date, in the past or far in the future. */
static long retry_after_s(CURL *easy)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds < 0)
		return 0;
	return seconds < LONGEST_RETRY_AFTER_S ? (long)seconds : LONGEST_RETRY_AFTER_S;
}

static long status_of(const struct http_try *try)
{
	long status = 0;

	if (try->code == CURLE_OK)
		curl_easy_getinfo(try->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static void tell(struct http_try *try)
{
	const struct http_call *call = try->call;
	struct http_answer answer = {.body = try->answer ? try->answer : "",
	    .body_size = try->answer_length,
	    .from_elector = try->from_elector,
	    .further = call->further.sent > 1,
	    .grpc_status = try->grpc_status,
	    .grpc_message = try->grpc_message};

	if (try->code == CURLE_OK) {
		answer.status = status_of(try);
		answer.retry_after_s = retry_after_s(try->easy);
	} else {
		explain(try, &answer);
	}
	call->request.done(call->request.context, &answer);
}

static bool hand_on(struct http_try *try)
{
	const struct http_request *request = &try->call->request;
	const size_t length = try->answer_length;

	try->answer_length = 0;
	return length == 0 || request->data(request->context, try->answer, length);
}

/* The further request was answered first: the connections of the earlier ones hang. */
static void leave_slower(const struct http_try *answered)
{
	const struct http_call *call = answered->call;

	for (size_t i = 0; i < FURTHER_MOST; i++)
		if (call->tries[i] && call->tries[i] != answered &&
		    call->tries[i]->sent_ms < answered->sent_ms)
			line_hangs(call->tries[i]->line);
}

static void finish(struct http_try *try)
{
	struct http_call *call = try->call;
	struct http *http = call->http;

	http_move_try(try, NULL);
	if (try->code == CURLE_OPERATION_TIMEDOUT && try->line)
		line_hangs(try->line);
	if (try->code != CURLE_OK && !further_failed(&call->further)) {
		free_try(try); /* another request of the call is under way */
		arm_further(http, further_next_ms(&call->further));
		return;
	}
	leave_slower(try);
	/*
	 * Detach the request from curl before its callback runs: the callback may start or cancel other
	 * calls, and must not reach this one again.
	 */
	if (try->line)
		line_leave(try);
	move(call, NULL);
	if (call->deliver && status_of(try) == 200)
		hand_on(try);
	tell(try);
	free_call(call);
}

void http_tell_finished(struct http *http)
{
	struct http_try *try;

	while ((try = TAILQ_FIRST(&http->finished)))
		finish(try);
	give_waiting(http);
}

static void on_tell(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor, (void)what;
	http_tell_finished(context);
}

static void on_deliver(evutil_socket_t descriptor, short what, void *context)
{
	struct http_call *call = context;
	struct http_try *try = call->tries[0];

	(void)descriptor, (void)what;
	if (hand_on(try))
		return;
	try->code = CURLE_WEIRD_SERVER_REPLY;
	try->answer_length = 0;
	finish(try);
}

/* ---- Asking ---- */

static void begin(struct http_call *call)
{
	struct http *http = call->http;
	const uint64_t now = clock_boot_ms();
	const struct http_request *request = &call->request;

	move(call, &http->calls);
	further_begin(&call->further, now, request->further_ms,
	    request->further_ms ? now + request->whole_ms : FURTHER_NEVER);
	launch(call->tries[0], line_present(http), false);
	arm_further(http, further_next_ms(&call->further));
}

static void give_waiting(struct http *http)
{
	while (http->at_once < MOST_AT_ONCE && !TAILQ_EMPTY(&http->waiting)) {
		struct http_call *call = TAILQ_FIRST(&http->waiting);

		call->counted = true;
		http->at_once++;
		begin(call);
	}
}

/* A second request may be sent when the borrowed texts are gone, so they are copied. */
static bool copy_request(struct http_call *call, const struct http_request *request)
{
	call->request = *request;
	call->path = strdup(request->path);
	if (request->data)
		call->deliver = evtimer_new(call->http->loop->base, on_deliver, call);
	if (!call->path || (request->data && !call->deliver))
		return false;
	if (!request->body)
		return true;
	if (!request->body_size)
		call->request.body_size = strlen(request->body);
	call->body = malloc(call->request.body_size + 1);
	if (!call->body)
		return false;
	memcpy(call->body, request->body, call->request.body_size);
	call->body[call->request.body_size] = '\0';
	return true;
}

struct http_call *http_start(struct http *http, const struct http_request *request)
{
	struct http_call *call = calloc(1, sizeof *call);

	if (!call)
		return NULL;
	call->http = http;
	if (!copy_request(call, request) || !try_new(call) || !call->tries[0]->easy ||
	    !http_set_headers(call)) {
		free_call(call);
		return NULL;
	}
	if (http->settings.shared || request->data || request->urgent) {
		begin(call);
	} else {
		move(call, &http->waiting);
		give_waiting(http);
	}
	return call;
}

void http_cancel(struct http_call *call)
{
	struct http *http;

	if (!call)
		return;
	http = call->http;
	free_call(call);
	give_waiting(http);
}

int http_descriptor(const struct http_call *call)
{
	return call->tries[0] ? call->tries[0]->descriptor : -1;
}

/* ---- Beginning and end ---- */

struct http *http_new(struct loop *loop, const struct http_settings *settings)
{
	struct http *http = calloc(1, sizeof *http);

	if (!http)
		return NULL;
	TAILQ_INIT(&http->calls);
	TAILQ_INIT(&http->waiting);
	TAILQ_INIT(&http->under_way);
	TAILQ_INIT(&http->finished);
	http->loop = loop;
	http->further_at_ms = FURTHER_NEVER;
	http->tell = evtimer_new(loop->base, on_tell, http);
	http->further = evtimer_new(loop->base, on_further, http);
	if (http_settings_copy(http, settings) && http->tell && http->further && line_new(http))
		return http;
	http_free(http);
	return NULL;
}

static void free_calls(struct call_list *list)
{
	while (!TAILQ_EMPTY(list))
		free_call(TAILQ_FIRST(list));
}

void http_free(struct http *http)
{
	if (!http)
		return;
	free_calls(&http->waiting);
	free_calls(&http->calls);
	lines_free(http);
	if (http->tell)
		event_free(http->tell);
	if (http->further)
		event_free(http->further);
	http_settings_clear(http);
	free(http);
}
