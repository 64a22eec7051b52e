/* What credential plugins print: an ExecCredential (client.authentication.k8s.io). */
#ifndef MPSYNC_STORES_KUBE_CREDENTIAL_H
#define MPSYNC_STORES_KUBE_CREDENTIAL_H

#include <cjson/cJSON.h>

/*
 * Its status, with a token or a certificate: borrowed from *credential, which is the caller's to
 * delete in any case. NULL: it has neither. `output` NULL: nothing was printed.
 */
const cJSON *kube_credential_read(const char *output, cJSON **credential);

#endif
