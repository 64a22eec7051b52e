/*
 * Locks that a fork waits for, so that the child finds them free. The handlers are registered when
 * the library is loaded. If the first use of a lock registered them, a fork on another thread could
 * have read the list of handlers already, and would copy the lock while it is held.
 */
#ifndef MPSYNC_FORK_GUARD_H
#define MPSYNC_FORK_GUARD_H

#include <pthread.h>
#include <stdbool.h>

/* The C library calls handlers before a fork in the reverse order of their registration. */
#define FORK_LOCKS_LAST  101
#define FORK_LOCKS_FIRST 102

/*
 * Locks the mutexes of FORK_LOCKS_FIRST before those of FORK_LOCKS_LAST: a thread that holds one of
 * the first may wait for one of the last, never the other way round.
 */
#define FORK_GUARD(order, before, after, after_in_child)                                           \
	static bool fork_guarded; /* false: there was no memory for it */                              \
	__attribute__((constructor(order))) static void guard_forks(void)                              \
	{                                                                                              \
		fork_guarded = pthread_atfork(before, after, after_in_child) == 0;                         \
	}

#endif
