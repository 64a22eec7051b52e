#include "fork_mark.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

fork_mark fork_mark_new(void)
{
	unsigned char *page =
	    mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, page_size(), MADV_WIPEONFORK) != 0) {
		munmap(page, page_size());
		return NULL;
	}
	*page = 1;
	return page;
}

void fork_mark_free(fork_mark mark)
{
	if (mark)
		munmap((void *)(uintptr_t)mark, page_size());
}
