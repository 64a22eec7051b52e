/*
 * Reads kubeconfig files as kubectl does: several are merged, and the first one that says something
 * wins.
 */
#include "kubeconfig_entry.h"

#include "base/status.h"
#include "yaml.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct kubeconfigs {
	cJSON **documents;
	char **paths;
	size_t count;
};

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
		fail(error,
		    errno == EACCES   ? MPSYNC_E_FORBIDDEN
		    : errno == ENOMEM ? MPSYNC_E_NO_MEMORY
		                      : MPSYNC_E_INVALID,
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
	return files->paths[files->count++] || entry_no_memory(error);
}

/* As kubectl: a missing file is passed over if it is one of several. */
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
		if (entry_text(files->documents[i], "current-context"))
			return entry_text(files->documents[i], "current-context");
	return NULL;
}

static bool find(const struct kubeconfigs *files, const char *list, const char *member,
    const char *name, struct entry *found, mpsync_error *error)
{
	for (size_t i = 0; i < files->count; i++) {
		const cJSON *entries = entry_get(files->documents[i], list);
		const cJSON *item;

		cJSON_ArrayForEach (item, entries) {
			const char *own = entry_text(item, "name");

			if (!own || strcmp(own, name) != 0)
				continue;
			*found = (struct entry){entry_get(item, member), files->paths[i]};
			return true;
		}
	}
	fail(error, MPSYNC_E_INVALID, "the kubeconfig %.150s has no %s \"%.60s\"", files->paths[0],
	    member, name);
	return false;
}

/* Fields that only a credential plugin needs. */
static bool take_plugins_part(struct kube_config *config, const struct entry *cluster)
{
	const cJSON *item;

	config->compresses_not = cJSON_IsTrue(entry_get(cluster->item, "disable-compression"));
	cJSON_ArrayForEach (item, entry_get(cluster->item, "extensions")) {
		const char *name = entry_text(item, "name");

		if (name && strcmp(name, "client.authentication.k8s.io/exec") == 0 &&
		    entry_get(item, "extension")) {
			config->exec_extension = cJSON_Duplicate(entry_get(item, "extension"), true);
			return config->exec_extension;
		}
	}
	return true;
}

static bool take_cluster(
    struct kube_config *config, const struct entry *cluster, mpsync_error *error)
{
	const char *server = entry_text(cluster->item, "server");
	size_t length;

	if (!server ||
	    (strncasecmp(server, "https://", 8) != 0 && strncasecmp(server, "http://", 7) != 0)) {
		fail(error, MPSYNC_E_INVALID,
		    "the kubeconfig %.150s: the cluster's server is no http or https URL", cluster->path);
		return false;
	}
	if (!entry_data(&config->ca_pem, cluster, "certificate-authority-data", error))
		return false;
	config->unverified = cJSON_IsTrue(entry_get(cluster->item, "insecure-skip-tls-verify"));
	if (!entry_copy(&config->server, server) ||
	    !entry_path(&config->ca, cluster, "certificate-authority") ||
	    !entry_copy(&config->server_name, entry_text(cluster->item, "tls-server-name")) ||
	    !entry_copy(&config->proxy, entry_text(cluster->item, "proxy-url")))
		return entry_no_memory(error);
	if (!take_plugins_part(config, cluster))
		return entry_no_memory(error);
	for (char *c = config->server; *c != ':'; c++)
		*c = (char)tolower((unsigned char)*c);
	for (length = strlen(config->server); config->server[length - 1] == '/';)
		config->server[--length] = '\0';
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
	if (!entry_text(chosen.item, "cluster")) {
		fail(error, MPSYNC_E_INVALID, "the kubeconfig %.150s: context \"%.60s\" names no cluster",
		    chosen.path, name);
		return false;
	}
	if (!find(files, "clusters", "cluster", entry_text(chosen.item, "cluster"), &cluster, error) ||
	    !take_cluster(config, &cluster, error))
		return false;
	if (!entry_copy(&config->namespace_name, entry_text(chosen.item, "namespace")) ||
	    !entry_copy(&config->source, chosen.path))
		return entry_no_memory(error);
	return !entry_text(chosen.item, "user") ||
	       (find(files, "users", "user", entry_text(chosen.item, "user"), &user, error) &&
	           kubeconfig_take_user(config, &user, error));
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
