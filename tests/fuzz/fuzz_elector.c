/* A client of an elector, whatever that answers and tells on its stream. */
#include "world.h"

#include "stores/elector/elector.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct store *open(struct loop *loop, const struct store_clock *clock)
{
	struct mpsync_options options = {{0}};
	struct url url = {0};
	struct store *store = NULL;

	if (url_parse(&url, "http://localhost:13131", NULL) &&
	    mpsync_options_set(&options, "identity", "fuzz", NULL) == MPSYNC_OK)
		store = elector_open(&url, &options, loop, clock, NULL);
	url_clear(&url);
	options_clear(&options);
	return store;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	world_run(open, bytes, size);
	return 0;
}
