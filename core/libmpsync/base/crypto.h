/*
 * OpenSSL beside fork(): its locks are not those that a fork looks after. A child whose parent had
 * another thread inside of OpenSSL would wait for that thread for ever.
 */
#ifndef MPSYNC_CRYPTO_H
#define MPSYNC_CRYPTO_H

#include <stdbool.h>

/*
 * Forks wait for whoever is between enter and leave. Whoever forks with other locks in hand has
 * this installed before them: handlers run in the reverse order. False without memory.
 */
bool crypto_install(void);

void crypto_enter(void);
void crypto_leave(void);

/* A thread that has entered ends: what OpenSSL keeps for the thread is freed here, and not by it.
 */
void crypto_end_thread(void);

#endif
