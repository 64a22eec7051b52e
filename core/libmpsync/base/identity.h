/* Random and digested identities. */
#ifndef MPSYNC_IDENTITY_H
#define MPSYNC_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#define ID_HEX_SIZE 33

/* 128 bits: a claim's secret, its public digest, an engine's instance, a boot. All zero: none. */
struct id {
	uint8_t bytes[16];
};

bool id_random(struct id *id);

/* The first 128 bits of the SHA-256 of the id's 32 hex digits: what others may see of a secret. */
bool id_digest(const struct id *secret, struct id *digest);

bool id_equal(const struct id *a, const struct id *b);
bool id_is_none(const struct id *id);
void id_to_hex(const struct id *id, char hex[ID_HEX_SIZE]);

/* False unless it is exactly 32 lower-case hex digits. */
bool id_from_hex(struct id *id, const char *hex);

/*
 * This machine's default holder: POD_NAME, else the host's name and the process. NULL, or what is
 * wrong with it.
 */
const char *identity_default(char *out, unsigned size);

#endif
