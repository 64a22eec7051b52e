/* A client of etcd, whatever its members answer and their watches tell. */
#include "world.h"

#include "stores/etcd/etcd.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct store *open(struct loop *loop, const struct store_clock *clock)
{
	struct mpsync_options options = {{0}};
	struct url url = {0};
	struct store *store = NULL;

	if (url_parse(&url, "etcd://one:2379,two:2379", NULL))
		store = etcd_open(&url, &options, loop, clock, NULL);
	url_clear(&url);
	return store;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	world_run(open, bytes, size);
	return 0;
}
