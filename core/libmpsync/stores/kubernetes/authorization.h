/*
 * Who asks an API server: the credentials of the moment, from the kubeconfig, from a file that the
 * kubelet replaces, or from a plugin, which may take its time.
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
	struct kube_config *config; /* a plugin's certificate is put there */
	/* A plugin was waited for: there are credentials now, or none (`problem`). `certificate`: the
	 * client's is another, and a connection shows the one that it was opened with. */
	void (*asked)(void *context, bool certificate);
	void *context;
	char *header;           /* "Bearer …"; NULL: none is needed, or none is there */
	uint64_t token_read_ms; /* when the token's file was read; 0: not yet */
	int64_t expires_ms;     /* wall clock: the credentials; 0: not known */
	int64_t refresh_ms;     /* the next ones are asked for */
	uint64_t asked_ms;      /* when the plugin was asked */
	struct kube_exec *exec;
	bool has_credentials;
	bool just_asked;   /* they are the newest there are, whatever they say of their end */
	char problem[400]; /* why there are no credentials, if they were looked for */
	char silence[200]; /* what is to be said of a plugin that says nothing */
};

/* All zero but loop, clock, config, asked and context before the first call. */
enum request_permit kube_authorization_prepare(struct kube_authorization *authorization);
/* The server does not accept them. False: there are no others. */
bool kube_authorization_refresh(struct kube_authorization *authorization);
/* That the plugin is waited for; NULL: it is not. */
const char *kube_authorization_silence(const struct kube_authorization *authorization);
void kube_authorization_clear(struct kube_authorization *authorization);

#endif
