#include "open.h"

#include "base/clock.h"
#include "base/status.h"
#include "stores/elector/elector.h"
#include "stores/etcd/etcd.h"
#include "stores/kubernetes/kubernetes.h"
#include "stores/memory/memory.h"
#include "stores/sqlite/sqlite.h"

#include <string.h>

struct store *store_open(const struct url *url, const struct mpsync_options *options,
    bool on_behalf, struct loop *loop, mpsync_error *error)
{
	const struct store_clock clock = clock_real(NULL);
	const bool by_time = strcmp(options_text(options, OPTION_FENCE), "time") == 0;
	struct store *store = NULL;

	switch (url->scheme) {
	case URL_MEMORY:
		store = memory_open(url->target, loop, &clock);
		if (!store)
			fail(error, MPSYNC_E_NO_MEMORY, "out of memory or descriptors");
		return store;
	case URL_FILE:
		return sqlite_open(url->target, options, !on_behalf && !by_time, loop, &clock, error);
	case URL_HTTP:
	case URL_HTTP_UNIX:
		if (on_behalf) {
			fail(error, MPSYNC_E_UNSUPPORTED,
			    "an elector cannot stand behind another; give --store file:PATH or kubernetes:");
			return NULL;
		}
		return elector_open(url, options, loop, &clock, error);
	case URL_ETCD:
		return etcd_open(url, options, loop, &clock, error);
	case URL_KUBERNETES:
		return kubernetes_open(url, options, on_behalf, loop, &clock, error);
	}
	return NULL;
}
