/* What SQLite asks of the kernel on behalf of this store, and gets otherwise than it asks. */
#ifndef MPSYNC_STORES_SQLITE_SYSTEM_H
#define MPSYNC_STORES_SQLITE_SYSTEM_H

#include <stdbool.h>

/* False without memory. Before the first file is opened, and once. */
bool sqlite_system_install(void);

/*
 * Between these, this thread's calls of SQLite are this store's: a program into which the library
 * is linked statically may have databases of its own in the same SQLite, which are to go on as
 * ever.
 */
void sqlite_system_enter(void);
void sqlite_system_leave(void);

/* This process has just been forked: what SQLite has open is the parent's. */
void sqlite_system_forked(void);

#endif
