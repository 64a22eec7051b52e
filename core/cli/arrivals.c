#include "arrivals.h"

/* Longer than the same signal needs to reach two processes, and too short for people to notice. */
#define WINDOW_MS 50

void arrivals_note(struct arrivals *arrivals, int number, enum arrived_at at, uint64_t now_ms)
{
	struct arrival *arrival = &arrivals->of[number];

	if (arrival->decide_at_ms == 0)
		arrival->decide_at_ms = now_ms + WINDOW_MS;
	arrival->at |= (unsigned)at;
}

void arrivals_precede_command(struct arrivals *arrivals, uint64_t at_command)
{
	for (int number = 1; number < NSIG; number++)
		arrivals->of[number].sure =
		    arrivals->of[number].decide_at_ms != 0 && !(at_command & signal_bit(number));
}

void arrivals_await(struct arrivals *arrivals, uint64_t on_their_way, uint64_t now_ms)
{
	for (int number = 1; number < NSIG; number++) {
		struct arrival *arrival = &arrivals->of[number];

		if (arrival->decide_at_ms != 0 && arrival->decide_at_ms <= now_ms &&
		    arrival->at == AT_KEEPER && (on_their_way & signal_bit(number)))
			arrival->decide_at_ms = now_ms + WINDOW_MS;
	}
}

int arrivals_due(struct arrivals *arrivals, uint64_t now_ms)
{
	for (int number = 1; number < NSIG; number++) {
		const struct arrival arrival = arrivals->of[number];

		if (arrival.decide_at_ms == 0 || arrival.decide_at_ms > now_ms)
			continue;
		arrivals->of[number] = (struct arrival){0};
		if (arrival.sure || arrival.at != (AT_MPSYNC | AT_KEEPER))
			return number;
	}
	return 0;
}

uint64_t arrivals_wake_ms(const struct arrivals *arrivals)
{
	uint64_t wake_ms = ARRIVALS_NEVER;

	for (int number = 1; number < NSIG; number++)
		if (arrivals->of[number].decide_at_ms != 0 && arrivals->of[number].decide_at_ms < wake_ms)
			wake_ms = arrivals->of[number].decide_at_ms;
	return wake_ms;
}
