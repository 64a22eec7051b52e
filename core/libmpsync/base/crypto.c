#include "crypto.h"

#include "fork_guard.h"

#include <openssl/crypto.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

FORK_GUARD(FORK_LOCKS_LAST, crypto_enter, crypto_leave, crypto_leave)

bool crypto_survives_forks(void)
{
	return fork_guarded;
}

void crypto_enter(void)
{
	pthread_mutex_lock(&mutex);
}

void crypto_leave(void)
{
	pthread_mutex_unlock(&mutex);
}

void crypto_end_thread(void)
{
	crypto_enter();
	OPENSSL_thread_stop();
	crypto_leave();
}
