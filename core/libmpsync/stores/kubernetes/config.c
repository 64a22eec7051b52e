#include "config.h"

#include "base/private_key.h"
#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a Pod finds the token of its service account. */
#define ACCOUNT    "/var/run/secrets/kubernetes.io/serviceaccount"
#define MOST_BYTES (64 * 1024 * 1024)

char *file_read(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t length = 0;
	size_t size = 4096;
	int why = EFBIG;

	while (file && size <= MOST_BYTES) {
		char *more = realloc(text, size + 1);

		if (!more) {
			why = ENOMEM;
			break;
		}
		text = more;
		length += fread(text + length, 1, size - length, file);
		if (length < size) {
			const bool good = !ferror(file);

			text[length] = '\0';
			fclose(file);
			if (good)
				return text;
			free(text);
			return NULL;
		}
		size *= 2;
	}
	if (file) {
		fclose(file);
		errno = why;
	}
	free(text);
	return NULL;
}

void kube_config_clear(struct kube_config *config)
{
	char *texts[] = {config->server, config->namespace_name, config->ca, config->cert, config->key,
	    config->ca_pem, config->cert_pem, config->key_pem, config->server_name, config->proxy,
	    config->no_proxy, config->token, config->token_file, config->user, config->password,
	    config->exec_folder, config->source};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	for (size_t i = 0; config->headers && config->headers[i]; i++)
		free(config->headers[i]);
	free(config->headers);
	cJSON_Delete(config->exec);
	cJSON_Delete(config->exec_extension);
	*config = (struct kube_config){0};
}

struct http_settings kube_config_settings(const struct kube_config *config)
{
	return (struct http_settings){
	    .base_url = config->server,
	    .ca = config->ca,
	    .cert = config->cert,
	    .key = config->key,
	    .ca_pem = config->ca_pem,
	    .cert_pem = config->cert_pem,
	    .key_pem = config->key_pem,
	    .server_name = config->server_name,
	    .proxy = config->proxy,
	    .no_proxy = config->no_proxy,
	    .unverified = config->unverified,
	    .shared = true,
	};
}

bool kube_config_add_header(struct kube_config *config, const char *name, const char *value)
{
	size_t count = 0;
	char **more;

	while (config->headers && config->headers[count])
		count++;
	more = realloc(config->headers, (count + 2) * sizeof *more);
	if (!more)
		return false;
	config->headers = more;
	more[count + 1] = NULL;
	if (asprintf(&more[count], "%s: %s", name, value) >= 0)
		return true;
	more[count] = NULL;
	return false;
}

static char *first_line(char *text)
{
	if (text)
		text[strcspn(text, "\r\n")] = '\0';
	return text;
}

static bool load_pod(struct kube_config *config, const char *host, mpsync_error *error)
{
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	const bool v6 = strchr(host, ':');

	if (access(ACCOUNT "/token", R_OK) != 0) {
		fail(error, MPSYNC_E_UNAUTHENTICATED,
		    "this pod has no service account token in " ACCOUNT
		    "; set automountServiceAccountToken: true, or name a kubeconfig");
		return false;
	}
	config->namespace_name = first_line(file_read(ACCOUNT "/namespace"));
	config->token_file = strdup(ACCOUNT "/token");
	config->ca = strdup(ACCOUNT "/ca.crt");
	config->source = strdup("the pod's service account");
	if (asprintf(&config->server, v6 ? "https://[%s]:%s" : "https://%s:%s", host,
	        port && *port ? port : "443") < 0)
		config->server = NULL;
	if (config->token_file && config->ca && config->source && config->server)
		return true;
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

/* ~/.kube/config, owned by the caller; NULL: it does not exist. */
static char *users_kubeconfig(void)
{
	const char *home = getenv("HOME");
	char *path = NULL;

	if (!home || asprintf(&path, "%s/.kube/config", home) < 0)
		return NULL;
	if (access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static bool load_any(
    struct kube_config *config, const struct mpsync_options *options, mpsync_error *error)
{
	const char *named = options_text(options, OPTION_KUBECONFIG);
	const char *listed = getenv("KUBECONFIG");
	const char *context = options_text(options, OPTION_CONTEXT);
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	char *users;
	bool good;

	if (named || (listed && *listed))
		return kubeconfig_load(config, named ? named : listed, context, error);
	if (host && *host)
		return load_pod(config, host, error);
	users = users_kubeconfig();
	if (!users) {
		fail(error, MPSYNC_E_UNREACHABLE,
		    "kubernetes: no cluster is known here: this is no pod, and there is neither KUBECONFIG "
		    "nor ~/.kube/config; give the option kubeconfig");
		return false;
	}
	good = kubeconfig_load(config, users, context, error);
	free(users);
	return good;
}

/* The namespace: the URL's wins over the option's, and that over the configuration's. */
static bool set_namespace(
    struct kube_config *config, const struct mpsync_options *options, const char *from_url)
{
	const char *option = options_text(options, OPTION_NAMESPACE);
	const char *chosen = *from_url ? from_url : option;

	if (!chosen && config->namespace_name && *config->namespace_name)
		return true;
	free(config->namespace_name);
	config->namespace_name = strdup(chosen && *chosen ? chosen : "default");
	return config->namespace_name;
}

/* An option's file replaces what the configuration has. */
static bool override(char **path, char **pem, const char *given)
{
	if (!given)
		return true;
	free(*path);
	free(*pem);
	*pem = NULL;
	*path = strdup(given);
	return *path;
}

static const char *variable(const char *name, const char *other_name)
{
	const char *value = getenv(name);

	return value && *value ? value : getenv(other_name);
}

/*
 * As kubectl does: a proxy of the kubeconfig is always used; else one of the environment, but not
 * for the hosts of NO_PROXY, nor for this machine.
 */
static bool set_proxy(struct kube_config *config)
{
	const bool tls = strncmp(config->server, "https:", strlen("https:")) == 0;
	const char *proxy =
	    tls ? variable("HTTPS_PROXY", "https_proxy") : variable("HTTP_PROXY", "http_proxy");
	const char *except = variable("NO_PROXY", "no_proxy");

	if (config->proxy || !proxy || !*proxy)
		return true;
	config->proxy = strdup(proxy);
	if (asprintf(&config->no_proxy, "localhost,127.0.0.0/8,::1%s%s", except ? "," : "",
	        except ? except : "") < 0)
		config->no_proxy = NULL;
	return config->proxy && config->no_proxy;
}

static bool certificate_has_key(const struct kube_config *config, mpsync_error *error)
{
	if (!(config->cert || config->cert_pem) || config->key || config->key_pem)
		return true;
	fail(error, MPSYNC_E_INVALID, "the client certificate %.150s has no client-key beside it",
	    config->cert ? config->cert : config->source);
	return false;
}

static bool key_is_plain(const struct kube_config *config, mpsync_error *error)
{
	return private_key_is_plain(
	    config->key, config->key_pem, config->key ? config->key : config->source, error);
}

bool kube_config_load(struct kube_config *config, const struct mpsync_options *options,
    const char *namespace_name, mpsync_error *error)
{
	const bool unverified = strcmp(options_text(options, OPTION_INSECURE), "yes") == 0;

	*config = (struct kube_config){0};
	if (!load_any(config, options, error)) {
		kube_config_clear(config);
		return false;
	}
	if (config->unverified && !unverified) {
		fail(error, MPSYNC_E_INVALID,
		    "%.150s says insecure-skip-tls-verify, with which anybody can pose as the API server; "
		    "give it a certificate-authority, or set the option insecure=yes",
		    config->source);
		kube_config_clear(config);
		return false;
	}
	config->unverified = config->unverified && unverified;
	if (set_proxy(config) && set_namespace(config, options, namespace_name) &&
	    override(&config->ca, &config->ca_pem, options_text(options, OPTION_CA)) &&
	    override(&config->cert, &config->cert_pem, options_text(options, OPTION_CERT)) &&
	    override(&config->key, &config->key_pem, options_text(options, OPTION_KEY))) {
		if (certificate_has_key(config, error) && key_is_plain(config, error))
			return true;
	} else {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	}
	kube_config_clear(config);
	return false;
}
