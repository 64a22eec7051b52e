/* A client of a Kubernetes API server, whatever that answers and its watches tell. */
#include "world.h"

#include "stores/kubernetes/kubernetes.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char kubeconfig[] =
    "current-context: c\n"
    "contexts: [{name: c, context: {cluster: c, user: %s}}]\n"
    "clusters: [{name: c, cluster: {server: 'https://server'}}]\n"
    "users: [{name: u, user: {token: secret}}, {name: x, user: {exec: {command: plugin}}}]\n";

static bool plugin;

static struct store *open(struct loop *loop, const struct store_clock *clock)
{
	struct mpsync_options options = {{0}};
	char path[64];
	struct url url;
	struct store *store = NULL;
	const int file = memfd_create("kubeconfig", MFD_CLOEXEC);

	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	if (dprintf(file, kubeconfig, plugin ? "x" : "u") > 0 && url_parse(&url, "kubernetes:", NULL)) {
		if (mpsync_options_set(&options, "kubeconfig", path, NULL) == MPSYNC_OK)
			store = kubernetes_open(&url, &options, false, loop, clock, NULL);
		url_clear(&url);
	}
	options_clear(&options);
	close(file);
	return store;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	/* A first step that is none says that a plugin has the credentials. */
	plugin = size > 0 && bytes[0] == 'x';
	world_run(open, bytes, size);
	return 0;
}
