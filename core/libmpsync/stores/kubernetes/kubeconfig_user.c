/* The user of a kubeconfig, as kubectl reads it: who asks. */
#include "kubeconfig_entry.h"

#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unknown fields are refused: one that was ignored might have limited the user's rights. */
static bool is_understood(const struct entry *user, mpsync_error *error)
{
	static const char *const known[] = {"client-certificate", "client-certificate-data",
	    "client-key", "client-key-data", "token", "tokenFile", "username", "password", "exec",
	    "auth-provider", "as", "as-uid", "as-groups", "as-user-extra", "extensions"};
	const cJSON *item;

	cJSON_ArrayForEach (item, user->item) {
		size_t i = 0;

		while (i < sizeof known / sizeof *known && strcmp(item->string, known[i]) != 0)
			i++;
		if (i < sizeof known / sizeof *known)
			continue;
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "the kubeconfig %.100s: a user has the field \"%.40s\", which is not known here, "
		    "and not ignored, for it may restrict the user",
		    user->path, item->string);
		return false;
	}
	return true;
}

/* ---- Who is impersonated ---- */

static bool impersonate(struct kube_config *config, const struct entry *user, const char *header,
    const cJSON *value, mpsync_error *error)
{
	const char *text = cJSON_GetStringValue(value);

	for (const char *c = text; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			text = NULL;
	if (!text) {
		fail(error, MPSYNC_E_INVALID,
		    "the kubeconfig %.150s: what is meant for %.60s is no text of one line", user->path,
		    header);
		return false;
	}
	if (kube_config_add_header(config, header, text))
		return true;
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

static bool impersonate_each(struct kube_config *config, const struct entry *user,
    const char *header, const cJSON *list, mpsync_error *error)
{
	const cJSON *item;

	if (list && !cJSON_IsArray(list) && !cJSON_IsNull(list))
		return impersonate(config, user, header, NULL, error);
	cJSON_ArrayForEach (item, list) {
		if (!impersonate(config, user, header, item, error))
			return false;
	}
	return true;
}

static bool impersonate_extra(
    struct kube_config *config, const struct entry *user, const cJSON *extra, mpsync_error *error)
{
	const cJSON *item;

	if (extra && !cJSON_IsObject(extra) && !cJSON_IsNull(extra))
		return impersonate(config, user, "Impersonate-Extra", NULL, error);
	cJSON_ArrayForEach (item, extra) {
		char *key = http_encode(item->string);
		char *header = NULL;
		bool good = key && asprintf(&header, "Impersonate-Extra-%s", key) > 0;

		good = good && impersonate_each(config, user, header, item, error);
		if (!header)
			fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		free(header);
		free(key);
		if (!good)
			return false;
	}
	return true;
}

static bool take_impersonation(
    struct kube_config *config, const struct entry *user, mpsync_error *error)
{
	const cJSON *uid = entry_get(user->item, "as-uid");
	const cJSON *groups = entry_get(user->item, "as-groups");
	const cJSON *extra = entry_get(user->item, "as-user-extra");

	if (!entry_text(user->item, "as")) {
		if (!entry_get(user->item, "as") && !uid && !groups && !extra)
			return true;
		fail(error, MPSYNC_E_INVALID,
		    "the kubeconfig %.150s: a user impersonates, and \"as\" does not say whom", user->path);
		return false;
	}
	return impersonate(config, user, "Impersonate-User", entry_get(user->item, "as"), error) &&
	       (!uid || impersonate(config, user, "Impersonate-Uid", uid, error)) &&
	       impersonate_each(config, user, "Impersonate-Group", groups, error) &&
	       impersonate_extra(config, user, extra, error);
}

/* ---- Which of them asks ---- */

static bool is_list_of_texts(const cJSON *list)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		if (!cJSON_IsString(item))
			return false;
	}
	return !list || cJSON_IsNull(list) || cJSON_IsArray(list);
}

static bool is_list_of_variables(const cJSON *list)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		const cJSON *value = entry_get(item, "value");

		if (!entry_text(item, "name") || (value && !cJSON_IsNull(value) && !cJSON_IsString(value)))
			return false;
	}
	return !list || cJSON_IsNull(list) || cJSON_IsArray(list);
}

/* NULL, or what is wrong with the plugin's description. */
static const char *fault_of_plugin(const cJSON *exec)
{
	static const char prefix[] = "client.authentication.k8s.io/";
	const char *version = entry_text(exec, "apiVersion");
	const char *mode = entry_text(exec, "interactiveMode");

	if (!entry_text(exec, "command"))
		return "names no command";
	if (!version)
		return "has no apiVersion; client.authentication.k8s.io/v1 is the present one";
	if (strncmp(version, prefix, strlen(prefix)) != 0 ||
	    (strcmp(version + strlen(prefix), "v1") != 0 &&
	        strcmp(version + strlen(prefix), "v1beta1") != 0))
		return "has an apiVersion other than client.authentication.k8s.io/v1 and v1beta1; v1alpha1 "
		       "is no more";
	if (mode && strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0)
		return "has an interactiveMode other than Never and IfAvailable; there is nobody to talk "
		       "to";
	if (!is_list_of_texts(entry_get(exec, "args")))
		return "has args that are no list of texts";
	return is_list_of_variables(entry_get(exec, "env"))
	           ? NULL
	           : "has env that is no list of names and values";
}

/* As kubectl: a plugin is used only where the user has no other credential. */
static bool take_plugin(struct kube_config *config, const struct entry *user, mpsync_error *error)
{
	const cJSON *exec = entry_get(user->item, "exec");
	const char *fault;

	if (!exec || cJSON_IsNull(exec))
		return true;
	fault = fault_of_plugin(exec);
	if (fault) {
		fail(error, MPSYNC_E_INVALID, "the kubeconfig %.120s: the exec of a user %s", user->path,
		    fault);
		return false;
	}
	if (config->token || config->token_file || config->user || config->cert || config->cert_pem)
		return true;
	config->exec = cJSON_Duplicate(exec, true);
	config->exec_folder = entry_folder(user->path);
	return (config->exec && config->exec_folder) || entry_no_memory(error);
}

/* Names two credentials of which nobody could tell which is meant; NULL: there are no such two. */
static const char *contradiction_of(const struct kube_config *config)
{
	if ((config->token || config->token_file) && config->user)
		return "a token and a user name, which is more than one way to say who asks";
	if (config->cert && config->cert_pem)
		return "both client-certificate and client-certificate-data";
	if (config->key && config->key_pem)
		return "both client-key and client-key-data";
	return NULL;
}

static bool take_credentials(
    struct kube_config *config, const struct entry *user, mpsync_error *error)
{
	const char *contradiction;

	if (!entry_data(&config->cert_pem, user, "client-certificate-data", error) ||
	    !entry_data(&config->key_pem, user, "client-key-data", error))
		return false;
	if (!entry_path(&config->cert, user, "client-certificate") ||
	    !entry_path(&config->key, user, "client-key") ||
	    !entry_path(&config->token_file, user, "tokenFile") ||
	    !entry_copy(&config->token, entry_text(user->item, "token")) ||
	    !entry_copy(&config->user, entry_text(user->item, "username")) ||
	    !entry_copy(&config->password, entry_text(user->item, "password")))
		return entry_no_memory(error);
	contradiction = contradiction_of(config);
	if (!contradiction)
		return true;
	fail(
	    error, MPSYNC_E_INVALID, "the kubeconfig %.120s: a user has %s", user->path, contradiction);
	return false;
}

bool kubeconfig_take_user(struct kube_config *config, const struct entry *user, mpsync_error *error)
{
	if (!is_understood(user, error))
		return false;
	/* As kubectl: no credentials are sent over plain HTTP, which others can read. */
	if (strncmp(config->server, "http:", strlen("http:")) == 0)
		return true;
	if (!take_impersonation(config, user, error))
		return false;
	if (entry_get(user->item, "auth-provider")) {
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "the kubeconfig %.150s uses auth-provider, which Kubernetes has removed; use an exec "
		    "plugin",
		    user->path);
		return false;
	}
	return take_credentials(config, user, error) && take_plugin(config, user, error);
}
