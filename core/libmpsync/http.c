#include "http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONNECT_TIMEOUT_MS 5000
#define MOST_ANSWER        (64 * 1024 * 1024)
#define MOST_STREAMS       1000000L
/* Requests that have a connection each. More at once would take longer, each and together. */
#define MOST_AT_ONCE 64

TAILQ_HEAD(call_list, http_call);

struct http {
	struct loop *loop;
	CURLM *multi;
	struct event *timer;
	struct http_settings settings; /* its texts are our own */
	struct curl_slist *connect_to;
	struct call_list calls;
	struct call_list waiting;  /* for their turn to be given to curl */
	struct call_list finished; /* curl has told; their callers have not been */
	unsigned at_once;
	bool greeted; /* the first request of a shared connection has been sent */
};

struct http_call {
	TAILQ_ENTRY(http_call) link;
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	struct http_request request;
	char *body;
	char *answer;
	size_t answer_length;
	size_t answer_size;
	struct event *deliver; /* streams: what arrived is handed on outside of curl's callbacks */
	curl_socket_t descriptor;
	bool from_elector;
	struct call_list *list; /* that it is in */
	bool counted;           /* one of those at once */
	CURLcode code;          /* when it is finished */
	int grpc_status;
	char grpc_message[200];
	char problem[CURL_ERROR_SIZE];
};

/* ---- curl's sockets and timer on the loop ---- */

static void move(struct http_call *call, struct call_list *list)
{
	if (call->list)
		TAILQ_REMOVE(call->list, call, link);
	call->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, call, link);
}

static void free_call(struct http_call *call)
{
	struct http *http = call->http;

	move(call, NULL);
	http->at_once -= call->counted;
	if (call->easy) {
		curl_multi_remove_handle(http->multi, call->easy);
		curl_easy_cleanup(call->easy);
	}
	if (call->deliver)
		event_free(call->deliver);
	curl_slist_free_all(call->headers);
	free(call->body);
	free(call->answer);
	free(call);
}

static void finish(struct http_call *call, CURLcode code)
{
	struct http_answer answer = {.body = call->answer ? call->answer : "",
	    .body_size = call->answer_length,
	    .from_elector = call->from_elector,
	    .grpc_status = call->grpc_status,
	    .grpc_message = call->grpc_message};
	curl_off_t retry_after = 0;

	if (code == CURLE_OK) {
		curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &answer.status);
		curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after);
		answer.retry_after_s = (long)retry_after;
	} else {
		answer.problem = *call->problem ? call->problem : curl_easy_strerror(code);
		answer.refused = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
		                 code == CURLE_PEER_FAILED_VERIFICATION ||
		                 code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM;
		answer.untrusted =
		    answer.refused && code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST;
		answer.timed_out = code == CURLE_OPERATION_TIMEDOUT;
	}
	call->request.done(call->request.context, &answer);
}

static bool hand_on(struct http_call *call)
{
	const size_t length = call->answer_length;

	call->answer_length = 0;
	return length == 0 || call->request.data(call->request.context, call->answer, length);
}

/* All before anybody is told: to let go of a call, curl walks through those it has not told. */
static void collect_finished(struct http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct http_call *call = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		call->code = message->data.result;
		move(call, &http->finished);
	}
}

/* What curl does not take is finished as well, and told from the loop. */
static void give_to_curl(struct http_call *call)
{
	struct http *http = call->http;

	move(call, &http->calls);
	if (curl_multi_add_handle(http->multi, call->easy) == CURLM_OK)
		return;
	call->code = CURLE_OUT_OF_MEMORY;
	move(call, &http->finished);
	event_active(http->timer, EV_READ, 1);
}

static void give_waiting(struct http *http)
{
	while (http->at_once < MOST_AT_ONCE && !TAILQ_EMPTY(&http->waiting)) {
		struct http_call *call = TAILQ_FIRST(&http->waiting);

		call->counted = true;
		http->at_once++;
		give_to_curl(call);
	}
}

static void take_finished(struct http *http)
{
	struct http_call *call;

	collect_finished(http);
	while ((call = TAILQ_FIRST(&http->finished))) {
		/* Off curl's list first: whoever is told may start or cancel others, but not this one. */
		curl_multi_remove_handle(http->multi, call->easy);
		if (call->deliver && call->request.data)
			hand_on(call);
		finish(call, call->code);
		free_call(call);
	}
	give_waiting(http);
}

static void on_deliver(evutil_socket_t descriptor, short what, void *context)
{
	struct http_call *call = context;

	(void)descriptor, (void)what;
	if (hand_on(call))
		return;
	finish(call, CURLE_WEIRD_SERVER_REPLY);
	free_call(call);
}

static void on_socket_ready(evutil_socket_t descriptor, short what, void *context)
{
	struct http *http = context;
	int running;
	const int action =
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(http->multi, descriptor, action, &running);
	take_finished(http);
}

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
	struct http *http = context;
	int running;

	(void)descriptor, (void)what;
	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(http);
}

static int watch_socket(CURL *easy, curl_socket_t descriptor, int what, void *context, void *data)
{
	struct http *http = context;
	struct event *event = data;

	(void)easy;
	if (event)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		const short flags = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		                            (what & CURL_POLL_OUT ? EV_WRITE : 0));

		event = event_new(http->loop->base, descriptor, flags, on_socket_ready, http);
		if (event)
			event_add(event, NULL);
	}
	curl_multi_assign(http->multi, descriptor, event);
	return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct http *http = context;
	const struct timeval after = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	(void)multi;
	if (timeout_ms < 0)
		evtimer_del(http->timer);
	else
		evtimer_add(http->timer, &after);
	return 0;
}

/* ---- One call ---- */

static size_t on_data(char *bytes, size_t one, size_t size, void *context)
{
	struct http_call *call = context;
	long status = 0;

	(void)one;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (call->request.data && status == 200 && !call->deliver) {
		call->deliver = evtimer_new(call->http->loop->base, on_deliver, call);
		if (!call->deliver)
			return 0;
	}
	if (call->answer_length + size > MOST_ANSWER)
		return 0;
	if (call->answer_length + size + 1 > call->answer_size) {
		const size_t bigger = (call->answer_length + size + 1) * 2;
		char *more = realloc(call->answer, bigger);

		if (!more)
			return 0;
		call->answer = more;
		call->answer_size = bigger;
	}
	memcpy(call->answer + call->answer_length, bytes, size);
	call->answer_length += size;
	call->answer[call->answer_length] = '\0';
	if (call->deliver)
		event_active(call->deliver, EV_TIMEOUT, 0);
	return size;
}

/* The value of the header of that name, or NULL. Ends in a line break. */
static const char *header_value(const char *bytes, size_t size, const char *name)
{
	const size_t length = strlen(name);

	if (size <= length || strncasecmp(bytes, name, length) != 0)
		return NULL;
	bytes += length;
	return bytes + strspn(bytes, " ");
}

/* gRPC's come behind the body. */
static size_t on_header(char *bytes, size_t one, size_t size, void *context)
{
	struct http_call *call = context;
	const char *value;

	(void)one;
	if (header_value(bytes, size, "Mpsync-Wire:"))
		call->from_elector = true;
	value = header_value(bytes, size, "grpc-status:");
	if (value)
		call->grpc_status = atoi(value);
	value = header_value(bytes, size, "grpc-message:");
	if (value)
		snprintf(call->grpc_message, sizeof call->grpc_message, "%.*s", (int)strcspn(value, "\r\n"),
		    value);
	return size;
}

/* On a Unix socket a name of its own lets the elector tell this very client (rule 1). */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_call *call = context;
	const struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
	const int descriptor =
	    socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (descriptor >= 0 && address->family == AF_UNIX)
		(void)!bind(descriptor, (const struct sockaddr *)&unnamed, sizeof unnamed.sun_family);
	call->descriptor = descriptor;
	return descriptor;
}

static void add_header(struct http_call *call, const char *name, const char *value)
{
	char *text = NULL;
	struct curl_slist *more;

	if (!value || asprintf(&text, "%s: %s", name, value) < 0)
		return;
	more = curl_slist_append(call->headers, text);
	if (more)
		call->headers = more;
	free(text);
}

static void set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = {.data = (void *)pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};

	curl_easy_setopt(easy, option, &blob);
}

static void set_credential(
    CURL *easy, CURLoption path_option, const char *path, CURLoption pem_option, const char *pem)
{
	if (pem)
		set_blob(easy, pem_option, pem);
	else if (path)
		curl_easy_setopt(easy, path_option, path);
}

static void set_tls(const struct http *http, CURL *easy)
{
	const struct http_settings *settings = &http->settings;

	set_credential(easy, CURLOPT_CAINFO, settings->ca, CURLOPT_CAINFO_BLOB, settings->ca_pem);
	set_credential(easy, CURLOPT_SSLCERT, settings->cert, CURLOPT_SSLCERT_BLOB, settings->cert_pem);
	set_credential(easy, CURLOPT_SSLKEY, settings->key, CURLOPT_SSLKEY_BLOB, settings->key_pem);
	if (settings->unverified) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_route(const struct http *http, CURL *easy)
{
	const struct http_settings *settings = &http->settings;

	if (settings->proxy)
		curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy);
	else
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	if (settings->socket_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, settings->socket_path);
	if (http->connect_to)
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, http->connect_to);
}

/*
 * curl before 8.0 greets the server anew with each request that it sends by prior knowledge, also
 * on a connection that speaks HTTP/2 already. So only the first asks for it; the others find the
 * connection, or fail, and whoever calls takes a new `struct http` then.
 */
static long http_version(struct http *http, bool grpc)
{
	const bool tls = strncmp(http->settings.base_url, "https:", strlen("https:")) == 0;
	const bool first = !http->greeted;

	http->greeted = true;
	if (tls || !grpc)
		return CURL_HTTP_VERSION_2TLS;
	if (first || curl_version_info(CURLVERSION_NOW)->version_num >= 0x080000)
		return CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
	return CURL_HTTP_VERSION_2_0;
}

static void set_grpc(struct http_call *call)
{
	char timeout[32];

	add_header(call, "Content-Type", "application/grpc");
	add_header(call, "TE", "trailers");
	/* A member that has lost its cluster says so, instead of falling silent. */
	add_header(call, "hasleader", "true");
	add_header(call, "token", call->request.token);
	if (call->request.timeout_ms) {
		snprintf(timeout, sizeof timeout, "%llum", (unsigned long long)call->request.timeout_ms);
		add_header(call, "grpc-timeout", timeout);
	}
}

static void set_connection(struct http_call *call)
{
	CURL *easy = call->easy;

	if (call->http->settings.shared) {
		curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, http_version(call->http, call->request.grpc));
		curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	} else if (call->request.data) {
		/* A connection of its own, whose end means the end of this stream. */
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	set_route(call->http, easy);
	set_tls(call->http, easy);
}

static void set_headers(struct http_call *call)
{
	const struct http_request *request = &call->request;

	if (request->grpc)
		set_grpc(call);
	else if (call->body)
		add_header(call, "Content-Type",
		    request->content_type ? request->content_type : "application/json");
	add_header(call, "Expect", call->body ? "" : NULL);
	add_header(call, "Authorization", request->authorization);
	add_header(call, "Mpsync-Session", request->session);
	add_header(call, "Last-Event-ID", request->last_event);
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static bool set_up(struct http_call *call)
{
	CURL *easy = call->easy;
	char agent[64];
	char *url = NULL;

	if (asprintf(&url, "%s%s", call->http->settings.base_url, call->request.path) < 0)
		return false;
	curl_easy_setopt(easy, CURLOPT_URL, url);
	free(url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->request.method);
	snprintf(agent, sizeof agent, "mpsync/%s", mpsync_version());
	curl_easy_setopt(easy, CURLOPT_USERAGENT, agent);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->problem);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	if (call->request.timeout_ms)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->request.timeout_ms);
	set_connection(call);
	if (call->body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)call->request.body_size);
	}
	set_headers(call);
	return true;
}

struct http_call *http_start(struct http *http, const struct http_request *request)
{
	struct http_call *call = calloc(1, sizeof *call);

	if (!call)
		return NULL;
	call->http = http;
	call->request = *request;
	call->descriptor = -1;
	call->grpc_status = -1;
	call->easy = curl_easy_init();
	if (request->body) {
		if (!request->body_size)
			call->request.body_size = strlen(request->body);
		call->body = malloc(call->request.body_size + 1);
	}
	if (call->body) {
		memcpy(call->body, request->body, call->request.body_size);
		call->body[call->request.body_size] = '\0';
	}
	if (!call->easy || (request->body && !call->body) || !set_up(call)) {
		free_call(call);
		return NULL;
	}
	if (http->settings.shared || request->data || request->urgent) {
		give_to_curl(call);
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
	return call->descriptor;
}

char *http_encode(const char *text)
{
	char *escaped;
	char *copy = NULL;

	if (strcmp(text, ".") == 0)
		return strdup("%2E");
	if (strcmp(text, "..") == 0)
		return strdup("%2E%2E");
	escaped = curl_easy_escape(NULL, text, 0);
	if (escaped)
		copy = strdup(escaped);
	curl_free(escaped);
	return copy;
}

struct http_settings http_settings_of(const char *base_url, const struct mpsync_options *options)
{
	return (struct http_settings){
	    .base_url = base_url,
	    .ca = options_text(options, OPTION_CA),
	    .cert = options_text(options, OPTION_CERT),
	    .key = options_text(options, OPTION_KEY),
	};
}

/* Every text of the settings, so that they are copied and freed alike. */
static const char **texts_of(struct http_settings *settings, size_t i)
{
	const char **texts[] = {&settings->base_url, &settings->socket_path, &settings->ca,
	    &settings->cert, &settings->key, &settings->ca_pem, &settings->cert_pem, &settings->key_pem,
	    &settings->server_name, &settings->proxy};

	return i < sizeof texts / sizeof *texts ? texts[i] : NULL;
}

static bool copy_settings(struct http_settings *to, const struct http_settings *from)
{
	struct http_settings source = *from;

	*to = (struct http_settings){.unverified = from->unverified, .shared = from->shared};
	for (size_t i = 0; texts_of(to, i); i++) {
		const char *text = *texts_of(&source, i);

		if (!text)
			continue;
		*texts_of(to, i) = strdup(text);
		if (!*texts_of(to, i))
			return false;
	}
	return true;
}

/*
 * Where the certificate shows another name than the URL, the URL takes that name, and is sent on
 * to where it led before.
 */
static bool apply_server_name(struct http *http)
{
	CURLU *parts = curl_url();
	char *host = NULL;
	char *port = NULL;
	char *url = NULL;
	char *rule = NULL;
	char *renamed = NULL;
	bool good = parts &&
	            curl_url_set(parts, CURLUPART_URL, http->settings.base_url, 0) == CURLUE_OK &&
	            curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	            curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	            curl_url_set(parts, CURLUPART_HOST, http->settings.server_name, 0) == CURLUE_OK &&
	            curl_url_get(parts, CURLUPART_URL, &url, 0) == CURLUE_OK &&
	            asprintf(&rule, "::%s:%s", host, port) > 0;

	if (good) {
		http->connect_to = curl_slist_append(NULL, rule);
		renamed = strdup(url);
		good = http->connect_to && renamed;
	}
	if (good) {
		const size_t length = strlen(renamed);

		if (length > 0 && renamed[length - 1] == '/')
			renamed[length - 1] = '\0';
		free((char *)http->settings.base_url);
		http->settings.base_url = renamed;
	} else {
		free(renamed);
	}
	free(rule);
	curl_free(url);
	curl_free(port);
	curl_free(host);
	curl_url_cleanup(parts);
	return good;
}

struct http *http_new(struct loop *loop, const struct http_settings *settings)
{
	struct http *http = calloc(1, sizeof *http);

	if (!http)
		return NULL;
	TAILQ_INIT(&http->calls);
	TAILQ_INIT(&http->waiting);
	TAILQ_INIT(&http->finished);
	http->loop = loop;
	http->multi = curl_multi_init();
	http->timer = evtimer_new(loop->base, on_timer, http);
	if (!copy_settings(&http->settings, settings) || !http->multi || !http->timer ||
	    (settings->server_name && !apply_server_name(http))) {
		http_free(http);
		return NULL;
	}
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	/* Every watch is a stream of its own. */
	curl_multi_setopt(http->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, MOST_STREAMS);
	return http;
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
	free_calls(&http->finished);
	free_calls(&http->calls);
	if (http->multi)
		curl_multi_cleanup(http->multi);
	if (http->timer)
		event_free(http->timer);
	for (size_t i = 0; texts_of(&http->settings, i); i++)
		free((char *)*texts_of(&http->settings, i));
	curl_slist_free_all(http->connect_to);
	free(http);
}
