/*
 * What the files of the HTTP client share: http_calls.c starts calls and tells their answers,
 * http_lines.c has libcurl's connections on the loop, http_setup.c sets up what is sent, and to
 * whom.
 */
#ifndef MPSYNC_HTTP_CALLS_H
#define MPSYNC_HTTP_CALLS_H

#include "further.h"
#include "http.h"

#include <curl/curl.h>
#include <sys/queue.h>

TAILQ_HEAD(call_list, http_call);
TAILQ_HEAD(try_list, http_try);

/*
 * A multi handle of libcurl and its connections. Where all calls share one connection and that
 * hangs, libcurl keeps using it after a time-out: only another multi handle is sure to open a new
 * one.
 */
struct line {
	struct line *next; /* an older one */
	struct http *http;
	CURLM *multi;
	struct event *timer;
	size_t tries;
	uint64_t begun_ms;
	bool greeted; /* the first request of the shared connection was sent */
	bool hangs;   /* nothing more is sent on it */
};

struct http {
	struct loop *loop;
	struct http_settings settings; /* with texts of its own */
	struct curl_slist *connect_to;
	char *authority;          /* the header Host, where it differs from the URL's host; else NULL */
	struct line *lines;       /* the newest is the first; never NULL */
	struct call_list calls;   /* all calls */
	struct call_list waiting; /* calls that wait for their turn */
	struct try_list under_way;
	struct try_list finished; /* finished by curl, but not told to their callers */
	struct event *tell;       /* runs soon, to tell the finished ones */
	struct event *further;    /* rings at further_at_ms */
	uint64_t further_at_ms;   /* FURTHER_NEVER: no further request is due */
	unsigned at_once;
};

/* One request, as curl has it. */
struct http_try {
	TAILQ_ENTRY(http_try) link;
	struct try_list *list; /* the list that it is in */
	struct http_call *call;
	struct line *line;
	CURL *easy;
	uint64_t sent_ms;
	char *answer;
	size_t answer_length;
	size_t answer_size;
	curl_socket_t descriptor;
	bool from_elector;
	bool too_long; /* its body, so it was cut off */
	CURLcode code; /* curl's result, when it is finished */
	int grpc_status;
	char grpc_message[200];
	char problem[CURL_ERROR_SIZE];
};

/* A question: one request, or several of the same. */
struct http_call {
	TAILQ_ENTRY(http_call) link;
	struct call_list *list; /* the list that it is in */
	struct http *http;
	struct http_request request;
	struct http_try *tries[FURTHER_MOST];
	struct further further;
	struct curl_slist *headers;
	bool lacks_headers; /* memory was lacking for them */
	char *path;
	char *body;
	struct event *deliver; /* streams: hands data on outside of curl's callbacks */
	bool counted;          /* it is one of the calls at once */
};

/* ---- http_calls.c ---- */

/* Tell the callers of all finished requests. */
void http_tell_finished(struct http *http);
void http_move_try(struct http_try *try, struct try_list *list);

/* ---- http_lines.c ---- */

/* A new line, which becomes the present one. NULL without memory. */
struct line *line_new(struct http *http);
/* The present line, or a new one if that hangs. NULL without memory. */
struct line *line_present(struct http *http);
/* A line for a question that was sent at sent_ms and has no answer yet. NULL without memory. */
struct line *line_other(struct http *http, uint64_t sent_ms);
/*
 * The connection hangs. Its streams would never notice, so they end here, to begin again on
 * another.
 */
void line_hangs(struct line *line);
void line_leave(struct http_try *try);
void lines_free(struct http *http);

/* ---- http_setup.c ---- */

/* Set the headers that all requests of the call have. False without memory. */
bool http_set_headers(struct http_call *call);
bool http_set_up(struct http_try *try, bool fresh);
/* False without memory. */
bool http_settings_copy(struct http *http, const struct http_settings *settings);
void http_settings_clear(struct http *http);

#endif
