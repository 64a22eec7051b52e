/* Plays seeds one after another, or one of them again and tells it. */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct run {
	uint64_t first;
	uint64_t seeds;
	bool told; /* one seed, with all that happens */
	struct sim_options options;
};

static const char usage[] =
    "usage: simulation [OPTION…]\n\n"
    "  --seeds N      how many runs, each by a seed (20000)\n"
    "  --first SEED   the first of them (1)\n"
    "  --seed SEED    this one alone, with all that happens\n"
    "  --mode M       0 Leases, 1 one host's file, 2 electors on Leases, 3 etcd, 4 electors on "
    "etcd\n"
    "                 (by the seed)\n"
    "  --ratio PPM    how far apart the rates of two clocks may be (1050000)\n"
    "  --faults MASK  of the faults that the seed has drawn, only these (see sim.h)\n";

static uint64_t number(const char *text)
{
	char *end;
	const uint64_t value = strtoull(text, &end, 0);

	if (end != text && !*end)
		return value;
	fprintf(stderr, "simulation: \"%s\" is no number\n%s", text, usage);
	exit(2);
}

static struct run arguments(int argc, char **argv)
{
	static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
	    {"first", required_argument, NULL, 'f'}, {"seed", required_argument, NULL, 's'},
	    {"ratio", required_argument, NULL, 'r'}, {"mode", required_argument, NULL, 'm'},
	    {"faults", required_argument, NULL, 'F'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct run run = {.first = 1,
	    .seeds = 20000,
	    .options = {.rate_ratio_ppm = 1050000, .mode = -1, .only = FAULT_ALL}};
	int flag;

	while ((flag = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (flag) {
		case 'n':
			run.seeds = number(optarg);
			break;
		case 's':
			run.told = true;
			/* fallthrough */
		case 'f':
			run.first = number(optarg);
			break;
		case 'r':
			run.options.rate_ratio_ppm = number(optarg);
			break;
		case 'm':
			run.options.mode = (int)number(optarg);
			break;
		case 'F':
			run.options.only = (uint32_t)number(optarg);
			break;
		default:
			fputs(usage, flag == 'h' ? stdout : stderr);
			exit(flag == 'h' ? 0 : 2);
		}
	}
	if (optind == argc && run.options.mode < MODE_COUNT)
		return run;
	if (optind < argc)
		fprintf(stderr, "simulation: \"%s\" is not understood\n", argv[optind]);
	else
		fprintf(stderr, "simulation: there is no mode %d\n", run.options.mode);
	fputs(usage, stderr);
	exit(2);
}

static int replay(const struct run *run)
{
	struct sim sim = {.options = run->options, .least_slack_us = INT64_MAX};

	sim.options.seed = run->first;
	sim.options.trace = true;
	sim_run(&sim);
	printf("seed %llu: %s (%s)\n%s\n", (unsigned long long)run->first,
	    sim.violated ? sim.violated : "all properties hold", sim.violated ? sim.what : "-",
	    sim.world);
	return sim.violated ? 1 : 0;
}

static int failed(const struct sim *sim)
{
	const struct sim_options *options = &sim->options;

	printf(
	    "FAILED seed %llu: %s: %s\n  %s\n  replay: simulation --seed %llu --ratio %llu --mode %d "
	    "--faults 0x%x\n",
	    (unsigned long long)options->seed, sim->violated, sim->what, sim->world,
	    (unsigned long long)options->seed, (unsigned long long)options->rate_ratio_ppm,
	    options->mode, options->only);
	return 1;
}

static double processor_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const struct run run = arguments(argc, argv);
	int64_t least_slack_us = INT64_MAX;

	if (run.told)
		return replay(&run);
	for (uint64_t seed = run.first; seed < run.first + run.seeds; seed++) {
		struct sim sim = {.least_slack_us = INT64_MAX, .options = run.options};

		sim.options.seed = seed;
		sim_run(&sim);
		if (sim.least_slack_us < least_slack_us)
			least_slack_us = sim.least_slack_us;
		if (sim.violated)
			return failed(&sim);
	}
	printf("simulation: %llu seeds, all properties hold\n"
	       "  %llu claim steps in %.1f s of CPU: %.0f a second\n"
	       "  least slack between a right's end and the next grant: %.3f ms\n",
	    (unsigned long long)run.seeds, (unsigned long long)sim_claim_steps, processor_seconds(),
	    (double)sim_claim_steps / processor_seconds(), (double)least_slack_us / 1000);
	return 0;
}
