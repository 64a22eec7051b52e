/* One entry of a kubeconfig, and reading its members: texts, paths and base64. */
#ifndef MPSYNC_STORES_KUBECONFIG_ENTRY_H
#define MPSYNC_STORES_KUBECONFIG_ENTRY_H

#include "config.h"

/* Where an entry was found: paths in it are relative to the file's folder. */
struct entry {
	const cJSON *item;
	const char *path;
};

const cJSON *entry_get(const cJSON *object, const char *key);
/* NULL: there is none, or it is empty. */
const char *entry_text(const cJSON *object, const char *key);

/* Each of these replaces *to, which is the caller's; false without memory. */
bool entry_copy(char **to, const char *value);
bool entry_path(char **to, const struct entry *entry, const char *key);
/* False also where it is not base64; fills the error. */
bool entry_data(char **to, const struct entry *entry, const char *key, mpsync_error *error);

/* The folder of the file, with its last slash; "" for one in the present folder. The caller's. */
char *entry_folder(const char *path);

/* False, always. */
bool entry_no_memory(mpsync_error *error);

/* Who asks, and as whom; the cluster has been taken before. */
bool kubeconfig_take_user(
    struct kube_config *config, const struct entry *user, mpsync_error *error);

#endif
