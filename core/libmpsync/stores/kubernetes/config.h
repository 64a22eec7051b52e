/*
 * Where the API server is, and who asks: from a kubeconfig, or from what a pod finds in itself.
 * Nothing here talks to a server.
 */
#ifndef MPSYNC_STORES_KUBE_CONFIG_H
#define MPSYNC_STORES_KUBE_CONFIG_H

#include "base/options.h"
#include "net/http.h"

#include <cjson/cJSON.h>

struct kube_config {
	char *server;
	char *namespace_name;
	char *ca, *cert, *key;             /* paths */
	char *ca_pem, *cert_pem, *key_pem; /* text */
	char *server_name;
	char *proxy;
	char *no_proxy;
	bool unverified;
	char *token;
	char *token_file; /* read again as it rotates; before `token` */
	char *user, *password;
	char **headers;        /* who is impersonated, up to a NULL; NULL: nobody */
	cJSON *exec;           /* the plugin's description, NULL: none */
	cJSON *exec_extension; /* of the cluster, which the plugin is told; NULL: none */
	bool compresses_not;   /* likewise */
	char *exec_folder;     /* a relative command is relative to the kubeconfig that names it */
	char *source;          /* for people */
};

/*
 * An explicit kubeconfig, else the one of KUBECONFIG, else the pod's own account, else the user's
 * ~/.kube/config. `namespace_name`: from the URL, or "".
 */
bool kube_config_load(struct kube_config *config, const struct mpsync_options *options,
    const char *namespace_name, mpsync_error *error);
void kube_config_clear(struct kube_config *config);

/* From a list of files, joined by colons. Fills what the kubeconfig says. */
bool kubeconfig_load(
    struct kube_config *config, const char *paths, const char *context, mpsync_error *error);

/* Adds "NAME: VALUE" to its headers. False without memory. */
bool kube_config_add_header(struct kube_config *config, const char *name, const char *value);

/* A whole file as text. NULL: errno says why. Owned by the caller. */
char *file_read(const char *path);

struct http_settings kube_config_settings(const struct kube_config *config);

#endif
