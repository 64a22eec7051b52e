/* An identifier of 128 bits that is never used again. */
#ifndef MPSYNC_ID_H
#define MPSYNC_ID_H

#include <stdbool.h>
#include <stdint.h>

#define ID_HEX_SIZE 33

/*
 * A claim's secret or its public digest, an engine's instance, or a boot of the machine. All zero:
 * none.
 */
struct id {
	uint8_t bytes[16];
};

bool id_equal(const struct id *a, const struct id *b);
bool id_is_none(const struct id *id);
void id_to_hex(const struct id *id, char hex[ID_HEX_SIZE]);

/* False unless it is exactly 32 lower-case hex digits. */
bool id_from_hex(struct id *id, const char *hex);

#endif
