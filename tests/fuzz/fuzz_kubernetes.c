/* Leases, kubeconfigs and what plugins print: the first byte of an input says which it is. */
#include "stores/kubernetes/config.h"
#include "stores/kubernetes/credential.h"
#include "stores/kubernetes/lease.h"
#include "stores/kubernetes/yaml.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void write_back(const struct record *record)
{
	char next[RECORD_NEXT_SIZE];
	cJSON *patch;

	if (record->holder && strlen(record->holder) <= 256) {
		patch = lease_patch(record, LEASE_GRANT, &record->uid, record->version);
		cJSON_Delete(patch);
	}
	if (record_next_add(record->next, &record->uid, next) && record_next_count(next) == 0)
		abort();
	record_next_behind(record->next, &record->claim, next);
	record_next_without(record->next, &record->claim, next);
}

static void read_lease(const char *text)
{
	cJSON *object = cJSON_Parse(text);
	char problem[LEASE_PROBLEM_SIZE];
	struct record record;

	if (lease_read(object, lease_lock_name(object), &record, problem)) {
		write_back(&record);
		record_clear(&record);
	}
	cJSON_Delete(object);
}

static void read_credential(const char *text)
{
	cJSON *credential;

	kube_credential_read(text, &credential);
	cJSON_Delete(credential);
}

static void load_kubeconfig(const char *text)
{
	struct kube_config config = {0};
	char path[64];
	const int file = memfd_create("kubeconfig", MFD_CLOEXEC);

	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	if (write(file, text, strlen(text)) >= 0)
		kubeconfig_load(&config, path, NULL, NULL);
	kube_config_clear(&config);
	close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char problem[200];
	char *text = size > 0 ? strndup((const char *)bytes + 1, size - 1) : NULL;

	if (!text)
		return 0;
	if (bytes[0] == 'l')
		read_lease(text);
	else if (bytes[0] == 'p')
		read_credential(text);
	else if (bytes[0] == 'k')
		load_kubeconfig(text);
	else
		cJSON_Delete(yaml_parse(text, strlen(text), problem, sizeof problem));
	free(text);
	return 0;
}
