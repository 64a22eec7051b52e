/* Tells whether a handle is used by the process that made it, or by a forked child (Linux only). */
#ifndef MPSYNC_FORK_MARK_H
#define MPSYNC_FORK_MARK_H

#include <stdbool.h>

/* A page of memory that the kernel fills with zeros in every child. NULL: it could not be made. */
typedef const volatile unsigned char *fork_mark;

fork_mark fork_mark_new(void);
void fork_mark_free(fork_mark mark);

static inline bool fork_mark_is_ours(fork_mark mark)
{
	return *mark;
}

#endif
