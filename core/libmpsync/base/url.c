#include "url.h"

#include "status.h"
#include "text.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *prefix;
	enum url_scheme scheme;
	bool tls;
} schemes[] = {
    {"memory:", URL_MEMORY, false},
    {"file:", URL_FILE, false},
    {"http+unix://", URL_HTTP_UNIX, false},
    {"http://", URL_HTTP, false},
    {"https://", URL_HTTP, true},
    {"kubernetes:", URL_KUBERNETES, false},
    {"etcd://", URL_ETCD, false},
    {"etcds://", URL_ETCD, true},
};

#define SCHEMES                                                                                    \
	"http://HOST:PORT, http+unix:///SOCKET, https://HOST:PORT, file:PATH, memory:, "               \
	"kubernetes:NAMESPACE, etcd://HOST:PORT"

void url_clear(struct url *url)
{
	free(url->text);
	free(url->target);
	options_clear(&url->options);
	*url = (struct url){0};
}

/* Percent-decoded, owned by the caller; NULL: it is not valid UTF-8, or there is no memory. */
static char *decode(const char *text, size_t length)
{
	char *copy = strndup(text, length);
	char *decoded;
	char *result = NULL;
	int size = 0;

	if (!copy)
		return NULL;
	decoded = curl_easy_unescape(NULL, copy, 0, &size);
	free(copy);
	if (!decoded)
		return NULL;
	if (strlen(decoded) == (size_t)size && text_is_utf8(decoded, (size_t)size))
		result = strdup(decoded);
	curl_free(decoded);
	return result;
}

static bool parse_pair(
    struct mpsync_options *options, const char *pair, size_t length, mpsync_error *error)
{
	const char *equals = memchr(pair, '=', length);
	char *name = decode(pair, equals ? (size_t)(equals - pair) : length);
	char *value = equals ? decode(equals + 1, length - (size_t)(equals - pair) - 1) : strdup("");
	bool good = false;

	if (!name || !value)
		fail(error, MPSYNC_E_INVALID, "the URL's query is not valid UTF-8");
	else if (option_by_name(name) == OPTION_URL)
		fail(error, MPSYNC_E_INVALID, "a URL cannot set \"url\"");
	else
		good = mpsync_options_set(options, name, value, error) == MPSYNC_OK;
	free(name);
	free(value);
	return good;
}

static bool parse_query(struct mpsync_options *options, const char *query, mpsync_error *error)
{
	while (*query) {
		const size_t length = strcspn(query, "&");

		if (length > 0 && !parse_pair(options, query, length, error))
			return false;
		query += length;
		query += *query == '&';
	}
	return true;
}

/* file:PATH is relative, file:///PATH absolute; file://HOST/ would be on another machine. */
static char *file_path(const char *rest, size_t length, mpsync_error *error)
{
	if (length >= 2 && rest[0] == '/' && rest[1] == '/') {
		if (length < 3 || rest[2] != '/') {
			fail(error, MPSYNC_E_INVALID,
			    "file://HOST is not supported; write file:PATH or file:///PATH");
			return NULL;
		}
		rest += 2;
		length -= 2;
	}
	if (length > 0 && rest[0] == '~') {
		fail(error, MPSYNC_E_INVALID,
		    "\"~\" is a shell's word for a home folder, and no shell reads this; write "
		    "file:$HOME/… "
		    "in the shell, or the whole path (of a file that is so called: file:./~…)");
		return NULL;
	}
	return decode(rest, length);
}

static char *http_base(const char *text, size_t length, mpsync_error *error)
{
	char *copy = strndup(text, length);
	CURLU *parts = curl_url();
	char *user = NULL;
	const char *problem = NULL;

	if (!copy || !parts)
		problem = "out of memory";
	else if (curl_url_set(parts, CURLUPART_URL, copy, 0) != CURLUE_OK)
		problem = "it is no valid URL";
	else if (curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK)
		problem = "it must not name a user";
	curl_free(user);
	curl_url_cleanup(parts);
	if (problem) {
		fail(error, copy && parts ? MPSYNC_E_INVALID : MPSYNC_E_NO_MEMORY, "\"%.100s\": %s",
		    copy ? copy : "", problem);
		free(copy);
		return NULL;
	}
	while (length > 0 && copy[length - 1] == '/')
		copy[--length] = '\0';
	return copy;
}

static char *target_of(
    const struct url *url, const char *whole, const char *rest, size_t length, mpsync_error *error)
{
	char *target;

	if (url->scheme == URL_HTTP)
		return http_base(whole, (size_t)(rest - whole) + length, error);
	if (url->scheme == URL_FILE)
		target = file_path(rest, length, error);
	else
		target = decode(rest, length);
	if (!target && (!error || error->status == MPSYNC_OK))
		fail(
		    error, MPSYNC_E_INVALID, "\"%.100s\" is not valid UTF-8 after percent-decoding", whole);
	if (target && url->scheme == URL_HTTP_UNIX && target[0] != '/') {
		fail(error, MPSYNC_E_INVALID, "\"%.100s\": write http+unix:///PATH, three slashes", whole);
		free(target);
		return NULL;
	}
	if (target && url->scheme == URL_ETCD && !*target) {
		fail(
		    error, MPSYNC_E_INVALID, "\"%.100s\" names no endpoint; write etcd://HOST:2379", whole);
		free(target);
		return NULL;
	}
	return target;
}

/*
 * Does a user's name, and most likely a password, stand before the host? Such a URL is never shown,
 * neither here nor by what uses it. A path may have an "@", and so may an option's value.
 */
static bool names_a_user(const char *text)
{
	const char *host = strstr(text, "://");
	const char *at = host ? strchr(host, '@') : NULL;
	const char *encoded = host ? strstr(host, "%40") : NULL;
	const char *query = host ? strchr(host, '?') : NULL;

	if (strncmp(text, "file:", 5) == 0 || strncmp(text, "http+unix:", 10) == 0)
		return false;
	if (!at || (encoded && encoded < at))
		at = encoded;
	return at && (!query || at < query || !memchr(query, '=', (size_t)(at - query)));
}

bool url_parse(struct url *url, const char *text, mpsync_error *error)
{
	const size_t length = strcspn(text, "?");
	size_t i = 0;

	*url = (struct url){0};
	succeed(error);
	if (names_a_user(text)) {
		fail(error, MPSYNC_E_INVALID,
		    "a URL with a user or a password in it is refused, for URLs are shown in many places; "
		    "for etcd write etcd://HOST:PORT?user=NAME&password_file=PATH");
		return false;
	}
	while (i < sizeof schemes / sizeof *schemes &&
	       strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) != 0)
		i++;
	if (i == sizeof schemes / sizeof *schemes) {
		fail(error, MPSYNC_E_INVALID, "\"%.60s\" is no place for locks; use one of " SCHEMES, text);
		return false;
	}
	url->scheme = schemes[i].scheme;
	url->tls = schemes[i].tls;
	url->text = strndup(text, length);
	url->target = target_of(
	    url, text, text + strlen(schemes[i].prefix), length - strlen(schemes[i].prefix), error);
	if (url->text && url->target &&
	    (text[length] != '?' || parse_query(&url->options, text + length + 1, error)))
		return true;
	if (!url->text)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	url_clear(url);
	return false;
}
