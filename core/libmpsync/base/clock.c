#include "clock.h"

#include <time.h>

static int64_t read_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_boot_ms(void)
{
	return (uint64_t)read_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

static uint64_t boot_ms(void *context)
{
	(void)context;
	return clock_boot_ms();
}

static int64_t wall_ms(void *context)
{
	(void)context;
	return clock_wall_ms();
}

/*
 * Jitter need not be unpredictable, so the clock's low bits do: a system call for each step would
 * cost more than the step.
 */
static uint32_t jitter(void *context)
{
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_nsec * 2654435761u;
}

struct store_clock clock_real(void *context)
{
	return (struct store_clock){boot_ms, wall_ms, jitter, context};
}
