/* One entry of a kubeconfig, and its fields: texts, paths and base64. */
#ifndef MPSYNC_STORES_KUBECONFIG_ENTRY_H
#define MPSYNC_STORES_KUBECONFIG_ENTRY_H

#include "config.h"

/* An entry, and where it was found: paths in it are relative to its file's folder. */
struct entry {
	const cJSON *item;
	const char *path;
};

const cJSON *entry_get(const cJSON *object, const char *key);
/* NULL: the field is missing or empty. */
const char *entry_text(const cJSON *object, const char *key);

/* Each of these replaces *to, which the caller owns; false without memory. */
bool entry_copy(char **to, const char *value);
bool entry_path(char **to, const struct entry *entry, const char *key);
/* False also where the field is not base64; fills the error. */
bool entry_data(char **to, const struct entry *entry, const char *key, mpsync_error *error);

/* The file's folder, with its last slash; "" for the current folder. Owned by the caller. */
char *entry_folder(const char *path);

/* Fills the error; always false. */
bool entry_no_memory(mpsync_error *error);

/* Takes the user of the context: who asks, and as whom. The cluster has been taken before. */
bool kubeconfig_take_user(
    struct kube_config *config, const struct entry *user, mpsync_error *error);

#endif
