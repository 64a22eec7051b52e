/* Locks as lines of JSON: the lock object of the elector's wire, with status.held. */
#ifndef MPSYNC_CLI_LOCK_JSON_H
#define MPSYNC_CLI_LOCK_JSON_H

#include <mpsync.h>

void lock_json_print(const mpsync_lock_info *info);

/* A name that nobody holds. */
void lock_json_print_free(const char *name);

/* What an observer is told: holder, token and value, without times. */
void lock_json_print_change(const mpsync_event *event);

#endif
