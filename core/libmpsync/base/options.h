/* Settings by name. One table has the name of each, its possible values and its default. */
#ifndef MPSYNC_OPTIONS_H
#define MPSYNC_OPTIONS_H

#include <mpsync.h>
#include <stdbool.h>

enum setting {
	OPTION_URL,
	OPTION_TTL,
	OPTION_WAIT,
	OPTION_IDENTITY,
	OPTION_DRAIN,
	OPTION_REQUEST_TIMEOUT,
	OPTION_FENCE,
	OPTION_MODE,
	OPTION_GROUP,
	OPTION_CA,
	OPTION_CERT,
	OPTION_KEY,
	OPTION_NAMESPACE,
	OPTION_KUBECONFIG,
	OPTION_CONTEXT,
	OPTION_INSECURE,
	OPTION_LABEL_LEADER,
	OPTION_LEADER_EVENTS,
	OPTION_LEASE_OWNER,
	OPTION_USER,
	OPTION_PASSWORD_FILE,
	OPTION_PREFIX,
	OPTION_LOG,
	OPTION_LOG_FORMAT,
	OPTION_COUNT
};

struct mpsync_options {
	char *values[OPTION_COUNT]; /* NULL: not set here */
};

/* The option of that name; -1: there is none. */
int option_by_name(const char *name);
const char *option_name(enum setting option);

/* Take from `others` (NULL: nothing) what is not set in `options`. False without memory. */
bool options_inherit(struct mpsync_options *options, const struct mpsync_options *others);

/*
 * Set what the environment's MPSYNC_TTL, MPSYNC_WAIT and so on say. Unknown names with MPSYNC_
 * belong to other programs.
 */
mpsync_status options_from_environment(struct mpsync_options *options, mpsync_error *error);

void options_clear(struct mpsync_options *options);

/* The value that was set, else the default; NULL where there is neither. */
const char *options_text(const struct mpsync_options *options, enum setting option);

/* A duration in milliseconds; -1: not set. */
int64_t options_ms(const struct mpsync_options *options, enum setting option);

#endif
