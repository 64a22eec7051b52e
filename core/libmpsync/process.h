/* Processes of this machine: which they are, and whether they live. Linux only. */
#ifndef MPSYNC_PROCESS_H
#define MPSYNC_PROCESS_H

#include "record.h"

/* This process on this kernel. False if /proc does not tell. */
bool process_self(struct record_host *host);

/*
 * A descriptor that is readable when that very process has ended; -1 when it cannot be watched.
 * *dead is set when it is proven that it has ended already.
 */
int process_watch(const struct record_host *host, bool *dead);

#endif
