#include "http_calls.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONNECT_TIMEOUT_MS 5000
#define MOST_ANSWER        (64 * 1024 * 1024)

/* ---- What curl brings ---- */

static bool keep(struct http_try *try, const char *bytes, size_t size)
{
	const size_t length = try->answer_length + size;

	const size_t most = try->call->request.most;

	try->too_long = length > (most ? most : MOST_ANSWER);
	if (try->too_long)
		return false;
	if (length + 1 > try->answer_size) {
		const size_t bigger = (length + 1) * 2;
		char *more = realloc(try->answer, bigger);

		if (!more)
			return false;
		try->answer = more;
		try->answer_size = bigger;
	}
	memcpy(try->answer + try->answer_length, bytes, size);
	try->answer_length = length;
	try->answer[length] = '\0';
	return true;
}

static size_t on_data(char *bytes, size_t one, size_t size, void *context)
{
	struct http_try *try = context;
	struct event *deliver = try->call->deliver;
	long status = 0;

	(void)one;
	if (!keep(try, bytes, size))
		return 0;
	curl_easy_getinfo(try->easy, CURLINFO_RESPONSE_CODE, &status);
	if (deliver && status == 200)
		event_active(deliver, EV_TIMEOUT, 0);
	return size;
}

/* The value of the header of that name, up to its line break; NULL: this is another header. */
static const char *header_value(const char *bytes, size_t size, const char *name)
{
	const size_t length = strlen(name);

	if (size <= length || strncasecmp(bytes, name, length) != 0)
		return NULL;
	bytes += length;
	return bytes + strspn(bytes, " ");
}

/* gRPC's status comes in headers behind the body. */
static size_t on_header(char *bytes, size_t one, size_t size, void *context)
{
	struct http_try *try = context;
	const char *value;

	(void)one;
	if (header_value(bytes, size, "Mpsync-Wire:"))
		try->from_elector = true;
	value = header_value(bytes, size, "grpc-status:");
	if (value)
		try->grpc_status = atoi(value);
	value = header_value(bytes, size, "grpc-message:");
	if (value)
		snprintf(try->grpc_message, sizeof try->grpc_message, "%.*s", (int)strcspn(value, "\r\n"),
		    value);
	return size;
}

/*
 * A name for our end of a Unix socket, by which the elector can tell this client from others (rule
 * 1, proof of death).
 */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_try *try = context;
	const struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
	const int descriptor =
	    socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (descriptor >= 0 && address->family == AF_UNIX)
		(void)!bind(descriptor, (const struct sockaddr *)&unnamed, sizeof unnamed.sun_family);
	try->descriptor = descriptor;
	return descriptor;
}

/* ---- What curl is told ---- */

static void add_line(struct http_call *call, const char *line)
{
	struct curl_slist *more = curl_slist_append(call->headers, line);

	call->lacks_headers |= !more;
	if (more)
		call->headers = more;
}

static void add_header(struct http_call *call, const char *name, const char *value)
{
	char *text = NULL;

	if (!value)
		return;
	if (asprintf(&text, "%s: %s", name, value) < 0) {
		call->lacks_headers = true;
		return;
	}
	add_line(call, text);
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

	/*
	 * A certificate authority that was named is the only one to be trusted: the system's folder is
	 * not.
	 */
	if (settings->ca || settings->ca_pem)
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	/*
	 * An empty pass phrase: else OpenSSL would ask for the one of an encrypted key on the terminal.
	 */
	curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
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

	/* Proxies of the environment count only where a store has asked for them. */
	if (settings->proxy)
		curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy);
	curl_easy_setopt(easy, CURLOPT_NOPROXY,
	    !settings->proxy     ? "*"
	    : settings->no_proxy ? settings->no_proxy
	                         : "");
	if (settings->socket_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, settings->socket_path);
	if (http->connect_to)
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, http->connect_to);
}

/*
 * curl before 8.0 upgrades a connection to HTTP/2 anew for each request with prior knowledge, even
 * one that speaks HTTP/2 already. So only the first request asks for it. Later ones find that
 * connection, or fail, and their caller then makes a new `struct http`.
 */
static long http_version(struct line *line, bool grpc)
{
	const bool tls = strncmp(line->http->settings.base_url, "https:", strlen("https:")) == 0;
	const bool first = !line->greeted;

	line->greeted = true;
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
	/*
	 * With this header an etcd member that has lost its quorum answers with an error, instead of
	 * not at all.
	 */
	add_header(call, "hasleader", "true");
	add_header(call, "token", call->request.token);
	if (call->request.timeout_ms) {
		snprintf(timeout, sizeof timeout, "%llum", (unsigned long long)call->request.timeout_ms);
		add_header(call, "grpc-timeout", timeout);
	}
}

static void set_connection(struct http_try *try, bool fresh)
{
	const struct http *http = try->call->http;
	CURL *easy = try->easy;

	if (http->settings.shared) {
		curl_easy_setopt(
		    easy, CURLOPT_HTTP_VERSION, http_version(try->line, try->call->request.grpc));
		curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	} else if (try->call->request.data) {
		/* A connection of its own, so that its end is the end of this stream. */
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	} else if (fresh) {
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, try);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	set_route(http, easy);
	set_tls(http, easy);
}

bool http_set_headers(struct http_call *call)
{
	const struct http_request *request = &call->request;

	if (request->grpc)
		set_grpc(call);
	else if (call->body)
		add_header(call, "Content-Type",
		    request->content_type ? request->content_type : "application/json");
	add_header(call, "Expect", call->body ? "" : NULL);
	add_header(call, "Host", call->http->authority);
	add_header(call, "Authorization", request->authorization);
	add_header(call, "Mpsync-Session", request->session);
	add_header(call, "Last-Event-ID", request->last_event);
	for (size_t i = 0; request->headers && request->headers[i]; i++)
		add_line(call, request->headers[i]);
	return !call->lacks_headers;
}

static void set_request(struct http_try *try)
{
	struct http_call *call = try->call;
	char agent[64];

	snprintf(agent, sizeof agent, "mpsync/%s", mpsync_version());
	curl_easy_setopt(try->easy, CURLOPT_USERAGENT, agent);
	curl_easy_setopt(try->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(try->easy, CURLOPT_CUSTOMREQUEST, call->request.method);
	if (call->body) {
		curl_easy_setopt(try->easy, CURLOPT_POSTFIELDS, call->body);
		curl_easy_setopt(try->easy, CURLOPT_POSTFIELDSIZE, (long)call->request.body_size);
	}
	curl_easy_setopt(try->easy, CURLOPT_HTTPHEADER, call->headers);
}

bool http_set_up(struct http_try *try, bool fresh)
{
	const struct http_call *call = try->call;
	CURL *easy = try->easy;
	char *url = NULL;

	if (asprintf(&url, "%s%s", call->http->settings.base_url, call->path) < 0)
		return false;
	curl_easy_setopt(easy, CURLOPT_URL, url);
	free(url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, try);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, try->problem);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, try);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, try);
	if (call->request.timeout_ms)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
		    (long)further_lasts_ms(&call->further, try->sent_ms, call->request.timeout_ms));
	set_connection(try, fresh);
	set_request(try);
	return true;
}

/* ---- Texts ---- */

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

/* All texts of the settings, so that copying and freeing them goes through one list. */
#define TEXT(name) offsetof(struct http_settings, name)
static const size_t TEXTS[] = {TEXT(base_url), TEXT(socket_path), TEXT(ca), TEXT(cert), TEXT(key),
    TEXT(ca_pem), TEXT(cert_pem), TEXT(key_pem), TEXT(server_name), TEXT(proxy), TEXT(no_proxy)};
#define TEXT_COUNT (sizeof TEXTS / sizeof *TEXTS)

static const char **text_at(void *settings, size_t i)
{
	void *text = (char *)settings + TEXTS[i];

	return text;
}

static bool copy_settings(struct http_settings *to, const struct http_settings *from)
{
	struct http_settings source = *from;

	*to = (struct http_settings){.unverified = from->unverified, .shared = from->shared};
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		const char *text = *text_at(&source, i);

		if (!text)
			continue;
		*text_at(to, i) = strdup(text);
		if (!*text_at(to, i))
			return false;
	}
	return true;
}

/* The host of a URL as it is written there, with its port if it has one. */
static char *authority_of(CURLU *parts, const char *host)
{
	char *port = NULL;
	char *authority = NULL;

	if (curl_url_get(parts, CURLUPART_PORT, &port, 0) != CURLUE_OK)
		return strdup(host);
	if (asprintf(&authority, "%s:%s", host, port) < 0)
		authority = NULL;
	curl_free(port);
	return authority;
}

/*
 * Where the certificate has another name than the URL, the URL gets that name, and connections for
 * it go to the former host. The header Host keeps the former name.
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
	            (http->authority = authority_of(parts, host)) &&
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

bool http_settings_copy(struct http *http, const struct http_settings *settings)
{
	return copy_settings(&http->settings, settings) &&
	       (!settings->server_name || apply_server_name(http));
}

void http_settings_clear(struct http *http)
{
	for (size_t i = 0; i < TEXT_COUNT; i++)
		free((char *)*text_at(&http->settings, i));
	curl_slist_free_all(http->connect_to);
	free(http->authority);
}
