#include "kubeconfig_entry.h"

#include "base/status.h"
#include "base/text.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const cJSON *entry_get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *entry_text(const cJSON *object, const char *key)
{
	const char *value = cJSON_GetStringValue(entry_get(object, key));

	return value && *value ? value : NULL;
}

bool entry_copy(char **to, const char *value)
{
	free(*to);
	*to = text_copy(value);
	return *to || !value;
}

char *entry_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
}

bool entry_path(char **to, const struct entry *entry, const char *key)
{
	const char *value = entry_text(entry->item, key);
	char *folder;

	if (!value || value[0] == '/')
		return entry_copy(to, value);
	folder = entry_folder(entry->path);
	if (!folder || asprintf(to, "%s%s", folder, value) < 0)
		*to = NULL;
	free(folder);
	return *to;
}

/* Base64 of the fields that end in -data may be written in one line or in several. */
static char *without_breaks(const char *encoded)
{
	char *text = malloc(strlen(encoded) + 1);
	size_t length = 0;

	for (; text && *encoded; encoded++)
		if (*encoded != '\r' && *encoded != '\n')
			text[length++] = *encoded;
	if (text)
		text[length] = '\0';
	return text;
}

/* NULL: it is not base64, or there is no memory. */
static char *decode(const char *encoded)
{
	char *text = without_breaks(encoded);
	const size_t length = text ? strlen(text) : 0;
	unsigned char *plain = malloc(length / 4 * 3 + 4);
	int size = -1;

	if (plain && text && length < INT32_MAX)
		size = EVP_DecodeBlock(plain, (const unsigned char *)text, (int)length);
	free(text);
	if (size < 0) {
		free(plain);
		return NULL;
	}
	plain[size] = '\0';
	return (char *)plain;
}

bool entry_data(char **to, const struct entry *entry, const char *key, mpsync_error *error)
{
	const char *encoded = entry_text(entry->item, key);

	*to = encoded ? decode(encoded) : NULL;
	if (*to || !encoded)
		return true;
	fail(error, MPSYNC_E_INVALID, "the kubeconfig %.150s: %s is not base64", entry->path, key);
	return false;
}

bool entry_no_memory(mpsync_error *error)
{
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}
