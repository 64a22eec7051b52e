#include "credential.h"

#include <stdbool.h>

static bool has_text(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

const cJSON *kube_credential_read(const char *output, cJSON **credential)
{
	const cJSON *status;

	*credential = output ? cJSON_Parse(output) : NULL;
	status = cJSON_GetObjectItemCaseSensitive(*credential, "status");
	return has_text(status, "token") || has_text(status, "clientCertificateData") ? status : NULL;
}
