/* Credential plugins: a command that prints who asks (client.authentication.k8s.io). */
#ifndef MPSYNC_STORES_KUBE_EXEC_H
#define MPSYNC_STORES_KUBE_EXEC_H

#include "config.h"
#include "net/loop.h"

struct kube_exec;

/* `status` is borrowed during the call; NULL: `problem` says why there is none. */
typedef void kube_exec_done(void *context, const cJSON *status, const char *problem);

/* NULL: it could not be started, `problem` says why. `done` is called later, never from here. */
struct kube_exec *kube_exec_start(struct loop *loop, const struct kube_config *config,
    kube_exec_done *done, void *context, char *problem, size_t problem_size);
/* Ends it. `done` is not called any more. */
void kube_exec_cancel(struct kube_exec *exec);

#endif
