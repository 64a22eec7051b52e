#include "names.h"

#include "base/json_fields.h"
#include "base/json_number.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS "mpsync-session/"
#define RESERVED "mpsync-"
/* In microseconds this is still below 2^63. */
#define MOST_SINCE_MS (INT64_MAX / 1000)

static bool is_escaped(const char *name, size_t i)
{
	/* A lock whose name begins like our own keys is escaped, so that it does not meet them. */
	const bool reserved = i == 0 && strncmp(name, RESERVED, strlen(RESERVED)) == 0;

	return reserved || name[i] == '/' || name[i] == '%';
}

static char *escape(const char *name)
{
	char *escaped = malloc(3 * strlen(name) + 1);
	char *end = escaped;

	if (!escaped)
		return NULL;
	for (size_t i = 0; name[i]; i++) {
		if (is_escaped(name, i))
			end += sprintf(end, "%%%02X", (unsigned char)name[i]);
		else
			*end++ = name[i];
	}
	*end = '\0';
	return escaped;
}

/* Unescapes the text in place. */
static void unescape(char *escaped)
{
	char *end = escaped;

	while (*escaped) {
		const bool hex = *escaped == '%' && isxdigit((unsigned char)escaped[1]) &&
		                 isxdigit((unsigned char)escaped[2]);

		if (hex) {
			const char digits[] = {escaped[1], escaped[2], '\0'};

			*end++ = (char)strtoul(digits, NULL, 16);
			escaped += 3;
		} else {
			*end++ = *escaped++;
		}
	}
	*end = '\0';
}

static char *path(const char *format, const char *prefix, const char *name, int64_t lease)
{
	char *escaped = escape(name);
	char *text = NULL;
	char hex[20];

	snprintf(hex, sizeof hex, "%" PRIx64, lease);
	if (escaped && asprintf(&text, format, prefix, escaped, hex) < 0)
		text = NULL;
	free(escaped);
	return text;
}

char *etcd_queue_path(const char *prefix, const char *name)
{
	return path("%1$s%2$s/", prefix, name, 0);
}

char *etcd_queue_paths(const char *prefix, const char *name)
{
	return path("%1$s%2$s", prefix, name, 0);
}

char *etcd_queue_name(const char *prefix, const char *key, int64_t lease)
{
	const size_t start = strlen(prefix);
	const char *slash = strrchr(key, '/');
	char hex[20];
	char *name;

	snprintf(hex, sizeof hex, "%" PRIx64, lease);
	if (lease == 0 || strncmp(key, prefix, start) != 0 || !slash || slash <= key + start ||
	    strcmp(slash + 1, hex) != 0 || key + start + strcspn(key + start, "/") != slash)
		return NULL;
	name = strndup(key + start, (size_t)(slash - key) - start);
	if (name)
		unescape(name);
	return name;
}

char *etcd_queue_key(const char *prefix, const char *name, int64_t lease)
{
	return path("%1$s%2$s/%3$s", prefix, name, lease);
}

char *etcd_sessions_path(const char *prefix)
{
	return path("%1$s" SESSIONS, prefix, "", 0);
}

char *etcd_session_path(const char *prefix, int64_t lease)
{
	return path("%1$s" SESSIONS "%3$s/", prefix, "", lease);
}

char *etcd_facts_key(const char *prefix, int64_t lease, const char *name)
{
	return path("%1$s" SESSIONS "%3$s/%2$s", prefix, name, lease);
}

/*
 * A lease may have two places in one queue, an adopted one and its own, so the facts of an adopted
 * place have a key with its revision.
 */
char *etcd_place_facts_key(
    const char *prefix, const char *name, const char *key, int64_t lease, int64_t created)
{
	char *own = etcd_queue_key(prefix, name, lease);
	char *facts = own ? etcd_facts_key(prefix, lease, name) : NULL;
	char *adopted = NULL;

	if (facts && strcmp(own, key) != 0) {
		if (asprintf(&adopted, "%s/%" PRIx64, facts, created) < 0)
			adopted = NULL;
		free(facts);
		facts = adopted;
	}
	free(own);
	return facts;
}

char *etcd_facts_name(const char *prefix, const char *key)
{
	const size_t length = strlen(prefix);
	const char *escaped;
	char *name;

	if (strncmp(key, prefix, length) != 0 || strncmp(key + length, SESSIONS, strlen(SESSIONS)) != 0)
		return NULL;
	escaped = strchr(key + length + strlen(SESSIONS), '/');
	if (!escaped || !escaped[1] || escaped[1] == '/')
		return NULL;
	name = strndup(escaped + 1, strcspn(escaped + 1, "/"));
	if (name)
		unescape(name);
	return name;
}

/* ---- Facts ---- */

char *etcd_facts_write(const struct etcd_facts *facts)
{
	cJSON *json = cJSON_CreateObject();
	char claim[ID_HEX_SIZE];
	char token[24];
	char *text;

	id_to_hex(&facts->claim, claim);
	cJSON_AddStringToObject(json, "holder", facts->holder);
	cJSON_AddStringToObject(json, "claim", claim);
	cJSON_AddStringToObject(json, "type", facts->election ? "election" : "lock");
	cJSON_AddNumberToObject(json, "ttl_ms", facts->ttl_ms);
	cJSON_AddNumberToObject(json, "since_ms", (double)facts->since_ms);
	if (facts->value)
		cJSON_AddStringToObject(json, "value", facts->value);
	if (facts->key)
		cJSON_AddStringToObject(json, "key", facts->key);
	if (facts->revoked)
		cJSON_AddTrueToObject(json, "revoked");
	if (facts->token) {
		snprintf(token, sizeof token, "%" PRIu64, facts->token);
		cJSON_AddStringToObject(json, "token", token);
	}
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

static uint64_t number_of(const cJSON *json, const char *name, uint64_t most)
{
	return json_number(cJSON_GetObjectItemCaseSensitive(json, name), most);
}

bool etcd_facts_read(struct etcd_facts *facts, const char *text)
{
	cJSON *json = cJSON_Parse(text);
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "value");
	const cJSON *key = cJSON_GetObjectItemCaseSensitive(json, "key");

	*facts = (struct etcd_facts){
	    .json = json,
	    .holder = json_text(json, "holder"),
	    .value = cJSON_IsString(value) ? value->valuestring : NULL,
	    .key = cJSON_IsString(key) ? key->valuestring : NULL,
	    .token = json_token(json, "token"),
	    .ttl_ms = (uint32_t)number_of(json, "ttl_ms", UINT32_MAX),
	    .since_ms = (int64_t)number_of(json, "since_ms", MOST_SINCE_MS),
	    .election = strcmp(json_text(json, "type"), "election") == 0,
	    .revoked = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "revoked")),
	};
	if (*facts->holder && id_from_hex(&facts->claim, json_text(json, "claim")))
		return true;
	etcd_facts_clear(facts);
	return false;
}

void etcd_facts_clear(struct etcd_facts *facts)
{
	cJSON_Delete(facts->json);
	*facts = (struct etcd_facts){0};
}
