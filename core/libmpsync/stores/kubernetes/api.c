#include "api.h"

#include "base/rfc3339.h"
#include "exec.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A token file is replaced by the kubelet long before the old token ends. */
#define TOKEN_FILE_MS 10000
/* So long before its end, or for the last third of its life, a credential is used on, and the next
 * one is asked for: a plugin may take its time. */
#define REFRESH_MS 60000
/* A plugin that answers what it has answered before is not asked again at once. */
#define ASK_AGAIN_MS 5000
/* One that ends so soon may have ended when it arrives. */
#define EXPIRY_MARGIN_MS 1000
/* What etcd stores of one object is at most 1.5 MiB; it is longer as JSON. */
#define MOST_OBJECT ((size_t)8 * 1024 * 1024)

/* One connection. One that was left lives until nothing is under way on it. */
struct link {
	struct link *next;
	struct http *http;
	size_t calls;
};

enum call_state {
	WAITS_FOR_CREDENTIALS,
	UNDER_WAY,
	FAILED, /* to be told later; problem */
};

struct kube_call {
	struct kube_call *next;
	struct kube_api *api;
	struct link *link; /* UNDER_WAY */
	struct http_call *http;
	struct kube_request request;
	enum call_state state;
	uint64_t waits_until_ms; /* WAITS_FOR_CREDENTIALS: longer than that nobody wants the answer */
	const char *why;         /* FAILED: NULL: for want of credentials or memory */
	char *path;
	char *body;
	char *line; /* a watch's, up to now */
	size_t line_length;
	bool again;   /* it has been sent with fresh credentials already */
	bool telling; /* inside of a callback of the caller's: freed behind it */
	bool dead;
};

struct kube_api {
	struct loop *loop;
	struct store_clock clock;
	struct kube_config config;
	struct link *links; /* the first is the present one; NULL: none yet */
	struct kube_call *calls;
	struct event *later;      /* what must not be done inside of a call */
	struct event *impatience; /* the next call has waited long enough for the plugin */
	char *authorization;
	uint64_t token_read_ms; /* when the token's file was read; 0: not yet */
	int64_t expires_ms;     /* wall clock: the credentials; 0: not known */
	int64_t refresh_ms;     /* the next ones are asked for */
	uint64_t asked_ms;      /* when the plugin was asked */
	struct kube_exec *exec;
	bool has_credentials;
	bool just_asked; /* they are the newest there are, whatever they say of their end */
	bool spoke;      /* the server has answered once */
	char problem[400];
	char silence[200]; /* what is to be said of a plugin that says nothing */
};

static uint64_t now(const struct kube_api *api)
{
	return api->clock.boot_ms(api->clock.context);
}

static void do_later(struct kube_api *api)
{
	event_active(api->later, EV_TIMEOUT, 0);
}

/* ---- Connections ---- */

static struct link *link_new(struct kube_api *api)
{
	const struct http_settings settings = kube_config_settings(&api->config);
	struct link *link = calloc(1, sizeof *link);

	if (!link)
		return NULL;
	link->http = http_new(api->loop, &settings);
	if (!link->http) {
		free(link);
		return NULL;
	}
	link->next = api->links;
	api->links = link;
	return link;
}

static void leave_link(struct kube_call *call)
{
	if (!call->link)
		return;
	if (--call->link->calls == 0 && call->link != call->api->links)
		do_later(call->api);
	call->link = NULL;
}

static void free_idle_links(struct kube_api *api)
{
	struct link **entry = api->links ? &api->links->next : &api->links;

	while (*entry) {
		struct link *link = *entry;

		if (link->calls > 0) {
			entry = &link->next;
			continue;
		}
		*entry = link->next;
		http_free(link->http);
		free(link);
	}
}

/* ---- Calls ---- */

static void free_call(struct kube_call *call)
{
	struct kube_call **entry = &call->api->calls;

	if (call->telling) {
		call->dead = true;
		return;
	}
	while (*entry != call)
		entry = &(*entry)->next;
	*entry = call->next;
	http_cancel(call->http);
	leave_link(call);
	free(call->path);
	free(call->body);
	free(call->line);
	free(call);
}

void kube_cancel(struct kube_call *call)
{
	if (call)
		free_call(call);
}

static void tell(struct kube_call *call, const struct kube_answer *answer)
{
	call->telling = true;
	if (!call->dead)
		call->request.done(call->request.context, answer);
	call->telling = false;
	free_call(call);
}

static void tell_failed(struct kube_call *call)
{
	const char *problem = call->api->problem;

	if (call->why)
		tell(call, &(struct kube_answer){
		               .unknown = true, .problem = MPSYNC_E_UNREACHABLE, .message = call->why});
	else
		/* What never worked is a mistake; what did may work again. */
		tell(call, &(struct kube_answer){.refused = *problem && !call->api->spoke,
		               .unknown = !*problem || call->api->spoke,
		               .problem = *problem ? MPSYNC_E_UNAUTHENTICATED : MPSYNC_E_NO_MEMORY,
		               .message = *problem ? problem : "out of memory"});
}

static void fail_later(struct kube_call *call)
{
	call->state = FAILED;
	do_later(call->api);
}

/* Nothing new goes over the present connection: it shows former credentials. */
static void leave_connection(struct kube_api *api)
{
	struct link *left = api->links;

	if (!link_new(api))
		return;
	for (struct kube_call *call = api->calls; call; call = call->next) {
		if (!left || call->link != left || !call->request.event || call->telling)
			continue;
		/* A watch would never notice: it ends here, to begin again on the new one. */
		http_cancel(call->http);
		call->http = NULL;
		leave_link(call);
		call->why = "the connection to the API server was replaced";
		fail_later(call);
	}
	do_later(api);
}

/* ---- Credentials ---- */

static bool authorize(struct kube_api *api, const char *kind, const char *secret)
{
	free(api->authorization);
	if (asprintf(&api->authorization, "%s %s", kind, secret) < 0)
		api->authorization = NULL;
	return api->authorization;
}

static bool use_password(struct kube_api *api)
{
	char *plain = NULL;
	char *encoded = NULL;
	bool good = false;

	if (asprintf(&plain, "%s:%s", api->config.user,
	        api->config.password ? api->config.password : "") < 0)
		return false;
	encoded = malloc(strlen(plain) * 2 + 8);
	if (encoded) {
		EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, (int)strlen(plain));
		good = authorize(api, "Basic", encoded);
	}
	free(encoded);
	free(plain);
	return good;
}

/* Without what surrounds it: blanks, or the line break of an editor. */
static char *trim(char *text)
{
	static const char blanks[] = " \t\r\n\v\f";
	size_t length;

	text += strspn(text, blanks);
	for (length = strlen(text); length > 0 && strchr(blanks, text[length - 1]);)
		text[--length] = '\0';
	return text;
}

static bool use_token_file(struct kube_api *api)
{
	char *token;
	bool good;

	if (api->token_read_ms && now(api) < api->token_read_ms + TOKEN_FILE_MS)
		return true;
	token = file_read(api->config.token_file);
	if (!token) {
		snprintf(api->problem, sizeof api->problem, "the token file %.200s cannot be read: %s",
		    api->config.token_file, strerror(errno));
		/* The one that it held may be good still. */
		return api->authorization;
	}
	good = authorize(api, "Bearer", trim(token));
	free(token);
	api->token_read_ms = now(api);
	return good;
}

static bool replace_pem(char **to, const cJSON *status, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, key));

	if (!text)
		return true;
	free(*to);
	*to = strdup(text);
	return *to;
}

static int64_t refresh_margin_ms(const struct kube_api *api)
{
	const int64_t life_ms = api->expires_ms - api->clock.wall_ms(api->clock.context);

	return life_ms / 3 < REFRESH_MS ? life_ms / 3 : REFRESH_MS;
}

static bool take_credential(struct kube_api *api, const cJSON *status)
{
	const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, "token"));
	const char *end =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, "expirationTimestamp"));
	int64_t end_us;

	api->expires_ms = end && rfc3339_read(end, &end_us) ? end_us / 1000 : 0;
	api->refresh_ms = api->expires_ms - refresh_margin_ms(api);
	if (token && !authorize(api, "Bearer", token))
		return false;
	if (!cJSON_GetObjectItemCaseSensitive(status, "clientCertificateData"))
		return true;
	/* A connection shows the certificate that it was opened with. */
	if (!replace_pem(&api->config.cert_pem, status, "clientCertificateData") ||
	    !replace_pem(&api->config.key_pem, status, "clientKeyData"))
		return false;
	leave_connection(api);
	return true;
}

static bool has_expired(const struct kube_api *api)
{
	return api->expires_ms &&
	       api->clock.wall_ms(api->clock.context) > api->expires_ms - EXPIRY_MARGIN_MS;
}

static void on_exec_done(void *context, const cJSON *status, const char *problem)
{
	struct kube_api *api = context;

	api->exec = NULL;
	snprintf(api->problem, sizeof api->problem, "%s", problem);
	/* Those that are there serve on while they last. */
	if (status)
		api->has_credentials = take_credential(api, status);
	else if (has_expired(api))
		api->has_credentials = false;
	api->just_asked = true;
	for (struct kube_call *call = api->calls; call; call = call->next)
		if (call->state == WAITS_FOR_CREDENTIALS && !api->has_credentials)
			call->state = FAILED;
	do_later(api);
}

static bool is_to_be_refreshed(const struct kube_api *api)
{
	return api->expires_ms && api->clock.wall_ms(api->clock.context) > api->refresh_ms &&
	       now(api) > api->asked_ms + ASK_AGAIN_MS;
}

static void start_plugin(struct kube_api *api)
{
	const char *command =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(api->config.exec, "command"));

	if (api->exec)
		return;
	snprintf(api->silence, sizeof api->silence, "the credential plugin %.120s does not answer",
	    command ? command : "");
	api->asked_ms = now(api);
	api->exec = kube_exec_start(
	    api->loop, &api->config, on_exec_done, api, api->problem, sizeof api->problem);
}

static enum call_state ask_plugin(struct kube_api *api)
{
	const bool good = api->has_credentials && (api->just_asked || !has_expired(api));

	if (!good || is_to_be_refreshed(api))
		start_plugin(api);
	if (good)
		return UNDER_WAY;
	return api->exec ? WAITS_FOR_CREDENTIALS : FAILED;
}

/* UNDER_WAY: there are credentials, or none are needed. */
static enum call_state prepare_credentials(struct kube_api *api)
{
	bool good = true;

	if (api->config.exec)
		return ask_plugin(api);
	if (api->config.token_file)
		good = use_token_file(api);
	else if (api->config.token && !api->authorization)
		good = authorize(api, "Bearer", api->config.token);
	else if (api->config.user && !api->authorization)
		good = use_password(api);
	return good ? UNDER_WAY : FAILED;
}

static void forget_credentials(struct kube_api *api)
{
	api->token_read_ms = 0;
	api->has_credentials = false;
}

static bool can_be_refreshed(const struct kube_api *api)
{
	return api->config.exec || api->config.token_file;
}

/* ---- Answers ---- */

static void explain_silence(const struct kube_api *api, const struct http_answer *heard,
    struct kube_answer *answer, char *text, size_t size)
{
	answer->problem = MPSYNC_E_UNREACHABLE;
	/* A server that was trusted before may be between two certificates. */
	answer->refused = heard->untrusted && !api->spoke;
	answer->unknown = !answer->refused;
	if (heard->untrusted)
		snprintf(text, size, "the API server %.80s and %.80s do not agree on certificates: %.130s",
		    api->config.server, api->config.source, heard->problem);
	else if (heard->too_long)
		snprintf(text, size, "an answer of the API server %.200s is too long", api->config.server);
	else if (heard->refused && !api->spoke)
		snprintf(text, size,
		    "the API server %.100s does not answer: %.150s; check the server that %.80s names, and "
		    "the way to it",
		    api->config.server, heard->problem, api->config.source);
	else
		snprintf(text, size, "the API server %.100s does not answer: %.150s", api->config.server,
		    heard->problem);
}

/* What the server says of itself is the best explanation there is. */
static const char *servers_words(const struct kube_answer *answer)
{
	const char *words =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer->json, "message"));

	return words && *words ? words : "it does not say why";
}

/* Said by RBAC, and not by a quota, or of a namespace that is going. */
static bool lacks_verb(const char *words)
{
	return strstr(words, "cannot ") && strstr(words, " resource ");
}

static void explain_status(
    const struct kube_api *api, struct kube_answer *answer, char *text, size_t size)
{
	const char *words = servers_words(answer);

	if (answer->status == 401) {
		answer->problem = MPSYNC_E_UNAUTHENTICATED;
		answer->refused = true;
		snprintf(text, size,
		    "the API server %.80s does not accept the credentials of %.80s (401): %.130s",
		    api->config.server, api->config.source, words);
	} else if (answer->status == 403) {
		answer->problem = MPSYNC_E_FORBIDDEN;
		answer->refused = true;
		snprintf(text, size, "%.300s%s", words,
		    lacks_verb(words) ? "; docs/kubernetes.md has the Role that is needed" : "");
	} else if (answer->status == 429 || answer->status >= 500) {
		answer->problem = MPSYNC_E_UNREACHABLE;
		answer->unknown = true;
		snprintf(text, size, "the API server is in trouble (%ld): %.250s", answer->status, words);
	} else if (answer->status >= 400 && answer->status != 404 && answer->status != 409 &&
	           answer->status != 410) {
		/* What no program did wrong: an admission policy of the cluster says no. */
		answer->problem = answer->status == 422 ? MPSYNC_E_FORBIDDEN : MPSYNC_E_INVALID;
		answer->refused = true;
		snprintf(text, size, "the API server refuses it (%ld): %.300s", answer->status, words);
	} else if (!answer->json) {
		answer->problem = MPSYNC_E_INVALID;
		answer->refused = true;
		snprintf(text, size, "%.150s is no Kubernetes API server: it answered %ld without JSON",
		    api->config.server, answer->status);
	}
}

static void answer_call(struct kube_call *call, const struct http_answer *heard)
{
	struct kube_api *api = call->api;
	struct kube_answer answer = {.status = heard->status};
	const bool is_document = heard->status && (heard->status != 200 || !call->request.event);
	cJSON *json = is_document ? cJSON_Parse(heard->body) : NULL;
	char text[400] = "";

	answer.json = json;
	answer.further = heard->further;
	answer.too_long = heard->too_long;
	answer.retry_in_ms = (uint64_t)heard->retry_after_s * 1000;
	if (!heard->status)
		explain_silence(api, heard, &answer, text, sizeof text);
	else if (is_document)
		explain_status(api, &answer, text, sizeof text);
	answer.message = text;
	api->spoke |= heard->status != 0;
	tell(call, &answer);
	cJSON_Delete(json);
}

static void on_done(void *context, const struct http_answer *heard)
{
	struct kube_call *call = context;
	struct kube_api *api = call->api;

	call->http = NULL;
	leave_link(call);
	if (heard->status == 401 && !call->again && can_be_refreshed(api)) {
		call->again = true;
		forget_credentials(api);
		call->state = WAITS_FOR_CREDENTIALS;
		do_later(api);
		return;
	}
	answer_call(call, heard);
}

/* ---- Watches: one JSON document a line ---- */

static bool keep_line(struct kube_call *call, const char *bytes, size_t size)
{
	char *more;

	if (call->line_length + size > MOST_OBJECT)
		return false;
	more = realloc(call->line, call->line_length + size + 1);
	if (!more)
		return false;
	call->line = more;
	memcpy(more + call->line_length, bytes, size);
	call->line_length += size;
	more[call->line_length] = '\0';
	return true;
}

static void tell_event(struct kube_call *call)
{
	cJSON *event = cJSON_ParseWithLength(call->line, call->line_length);

	call->line_length = 0;
	if (event && !call->dead)
		call->request.event(call->request.context, event);
	cJSON_Delete(event);
}

static bool on_data(void *context, const char *bytes, size_t size)
{
	struct kube_call *call = context;
	bool good = true;

	call->telling = true;
	while (good && size > 0 && !call->dead) {
		const char *end = memchr(bytes, '\n', size);
		const size_t length = end ? (size_t)(end - bytes) + 1 : size;

		good = keep_line(call, bytes, length);
		if (good && end)
			tell_event(call);
		bytes += length;
		size -= length;
	}
	call->telling = false;
	return good && !call->dead;
}

/* The stream was ended from inside of an event: nobody wants to hear of it. */
static void on_stream_done(void *context, const struct http_answer *heard)
{
	struct kube_call *call = context;

	if (!call->dead) {
		on_done(context, heard);
		return;
	}
	call->http = NULL;
	free_call(call);
}

/* ---- Sending ---- */

static void send_call(struct kube_call *call)
{
	struct kube_api *api = call->api;
	struct link *link = api->links ? api->links : link_new(api);
	const struct http_request request = {
	    .method = call->request.method,
	    .path = call->path,
	    .body = call->body,
	    .content_type = call->request.merge ? "application/merge-patch+json" : NULL,
	    .authorization = api->authorization,
	    .headers = api->config.headers,
	    .timeout_ms = call->request.timeout_ms,
	    .further_ms = call->request.further_ms,
	    .whole_ms = call->request.whole_ms,
	    .most = call->request.most ? call->request.most : MOST_OBJECT,
	    .done = call->request.event ? on_stream_done : on_done,
	    .data = call->request.event ? on_data : NULL,
	    .context = call,
	};

	call->state = UNDER_WAY;
	call->http = link ? http_start(link->http, &request) : NULL;
	if (!call->http) {
		fail_later(call);
		return;
	}
	call->link = link;
	link->calls++;
}

static void await_plugin(struct kube_api *api)
{
	const uint64_t time = now(api);
	uint64_t first_ms = UINT64_MAX;
	struct timeval after;

	for (struct kube_call *call = api->calls; call; call = call->next) {
		if (call->state != WAITS_FOR_CREDENTIALS || call->waits_until_ms == 0)
			continue;
		if (time >= call->waits_until_ms) {
			call->why = api->silence;
			fail_later(call);
		} else if (call->waits_until_ms < first_ms) {
			first_ms = call->waits_until_ms;
		}
	}
	if (first_ms == UINT64_MAX)
		return;
	after = (struct timeval){
	    (time_t)((first_ms - time) / 1000), (suseconds_t)((first_ms - time) % 1000) * 1000};
	evtimer_add(api->impatience, &after);
}

static void on_impatience(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor, (void)what;
	await_plugin(context);
}

static void send_with_credentials(struct kube_call *call)
{
	struct kube_api *api = call->api;

	call->state = prepare_credentials(api);
	if (call->state == UNDER_WAY) {
		send_call(call);
	} else if (call->state == FAILED) {
		do_later(api);
	} else if (call->request.timeout_ms > 0) {
		call->waits_until_ms = now(api) + call->request.timeout_ms;
		await_plugin(api);
	}
}

const char *kube_api_silence(const struct kube_api *api)
{
	return api->exec ? api->silence : NULL;
}

struct kube_call *kube_send(struct kube_api *api, const struct kube_request *request)
{
	struct kube_call *call = calloc(1, sizeof *call);
	char *printed = request->body ? cJSON_PrintUnformatted(request->body) : NULL;

	if (call) {
		call->path = strdup(request->path);
		call->body = printed ? strdup(printed) : NULL;
	}
	cJSON_free(printed);
	if (!call || !call->path || (request->body && !call->body)) {
		if (call)
			free(call->path);
		free(call);
		return NULL;
	}
	call->api = api;
	call->request = *request;
	call->next = api->calls;
	api->calls = call;
	send_with_credentials(call);
	return call;
}

static struct kube_call *call_in(const struct kube_api *api, enum call_state state)
{
	struct kube_call *call = api->calls;

	while (call && call->state != state)
		call = call->next;
	return call;
}

static void on_later(evutil_socket_t descriptor, short what, void *context)
{
	struct kube_api *api = context;
	struct kube_call *call;

	(void)descriptor, (void)what;
	while ((call = call_in(api, FAILED)))
		tell_failed(call);
	while (!api->exec && (call = call_in(api, WAITS_FOR_CREDENTIALS))) {
		send_with_credentials(call);
		if (call->state == WAITS_FOR_CREDENTIALS)
			break;
	}
	api->just_asked = false;
	free_idle_links(api);
}

struct kube_api *kube_api_new(
    struct loop *loop, struct kube_config *config, const struct store_clock *clock)
{
	struct kube_api *api = calloc(1, sizeof *api);

	if (!api) {
		kube_config_clear(config);
		return NULL;
	}
	api->loop = loop;
	api->clock = *clock;
	api->config = *config;
	*config = (struct kube_config){0};
	api->later = evtimer_new(loop->base, on_later, api);
	api->impatience = evtimer_new(loop->base, on_impatience, api);
	if (api->later && api->impatience)
		return api;
	kube_api_free(api);
	return NULL;
}

void kube_api_free(struct kube_api *api)
{
	if (!api)
		return;
	kube_exec_cancel(api->exec);
	while (api->calls)
		free_call(api->calls);
	free_idle_links(api);
	if (api->links) {
		http_free(api->links->http);
		free(api->links);
	}
	if (api->later)
		event_free(api->later);
	if (api->impatience)
		event_free(api->impatience);
	kube_config_clear(&api->config);
	free(api->authorization);
	free(api);
}
