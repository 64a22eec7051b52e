/* Text as base64 has it. */
#ifndef MPSYNC_BASE64_H
#define MPSYNC_BASE64_H

/* Owned by the caller. NULL without memory. */
char *base64_encode(const char *text);

#endif
