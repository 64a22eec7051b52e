/*
 * Runs a credential plugin: a command that prints a token or a certificate
 * (client.authentication.k8s.io).
 */
#ifndef MPSYNC_STORES_KUBE_EXEC_H
#define MPSYNC_STORES_KUBE_EXEC_H

#include "config.h"
#include "net/loop.h"

struct kube_exec;

/* `status` is borrowed during the call; NULL: there is none, and `problem` says why. */
typedef void kube_exec_done(void *context, const cJSON *status, const char *problem);

/*
 * NULL: the plugin could not be started, and `problem` says why. `done` is called later, never from
 * this function.
 */
struct kube_exec *kube_exec_start(struct loop *loop, const struct kube_config *config,
    kube_exec_done *done, void *context, char *problem, size_t problem_size);
/* Kill the plugin; `done` is not called any more. */
void kube_exec_cancel(struct kube_exec *exec);

#endif
