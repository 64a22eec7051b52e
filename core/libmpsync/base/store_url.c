#include "store_url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	enum setting option;
	bool is_path;
} of_store[] = {
    {OPTION_CA, true},
    {OPTION_CERT, true},
    {OPTION_KEY, true},
    {OPTION_NAMESPACE, false},
    {OPTION_KUBECONFIG, true},
    {OPTION_CONTEXT, false},
    {OPTION_INSECURE, false},
    {OPTION_USER, false},
    {OPTION_PASSWORD_FILE, true},
    {OPTION_PREFIX, false},
};

/* Owned by the caller; NULL without memory, or when the current folder was removed. */
static char *absolute(const char *path)
{
	char *folder;
	char *result = NULL;

	if (*path == '/')
		return strdup(path);
	folder = getcwd(NULL, 0);
	if (folder && asprintf(&result, "%s/%s", folder, path) < 0)
		result = NULL;
	free(folder);
	return result;
}

static bool write_escaped(FILE *out, const char *text, const char *plain)
{
	for (const char *c = text; *c; c++) {
		char *escaped;

		if (strchr(plain, *c)) {
			fputc(*c, out);
			continue;
		}
		escaped = curl_easy_escape(NULL, c, 1);
		if (!escaped)
			return false;
		fputs(escaped, out);
		curl_free(escaped);
	}
	return true;
}

static bool write_pair(FILE *out, enum setting option, const char *value, bool is_path, bool *first)
{
	char *text = is_path ? absolute(value) : strdup(value);
	bool good = text;

	if (good) {
		fprintf(out, "%c%s=", *first ? '?' : '&', option_name(option));
		good = write_escaped(out, text, "/");
	}
	*first = false;
	free(text);
	return good;
}

static bool is_of_store(int option, bool *is_path)
{
	for (size_t i = 0; i < sizeof of_store / sizeof *of_store; i++) {
		if ((int)of_store[i].option != option)
			continue;
		*is_path = of_store[i].is_path;
		return true;
	}
	return false;
}

static bool write_query(FILE *out, const struct url *url, const struct mpsync_options *options)
{
	bool first = true;

	for (int i = 0; i < OPTION_COUNT; i++) {
		bool is_path = false;
		const char *value = is_of_store(i, &is_path) ? options->values[i] : url->options.values[i];

		if (value && !write_pair(out, (enum setting)i, value, is_path, &first))
			return false;
	}
	return true;
}

char *store_url(const char *base, const struct url *url, const struct mpsync_options *options)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool good;

	if (!out)
		return NULL;
	good = fputs(base, out) >= 0 && write_query(out, url, options);
	if (fclose(out) == 0 && good)
		return text;
	free(text);
	return NULL;
}
