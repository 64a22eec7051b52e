/* How a forked child of a test ends. */
#ifndef CHILD_H
#define CHILD_H

#include <unistd.h>

/* What gcov has of a process that ends by _exit; there where coverage is measured. */
extern void __gcov_dump(void) __attribute__((weak));

/* A forked child ends, without what its parent has registered for its own end. */
__attribute__((noreturn)) static inline void leave_child(int code)
{
	if (__gcov_dump)
		__gcov_dump();
	_exit(code);
}

#endif
