/*
 * What one claim is doing at the backend, for the files that it is spread over. tasks.c takes what
 * the claim asks for and says what each answer leads to; attempts.c gets the name, reservations.c
 * takes a place in the record while somebody else has it (rule 49), renewals.c keeps and adopts,
 * withdrawals.c lets go. task.c has what they share: requests, and the answers to the claim.
 */
#ifndef MPSYNC_STORES_RECORDS_TASK_H
#define MPSYNC_STORES_RECORDS_TASK_H

#include "store.h"

/* ---- task.c ---- */

struct record_view task_view(const struct task *task);
/* All that is known of it is its grant. */
void task_drop(struct task *task);

/* These may free the task. */
void task_answer(struct task *task, enum claim_event event, const struct claim_answer *particulars,
    const struct store_word *word);
void task_answer_error(struct task *task, enum record_result result, enum mpsync_status status,
    const char *message, uint64_t retry_in_ms);
void task_answer_right(struct task *task, enum claim_event event);
/* What was held is somebody else's, or nobody's: `record` is what is there. */
void task_answer_gone(struct task *task, const struct record *record);
void task_answer_freed(struct task *task);

/* Of all that is known of the name; 0: nothing. */
uint64_t task_newest_version(const struct task *task);
/* The request of this phase, of our last write that is known to be there. */
void task_prepare(struct task *task, enum phase phase);
void task_read(struct task *task, enum phase phase, bool fresh);
/* Was there news since it was read? */
bool task_is_overtaken(const struct task *task, const struct record *there);
bool task_is_of_another_object(const struct task *task, const struct record *record);
/* The record as our last known write left it. */
struct record task_record(const struct task *task);
/* What is there is our own last write, perhaps one whose answer was lost. */
void task_take_over_version(struct task *task, const struct record *record);
/* It is the write that was just answered. */
void task_take_over_write(struct task *task, const struct record *record);

/* ---- tasks.c ---- */

/* The backend's answer to any of its requests. */
void task_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms);

/* ---- attempts.c ---- */

void attempt_begin(struct task *task);
void attempt_read(struct task *task, enum record_result result, const struct record *record);
void attempt_written(struct task *task, enum record_result result, const struct record *record);
void attempt_answer_busy(struct task *task, const struct record *record, uint64_t busy_ms);

/* ---- reservations.c ---- */

/* Takes a place, if it is time to. False: nothing was sent; *busy_ms is no later than that time. */
bool place_reserve(struct task *task, const struct record *there, uint64_t *busy_ms);
void place_reserved(struct task *task, enum record_result result, const struct record *record);
/* Of the claim, among those who wait; 0: it has none. */
uint32_t place_position(const struct task *task, const struct record *record);
/* False: it has none in this record. */
bool place_give_up(struct task *task, const struct record *record);
void place_given_up(struct task *task, enum record_result result, const struct record *record);

/* ---- renewals.c ---- */

void renew_begin(struct task *task);
void renew_read(struct task *task, enum record_result result, const struct record *record);
/* A renewal, or an adoption. */
void renew_written(struct task *task, enum record_result result, const struct record *record);
void adopt_read(struct task *task, enum record_result result, const struct record *record);

/* ---- withdrawals.c ---- */

void withdraw_begin(struct task *task);
void withdraw_read(struct task *task, enum record_result result, const struct record *record);
void withdraw_written(struct task *task, enum record_result result, const struct record *record);
void withdraw_removed(struct task *task, enum record_result result, const struct record *record);
/* Its free record is not removed any more. */
void withdraw_end_linger(struct task *task);

#endif
