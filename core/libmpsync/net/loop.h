/* An event loop: libevent, and timers on boot time, which libevent's own timers are not. */
#ifndef MPSYNC_LOOP_H
#define MPSYNC_LOOP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

/* Rings at a time of the boot clock. Before loop_init its descriptor is -1, and all else zero. */
struct boot_timer {
	struct event *event;
	int descriptor;
	void (*ring)(void *context);
	void *context;
};

struct loop {
	struct event_base *base;
	struct boot_timer timer;
};

/* `alone`: no child of this process keeps copies of its descriptors. */
bool loop_init(struct loop *loop, bool alone, void (*ring)(void *context), void *context);
void loop_clear(struct loop *loop);

bool boot_timer_init(
    struct boot_timer *timer, struct event_base *base, void (*ring)(void *context), void *context);
void boot_timer_clear(struct boot_timer *timer);

/* Ring at at_ms; UINT64_MAX: do not ring. */
void boot_timer_arm(struct boot_timer *timer, uint64_t at_ms);

#endif
