/* Events on their way from the engine's thread to the caller. */
#ifndef MPSYNC_QUEUE_H
#define MPSYNC_QUEUE_H

#include <mpsync.h>
#include <stdbool.h>

/* An event with copies of its texts, in one allocation; NULL without memory. */
mpsync_event *queue_event(const mpsync_event *fields);

/* Takes the event over. */
void queue_push(mpsync_queue *queue, mpsync_event *event);

mpsync_queue *queue_reference(mpsync_queue *queue);

/* OK or FORKED. */
mpsync_status queue_check_usable(const mpsync_queue *queue, mpsync_error *error);

#endif
