/* Random and digested identities, and this process's own. */
#ifndef MPSYNC_IDENTITY_H
#define MPSYNC_IDENTITY_H

#include "id.h"

bool id_random(struct id *id);

/* The first 128 bits of the SHA-256 of the id's 32 hex digits: what others may see of a secret. */
bool id_digest(const struct id *secret, struct id *digest);

/*
 * This machine's default holder: POD_NAME, else the host's name and the process. NULL, or what is
 * wrong with it.
 */
const char *identity_default(char *out, unsigned size);

#endif
