/* The public header stands alone, in strict C11. */
#include <mpsync.h>

int header_is_usable(void);

int header_is_usable(void)
{
	return mpsync_version() != NULL;
}
