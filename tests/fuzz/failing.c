/*
 * Goal: no allocation that fails brings a client or an elector down, makes a call end twice or
 * never, or ends a grant twice. Method: each input of a fuzz target's corpus is run again and
 * again, with its first, second, third… allocation failing, alone and with those behind it, until
 * it needs no more. What the target requires is required then as well, and AddressSanitizer sees
 * what leaks.
 */
#include "failing.h"

#include <dirent.h>
#include <stdint.h>
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

static void run_file(const char *folder, const char *name)
{
	static uint8_t bytes[65536];
	char path[1024];
	size_t size;
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file)
		abort();
	size = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, size); /* what is made once is made */
	printf("%s: %ld allocations\n", name, run_with(bytes, size, 1));
	run_with(bytes, size, MANY);
}

int main(int argc, char **argv)
{
	DIR *folder = argc >= 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;

	if (!folder)
		return EXIT_FAILURE;
	failing_install(argc == 2);
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			run_file(argv[1], entry->d_name);
	closedir(folder);
	return EXIT_SUCCESS;
}
