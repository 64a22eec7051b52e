/*
 * Which API server, and as whom: from a kubeconfig, or from what a Pod finds in itself. Nothing
 * here talks to a server.
 */
#ifndef MPSYNC_STORES_KUBE_CONFIG_H
#define MPSYNC_STORES_KUBE_CONFIG_H

#include "base/options.h"
#include "net/http.h"

#include <cjson/cJSON.h>

struct kube_config {
	char *server;
	char *namespace_name;
	char *ca, *cert, *key;             /* paths of files */
	char *ca_pem, *cert_pem, *key_pem; /* PEM text */
	char *server_name;
	char *proxy;
	char *no_proxy;
	bool unverified;
	char *token;
	char *token_file; /* read again when it rotates; wins over `token` */
	char *user, *password;
	char **headers;        /* of impersonation, with NULL at the end; NULL: none */
	cJSON *exec;           /* the credential plugin's description; NULL: none */
	cJSON *exec_extension; /* of the cluster, for the plugin; NULL: none */
	bool compresses_not;   /* of the cluster, for the plugin */
	char *exec_folder;     /* of the kubeconfig, which a relative command starts from */
	char *source;          /* for people */
};

/*
 * In this order: the option kubeconfig, KUBECONFIG, the Pod's service account, ~/.kube/config.
 * `namespace_name` comes from the URL, or is "".
 */
bool kube_config_load(struct kube_config *config, const struct mpsync_options *options,
    const char *namespace_name, mpsync_error *error);
void kube_config_clear(struct kube_config *config);

/* Reads a list of files, separated by colons, and fills in what they say. */
bool kubeconfig_load(
    struct kube_config *config, const char *paths, const char *context, mpsync_error *error);

/* Adds the header "NAME: VALUE". False without memory. */
bool kube_config_add_header(struct kube_config *config, const char *name, const char *value);

/* A whole file as text, owned by the caller. NULL: errno says why. */
char *file_read(const char *path);

struct http_settings kube_config_settings(const struct kube_config *config);

#endif
