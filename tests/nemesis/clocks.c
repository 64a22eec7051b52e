/*
 * Preloaded into a program: its clocks, and the timers that it sets by them, run at another rate
 * and jump, while those of the machine stay as they are. The raw monotonic clock stays true, for
 * histories.
 *
 *   MPSYNC_CLOCKS_PPM   how much faster, in millionths
 *   MPSYNC_CLOCKS_FILE  two signed 64-bit numbers, nanoseconds: how far the wall clock is ahead,
 * and how far the others are; read at each look, so that a test can make them jump
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL

struct ahead {
	int64_t wall_ns;
	int64_t others_ns;
};

static int (*true_gettime)(clockid_t, struct timespec *);
static int (*true_settime)(int, int, const struct itimerspec *, struct itimerspec *);
static const volatile struct ahead *ahead;
static int64_t ppm;
static int64_t start_ns[CLOCK_BOOTTIME + 1];

static int64_t to_ns(const struct timespec *time)
{
	return time->tv_sec * SECOND_NS + time->tv_nsec;
}

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

__attribute__((constructor)) static void begin(void)
{
	static const struct ahead nowhere;
	const char *rate = getenv("MPSYNC_CLOCKS_PPM");
	const char *path = getenv("MPSYNC_CLOCKS_FILE");
	const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct timespec now;

	/* As POSIX has it: a pointer to data becomes one to a function. */
	*(void **)&true_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	*(void **)&true_settime = dlsym(RTLD_NEXT, "timerfd_settime");
	ppm = rate ? strtoll(rate, NULL, 10) : 0;
	ahead = &nowhere;
	if (file >= 0) {
		void *mapped = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);

		if (mapped != MAP_FAILED)
			ahead = mapped;
		close(file);
	}
	for (clockid_t id = 0; id <= CLOCK_BOOTTIME; id++)
		if (true_gettime(id, &now) == 0)
			start_ns[id] = to_ns(&now);
}

static int is_changed(clockid_t id)
{
	return id == CLOCK_REALTIME || id == CLOCK_MONOTONIC || id == CLOCK_BOOTTIME;
}

static int64_t ahead_ns(clockid_t id)
{
	return id == CLOCK_REALTIME ? ahead->wall_ns : ahead->others_ns;
}

int clock_gettime(clockid_t id, struct timespec *time)
{
	int code;

	if (!true_gettime)
		begin();
	code = true_gettime(id, time);
	if (code == 0 && is_changed(id)) {
		const int64_t since_ns = to_ns(time) - start_ns[id];

		*time = to_timespec(start_ns[id] + since_ns + since_ns / 1000000 * ppm + ahead_ns(id));
	}
	return code;
}

/* All of the library's timers are on the boot clock, and absolute. */
int timerfd_settime(int timer, int flags, const struct itimerspec *value, struct itimerspec *before)
{
	struct itimerspec changed = *value;

	if ((flags & TFD_TIMER_ABSTIME) && to_ns(&value->it_value) != 0) {
		const int64_t since_ns =
		    to_ns(&value->it_value) - ahead->others_ns - start_ns[CLOCK_BOOTTIME];
		const int64_t true_ns =
		    start_ns[CLOCK_BOOTTIME] + since_ns - since_ns / (1000000 + ppm) * ppm;

		changed.it_value = to_timespec(true_ns > 0 ? true_ns : 1);
	}
	return true_settime(timer, flags, &changed, before);
}
