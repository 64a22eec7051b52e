/*
 * A program that takes turns at a lock for ever and writes down what it believes: the history that
 * tests/etcd/linearizable judges. Moments are nanoseconds of the raw monotonic clock, which all
 * processes of one machine share, also those whose other clocks a test slews. With FILE, what a
 * holder does is to write its token there, as long as no greater one stands there.
 *
 *   turns NAME HOLD_MS [FILE]
 *
 *   acquired TOKEN BEFORE AFTER | holds TOKEN BEFORE AFTER | released TOKEN BEFORE AFTER
 *   ended TOKEN BEFORE AFTER: between these moments the belief came to its end, unasked
 *   refused TOKEN BEFORE AFTER: a greater token stood in the file
 */
#include <mpsync.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

struct turn {
	uint64_t hold_ns;
	const char *file; /* NULL without one */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void tell(const char *what, uint64_t token, uint64_t before)
{
	printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", what, token, before, now_ns());
}

/* What a resource does that the token protects: takes no write under a token that is out of date.
 */
static bool is_accepted(const char *path, uint64_t token)
{
	const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint64_t greatest = 0;
	bool accepted = true;

	if (file < 0 || flock(file, LOCK_EX) != 0)
		abort();
	if (pread(file, &greatest, sizeof greatest, 0) == sizeof greatest)
		accepted = greatest <= token;
	if (accepted && pwrite(file, &token, sizeof token, 0) != sizeof token)
		abort();
	close(file);
	return accepted;
}

/*
 * Asks whether it holds until the time is over; the moment of the last question that was answered
 * by yes (at first: `last`, of the request), 0 if lost. From that moment on nothing is believed.
 */
static uint64_t hold(
    const mpsync_lock *lock, uint64_t grant, uint64_t token, const struct turn *turn, uint64_t last)
{
	const uint64_t until = now_ns() + turn->hold_ns;
	uint64_t before;

	do {
		before = now_ns();
		if (!mpsync_lock_is_held(lock, grant)) {
			tell("ended", token, last);
			return 0;
		}
		tell("holds", token, before);
		last = before;
		if (turn->file && !is_accepted(turn->file, token))
			tell("refused", token, before);
		usleep(turn->file ? 20000 : 3000);
	} while (before < until);
	return last;
}

static void take_a_turn(mpsync_lock *lock, const struct turn *turn)
{
	uint64_t before = now_ns();
	uint64_t grant;
	uint64_t token;
	uint64_t last;

	if (mpsync_lock_acquire(lock, -1, NULL) != MPSYNC_OK)
		return;
	grant = mpsync_lock_grant(lock);
	token = mpsync_lock_token(lock, grant);
	if (!token)
		return; /* lost before anybody believed in it */
	tell("acquired", token, before);
	last = hold(lock, grant, token, turn, before);
	if (!last) {
		/*
		 * A clock that went ahead and back again has hidden the right, and the library renews it:
		 * unless it is given back, nobody has a turn any more.
		 */
		mpsync_lock_release(lock, NULL);
		return;
	}
	/* Also a right that has just run out is released. */
	tell(mpsync_lock_release(lock, NULL) == MPSYNC_OK ? "released" : "ended", token, last);
}

int main(int argc, char **argv)
{
	mpsync_client *client = mpsync_client_open(NULL, NULL, NULL, NULL);
	mpsync_lock *lock = argc >= 3 ? mpsync_lock_new(client, argv[1], NULL, NULL) : NULL;
	struct turn turn;

	if (!lock)
		return 1;
	turn.hold_ns = strtoull(argv[2], NULL, 10) * 1000000;
	turn.file = argv[3];
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;)
		take_a_turn(lock, &turn);
}
