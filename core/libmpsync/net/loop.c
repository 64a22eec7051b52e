#include "loop.h"

#include <sys/timerfd.h>
#include <unistd.h>

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
	struct boot_timer *timer = context;
	uint64_t expirations;

	(void)what;
	if (read(descriptor, &expirations, sizeof expirations) == (ssize_t)sizeof expirations)
		timer->ring(timer->context);
}

bool boot_timer_init(
    struct boot_timer *timer, struct event_base *base, void (*ring)(void *context), void *context)
{
	*timer = (struct boot_timer){.descriptor = -1, .ring = ring, .context = context};
	timer->descriptor = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->descriptor >= 0)
		timer->event = event_new(base, timer->descriptor, EV_READ | EV_PERSIST, on_timer, timer);
	if (timer->event && event_add(timer->event, NULL) == 0)
		return true;
	boot_timer_clear(timer);
	return false;
}

void boot_timer_clear(struct boot_timer *timer)
{
	if (timer->event)
		event_free(timer->event);
	if (timer->descriptor >= 0)
		close(timer->descriptor);
	*timer = (struct boot_timer){.descriptor = -1};
}

void boot_timer_arm(struct boot_timer *timer, uint64_t at_ms)
{
	struct itimerspec when = {{0, 0}, {0, 0}};

	if (at_ms != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(at_ms / 1000);
		when.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000;
		if (at_ms == 0)
			when.it_value.tv_nsec = 1; /* a timer that is set to zero would be disarmed */
	}
	timerfd_settime(timer->descriptor, TFD_TIMER_ABSTIME, &when, NULL);
}

bool loop_init(struct loop *loop, bool alone, void (*ring)(void *context), void *context)
{
	struct event_config *config = event_config_new();

	*loop = (struct loop){.timer.descriptor = -1};
	if (!config)
		return false;
	/*
	 * A loop belongs to one thread, and other threads wake it through a descriptor, so libevent
	 * needs no locks.
	 */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	/*
	 * Fewer system calls. But if a child keeps a copy of a descriptor, epoll would report it for
	 * ever.
	 */
	if (alone)
		event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base && boot_timer_init(&loop->timer, loop->base, ring, context))
		return true;
	loop_clear(loop);
	return false;
}

void loop_clear(struct loop *loop)
{
	boot_timer_clear(&loop->timer);
	if (loop->base)
		event_base_free(loop->base);
	loop->base = NULL;
}
