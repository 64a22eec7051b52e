#include "ownership.h"

#include "api/client.h"
#include "base/text.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All rights that a command runs under, the outermost first: a list of name, holder and token. */
#define HELD_VARIABLE "MPSYNC_HELD"

static cJSON *read_held(void)
{
	const char *text = getenv(HELD_VARIABLE);
	cJSON *held = text ? cJSON_Parse(text) : NULL;

	if (cJSON_IsArray(held))
		return held;
	cJSON_Delete(held);
	return cJSON_CreateArray();
}

/* The rights around this command and the present one, as text. Owned by the caller. */
static char *held_text(const char *name, const char *holder, const char *token)
{
	cJSON *held = read_held();
	cJSON *item = cJSON_CreateObject();
	char *text = NULL;

	if (item && cJSON_AddStringToObject(item, "name", name) &&
	    cJSON_AddStringToObject(item, "holder", holder) &&
	    cJSON_AddStringToObject(item, "token", token) && cJSON_AddItemToArray(held, item)) {
		item = NULL;
		text = cJSON_PrintUnformatted(held);
	}
	cJSON_Delete(item);
	cJSON_Delete(held);
	return text;
}

static char *variable(const char *name, const char *value)
{
	char *text = NULL;

	if (!value || asprintf(&text, "%s=%s", name, value) < 0)
		return NULL;
	return text;
}

bool ownership_make(struct ownership *ownership, const struct right *right, const char *name)
{
	const char *holder = options_text(&right->client->options, OPTION_IDENTITY);
	char token[32];
	char *held;
	bool good = true;

	snprintf(token, sizeof token, "%" PRIu64, right->token);
	held = held_text(name, holder, token);
	*ownership = (struct ownership){{
	    variable("MPSYNC_TOKEN", token),
	    variable("MPSYNC_NAME", name),
	    variable("MPSYNC_HOLDER", holder),
	    variable("MPSYNC_URL", right->client->store_url),
	    variable(HELD_VARIABLE, held),
	}};
	cJSON_free(held);
	for (size_t i = 0; i < OWNERSHIP_COUNT; i++)
		good = good && ownership->variables[i];
	return good;
}

void ownership_clear(struct ownership *ownership)
{
	for (size_t i = 0; i < OWNERSHIP_COUNT; i++)
		free(ownership->variables[i]);
	*ownership = (struct ownership){{NULL}};
}

static const char *text_of(const cJSON *item, const char *field)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, field));
}

/* Does the store say that the grant with this token holds the name now? */
static bool has_name_now(mpsync_client *client, const char *name, const char *token)
{
	mpsync_list *found = mpsync_client_list(client, name, NULL);
	char present[32];
	bool has = false;

	for (size_t i = 0; i < mpsync_list_count(found); i++) {
		const mpsync_lock_info *info = mpsync_list_at(found, i);

		snprintf(present, sizeof present, "%" PRIu64, info->token);
		has |= strcmp(info->name, name) == 0 && text_same(present, token);
	}
	mpsync_list_free(found);
	return has;
}

bool ownership_is_own(const struct right *right, const char *name, const char *holder)
{
	cJSON *held = holder && getenv(HELD_VARIABLE) ? read_held() : NULL;
	const cJSON *item;
	bool own = false;

	cJSON_ArrayForEach (item, held)
		own = own || (text_same(text_of(item, "name"), name) &&
		                 text_same(text_of(item, "holder"), holder) &&
		                 has_name_now(right->client, name, text_of(item, "token")));
	cJSON_Delete(held);
	return own;
}
