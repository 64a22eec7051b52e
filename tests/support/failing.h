/*
 * Allocations that fail when they are told to: ours and SQLite's, which the linker leads through
 * here (CMake's allocations_may_fail), cJSON's and libevent's, by their hooks.
 */
#ifndef FAILING_H
#define FAILING_H

#include <stdbool.h>

/* Once, before anything is allocated; libevent's as well? */
void failing_install(bool libevent);
/* The nth allocation from now on fails, and with it those behind it, `count` in all. */
void failing_from(long nth, long count);
/* For what a library allocates that has no hook: does this one fail? */
bool failing_this(void);
/* From now on none fails. Whether one did since failing_from. */
bool failing_end(void);

#endif
