#include "options.h"

#include "duration.h"
#include "status.h"
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, DURATION, CHOICE };

static const struct {
	const char *name;
	enum kind kind;
	const char *otherwise;
	const char *choices; /* separated by | */
	uint64_t least_ms;
	uint64_t most_ms;
} table[OPTION_COUNT] = {
    [OPTION_URL] = {"url", TEXT, NULL, NULL, 0, 0},
    [OPTION_TTL] = {"ttl", DURATION, "15s", NULL, 50, 24 * 3600 * 1000},
    [OPTION_WAIT] = {"wait", DURATION, NULL, NULL, 0, UINT64_MAX},
    [OPTION_IDENTITY] = {"identity", TEXT, NULL, NULL, 0, 0},
    [OPTION_DRAIN] = {"drain", DURATION, NULL, NULL, 0, UINT64_MAX},
    [OPTION_REQUEST_TIMEOUT] = {"request_timeout", DURATION, NULL, NULL, 1, 3600 * 1000},
    [OPTION_FENCE] = {"fence", CHOICE, "auto", "auto|time", 0, 0},
    [OPTION_MODE] = {"mode", TEXT, NULL, NULL, 0, 0},
    [OPTION_GROUP] = {"group", TEXT, NULL, NULL, 0, 0},
    [OPTION_CA] = {"ca", TEXT, NULL, NULL, 0, 0},
    [OPTION_CERT] = {"cert", TEXT, NULL, NULL, 0, 0},
    [OPTION_KEY] = {"key", TEXT, NULL, NULL, 0, 0},
    [OPTION_NAMESPACE] = {"namespace", TEXT, NULL, NULL, 0, 0},
    [OPTION_KUBECONFIG] = {"kubeconfig", TEXT, NULL, NULL, 0, 0},
    [OPTION_CONTEXT] = {"context", TEXT, NULL, NULL, 0, 0},
    [OPTION_INSECURE] = {"insecure", CHOICE, "no", "no|yes", 0, 0},
    [OPTION_LABEL_LEADER] = {"label_leader", CHOICE, "no", "no|yes", 0, 0},
    [OPTION_LEADER_EVENTS] = {"leader_events", CHOICE, "no", "no|yes", 0, 0},
    [OPTION_LEASE_OWNER] = {"lease_owner", TEXT, NULL, NULL, 0, 0},
    [OPTION_USER] = {"user", TEXT, NULL, NULL, 0, 0},
    [OPTION_PASSWORD_FILE] = {"password_file", TEXT, NULL, NULL, 0, 0},
    [OPTION_PREFIX] = {"prefix", TEXT, NULL, NULL, 0, 0},
    [OPTION_LOG] = {"log", CHOICE, "warn", "error|warn|info|debug", 0, 0},
    [OPTION_LOG_FORMAT] = {"log_format", CHOICE, "text", "text|json", 0, 0},
};

int option_by_name(const char *name)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (strcmp(table[i].name, name) == 0)
			return i;
	return -1;
}

const char *option_name(enum setting option)
{
	return table[option].name;
}

static bool is_choice(const char *choices, const char *value)
{
	const size_t length = strlen(value);

	for (const char *choice = choices; choice; choice = strchr(choice, '|')) {
		choice += *choice == '|';
		if (strncmp(choice, value, length) == 0 &&
		    (choice[length] == '|' || choice[length] == '\0'))
			return length > 0;
	}
	return false;
}

/* An octal mode that lets the owner read and write, and nobody execute. */
static bool is_mode(const char *text)
{
	char *end;
	const unsigned long mode = strtoul(text, &end, 8);

	return isdigit((unsigned char)*text) && !*end && (mode & 0600) == 0600 && mode <= 0666 &&
	       (mode & 0111) == 0;
}

static mpsync_status check_duration(enum setting option, const char *value, mpsync_error *error)
{
	uint64_t ms;

	if (duration_is_too_long(value))
		return fail(error, MPSYNC_E_INVALID, "%s: %.40s is too long; give 1000h at most",
		    table[option].name, value);
	if (!duration_parse(value, &ms))
		return fail(error, MPSYNC_E_INVALID,
		    "%s: \"%.40s\" is not a duration; write 15s, 250ms or 1.5m", table[option].name, value);
	if (ms < table[option].least_ms || ms > table[option].most_ms)
		return fail(error, MPSYNC_E_INVALID, "%s: %.40s is out of range; give %llu ms to %llu ms",
		    table[option].name, value, (unsigned long long)table[option].least_ms,
		    (unsigned long long)table[option].most_ms);
	return MPSYNC_OK;
}

static mpsync_status check(enum setting option, const char *value, mpsync_error *error)
{
	const char *problem = option == OPTION_IDENTITY ? holder_problem(value) : NULL;
	const size_t length = strlen(value);

	if (problem)
		return fail(error, MPSYNC_E_INVALID, "identity: %s", problem);
	if (option == OPTION_PREFIX && length > 0 && value[length - 1] != '/')
		return fail(error, MPSYNC_E_INVALID, "prefix: \"%.40s\" does not end in /", value);
	if (option == OPTION_MODE && !is_mode(value))
		return fail(error, MPSYNC_E_INVALID,
		    "mode: \"%.40s\" is no mode of a file that its owner can use; write 0600 or 0660",
		    value);
	switch (table[option].kind) {
	case DURATION:
		return check_duration(option, value, error);
	case CHOICE:
		if (!is_choice(table[option].choices, value))
			return fail(error, MPSYNC_E_INVALID, "%s: \"%.40s\" is not one of %s",
			    table[option].name, value, table[option].choices);
		return MPSYNC_OK;
	case TEXT:
		break;
	}
	return MPSYNC_OK;
}

mpsync_options *mpsync_options_new(mpsync_error *error)
{
	struct mpsync_options *options = calloc(1, sizeof *options);

	if (options)
		succeed(error);
	else
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return options;
}

mpsync_status mpsync_options_set(
    mpsync_options *options, const char *name, const char *value, mpsync_error *error)
{
	const int option = name ? option_by_name(name) : -1;
	char *copy;

	if (!options || !value)
		return fail(error, MPSYNC_E_INVALID, "mpsync_options_set needs options and a value");
	if (option < 0)
		return fail(error, MPSYNC_E_INVALID,
		    "there is no option \"%.40s\"; docs/options.md lists them", name ? name : "");
	if (check((enum setting)option, value, error) != MPSYNC_OK)
		return MPSYNC_E_INVALID;
	copy = strdup(value);
	if (!copy)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	free(options->values[option]);
	options->values[option] = copy;
	return succeed(error);
}

void options_clear(struct mpsync_options *options)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		free(options->values[i]);
	*options = (struct mpsync_options){{0}};
}

void mpsync_options_free(mpsync_options *options)
{
	if (!options)
		return;
	options_clear(options);
	free(options);
}

bool options_inherit(struct mpsync_options *options, const struct mpsync_options *others)
{
	for (int i = 0; others && i < OPTION_COUNT; i++) {
		if (options->values[i] || !others->values[i])
			continue;
		options->values[i] = strdup(others->values[i]);
		if (!options->values[i])
			return false;
	}
	return true;
}

mpsync_status options_from_environment(struct mpsync_options *options, mpsync_error *error)
{
	char variable[64] = "MPSYNC_";

	for (int i = 0; i < OPTION_COUNT; i++) {
		const size_t start = strlen("MPSYNC_");
		const char *value;

		snprintf(variable + start, sizeof variable - start, "%s", table[i].name);
		for (char *c = variable + start; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		value = getenv(variable);
		if (!value || !*value || options->values[i])
			continue;
		if (mpsync_options_set(options, table[i].name, value, error) != MPSYNC_OK) {
			mpsync_error reason = error ? *error : (mpsync_error){0};

			return fail(error, MPSYNC_E_INVALID, "%s: %.180s", variable, reason.message);
		}
	}
	return succeed(error);
}

const char *options_text(const struct mpsync_options *options, enum setting option)
{
	return options->values[option] ? options->values[option] : table[option].otherwise;
}

int64_t options_ms(const struct mpsync_options *options, enum setting option)
{
	const char *text = options_text(options, option);
	uint64_t ms;

	return text && duration_parse(text, &ms) ? (int64_t)ms : -1;
}
