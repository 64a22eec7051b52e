/* From a pointer to a member to the struct that contains it. */
#ifndef MPSYNC_CONTAINER_H
#define MPSYNC_CONTAINER_H

#include <stddef.h>

#define CONTAINER_OF(member, type, name) ((type *)((char *)(member)-offsetof(type, name)))

#endif
