/*
 * The credentials for an API server: from the kubeconfig, from a file that the kubelet replaces, or
 * from a plugin, which may take its time.
 */
#ifndef MPSYNC_STORES_KUBE_AUTHORIZATION_H
#define MPSYNC_STORES_KUBE_AUTHORIZATION_H

#include "config.h"
#include "net/requests.h"
#include "protocol/store.h"

struct kube_exec;

struct kube_authorization {
	struct loop *loop;
	struct store_clock clock;
	struct kube_config *config; /* a plugin's certificate is written into it */
	/*
	 * The plugin has ended: there are credentials now, or none (`problem`). `certificate`: the
	 * client certificate has changed, and an open connection still shows the former one.
	 */
	void (*asked)(void *context, bool certificate);
	void *context;
	char *header;           /* "Bearer …"; NULL: not needed, or not there */
	uint64_t token_read_ms; /* when the token's file was read last; 0: never */
	int64_t expires_ms;     /* wall clock: the end of the credentials; 0: not known */
	int64_t refresh_ms;     /* when the next ones are asked for */
	uint64_t asked_ms;      /* when the plugin was asked last */
	struct kube_exec *exec;
	bool has_credentials;
	bool just_asked;   /* they are the newest there are, whatever they say of their end */
	char problem[400]; /* why there are no credentials */
	char silence[200]; /* the message while the plugin does not answer */
};

/* Before the first call everything is zero but loop, clock, config, asked and context. */
enum request_permit kube_authorization_prepare(struct kube_authorization *authorization);
/* The server refused the credentials. False: there are no others. */
bool kube_authorization_refresh(struct kube_authorization *authorization);
/* A sentence while the plugin is waited for; else NULL. */
const char *kube_authorization_silence(const struct kube_authorization *authorization);
void kube_authorization_clear(struct kube_authorization *authorization);

#endif
