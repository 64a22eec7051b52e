/*
 * System calls of SQLite that this store answers otherwise: kinds of locks, and files after a fork.
 */
#ifndef MPSYNC_STORES_SQLITE_SYSTEM_H
#define MPSYNC_STORES_SQLITE_SYSTEM_H

#include <stdbool.h>

/* Once, before the first file is opened. False without memory. */
bool sqlite_system_install(void);

/*
 * Between these, this thread's calls of SQLite are this store's. A program that links the library
 * statically may have databases of its own in the same SQLite, and those must work as ever.
 */
void sqlite_system_enter(void);
void sqlite_system_leave(void);

/* This process was just forked: SQLite's open files are the parent's. */
void sqlite_system_forked(void);

#endif
