/* Reads what credential plugins print: an ExecCredential (client.authentication.k8s.io). */
#ifndef MPSYNC_STORES_KUBE_CREDENTIAL_H
#define MPSYNC_STORES_KUBE_CREDENTIAL_H

#include <cjson/cJSON.h>

/*
 * The status with a token or a certificate, borrowed from *credential, which the caller deletes in
 * any case. NULL: there is neither. `output` NULL: the plugin printed nothing.
 */
const cJSON *kube_credential_read(const char *output, cJSON **credential);

#endif
