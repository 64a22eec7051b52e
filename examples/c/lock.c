/* One at a time, on however many machines. */
#include <mpsync.h>
#include <stdio.h>

int main(void)
{
	mpsync_error error;
	mpsync_client *client = mpsync_client_open(NULL, NULL, NULL, &error);
	mpsync_lock *lock = mpsync_lock_new(client, "example", NULL, &error);

	if (!lock || mpsync_lock_acquire(lock, 10000, &error) != MPSYNC_OK) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	puts("holding");
	mpsync_lock_release(lock, &error);
	puts("released");
	mpsync_lock_free(lock);
	mpsync_client_close(client);
	return 0;
}
