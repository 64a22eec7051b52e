#include "claim.h"

#include <assert.h>

/* While a claim waits there is no right to save, so its retries need not be quicker than this. */
#define WAITING_BACKOFF_MS 5000
#define FIRST_BACKOFF_MS   100
/* A server may ask for a longer pause; a waiter comes back after this long all the same. */
#define LONGEST_PAUSE_MS 30000

uint64_t claim_right_ms(uint64_t ttl_ms)
{
	return ttl_ms - ttl_ms / 5;
}

static uint64_t part_of(uint64_t ttl_ms, uint64_t parts)
{
	return ttl_ms / parts ? ttl_ms / parts : 1;
}

uint64_t claim_request_timeout_ms(uint64_t ttl_ms)
{
	return part_of(ttl_ms, 2);
}

uint64_t claim_further_ms(uint64_t ttl_ms)
{
	return part_of(ttl_ms, 6);
}

uint64_t claim_try_ms(uint64_t ttl_ms)
{
	return part_of(ttl_ms, 3);
}

uint64_t claim_renew_often_ms(uint64_t ttl_ms)
{
	return part_of(ttl_ms, 6);
}

void claim_init(struct claim *claim, uint32_t ttl_ms, uint64_t now_ms, uint64_t wait_ms)
{
	const bool once = wait_ms == 0;

	if (once)
		wait_ms = claim_try_ms(ttl_ms);
	*claim = (struct claim){
	    .state = CLAIM_QUEUED,
	    .ttl_ms = ttl_ms,
	    .status = MPSYNC_E_UNREACHABLE, /* until the store answers */
	    .once = once,
	    .give_up_ms = wait_ms > CLAIM_NEVER - now_ms ? CLAIM_NEVER : now_ms + wait_ms,
	    .next_try_ms = now_ms,
	};
}

void claim_adopts(struct claim *claim)
{
	claim->adopting = claim->state <= CLAIM_WAITING;
	if (claim->state == CLAIM_LEAVING)
		claim->attempted = false;
}

static uint64_t later(uint64_t now_ms, uint64_t delay_ms)
{
	return delay_ms > CLAIM_NEVER - now_ms ? CLAIM_NEVER : now_ms + delay_ms;
}

/* The longest pause between two requests that get no good answer. */
static uint32_t longest_backoff_ms(const struct claim *claim)
{
	uint32_t most = claim->ttl_ms / 30;

	if (claim->state == CLAIM_WAITING)
		most = claim->ttl_ms / 3;
	else if (claim->state != CLAIM_HELD)
		most = claim->ttl_ms / 6;
	if (claim->state != CLAIM_HELD && most > WAITING_BACKOFF_MS)
		most = WAITING_BACKOFF_MS;
	return most ? most : 1;
}

/* A server's Retry-After is obeyed as far as the right allows. */
static uint64_t pause_ms(const struct claim *claim, const struct claim_input *input)
{
	uint64_t most = LONGEST_PAUSE_MS;

	if (claim->state == CLAIM_HELD)
		most = claim->valid_until_ms - input->now_ms > claim->ttl_ms / 2 ? claim->ttl_ms / 6
		                                                                 : claim->ttl_ms / 30;
	else if (claim->state == CLAIM_LEAVING)
		most = claim->ttl_ms / 6;
	return input->answer.retry_in_ms < most ? input->answer.retry_in_ms : most;
}

/* Doubles from min(100 ms, ttl/30), with jitter. */
static void back_off(struct claim *claim, const struct claim_input *input)
{
	const uint32_t most = longest_backoff_ms(claim);
	const uint32_t first =
	    claim->ttl_ms / 30 < FIRST_BACKOFF_MS ? claim->ttl_ms / 30 : FIRST_BACKOFF_MS;
	const uint64_t pause = pause_ms(claim, input);
	uint64_t delay;

	claim->backoff_ms = claim->backoff_ms ? claim->backoff_ms * 2 : first;
	if (claim->backoff_ms > most)
		claim->backoff_ms = most;
	delay = claim->backoff_ms / 2 + input->random % (claim->backoff_ms / 2 + 1) + 1;
	claim->next_try_ms = later(input->now_ms, pause > delay ? pause : delay);
}

static void leave(struct claim *claim, enum claim_report report, uint64_t now_ms)
{
	/*
	 * A grant that could not be adopted is not ours to release: its holder may believe in it (rule
	 * 9, a restart loses nothing and invents nothing).
	 */
	if (claim->state == CLAIM_WAITING && claim->adopting)
		claim->attempted = false;
	claim->report = report;
	claim->state = claim->attempted ? CLAIM_LEAVING : CLAIM_ENDED;
	claim->backoff_ms = 0;
	claim->next_try_ms = now_ms;
	claim->give_up_ms = later(now_ms, claim->ttl_ms);
}

static void lose(struct claim *claim, enum mpsync_reason reason, uint64_t now_ms)
{
	claim->reason = reason;
	claim->valid_until_ms = 0;
	leave(claim, CLAIM_REPORT_LOST, now_ms);
}

/*
 * The engine gives the grant up. The elector's client may rely on the grant for 5 % longer, because
 * its clock may be slower; the record is removed only after that (rule 1, proof of death).
 */
static void lose_in_doubt(struct claim *claim, enum mpsync_reason reason, uint64_t now_ms)
{
	const uint64_t believed_until_ms = later(claim->valid_until_ms, claim->ttl_ms / 20 + 2);

	lose(claim, reason, now_ms);
	claim->withdraw_from_ms = believed_until_ms;
}

/*
 * End the wait: as BUSY if the store's last answer was that another claim holds the name, else as
 * FAILED with the last error.
 */
static void give_up(struct claim *claim, uint64_t now_ms)
{
	leave(claim, claim->status == MPSYNC_OK ? CLAIM_REPORT_BUSY : CLAIM_REPORT_FAILED, now_ms);
}

static bool clock_ran_ahead(const struct claim *claim, const struct claim_input *input)
{
	const int64_t ahead = input->wall_ms - (int64_t)input->now_ms;

	return ahead - claim->wall_ahead_ms > (int64_t)(claim->ttl_ms / 5);
}

/*
 * What time alone ends. It comes before any answer is looked at: a right that is over never comes
 * back.
 */
static void pass_time(struct claim *claim, const struct claim_input *input)
{
	if (claim->state == CLAIM_HELD) {
		if (input->now_ms >= claim->valid_until_ms)
			lose_in_doubt(claim, MPSYNC_REASON_EXPIRED, input->now_ms);
		else if (clock_ran_ahead(claim, input))
			lose_in_doubt(claim, MPSYNC_REASON_CLOCK, input->now_ms);
	} else if (claim->state == CLAIM_QUEUED || claim->state == CLAIM_WAITING) {
		if (input->held_here)
			claim->status = MPSYNC_OK;
		if (input->now_ms >= claim->give_up_ms)
			give_up(claim, input->now_ms);
	} else if (claim->state == CLAIM_LEAVING && claim->release_asked) {
		/*
		 * The store has not confirmed the release, but the right has run out: nobody believes any
		 * more.
		 */
		if (input->now_ms >= claim->valid_until_ms) {
			claim->report = CLAIM_REPORT_RELEASED;
			claim->release_asked = false;
		}
	}
}

static void extend(struct claim *claim, const struct claim_input *input)
{
	const uint64_t until = later(input->answer.sent_at_ms, input->answer.right_ms);
	const uint64_t renew_in_ms =
	    input->answer.renew_in_ms ? input->answer.renew_in_ms : part_of(claim->ttl_ms, 3);
	const uint64_t renewals = claim->ttl_ms / renew_in_ms;

	if (until > claim->valid_until_ms)
		claim->valid_until_ms = until;
	claim->wall_ahead_ms = input->wall_ms - (int64_t)input->now_ms;
	claim->next_try_ms = later(input->answer.sent_at_ms, renew_in_ms);
	claim->renewals = renewals < UINT8_MAX ? (uint8_t)renewals : UINT8_MAX;
	claim->backoff_ms = 0;
	claim->status = MPSYNC_OK;
	claim->heard = true;
}

static void on_granted(struct claim *claim, const struct claim_input *input)
{
	/* If the wait ended before this grant arrived, LEAVING withdraws the grant. */
	if (claim->state != CLAIM_WAITING)
		return;
	if (input->now_ms >= later(input->answer.sent_at_ms, input->answer.right_ms)) {
		/*
		 * The right ran out before the answer arrived, so it never was a grant; a new write gets a
		 * new token.
		 */
		back_off(claim, input);
		return;
	}
	claim->state = CLAIM_HELD;
	claim->adopting = false;
	if (input->answer.ttl_ms)
		claim->ttl_ms = input->answer.ttl_ms;
	claim->token = input->answer.token;
	claim->valid_until_ms = 0;
	claim->report = CLAIM_REPORT_HELD;
	extend(claim, input);
}

static void on_busy(struct claim *claim, const struct claim_input *input)
{
	if (claim->state > CLAIM_WAITING)
		return;
	claim->status = MPSYNC_OK;
	claim->heard = true;
	claim->backoff_ms = 0;
	claim->next_try_ms = later(input->now_ms, input->answer.retry_in_ms);
	if (claim->once) {
		claim->attempted = claim->doubtful;
		give_up(claim, input->now_ms);
	}
}

/*
 * This engine's next waiter would take a name at once whose record somebody has deleted. Behind an
 * elector the client that held the grant may rely on its right until the right ends, so the
 * hand-off waits.
 */
static bool may_be_believed(const struct claim *claim, const struct claim_answer *answer)
{
	return answer->still_there || (claim->on_behalf && answer->reason == MPSYNC_REASON_DELETED);
}

static void on_gone(struct claim *claim, const struct claim_input *input)
{
	if (claim->state == CLAIM_HELD && may_be_believed(claim, &input->answer)) {
		lose_in_doubt(claim, input->answer.reason, input->now_ms);
		return;
	}
	/*
	 * The claim is leaving already. The record stays until the client's right has ended, so this
	 * answer must not free the name earlier.
	 */
	if (claim->state == CLAIM_LEAVING && may_be_believed(claim, &input->answer) &&
	    (input->answer.still_there || input->now_ms < claim->withdraw_from_ms))
		return;
	if (claim->state == CLAIM_HELD)
		lose(claim, input->answer.reason, input->now_ms);
	if (claim->state == CLAIM_WAITING) {
		claim->status = MPSYNC_E_LOST;
		claim->reason = input->answer.reason;
		give_up(claim, input->now_ms);
	}
	claim->attempted = false; /* the store has no trace of it */
}

/*
 * A request that was allowed once may be allowed again (a Role that is being replaced), so a waiter
 * without an end waits for that as well.
 */
static bool may_be_granted_yet(const struct claim *claim)
{
	return claim->state == CLAIM_WAITING && claim->heard && claim->give_up_ms == CLAIM_NEVER;
}

static void on_refused(struct claim *claim, const struct claim_input *input)
{
	claim->status = input->answer.status;
	if (claim->state == CLAIM_HELD || may_be_granted_yet(claim)) {
		back_off(claim, input); /* what was refused may be granted later */
	} else if (claim->state == CLAIM_WAITING) {
		leave(claim, CLAIM_REPORT_FAILED, input->now_ms);
		claim->attempted = false;
	} else if (claim->state == CLAIM_LEAVING) {
		/*
		 * A release that the store forbids ends the claim here: waiting for the permission helps
		 * nobody.
		 */
		if (claim->status == MPSYNC_E_FORBIDDEN && claim->release_asked) {
			claim->report = CLAIM_REPORT_RELEASED;
			claim->release_asked = false;
		}
		if (input->now_ms < claim->give_up_ms)
			back_off(claim, input);
		else
			claim->attempted = false; /* by now the grant has run out by itself */
	}
}

static void on_unknown(struct claim *claim, const struct claim_input *input)
{
	claim->status = input->answer.status;
	claim->doubtful = true;
	if (claim->state <= CLAIM_WAITING && claim->once && !claim->patient)
		give_up(claim, input->now_ms);
	else
		back_off(claim, input);
}

static void on_release(struct claim *claim, const struct claim_input *input)
{
	if (claim->state != CLAIM_HELD)
		return;
	claim->release_asked = true;
	leave(claim, CLAIM_REPORT_NONE, input->now_ms);
}

static void on_cancel(struct claim *claim, const struct claim_input *input)
{
	if (claim->state == CLAIM_QUEUED || claim->state == CLAIM_WAITING)
		leave(claim, CLAIM_REPORT_CANCELLED, input->now_ms);
}

/* Nearly due is within a quarter of the interval. */
bool claim_is_nearly_due(const struct claim *claim, uint64_t next_ms, uint64_t now_ms)
{
	const uint32_t quarters = claim->renewals ? claim->renewals * 4u : 4;

	return later(now_ms, claim->ttl_ms / quarters) >= next_ms;
}

static void take_event(struct claim *claim, const struct claim_input *input)
{
	switch (input->event) {
	case CLAIM_TICK:
		return;
	case CLAIM_TURN:
		if (claim->state == CLAIM_QUEUED)
			claim->state = CLAIM_WAITING;
		return;
	case CLAIM_RENEW_EARLY:
		if (claim->state == CLAIM_HELD &&
		    claim_is_nearly_due(claim, claim->next_try_ms, input->now_ms))
			claim->next_try_ms = input->now_ms;
		return;
	case CLAIM_RENEW_NOW:
		claim->renew_now = claim->state == CLAIM_HELD;
		return;
	case CLAIM_RELEASE:
		on_release(claim, input);
		return;
	case CLAIM_CANCEL:
		on_cancel(claim, input);
		return;
	case CLAIM_CHANGED:
		claim->changed = claim->state == CLAIM_WAITING;
		return;
	case CLAIM_GRANTED:
		on_granted(claim, input);
		return;
	case CLAIM_BUSY:
		on_busy(claim, input);
		return;
	case CLAIM_RENEWED:
		if (claim->state == CLAIM_HELD)
			extend(claim, input);
		return;
	case CLAIM_GONE:
		on_gone(claim, input);
		return;
	case CLAIM_FREED:
		claim->attempted = false;
		return;
	case CLAIM_REFUSED:
		on_refused(claim, input);
		return;
	case CLAIM_UNKNOWN:
		on_unknown(claim, input);
		return;
	}
	assert(false && "unknown claim event");
}

static bool answers_request(enum claim_event event)
{
	return event > CLAIM_CHANGED;
}

static struct claim_output act(struct claim *claim, enum claim_action action)
{
	claim->in_flight = action;
	return (struct claim_output){action, CLAIM_NEVER};
}

static struct claim_output sleep_until(const struct claim *claim)
{
	uint64_t wake = claim->in_flight == CLAIM_SLEEP ? claim->next_try_ms : CLAIM_NEVER;

	if (claim->state == CLAIM_QUEUED)
		wake = CLAIM_NEVER;
	if (claim->state == CLAIM_LEAVING && wake < claim->withdraw_from_ms)
		wake = claim->withdraw_from_ms;
	if ((claim->state == CLAIM_HELD || claim->release_asked) && claim->valid_until_ms < wake)
		wake = claim->valid_until_ms;
	if (claim->state <= CLAIM_WAITING && claim->give_up_ms < wake)
		wake = claim->give_up_ms;
	return (struct claim_output){CLAIM_SLEEP, wake};
}

static struct claim_output next_action(struct claim *claim, uint64_t now_ms)
{
	const bool due = now_ms >= claim->next_try_ms;

	if (claim->report != CLAIM_REPORT_NONE)
		return (struct claim_output){CLAIM_REPORT, CLAIM_NEVER};
	if (claim->in_flight != CLAIM_SLEEP)
		return sleep_until(claim);
	switch (claim->state) {
	case CLAIM_QUEUED:
		break;
	case CLAIM_WAITING:
		if (due || claim->changed) {
			claim->attempted = true;
			claim->changed = false;
			return act(claim, CLAIM_ATTEMPT);
		}
		break;
	case CLAIM_HELD:
		if (due || claim->renew_now) {
			claim->renew_now = false;
			return act(claim, CLAIM_RENEW);
		}
		break;
	case CLAIM_LEAVING:
		if (due && now_ms >= claim->withdraw_from_ms)
			return act(claim, CLAIM_WITHDRAW);
		break;
	case CLAIM_ENDED:
		return (struct claim_output){CLAIM_END, CLAIM_NEVER};
	}
	return sleep_until(claim);
}

/* LEAVING ends when the store has no trace of the claim; RELEASED is told then. */
static void settle(struct claim *claim)
{
	if (claim->state != CLAIM_LEAVING || claim->attempted || claim->in_flight != CLAIM_SLEEP)
		return;
	if (claim->release_asked) {
		claim->report = CLAIM_REPORT_RELEASED;
		claim->release_asked = false;
	}
	claim->state = CLAIM_ENDED;
}

struct claim_output claim_step(struct claim *claim, const struct claim_input *input)
{
	/* The caller comes back after it has told the last report. */
	claim->report = CLAIM_REPORT_NONE;
	if (answers_request(input->event))
		claim->in_flight = CLAIM_SLEEP;
	/* A release is answered with RELEASED, even when the right ended unnoticed just before. */
	if (input->event != CLAIM_RELEASE)
		pass_time(claim, input);
	take_event(claim, input);
	settle(claim);
	return next_action(claim, input->now_ms);
}
