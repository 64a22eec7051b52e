/* Reading kubeconfig files, as kubectl does: several are merged, the first to say something wins.
 */
#include "config.h"

#include "base/status.h"
#include "yaml.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Where an entry was found: paths in it are relative to the file's folder. */
struct entry {
	const cJSON *item;
	const char *path;
};

struct kubeconfigs {
	cJSON **documents;
	char **paths;
	size_t count;
};

static const cJSON *get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text(const cJSON *object, const char *key)
{
	const char *value = cJSON_GetStringValue(get(object, key));

	return value && *value ? value : NULL;
}

/* ---- Files ---- */

static void clear(struct kubeconfigs *files)
{
	for (size_t i = 0; i < files->count; i++) {
		cJSON_Delete(files->documents[i]);
		free(files->paths[i]);
	}
	free(files->documents);
	free(files->paths);
}

static bool parse_file(struct kubeconfigs *files, const char *path, mpsync_error *error)
{
	char problem[200];
	char *content = file_read(path);
	cJSON *document;

	if (!content) {
		fail(error, errno == EACCES ? MPSYNC_E_FORBIDDEN : MPSYNC_E_INVALID,
		    "the kubeconfig %.150s cannot be read: %s", path, strerror(errno));
		return false;
	}
	document = yaml_parse(content, strlen(content), problem, sizeof problem);
	free(content);
	if (!document) {
		fail(error, MPSYNC_E_INVALID, "the kubeconfig %.120s is no YAML: %.150s", path, problem);
		return false;
	}
	files->documents[files->count] = document;
	files->paths[files->count] = strdup(path);
	return files->paths[files->count++];
}

/* One that is not there is passed over if it is one of several, as kubectl does. */
static bool read_files(struct kubeconfigs *files, const char *list, mpsync_error *error)
{
	char *copy = strdup(list);
	char *state = NULL;
	size_t most = 1;
	const bool several = strchr(list, ':');
	bool good;

	for (const char *c = list; *c; c++)
		most += *c == ':';
	files->documents = calloc(most, sizeof *files->documents);
	files->paths = calloc(most, sizeof *files->paths);
	good = copy && files->documents && files->paths;
	if (!good)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	for (char *path = good ? strtok_r(copy, ":", &state) : NULL; path && good;
	     path = strtok_r(NULL, ":", &state))
		good = (several && access(path, F_OK) != 0) || parse_file(files, path, error);
	free(copy);
	if (good && files->count == 0) {
		fail(error, MPSYNC_E_INVALID, "none of the kubeconfigs %.150s is there", list);
		return false;
	}
	return good;
}

/* ---- Entries ---- */

static const char *current_context(const struct kubeconfigs *files)
{
	for (size_t i = 0; i < files->count; i++)
		if (text(files->documents[i], "current-context"))
			return text(files->documents[i], "current-context");
	return NULL;
}

static bool find(const struct kubeconfigs *files, const char *list, const char *member,
    const char *name, struct entry *found, mpsync_error *error)
{
	for (size_t i = 0; i < files->count; i++) {
		const cJSON *entries = get(files->documents[i], list);
		const cJSON *item;

		cJSON_ArrayForEach (item, entries) {
			const char *own = text(item, "name");

			if (!own || strcmp(own, name) != 0)
				continue;
			*found = (struct entry){get(item, member), files->paths[i]};
			return true;
		}
	}
	fail(error, MPSYNC_E_INVALID, "the kubeconfig %.150s has no %s \"%.60s\"", files->paths[0],
	    member, name);
	return false;
}

/* ---- Values ---- */

static bool copy(char **to, const char *value)
{
	free(*to);
	*to = value ? strdup(value) : NULL;
	return *to || !value;
}

/* The folder of the file, with its last slash; "" for one in the present folder. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
}

static bool copy_path(char **to, const struct entry *entry, const char *key)
{
	const char *value = text(entry->item, key);
	char *folder;

	if (!value || value[0] == '/')
		return copy(to, value);
	folder = folder_of(entry->path);
	if (!folder || asprintf(to, "%s%s", folder, value) < 0)
		*to = NULL;
	free(folder);
	return *to;
}

/* Base64 as the members ending in -data hold it: in one line, or in many. */
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

/* NULL: it is none, or there is no memory. */
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

static bool copy_data(char **to, const struct entry *entry, const char *key, mpsync_error *error)
{
	const char *encoded = text(entry->item, key);

	*to = encoded ? decode(encoded) : NULL;
	if (*to || !encoded)
		return true;
	fail(error, MPSYNC_E_INVALID, "the kubeconfig %.150s: %s is not base64", entry->path, key);
	return false;
}

static bool no_memory(mpsync_error *error)
{
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

static bool take_cluster(
    struct kube_config *config, const struct entry *cluster, mpsync_error *error)
{
	const char *server = text(cluster->item, "server");
	size_t length;

	if (!server ||
	    (strncasecmp(server, "https://", 8) != 0 && strncasecmp(server, "http://", 7) != 0)) {
		fail(error, MPSYNC_E_INVALID,
		    "the kubeconfig %.150s: the cluster's server is no http or https URL", cluster->path);
		return false;
	}
	if (!copy_data(&config->ca_pem, cluster, "certificate-authority-data", error))
		return false;
	config->unverified = cJSON_IsTrue(get(cluster->item, "insecure-skip-tls-verify"));
	if (!copy(&config->server, server) ||
	    !copy_path(&config->ca, cluster, "certificate-authority") ||
	    !copy(&config->server_name, text(cluster->item, "tls-server-name")) ||
	    !copy(&config->proxy, text(cluster->item, "proxy-url")))
		return no_memory(error);
	for (char *c = config->server; *c != ':'; c++)
		*c = (char)tolower((unsigned char)*c);
	for (length = strlen(config->server); config->server[length - 1] == '/';)
		config->server[--length] = '\0';
	return true;
}

/* A member that was passed over might have said that the user is to have fewer rights. */
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
		    "the kubeconfig %.120s: a user has \"%.60s\", which this library does not know, and "
		    "does not pass over",
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
	const cJSON *uid = get(user->item, "as-uid");
	const cJSON *groups = get(user->item, "as-groups");
	const cJSON *extra = get(user->item, "as-user-extra");

	if (!text(user->item, "as")) {
		if (!get(user->item, "as") && !uid && !groups && !extra)
			return true;
		fail(error, MPSYNC_E_INVALID,
		    "the kubeconfig %.150s: a user impersonates, and \"as\" does not say whom", user->path);
		return false;
	}
	return impersonate(config, user, "Impersonate-User", get(user->item, "as"), error) &&
	       (!uid || impersonate(config, user, "Impersonate-Uid", uid, error)) &&
	       impersonate_each(config, user, "Impersonate-Group", groups, error) &&
	       impersonate_extra(config, user, extra, error);
}

static bool take_user(struct kube_config *config, const struct entry *user, mpsync_error *error)
{
	const cJSON *exec = get(user->item, "exec");

	if (!is_understood(user, error))
		return false;
	/* As kubectl: nobody is told on a line that everybody reads. */
	if (strncmp(config->server, "http:", strlen("http:")) == 0)
		return true;
	if (!take_impersonation(config, user, error))
		return false;
	if (get(user->item, "auth-provider")) {
		fail(error, MPSYNC_E_UNSUPPORTED,
		    "the kubeconfig %.150s uses auth-provider, which Kubernetes has removed; use an exec "
		    "plugin",
		    user->path);
		return false;
	}
	if (!copy_data(&config->cert_pem, user, "client-certificate-data", error) ||
	    !copy_data(&config->key_pem, user, "client-key-data", error))
		return false;
	if (exec)
		config->exec = cJSON_Duplicate(exec, true);
	config->exec_folder = folder_of(user->path);
	if (!copy_path(&config->cert, user, "client-certificate") ||
	    !copy_path(&config->key, user, "client-key") ||
	    !copy_path(&config->token_file, user, "tokenFile") ||
	    !copy(&config->token, text(user->item, "token")) ||
	    !copy(&config->user, text(user->item, "username")) ||
	    !copy(&config->password, text(user->item, "password")) || !config->exec_folder ||
	    (exec && !config->exec))
		return no_memory(error);
	return true;
}

static bool take_context(struct kube_config *config, const struct kubeconfigs *files,
    const char *context, mpsync_error *error)
{
	struct entry chosen, cluster, user;
	const char *name = context ? context : current_context(files);

	if (!name) {
		fail(error, MPSYNC_E_INVALID,
		    "the kubeconfig %.150s has no current-context; set one, or give the option context",
		    files->paths[0]);
		return false;
	}
	if (!find(files, "contexts", "context", name, &chosen, error))
		return false;
	if (!text(chosen.item, "cluster")) {
		fail(error, MPSYNC_E_INVALID, "the kubeconfig %.150s: context \"%.60s\" names no cluster",
		    chosen.path, name);
		return false;
	}
	if (!find(files, "clusters", "cluster", text(chosen.item, "cluster"), &cluster, error) ||
	    !take_cluster(config, &cluster, error))
		return false;
	if (!copy(&config->namespace_name, text(chosen.item, "namespace")) ||
	    !copy(&config->source, chosen.path))
		return no_memory(error);
	return !text(chosen.item, "user") ||
	       (find(files, "users", "user", text(chosen.item, "user"), &user, error) &&
	           take_user(config, &user, error));
}

bool kubeconfig_load(
    struct kube_config *config, const char *paths, const char *context, mpsync_error *error)
{
	struct kubeconfigs files = {0};
	const bool good =
	    read_files(&files, paths, error) && take_context(config, &files, context, error);

	clear(&files);
	return good;
}
