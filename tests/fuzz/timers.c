/* libevent's own timers, on the world's clock: they ring when it has come so far. */
#include "world.h"

#include <stdlib.h>

#define MOST_TIMERS 256
#define SHOWN       __attribute__((visibility("default"))) /* as the linker looks in libevent too */

static struct timer {
	struct event *event;
	uint64_t at_ms;
} timers[MOST_TIMERS];
static size_t count;

SHOWN int __wrap_event_add(struct event *event, const struct timeval *after);
SHOWN int __wrap_event_del(struct event *event);
SHOWN void __wrap_event_free(struct event *event);
int __real_event_add(struct event *event, const struct timeval *after);
int __real_event_del(struct event *event);
void __real_event_free(struct event *event);

static void stop(const struct event *event)
{
	for (size_t i = 0; i < count; i++)
		if (timers[i].event == event)
			timers[i--] = timers[--count];
}

int __wrap_event_add(struct event *event, const struct timeval *after)
{
	if (!after)
		return __real_event_add(event, NULL);
	stop(event);
	if (count == MOST_TIMERS)
		abort();
	timers[count++] = (struct timer){
	    event, world_now_ms() + (uint64_t)after->tv_sec * 1000 + (uint64_t)after->tv_usec / 1000};
	return 0;
}

int __wrap_event_del(struct event *event)
{
	stop(event);
	return __real_event_del(event);
}

void __wrap_event_free(struct event *event)
{
	stop(event);
	__real_event_free(event);
}

void timers_ring(void)
{
	for (size_t i = 0; i < count; i++) {
		if (timers[i].at_ms > world_now_ms())
			continue;
		event_active(timers[i].event, EV_TIMEOUT, 0);
		timers[i--] = timers[--count];
	}
}
