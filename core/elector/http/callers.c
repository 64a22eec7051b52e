/*
 * Who may ask at all, and how large a request may be (rule 44, who may ask at all). Checked before
 * anything else of a request is read.
 */
#include "server.h"

#include <event2/buffer.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#define MOST_TARGET  8192
#define MOST_HEADERS 16384
#define MOST_BODY    65536
#define HOST_SIZE    256

static bool equal_folded(const char *a, const char *b)
{
	return evutil_ascii_strcasecmp(a, b) == 0;
}

static size_t count_headers(const struct evkeyvalq *headers, const char *name, const char **value)
{
	const struct evkeyval *header;
	size_t count = 0;

	TAILQ_FOREACH(header, headers, next)
	{
		if (!equal_folded(header->key, name))
			continue;
		*value = header->value;
		count++;
	}
	return count;
}

/*
 * The name in "name:port", "[::1]:port", or either without a port. False: there is none, or it is
 * too long.
 */
static bool name_of_host(const char *host, char name[HOST_SIZE])
{
	const size_t length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	const char *port = length <= strlen(host) ? host + length : NULL;

	if (!port || length == 0 || length >= HOST_SIZE)
		return false;
	if (*port && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
		return false;
	snprintf(name, HOST_SIZE, "%.*s", (int)length, host);
	return true;
}

/* Any port will do: a forwarded port is not ours, and clients of the old wire send none. */
static bool is_loopback(const char *name)
{
	static const char *const names[] = {"localhost", "localhost.", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (equal_folded(name, names[i]))
			return true;
	return false;
}

static bool is_certified(SSL_CTX *tls, char *name)
{
	X509 *certificate = SSL_CTX_get0_certificate(tls);
	const size_t length = strlen(name);

	if (*name == '[' && name[length - 1] == ']') {
		name[length - 1] = '\0';
		return X509_check_ip_asc(certificate, name + 1, 0) == 1;
	}
	return X509_check_host(certificate, name, length, 0, NULL) == 1 ||
	       X509_check_ip_asc(certificate, name, 0) == 1;
}

static bool host_is_ours(const struct listener *listener, const char *host)
{
	char name[HOST_SIZE];

	if (listener->socket_path || listener->status_only)
		return true;
	for (char **own = listener->server->hosts; own && *own; own++)
		if (equal_folded(host, *own))
			return true;
	if (!name_of_host(host, name))
		return false;
	return listener->tls ? is_certified(listener->tls, name) : is_loopback(name);
}

/*
 * Is the page of the very scheme, host and port that it asks? A page of another port belongs to
 * another program.
 */
static bool is_same_origin(const struct listener *listener, const char *origin, const char *host)
{
	const char *scheme = listener->tls ? "https://" : "http://";
	const size_t length = strlen(scheme);

	return host && evutil_ascii_strncasecmp(origin, scheme, length) == 0 &&
	       equal_folded(origin + length, host);
}

/* Check what the browser says about the page that asks. False: the request was answered. */
static bool check_page(struct request *request, const struct evkeyvalq *headers, const char *host)
{
	const char *value = NULL;
	size_t count = count_headers(headers, "Origin", &value);

	if (count > 1 || (count == 1 && !is_same_origin(request->listener, value, host))) {
		reply_error(
		    request, 403, "forbidden", "requests from web pages of other origins are refused");
		return false;
	}
	count = count_headers(headers, "Sec-Fetch-Site", &value);
	if (count > 1 ||
	    (count == 1 && strcmp(value, "none") != 0 && strcmp(value, "same-origin") != 0)) {
		reply_error(
		    request, 403, "forbidden", "requests from web pages of other sites are refused");
		return false;
	}
	return true;
}

/* An absolute request URI names the host itself, and then the header does not count (RFC 9112). */
static const char *host_asked(
    const struct evhttp_request *http, const char *header, char text[HOST_SIZE])
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *name = uri ? evhttp_uri_get_host(uri) : NULL;
	const int port = uri ? evhttp_uri_get_port(uri) : -1;

	if (!name)
		return header;
	/* libevent leaves the brackets of [::1] where they are. */
	if (port > 0)
		snprintf(text, HOST_SIZE, "%s:%d", name, port);
	else
		snprintf(text, HOST_SIZE, "%s", name);
	return text;
}

bool check_caller(struct request *request)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(request->http);
	const char *value = NULL;
	const size_t hosts = count_headers(headers, "Host", &value);
	char text[HOST_SIZE];
	const char *host = host_asked(request->http, value, text);

	/* HTTP/1.0 has no Host. */
	if (hosts > 1 || (hosts == 0 && request->http->minor >= 1 && !request->listener->socket_path)) {
		reply_error(request, 400, "invalid", "exactly one Host header is needed");
		return false;
	}
	if (host && !host_is_ours(request->listener, host)) {
		reply_error(request, 421, "wrong_host",
		    "this elector is not that host; use localhost with its port, or start it with --host");
		return false;
	}
	return check_page(request, headers, host);
}

bool check_size(struct request *request)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(request->http);
	const struct evkeyval *header;
	const char *value = NULL;
	size_t size = 0;

	TAILQ_FOREACH(header, headers, next)
	size += strlen(header->key) + strlen(header->value) + 4;
	if (strlen(evhttp_request_get_uri(request->http)) > MOST_TARGET)
		reply_error(request, 414, "too_large", "the request line is longer than 8 KiB");
	else if (size > MOST_HEADERS)
		reply_error(request, 431, "too_large", "the headers are larger than 16 KiB");
	else if (evbuffer_get_length(evhttp_request_get_input_buffer(request->http)) > MOST_BODY)
		reply_error(request, 413, "too_large", "the body is larger than 64 KiB");
	else if (count_headers(headers, "Content-Length", &value) > 1)
		reply_error(request, 400, "invalid", "more than one Content-Length");
	else
		return true;
	return false;
}
