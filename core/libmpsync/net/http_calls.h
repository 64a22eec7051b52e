/*
 * What is inside of HTTP out, for the files that it consists of: http_calls.c asks and is answered,
 * http_lines.c has libcurl's connections on the loop, http_setup.c says what is asked, and of whom.
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
 * libcurl's connections. Where all calls share one, and it hangs, a transfer that timed out leaves
 * it in use: only another multi handle makes sure of another connection.
 */
struct line {
	struct line *next; /* an older one */
	struct http *http;
	CURLM *multi;
	struct event *timer;
	size_t tries;
	uint64_t begun_ms;
	bool greeted; /* the first request of a shared connection has been sent */
	bool hangs;   /* nothing more is sent on it */
};

struct http {
	struct loop *loop;
	struct http_settings settings; /* its texts are our own */
	struct curl_slist *connect_to;
	char *authority;          /* what Host says, where the URL has another name; NULL: the URL's */
	struct line *lines;       /* the newest one first; not NULL */
	struct call_list calls;   /* all */
	struct call_list waiting; /* for their turn to be given to curl */
	struct try_list under_way;
	struct try_list finished; /* curl has told; their callers have not been */
	struct event *tell;       /* what is finished */
	struct event *further;    /* at further_at_ms */
	uint64_t further_at_ms;   /* FURTHER_NEVER: nothing is sent again */
	unsigned at_once;
};

/* One request, as curl has it. */
struct http_try {
	TAILQ_ENTRY(http_try) link;
	struct try_list *list; /* that it is in */
	struct http_call *call;
	struct line *line;
	CURL *easy;
	uint64_t sent_ms;
	char *answer;
	size_t answer_length;
	size_t answer_size;
	curl_socket_t descriptor;
	bool from_elector;
	bool too_long; /* its body, which was cut off therefore */
	CURLcode code; /* when it is finished */
	int grpc_status;
	char grpc_message[200];
	char problem[CURL_ERROR_SIZE];
};

/* What was asked, by one request or several. */
struct http_call {
	TAILQ_ENTRY(http_call) link;
	struct call_list *list; /* that it is in */
	struct http *http;
	struct http_request request;
	struct http_try *tries[FURTHER_MOST];
	struct further further;
	struct curl_slist *headers;
	bool lacks_headers; /* for want of memory */
	char *path;
	char *body;
	struct event *deliver; /* streams: what arrived is handed on outside of curl's callbacks */
	bool counted;          /* one of those at once */
};

/* ---- http_calls.c ---- */

/* Those that are finished are told. */
void http_tell_finished(struct http *http);
void http_move_try(struct http_try *try, struct try_list *list);

/* ---- http_lines.c ---- */

/* It becomes the present one. NULL without memory. */
struct line *line_new(struct http *http);
/* The present one, or another if that hangs. NULL without memory. */
struct line *line_present(struct http *http);
/* For what has been sent at sent_ms without an answer. NULL without memory. */
struct line *line_other(struct http *http, uint64_t sent_ms);
/* Its streams would never notice: they end, to begin again on another. */
void line_hangs(struct line *line);
void line_leave(struct http_try *try);
void lines_free(struct http *http);

/* ---- http_setup.c ---- */

/* The same for each request of a call. False without memory. */
bool http_set_headers(struct http_call *call);
bool http_set_up(struct http_try *try, bool fresh);
/* False without memory. */
bool http_settings_copy(struct http *http, const struct http_settings *settings);
void http_settings_clear(struct http *http);

#endif
