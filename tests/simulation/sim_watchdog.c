/*
 * P19: what asks again and again in no time, or never returns, would keep a run from its end. Steps
 * are counted; what takes none is ended by a timer of the processor's time.
 */
#include "sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define MOST_STEPS   20000000
#define MOST_SECONDS 60

static char last_words[200];

static void on_alarm(int number)
{
	(void)number;
	if (write(STDOUT_FILENO, last_words, strlen(last_words)) < 0)
		_exit(2);
	_exit(1);
}

static void arm(time_t seconds)
{
	const struct itimerval in = {.it_value.tv_sec = seconds};

	if (setitimer(ITIMER_PROF, &in, NULL) != 0)
		abort();
}

void sim_watch(const struct sim *sim)
{
	snprintf(last_words, sizeof last_words,
	    "FAILED seed %llu: P19: a step has not ended after %d s\n"
	    "  replay: simulation --seed %llu --ratio %llu --mode %d --faults 0x%x\n",
	    (unsigned long long)sim->options.seed, MOST_SECONDS, (unsigned long long)sim->options.seed,
	    (unsigned long long)sim->options.rate_ratio_ppm, sim->options.mode, sim->options.only);
	if (signal(SIGPROF, on_alarm) == SIG_ERR)
		abort();
	arm(MOST_SECONDS);
}

void sim_watch_step(struct sim *sim)
{
	if (++sim->events == MOST_STEPS)
		sim_violate(sim, "P19", "it has not come to rest after %d steps", MOST_STEPS);
}

void sim_unwatch(void)
{
	arm(0);
}
