#include "fields.h"

#include "base/duration.h"
#include "base/json_number.h"
#include "base/text.h"
#include "base/wire.h"

#include <stdio.h>
#include <string.h>

#define MOST_WAIT_MS 300000
/* Above this a JSON number is not exact. */
#define MOST_NUMBER (UINT64_C(1) << 53)

/* The bytes do not end in NUL. */
static bool is_blank(const char *bytes, size_t size)
{
	while (size > 0 && strchr(" \t\r\n", *bytes) && *bytes) {
		bytes++;
		size--;
	}
	return size == 0;
}

enum body body_parse(
    const char *bytes, size_t size, cJSON **object, char problem[FIELDS_PROBLEM_SIZE])
{
	const char *end = NULL;

	*object = NULL;
	if (is_blank(bytes, size))
		return BODY_EMPTY;
	if (!text_is_utf8(bytes, size) || memchr(bytes, '\0', size)) {
		snprintf(problem, FIELDS_PROBLEM_SIZE, "the body is not valid UTF-8");
		return BODY_BAD;
	}
	*object = cJSON_ParseWithLengthOpts(bytes, size, &end, false);
	if (!*object || !is_blank(end, size - (size_t)(end - bytes)))
		snprintf(problem, FIELDS_PROBLEM_SIZE, "the body is not valid JSON");
	else if (!cJSON_IsObject(*object))
		snprintf(problem, FIELDS_PROBLEM_SIZE, "the body is not a JSON object");
	else
		return BODY_OBJECT;
	cJSON_Delete(*object);
	*object = NULL;
	return BODY_BAD;
}

/* ---- Names of fields ---- */

static size_t index_of(const char *const *names, size_t count, const char *name)
{
	size_t i = 0;

	while (i < count && strcmp(names[i], name) != 0)
		i++;
	return i;
}

/*
 * Each field must be known, and stand once, since nobody could tell which of two was meant.
 * Checking stops at the first fault, so that it takes no longer than the known names allow, however
 * many fields there are.
 */
static bool names_are_right(
    const cJSON *object, const char *const *names, size_t count, char problem[FIELDS_PROBLEM_SIZE])
{
	unsigned seen = 0;

	for (const cJSON *item = object ? object->child : NULL; item; item = item->next) {
		const size_t i = index_of(names, count, item->string);

		if (i == count) {
			snprintf(problem, FIELDS_PROBLEM_SIZE, "there is no field \"%.100s\"", item->string);
			return false;
		}
		if (seen & 1u << i) {
			snprintf(
			    problem, FIELDS_PROBLEM_SIZE, "the field \"%.100s\" stands twice", item->string);
			return false;
		}
		seen |= 1u << i;
	}
	return true;
}

/* The item of that name; NULL if there is none, or more than one. */
static const cJSON *only_item(const cJSON *object, const char *name)
{
	const cJSON *found = NULL;

	for (const cJSON *item = object ? object->child : NULL; item; item = item->next) {
		if (strcmp(item->string, name) != 0)
			continue;
		if (found)
			return NULL;
		found = item;
	}
	return found;
}

/* ---- The old wire ---- */

const char *legacy_parse(const char **name, const cJSON *object)
{
	const cJSON *metadata = only_item(object, "metadata");
	const cJSON *item = cJSON_IsObject(metadata) ? only_item(metadata, "name") : NULL;

	if (!*name)
		*name = cJSON_GetStringValue(item);
	return *name ? name_problem(*name) : "metadata.name is missing, or stands twice";
}

/* ---- The new wire ---- */

bool session_parse(const char *header, struct id *session)
{
	return !header || id_from_hex(session, header);
}

/* ---- Fields of the new wire ---- */

struct fields {
	struct put *put;
	char *problem; /* a buffer of FIELDS_PROBLEM_SIZE */
	bool wait_given;
	bool has_claim;
};

static bool field_duration(struct fields *fields, const char *name, const cJSON *item, uint64_t *ms)
{
	const char *text = cJSON_IsString(item) ? item->valuestring : "";

	if (duration_parse(text, ms))
		return true;
	snprintf(fields->problem, FIELDS_PROBLEM_SIZE, "%s %s", name,
	    duration_is_too_long(text) ? "is too long; give \"1000h\" at most"
	                               : "is not a duration; write \"15s\" or \"250ms\"");
	return false;
}

static bool field_problem(struct fields *fields, const char *name, const char *problem)
{
	snprintf(fields->problem, FIELDS_PROBLEM_SIZE, "%s: %s", name, problem);
	return false;
}

static bool take_text_field(struct fields *fields, const cJSON *item)
{
	const char *name = item->string;
	const char *text = cJSON_IsString(item) ? item->valuestring : NULL;
	struct put *put = fields->put;

	if (strcmp(name, "value") == 0 && cJSON_IsNull(item)) {
		put->has_value = true;
		return true;
	}
	if (!text)
		return field_problem(fields, name, "it has to be a string");
	if (strcmp(name, "holder") == 0) {
		put->holder = text;
		return holder_problem(text) ? field_problem(fields, name, holder_problem(text)) : true;
	}
	if (strcmp(name, "claim") == 0) {
		fields->has_claim = id_from_hex(&put->claim, text) && !id_is_none(&put->claim);
		return fields->has_claim ||
		       field_problem(fields, name, "it has to be 32 lower-case hex digits");
	}
	if (strcmp(name, "token") == 0)
		return wire_token_parse(text, &put->token) ||
		       field_problem(fields, name, "it has to be decimal digits in a string");
	if (strcmp(name, "type") == 0) {
		put->election = strcmp(text, "election") == 0;
		return put->election || strcmp(text, "lock") == 0 ||
		       field_problem(fields, name, "it has to be \"lock\" or \"election\"");
	}
	if (strcmp(name, "name") == 0)
		return put->name == NULL ? (put->name = text) != NULL
		                         : field_problem(fields, name, "it stands in the path already");
	put->value = text;
	put->has_value = true;
	return value_problem(text) ? field_problem(fields, name, value_problem(text)) : true;
}

static bool take_field(struct fields *fields, const cJSON *item, const struct store *store)
{
	static const char *const texts[] = {"holder", "claim", "token", "type", "name", "value"};
	struct put *put = fields->put;
	uint64_t ms;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strcmp(item->string, texts[i]) == 0)
			return take_text_field(fields, item);
	if (strcmp(item->string, "ttl") == 0) {
		if (!field_duration(fields, "ttl", item, &ms))
			return false;
		if (ms < store->shortest_ttl_ms || ms > STORE_LONGEST_TTL_MS)
			return field_problem(fields, "ttl", "it is out of this store's range");
		if (store->ttl_step_ms && ms % store->ttl_step_ms)
			return field_problem(fields, "ttl", "this store takes whole seconds only");
		put->ttl_ms = (uint32_t)ms;
		put->ttl_given = true;
		return true;
	}
	if (strcmp(item->string, "wait") == 0) {
		fields->wait_given = true;
		if (!field_duration(fields, "wait", item, &put->wait_ms))
			return false;
		return put->wait_ms <= MOST_WAIT_MS || field_problem(fields, "wait", "the most is 5m");
	}
	if (strcmp(item->string, "order") == 0)
		return (json_number_read(item, MOST_NUMBER, &put->order) && put->order > 0) ||
		       field_problem(fields, "order", "it has to be a number above 0");
	if (strcmp(item->string, "stream") == 0)
		return json_number_read(item, MOST_NUMBER, &put->stream) ||
		       field_problem(fields, "stream", "it has to be the number that hello gave");
	put->queue = cJSON_IsTrue(item);
	return cJSON_IsBool(item) || field_problem(fields, "queue", "it has to be true or false");
}

/* Checks that concern several fields; NULL, or what is wrong. */
static const char *terms_problem(const struct fields *fields)
{
	const struct put *put = fields->put;

	if (!put->name)
		return "name is missing";
	if (name_problem(put->name))
		return name_problem(put->name);
	if (!put->holder)
		return "holder is missing";
	if (!fields->has_claim)
		return "claim is missing";
	if (put->token && (fields->wait_given || put->queue))
		return "token excludes wait and queue";
	if (put->order && (!put->token || !put->has_value || !put->stream || id_is_none(&put->session)))
		return "order needs value, token, stream and the header Mpsync-Session";
	if (put->queue && fields->wait_given)
		return "queue excludes wait";
	if (put->queue && id_is_none(&put->session))
		return "queue needs the header Mpsync-Session and its open stream";
	return NULL;
}

static const char *const put_names[] = {
    "holder", "claim", "token", "type", "name", "value", "ttl", "wait", "queue", "order", "stream"};

bool put_parse(struct put *put, const cJSON *object, const char *session, const struct store *store,
    char problem[FIELDS_PROBLEM_SIZE])
{
	struct fields fields = {.put = put, .problem = problem};
	const char *terms;

	put->ttl_ms = 15000;
	if (!names_are_right(object, put_names, sizeof put_names / sizeof *put_names, problem))
		return false;
	for (const cJSON *item = object->child; item; item = item->next)
		if (!take_field(&fields, item, store))
			return false;
	if (!session_parse(session, &put->session))
		terms = "Mpsync-Session has to be 32 lower-case hex digits";
	else
		terms = terms_problem(&fields);
	if (terms)
		snprintf(problem, FIELDS_PROBLEM_SIZE, "%s", terms);
	return !terms;
}

/* ---- Heartbeats ---- */

static const char *beat_field_problem(struct heartbeat *beat, const cJSON *item, bool *fenced)
{
	const char *text = cJSON_IsString(item) ? item->valuestring : "";

	if (strcmp(item->string, "seen") == 0)
		return strcmp(text, "0") == 0 || wire_token_parse(text, &beat->seen)
		           ? NULL
		           : "seen: it has to be decimal digits in a string";
	if (strcmp(item->string, "fence") == 0) {
		*fenced = strcmp(text, "stream") == 0;
		return *fenced || strcmp(text, "time") == 0 ? NULL
		                                            : "fence: it has to be \"time\" or \"stream\"";
	}
	if (strcmp(item->string, "grants") == 0) {
		return json_number_read(item, MOST_NUMBER, &beat->grants)
		           ? NULL
		           : "grants: it has to be how many grants the client knows of";
	}
	if (strcmp(item->string, "low") == 0) {
		beat->low = cJSON_IsTrue(item);
		return cJSON_IsBool(item) ? NULL : "low: it has to be true or false";
	}
	return json_number_read(item, MOST_NUMBER, &beat->stream)
	           ? NULL
	           : "stream: it has to be the number that hello gave";
}

bool heartbeat_parse(struct heartbeat *beat, const cJSON *object, const char *session,
    char problem[FIELDS_PROBLEM_SIZE])
{
	static const char *const names[] = {"seen", "fence", "stream", "grants", "low"};
	const char *wrong = NULL;
	bool fenced = false;

	beat->grants = UINT64_MAX;
	if (!names_are_right(object, names, sizeof names / sizeof *names, problem))
		return false;
	if (!session_parse(session, &beat->session) || id_is_none(&beat->session))
		wrong = "a heartbeat needs the header Mpsync-Session, 32 lower-case hex digits";
	for (const cJSON *item = object ? object->child : NULL; item && !wrong; item = item->next)
		wrong = beat_field_problem(beat, item, &fenced);
	if (!fenced)
		beat->stream = 0;
	else if (beat->stream == 0)
		beat->stream = UINT64_MAX; /* a generation that no stream has */
	if (wrong)
		snprintf(problem, FIELDS_PROBLEM_SIZE, "%s", wrong);
	return !wrong;
}

/* ---- Force ---- */

bool force_parse(bool *now, const cJSON *object, char problem[FIELDS_PROBLEM_SIZE])
{
	static const char *const names[] = {"force", "now"};
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "now");

	if (!names_are_right(object, names, sizeof names / sizeof *names, problem))
		return false;
	*now = cJSON_IsTrue(item);
	if (!item || cJSON_IsBool(item))
		return true;
	snprintf(problem, FIELDS_PROBLEM_SIZE, "now: it has to be true or false");
	return false;
}
