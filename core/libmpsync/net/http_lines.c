#include "base/clock.h"
#include "base/list.h"
#include "http_calls.h"

#include <stdlib.h>
#include <string.h>

#define MOST_STREAMS 1000000L

/*
 * Takes every finished request out of curl before the first callback runs. A callback may cancel
 * other calls, and curl_multi_remove_handle searches the messages that are still unread: with a
 * thousand finished requests that would be quadratic.
 */
static void collect_finished(struct line *line)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(line->multi, &left))) {
		struct http_try *try = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&try);
		try->code = message->data.result;
		http_move_try(try, &line->http->finished);
	}
}

/* The line may be freed when this returns. */
static void act(struct line *line, curl_socket_t descriptor, int what)
{
	struct http *http = line->http;
	int running;

	curl_multi_socket_action(line->multi, descriptor, what, &running);
	collect_finished(line);
	http_tell_finished(http);
}

static void on_socket_ready(evutil_socket_t descriptor, short what, void *context)
{
	act(context, descriptor,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor, (void)what;
	act(context, CURL_SOCKET_TIMEOUT, 0);
}

/* It ends without curl, and its caller is told from the loop. */
static void end_try(struct http_try *try, CURLcode code, const char *problem)
{
	try->code = code;
	strcpy(try->problem, problem);
	http_move_try(try, &try->call->http->finished);
	event_active(try->call->http->tell, EV_TIMEOUT, 0);
}

/* NULL without memory. */
static struct event *socket_event(struct line *line, curl_socket_t descriptor, int what)
{
	const short flags = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
	                            (what & CURL_POLL_OUT ? EV_WRITE : 0));
	struct event *event =
	    event_new(line->http->loop->base, descriptor, flags, on_socket_ready, line);

	if (event && event_add(event, NULL) == 0)
		return event;
	if (event)
		event_free(event);
	return NULL;
}

/* Nothing that comes over the socket would be noticed: its request ends, and the line with it. */
static void lose_socket(struct line *line, CURL *easy)
{
	struct http_try *try = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&try);
	if (try)
		end_try(try, CURLE_OUT_OF_MEMORY, "");
	line_hangs(line);
}

static int watch_socket(CURL *easy, curl_socket_t descriptor, int what, void *context, void *data)
{
	struct line *line = context;
	struct event *event = data;

	if (event)
		event_free(event);
	event = what == CURL_POLL_REMOVE ? NULL : socket_event(line, descriptor, what);
	if (!event && what != CURL_POLL_REMOVE)
		lose_socket(line, easy);
	curl_multi_assign(line->multi, descriptor, event);
	return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct line *line = context;
	const struct timeval after = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	(void)multi;
	if (timeout_ms < 0)
		evtimer_del(line->timer);
	else if (evtimer_add(line->timer, &after) != 0)
		event_active(line->timer, EV_TIMEOUT, 0); /* curl finds out itself what is due */
	return 0;
}

static void line_free(struct line *line)
{
	if (line->multi)
		curl_multi_cleanup(line->multi);
	if (line->timer)
		event_free(line->timer);
	free(line);
}

struct line *line_new(struct http *http)
{
	struct line *line = calloc(1, sizeof *line);

	if (!line)
		return NULL;
	line->http = http;
	line->begun_ms = clock_boot_ms();
	line->multi = curl_multi_init();
	line->timer = evtimer_new(http->loop->base, on_timer, line);
	if (!line->multi || !line->timer) {
		line_free(line);
		return NULL;
	}
	curl_multi_setopt(line->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(line->multi, CURLMOPT_SOCKETDATA, line);
	curl_multi_setopt(line->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(line->multi, CURLMOPT_TIMERDATA, line);
	/* Each watch is a stream on the shared connection. */
	curl_multi_setopt(line->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, MOST_STREAMS);
	SINGLY_ADD(http->lines, line);
	return line;
}

static void free_idle(struct http *http)
{
	struct line **link = &http->lines->next;

	while (*link) {
		struct line *line = *link;

		if (line->tries > 0) {
			link = &line->next;
			continue;
		}
		*link = line->next;
		line_free(line);
	}
}

struct line *line_present(struct http *http)
{
	struct line *line = http->lines->hangs ? line_new(http) : http->lines;

	free_idle(http);
	return line;
}

struct line *line_other(struct http *http, uint64_t sent_ms)
{
	struct line *line = http->lines;

	/* Where each request has a connection of its own, the same line opens a new one. */
	if (!http->settings.shared || (line->begun_ms > sent_ms && !line->hangs))
		return line;
	return line_new(http);
}

void line_hangs(struct line *line)
{
	struct http *http = line->http;
	struct http_try *next;

	if (line->hangs)
		return;
	/* Other connections that it keeps for later requests may lead the same dead way. */
	line->hangs = true;
	if (!http->settings.shared)
		return;
	for (struct http_try *try = TAILQ_FIRST(&http->under_way); try; try = next) {
		next = TAILQ_NEXT(try, link);
		if (try->line != line || !try->call->request.data)
			continue;
		end_try(try, CURLE_GOT_NOTHING, "its connection hung, and was replaced");
	}
}

void line_leave(struct http_try *try)
{
	struct line *line = try->line;

	curl_multi_remove_handle(line->multi, try->easy);
	line->tries--;
	try->line = NULL;
	free_idle(line->http);
}

void lines_free(struct http *http)
{
	while (http->lines) {
		struct line *line = http->lines;

		http->lines = line->next;
		line_free(line);
	}
}
