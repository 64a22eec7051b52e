/* Fill or clear the caller's error. */
#ifndef MPSYNC_STATUS_H
#define MPSYNC_STATUS_H

#include <mpsync.h>

/* Both return the status, so that a failed check ends in one line. */
mpsync_status fail(mpsync_error *error, mpsync_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
mpsync_status succeed(mpsync_error *error);

#endif
