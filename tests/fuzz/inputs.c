#include "inputs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static void run_file(const char *folder, const char *name, input_run *run)
{
	static uint8_t bytes[65536];
	char path[1024];
	size_t size;
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	size = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	run(name, bytes, size);
}

int inputs_run(const char *folder, input_run *run)
{
	DIR *inputs = opendir(folder);
	const struct dirent *entry;
	int count = 0;

	if (!inputs) {
		perror(folder);
		exit(EXIT_FAILURE);
	}
	while ((entry = readdir(inputs))) {
		if (entry->d_name[0] == '.')
			continue;
		run_file(folder, entry->d_name, run);
		count++;
	}
	closedir(inputs);
	return count;
}
