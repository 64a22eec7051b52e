/* Lines of the log, as the options `log` and `log_format` want them. */
#ifndef MPSYNC_CLI_LOG_H
#define MPSYNC_CLI_LOG_H

#include "cli.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* As text, by complain(); as JSON, an object with level and message. Both go to standard error. */
void log_say(const mpsync_client *client, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
