/*
 * Locks that a fork waits for, so that the child finds them free. The handlers are registered when
 * the library is loaded: with the first use they would come too late for a fork that has already
 * asked for its handlers, and then copies the lock as another thread holds it.
 */
#ifndef MPSYNC_FORK_GUARD_H
#define MPSYNC_FORK_GUARD_H

#include <pthread.h>
#include <stdbool.h>

/* The C library calls handlers before a fork in the reverse order of their registration. */
#define FORK_LOCKS_LAST  101
#define FORK_LOCKS_FIRST 102

/* A thread that holds what is locked first may wait for what is locked last. */
#define FORK_GUARD(order, before, after, after_in_child)                                           \
	static bool fork_guarded; /* false: there was no memory for it */                              \
	__attribute__((constructor(order))) static void guard_forks(void)                              \
	{                                                                                              \
		fork_guarded = pthread_atfork(before, after, after_in_child) == 0;                         \
	}

#endif
