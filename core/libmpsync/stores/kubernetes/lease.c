#include "lease.h"

#include "base/json_number.h"
#include "base/rfc3339.h"
#include "base/text.h"
#include "base/wire.h"
#include "net/http.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX       "metaparticle.io/"
#define HASHED       "mpsync-"
#define UUID_SIZE    37
#define IDENTITY_END (ID_HEX_SIZE) /* "_" and 32 hex digits */
#define MOST_NEXT    1024

/* ---- Names ---- */

static bool is_label_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The form of most objects' names (RFC 1123, a DNS subdomain). */
static bool is_dns_subdomain(const char *name)
{
	const size_t length = strlen(name);

	if (length == 0 || length >= LEASE_NAME_SIZE)
		return false;
	for (size_t i = 0; i < length; i++) {
		const bool edge = i == 0 || i + 1 == length || name[i - 1] == '.' || name[i + 1] == '.';

		if (is_label_character(name[i]))
			continue;
		if (edge || (name[i] != '-' && name[i] != '.'))
			return false;
	}
	return true;
}

bool lease_object_name(const char *name, char object_name[LEASE_NAME_SIZE])
{
	return lease_short_name(name, LEASE_NAME_SIZE - 1, object_name);
}

bool lease_short_name(const char *name, size_t most, char object_name[LEASE_NAME_SIZE])
{
	unsigned char sha[EVP_MAX_MD_SIZE];
	char hex[ID_HEX_SIZE];
	struct id id;

	/* A name that looks like a hashed one is hashed as well, so that no two locks share a Lease. */
	if (strlen(name) <= most && is_dns_subdomain(name) &&
	    strncmp(name, HASHED, strlen(HASHED)) != 0) {
		snprintf(object_name, LEASE_NAME_SIZE, "%s", name);
		return true;
	}
	if (EVP_Digest(name, strlen(name), sha, NULL, EVP_sha256(), NULL) != 1)
		return false;
	memcpy(id.bytes, sha, sizeof id.bytes);
	id_to_hex(&id, hex);
	snprintf(object_name, LEASE_NAME_SIZE, HASHED "%s", hex);
	return true;
}

/* ---- Reading ---- */

static const char *text_of(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static uint64_t number_of(const cJSON *object, const char *key, uint64_t most)
{
	return json_number(cJSON_GetObjectItemCaseSensitive(object, key), most);
}

static const cJSON *metadata_of(const cJSON *object)
{
	return cJSON_GetObjectItemCaseSensitive(object, "metadata");
}

static const char *annotation(const cJSON *object, const char *name)
{
	char key[64];

	snprintf(key, sizeof key, PREFIX "%s", name);
	return text_of(cJSON_GetObjectItemCaseSensitive(metadata_of(object), "annotations"), key);
}

/*
 * Strict decimals: where a server's versions are something else, there are no tokens (rule 22, a
 * store's history is not rolled back).
 */
uint64_t lease_version(const cJSON *object)
{
	const char *text = text_of(metadata_of(object), "resourceVersion");
	uint64_t version;

	return text && wire_token_parse(text, &version) ? version : 0;
}

uint64_t lease_held_ms(const cJSON *object)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");
	const char *holder = text_of(spec, "holderIdentity");

	return holder && *holder
	           ? json_number(
	                 cJSON_GetObjectItemCaseSensitive(spec, "leaseDurationSeconds"), INT32_MAX) *
	                 1000
	           : 0;
}

char *lease_next_page(const cJSON *list)
{
	const char *token = text_of(metadata_of(list), "continue");

	return token && *token ? http_encode(token) : NULL;
}

static bool uid_read(struct id *uid, const char *text)
{
	char hex[ID_HEX_SIZE];
	size_t n = 0;

	if (!text || strlen(text) != UUID_SIZE - 1)
		return false;
	for (size_t i = 0; text[i]; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash != (text[i] == '-'))
			return false;
		if (!dash)
			hex[n++] = text[i];
	}
	hex[n] = '\0';
	return id_from_hex(uid, hex);
}

static void uid_write(const struct id *uid, char text[UUID_SIZE])
{
	char hex[ID_HEX_SIZE];

	id_to_hex(uid, hex);
	snprintf(
	    text, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/*
 * Our own fields are annotations, which other clients leave in place when they take the Lease. So
 * they count only for the claim that the holder's identity ends in (rule 10, the token stands in
 * the record).
 */
static bool read_claim(const cJSON *object, const char *identity, struct record *record)
{
	const char *claim = annotation(object, "claim");
	const size_t length = strlen(identity);

	return claim && id_from_hex(&record->claim, claim) && length > IDENTITY_END &&
	       identity[length - IDENTITY_END] == '_' &&
	       strcmp(identity + length - IDENTITY_END + 1, claim) == 0;
}

/* "CLAIM:TOKEN", written by the first renewal, or by a waiter's place before it. */
static void read_token(const cJSON *object, struct record *record)
{
	const char *text = annotation(object, "token");
	char hex[ID_HEX_SIZE];

	id_to_hex(&record->claim, hex);
	if (text && strncmp(text, hex, strlen(hex)) == 0 && text[strlen(hex)] == ':')
		wire_token_parse(text + strlen(hex) + 1, &record->token);
}

static bool read_holder(const cJSON *object, const char *identity, struct record *record)
{
	const char *instance = annotation(object, "instance");
	const char *value = annotation(object, "value");

	if (!read_claim(object, identity, record)) {
		record->claim = (struct id){{0}};
		record->holder = strdup(identity);
		return record->holder;
	}
	record->holder = strndup(identity, strlen(identity) - IDENTITY_END);
	record->value = text_copy(value);
	if (instance)
		id_from_hex(&record->instance, instance);
	read_token(object, record);
	return record->holder && (record->value || !value);
}

static bool read_spec(const cJSON *object, struct record *record)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");
	const char *identity = text_of(spec, "holderIdentity");
	int64_t us;

	record->ttl_ms = number_of(spec, "leaseDurationSeconds", RECORD_LONGEST_MS / 1000) * 1000;
	record->transitions = (uint32_t)number_of(spec, "leaseTransitions", RECORD_MOST_TRANSITIONS);
	if (rfc3339_read(text_of(spec, "acquireTime"), &us))
		record->since_ms = us / 1000;
	if (rfc3339_read(text_of(spec, "renewTime"), &us) && us > 0)
		record->renewed_us = (uint64_t)us;
	if (identity && *identity)
		return read_holder(object, identity, record);
	record->revoked = annotation(object, "revoked");
	return true;
}

const char *lease_lock_name(const cJSON *object)
{
	const char *own = text_of(metadata_of(object), "name");
	const char *name = annotation(object, "name");
	char right[LEASE_NAME_SIZE];

	if (!own || strncmp(own, HASHED, strlen(HASHED)) != 0)
		return own;
	/*
	 * A Lease that somebody copied under another name says nothing about the lock that its
	 * annotation names.
	 */
	return name && lease_object_name(name, right) && strcmp(right, own) == 0 ? name : NULL;
}

static bool complain(char problem[LEASE_PROBLEM_SIZE], const char *text)
{
	snprintf(problem, LEASE_PROBLEM_SIZE, "%s", text);
	return false;
}

static bool read_next(const cJSON *object, struct record *record)
{
	const char *next = annotation(object, "next");

	if (!next || !*next || strlen(next) > MOST_NEXT)
		return true;
	record->next = strdup(next);
	return record->next;
}

bool lease_look(
    const cJSON *object, const char *name, struct record *record, char problem[LEASE_PROBLEM_SIZE])
{
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(metadata_of(object), "labels");
	const char *type = text_of(labels, PREFIX "type");

	*record = (struct record){.version = lease_version(object)};
	if (!record->version || !uid_read(&record->uid, text_of(metadata_of(object), "uid")))
		return complain(problem, "the Lease has no uid, or no decimal resourceVersion");
	if (name && (!lease_lock_name(object) || strcmp(lease_lock_name(object), name) != 0))
		return complain(problem, "the Lease's annotation " PREFIX "name is not this lock's name; "
		                         "delete the Lease or restore the annotation");
	record->election = !type || strcmp(type, "lock") != 0;
	if (read_spec(object, record) && read_next(object, record))
		return true;
	record_clear(record);
	return complain(problem, "out of memory");
}

bool lease_read(
    const cJSON *object, const char *name, struct record *record, char problem[LEASE_PROBLEM_SIZE])
{
	const char *strategy = text_of(cJSON_GetObjectItemCaseSensitive(object, "spec"), "strategy");

	if (!strategy || !*strategy)
		return lease_look(object, name, record, problem);
	*record = (struct record){0};
	return complain(problem, "the Lease takes part in coordinated leader election (spec.strategy "
	                         "is set): its holder is not chosen by contending; use another name");
}

/* ---- Writing ---- */

/* NULL removes the text, where there may be one to remove. */
static bool put_text(cJSON *object, const char *key, const char *text, bool create)
{
	if (text)
		return cJSON_AddStringToObject(object, key, text);
	return create || cJSON_AddNullToObject(object, key);
}

static bool put_annotation(cJSON *annotations, const char *name, const char *text, bool create)
{
	char key[64];

	snprintf(key, sizeof key, PREFIX "%s", name);
	return put_text(annotations, key, text, create);
}

static bool put_token(cJSON *annotations, const struct record *record, bool create)
{
	char text[ID_HEX_SIZE + 24];

	if (!record->token)
		return put_annotation(annotations, "token", NULL, create);
	id_to_hex(&record->claim, text);
	snprintf(text + ID_HEX_SIZE - 1, sizeof text - ID_HEX_SIZE, ":%" PRIu64, record->token);
	return put_annotation(annotations, "token", text, create);
}

/* Beside places: the token of a grant that was not renewed yet. */
static bool put_places(cJSON *annotations, const struct record *record)
{
	return put_annotation(annotations, "next", record->next, false) &&
	       (!record->token || put_token(annotations, record, false));
}

static bool put_instance(cJSON *annotations, const struct record *record)
{
	char hex[ID_HEX_SIZE];

	id_to_hex(&record->instance, hex);
	return put_annotation(annotations, "instance", hex, false);
}

static bool put_time(cJSON *spec, const char *key, int64_t us)
{
	char text[RFC3339_SIZE];

	rfc3339_write(text, us, 6);
	return cJSON_AddStringToObject(spec, key, text);
}

static bool put_identity(cJSON *spec, const struct record *record)
{
	char hex[ID_HEX_SIZE];
	char identity[HOLDER_MOST + IDENTITY_END + 1];

	id_to_hex(&record->claim, hex);
	snprintf(identity, sizeof identity, "%s_%s", record->holder, hex);
	return cJSON_AddStringToObject(spec, "holderIdentity", identity);
}

static bool put_grant(
    cJSON *metadata, cJSON *annotations, cJSON *spec, const struct record *record, bool create)
{
	cJSON *labels = cJSON_AddObjectToObject(metadata, "labels");
	const uint64_t seconds = (record->ttl_ms + 999) / 1000; /* whole seconds, rounded up */
	char hex[ID_HEX_SIZE];

	id_to_hex(&record->claim, hex);
	return labels &&
	       cJSON_AddStringToObject(labels, PREFIX "type", record->election ? "election" : "lock") &&
	       put_annotation(annotations, "claim", hex, create) &&
	       put_token(annotations, record, create) && put_instance(annotations, record) &&
	       put_annotation(annotations, "value", record->value, create) &&
	       put_annotation(annotations, "revoked", NULL, create) &&
	       put_annotation(annotations, "next", record->next, create) &&
	       put_identity(spec, record) &&
	       cJSON_AddNumberToObject(spec, "leaseDurationSeconds", (double)seconds) &&
	       put_time(spec, "acquireTime", record->since_ms * 1000) &&
	       put_time(spec, "renewTime", (int64_t)record->renewed_us) &&
	       cJSON_AddNumberToObject(spec, "leaseTransitions", record->transitions);
}

static bool put_renewal(cJSON *annotations, cJSON *spec, const struct record *record)
{
	return put_token(annotations, record, false) && put_instance(annotations, record) &&
	       put_annotation(annotations, "value", record->value, false) &&
	       put_time(spec, "renewTime", (int64_t)record->renewed_us);
}

/* The duration stays, because others wait that long after a release by force. */
static bool put_release(cJSON *annotations, cJSON *spec, const struct record *record)
{
	return put_annotation(annotations, "claim", NULL, false) &&
	       put_annotation(annotations, "token", NULL, false) &&
	       put_annotation(annotations, "instance", NULL, false) &&
	       put_annotation(annotations, "value", NULL, false) &&
	       put_annotation(annotations, "revoked", record->revoked ? "true" : NULL, false) &&
	       put_text(spec, "holderIdentity", NULL, false);
}

cJSON *lease_create(const struct record *record, const char *name)
{
	cJSON *object = cJSON_CreateObject();
	cJSON *metadata = cJSON_AddObjectToObject(object, "metadata");
	cJSON *annotations = cJSON_AddObjectToObject(metadata, "annotations");
	cJSON *spec = cJSON_AddObjectToObject(object, "spec");
	char object_name[LEASE_NAME_SIZE];

	if (metadata && annotations && spec && lease_object_name(name, object_name) &&
	    cJSON_AddStringToObject(object, "apiVersion", "coordination.k8s.io/v1") &&
	    cJSON_AddStringToObject(object, "kind", "Lease") &&
	    cJSON_AddStringToObject(metadata, "name", object_name) &&
	    (strcmp(object_name, name) == 0 || put_annotation(annotations, "name", name, true)) &&
	    put_grant(metadata, annotations, spec, record, true))
		return object;
	cJSON_Delete(object);
	return NULL;
}

static bool put_precondition(cJSON *object, const struct id *uid, uint64_t version)
{
	char text[UUID_SIZE];
	char number[24];

	uid_write(uid, text);
	snprintf(number, sizeof number, "%" PRIu64, version);
	return cJSON_AddStringToObject(object, "uid", text) &&
	       cJSON_AddStringToObject(object, "resourceVersion", number);
}

cJSON *lease_patch(
    const struct record *record, enum lease_write write, const struct id *uid, uint64_t version)
{
	cJSON *object = cJSON_CreateObject();
	cJSON *metadata = cJSON_AddObjectToObject(object, "metadata");
	cJSON *annotations = cJSON_AddObjectToObject(metadata, "annotations");
	cJSON *spec = cJSON_AddObjectToObject(object, "spec");
	bool good = metadata && annotations && spec && put_precondition(metadata, uid, version);

	if (write == LEASE_GRANT)
		good = good && put_grant(metadata, annotations, spec, record, false);
	else if (write == LEASE_RENEWAL)
		good = good && put_renewal(annotations, spec, record);
	else if (write == LEASE_PLACES)
		good = good && put_places(annotations, record);
	else
		good = good && put_release(annotations, spec, record);
	if (good)
		return object;
	cJSON_Delete(object);
	return NULL;
}

cJSON *lease_delete(const struct id *uid, uint64_t version)
{
	cJSON *object = cJSON_CreateObject();
	cJSON *preconditions = cJSON_AddObjectToObject(object, "preconditions");

	if (preconditions && put_precondition(preconditions, uid, version))
		return object;
	cJSON_Delete(object);
	return NULL;
}
