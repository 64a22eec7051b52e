/* The inputs of a folder, one after another. */
#ifndef MPSYNC_FUZZ_INPUTS_H
#define MPSYNC_FUZZ_INPUTS_H

#include <stddef.h>
#include <stdint.h>

typedef void input_run(const char *name, const uint8_t *bytes, size_t size);

/* How many there are; what cannot be read ends the program. */
int inputs_run(const char *folder, input_run *run);

#endif
