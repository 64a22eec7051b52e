/* RFC 3339 times that others write: what was read, or the last time there is, comes back when it is
 * written. */
#include "base/rfc3339.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = strndup((const char *)bytes, size);
	char again[RFC3339_SIZE];
	int64_t us;
	int64_t same;

	if (text && rfc3339_read(text, &us)) {
		if (us > RFC3339_LAST_US)
			us = RFC3339_LAST_US;
		rfc3339_write(again, us, 6);
		if (!rfc3339_read(again, &same) || same != us)
			abort();
	}
	free(text);
	return 0;
}
