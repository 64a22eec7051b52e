#include "base/options.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = strndup((const char *)bytes, size);
	struct mpsync_options options = {{0}};
	char *equals = text ? strchr(text, 61) : NULL;

	if (equals) {
		*equals = 0;
		mpsync_options_set(&options, text, equals + 1, NULL);
	}
	options_clear(&options);
	free(text);
	return 0;
}
