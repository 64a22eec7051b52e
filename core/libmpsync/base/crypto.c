#include "crypto.h"

#include <openssl/crypto.h>
#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool installed;

static void install(void)
{
	installed = pthread_atfork(crypto_enter, crypto_leave, crypto_leave) == 0;
}

bool crypto_install(void)
{
	pthread_once(&once, install);
	return installed;
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
