/*
 * Goal: no allocation that fails brings a client or an elector down, makes a call end twice or
 * never, or ends a grant twice. Method: each input of a fuzz target's corpus is run again and
 * again, with its first, second, third… allocation failing, alone and with those behind it, until
 * it needs no more. What the target requires is required then as well, and AddressSanitizer sees
 * what leaks.
 */
#include "failing.h"

#include "inputs.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_ALLOCATIONS 20000
#define MANY             25

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static long run_with(const uint8_t *bytes, size_t size, long count)
{
	for (long nth = 1; nth <= MOST_ALLOCATIONS; nth++) {
		failing_from(nth, count);
		LLVMFuzzerTestOneInput(bytes, size);
		if (!failing_end())
			return nth;
	}
	abort();
}

static void run_input(const char *name, const uint8_t *bytes, size_t size)
{
	LLVMFuzzerTestOneInput(bytes, size); /* what is made once is made */
	printf("%s: %ld allocations\n", name, run_with(bytes, size, 1));
	run_with(bytes, size, MANY);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return EXIT_FAILURE;
	failing_install(argc == 2);
	return inputs_run(argv[1], run_input) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
