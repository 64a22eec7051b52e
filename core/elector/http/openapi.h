/* The text of openapi.yaml, which stands beside this file. */
#ifndef MPSYNC_OPENAPI_H
#define MPSYNC_OPENAPI_H

#include <stddef.h>

extern const char openapi_text[];
size_t openapi_size(void);

#endif
