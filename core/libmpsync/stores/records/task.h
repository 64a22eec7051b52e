/*
 * The work of one claim at the backend, for the files that it is spread over. tasks.c takes
 * requests of the claim, and says what each answer leads to; attempts.c gets the name,
 * reservations.c takes a place in the record while another holds it (rule 49, places instead of a
 * herd), renewals.c keeps and adopts, withdrawals.c lets go. task.c has what they share: requests
 * to the backend, and answers to the claim.
 */
#ifndef MPSYNC_STORES_RECORDS_TASK_H
#define MPSYNC_STORES_RECORDS_TASK_H

#include "store.h"

/* ---- task.c ---- */

struct record_view task_view(const struct task *task);
/* Nothing is known of the task but its grant. */
void task_drop(struct task *task);

/* Each of these may free the task. */
void task_answer(struct task *task, enum claim_event event, const struct claim_answer *particulars,
    const struct store_word *word);
void task_answer_error(struct task *task, enum record_result result, enum mpsync_status status,
    const char *message, uint64_t retry_in_ms);
void task_answer_right(struct task *task, enum claim_event event);
/* What was held is another's, or nobody's: `record` is what is stored. */
void task_answer_gone(struct task *task, const struct record *record);
void task_answer_freed(struct task *task);

/* The newest version that is known of the name; 0: none. */
uint64_t task_newest_version(const struct task *task);
/* Fill in the request of this phase, over our last acknowledged write. */
void task_prepare(struct task *task, enum phase phase);
void task_read(struct task *task, enum phase phase, bool fresh);
/* Was there an event since the record was read? */
bool task_is_overtaken(const struct task *task, const struct record *there);
bool task_is_of_another_object(const struct task *task, const struct record *record);
/* The record as our last acknowledged write left it. */
struct record task_record(const struct task *task);
/* The record is our own last write, perhaps one whose answer was lost: take over its version. */
void task_take_over_version(struct task *task, const struct record *record);
/* The record is the write that was just answered: take it over. */
void task_take_over_write(struct task *task, const struct record *record);

/* ---- tasks.c ---- */

/* The backend's answer to any request. */
void task_done(struct record_request *request, enum record_result result,
    const struct record *record, enum mpsync_status status, const char *message,
    uint64_t retry_in_ms);

/* ---- attempts.c ---- */

void attempt_begin(struct task *task);
void attempt_read(struct task *task, enum record_result result, const struct record *record);
void attempt_written(struct task *task, enum record_result result, const struct record *record);
void attempt_answer_busy(struct task *task, const struct record *record, uint64_t busy_ms);

/* ---- reservations.c ---- */

/*
 * Take a place, if it is time. False: nothing was sent, and *busy_ms ends no later than that time.
 */
bool place_reserve(struct task *task, const struct record *there, uint64_t *busy_ms);
void place_reserved(struct task *task, enum record_result result, const struct record *record);
/* The claim's position among the waiters; 0: it has no place. */
uint32_t place_position(const struct task *task, const struct record *record);
/* False: the claim has no place in this record. */
bool place_give_up(struct task *task, const struct record *record);
void place_given_up(struct task *task, enum record_result result, const struct record *record);

/* ---- renewals.c ---- */

void renew_begin(struct task *task);
void renew_read(struct task *task, enum record_result result, const struct record *record);
/* A renewal, or an adoption, was answered. */
void renew_written(struct task *task, enum record_result result, const struct record *record);
void adopt_read(struct task *task, enum record_result result, const struct record *record);

/* ---- withdrawals.c ---- */

void withdraw_begin(struct task *task);
void withdraw_read(struct task *task, enum record_result result, const struct record *record);
void withdraw_written(struct task *task, enum record_result result, const struct record *record);
void withdraw_removed(struct task *task, enum record_result result, const struct record *record);
/* The free record that the task left for others is not to be removed any more. */
void withdraw_end_linger(struct task *task);

#endif
