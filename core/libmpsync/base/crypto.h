/*
 * OpenSSL beside fork(). OpenSSL does not release its own locks in a forked child: if another
 * thread of the parent was inside of OpenSSL at the fork, the child would wait for that thread for
 * ever.
 */
#ifndef MPSYNC_CRYPTO_H
#define MPSYNC_CRYPTO_H

#include <stdbool.h>

/* False: there was no memory for it when the library was loaded, and nothing may be opened. */
bool crypto_survives_forks(void);

/* Surround each use of OpenSSL: a fork waits until no thread is between enter and leave. */
void crypto_enter(void);
void crypto_leave(void);

/* Call at the end of a thread that used OpenSSL: frees what OpenSSL keeps for the thread. */
void crypto_end_thread(void);

#endif
