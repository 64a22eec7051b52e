/* What is told besides results and errors, as the option `log` and `log_format` want it. */
#ifndef MPSYNC_CLI_LOG_H
#define MPSYNC_CLI_LOG_H

#include "cli.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Text: as complain(); JSON: an object with level and message, on standard error as well. */
void log_say(const mpsync_client *client, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
