/* Random identifiers, digests, and the default name of this process. */
#ifndef MPSYNC_IDENTITY_H
#define MPSYNC_IDENTITY_H

#include "id.h"

bool id_random(struct id *id);

/*
 * The first 128 bits of the SHA-256 of the secret's 32 hex digits. Others may see it: it proves
 * nothing.
 */
bool id_digest(const struct id *secret, struct id *digest);

/*
 * The default identity of a holder: POD_NAME, else the host's name and the process's number.
 * Returns NULL, or what is wrong with that name.
 */
const char *identity_default(char *out, unsigned size);

#endif
