/* Runs a fuzz target over the files of its corpus, without libFuzzer. */
#include "inputs.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void run(const char *name, const uint8_t *bytes, size_t size)
{
	(void)name;
	LLVMFuzzerTestOneInput(bytes, size);
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++)
		count += inputs_run(argv[i], run);
	printf("%d inputs\n", count);
	return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
