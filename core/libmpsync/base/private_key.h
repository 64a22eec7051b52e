/* The private key of a certificate, in PEM. */
#ifndef MPSYNC_PRIVATE_KEY_H
#define MPSYNC_PRIVATE_KEY_H

#include <mpsync.h>

#include <stdbool.h>

/*
 * False, and fills the error: it is encrypted, and there is nobody to ask for its pass phrase; left
 * alone, OpenSSL would ask the terminal. `pem` is its text, else it is in the file at `path`; with
 * neither, and with a file that cannot be read, there is no key to refuse. `name` is shown.
 */
bool private_key_is_plain(const char *path, const char *pem, const char *name, mpsync_error *error);

#endif
