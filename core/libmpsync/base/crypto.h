/*
 * OpenSSL beside fork(): its locks are not those that a fork looks after. A child whose parent had
 * another thread inside of OpenSSL would wait for that thread for ever.
 */
#ifndef MPSYNC_CRYPTO_H
#define MPSYNC_CRYPTO_H

#include <stdbool.h>

/* False: there was no memory for it when the library was loaded, and nothing may be opened. */
bool crypto_survives_forks(void);

/* Forks wait for whoever is between enter and leave. */
void crypto_enter(void);
void crypto_leave(void);

/* A thread that has entered ends: what OpenSSL keeps for the thread is freed here, and not by it.
 */
void crypto_end_thread(void);

#endif
