#include "terms.h"

#include <assert.h>

/* Of the ttl: the first pause after a function that failed, and the longest. */
#define BACKOFF_PART 15
#define BACKOFF_MOST 4
/*
 * Of the ttl: how long who handed over as asked lets the others come first. Where the store keeps a
 * queue, none of this is needed; over a file and Leases the one that resigned, whose process is at
 * work already, would often write before the waiters have been notified, and lead again. A fifth is
 * as long as a right that ran out leaves between its end and the next grant, so it is time enough
 * for a waiter to notice, and without any waiter the name has no leader for less time than after a
 * crash.
 */
#define HAND_OVER_PART 5
/* Of the ttl: the pauses while a store refuses. */
#define RETRY_PART      150
#define RETRY_MOST_PART 15
/* A person has to change the permission, so retries after a refusal are slow. */
#define REFUSED_PART 3
/* Trouble that lasts is told again. */
#define TROUBLE_EVERY_MS 60000

static uint64_t later(uint64_t now_ms, uint64_t ms)
{
	return ms > TERMS_NEVER - now_ms ? TERMS_NEVER : now_ms + ms;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void terms_init(struct terms *terms, const struct terms_options *options,
    const struct terms_host *host, void *context)
{
	*terms = (struct terms){
	    .host = host,
	    .context = context,
	    .options = *options,
	    .state = TERMS_BACKING_OFF, /* no longer than to the first event */
	    .end_status = MPSYNC_OK,
	};
}

void terms_right(struct terms *terms, uint64_t until_ms)
{
	terms->right_until_ms = until_ms;
}

bool terms_at_work(const struct terms *terms)
{
	return terms->state == TERMS_LEADING || terms->state == TERMS_ENDING;
}

int64_t terms_left_ms(const struct terms *terms, uint64_t now_ms)
{
	uint64_t until_ms = terms->limit_ms;

	if (!terms->held)
		return 0;
	if (terms->reason == MPSYNC_REASON_EXPIRED)
		until_ms = sooner(until_ms, terms->right_until_ms);
	if (until_ms == TERMS_NEVER)
		return -1;
	return until_ms > now_ms ? (int64_t)(until_ms - now_ms) : 0;
}

/* ---- From one state to the next ---- */

static void stand(struct terms *terms)
{
	terms->state = TERMS_STANDING;
}

static void end(struct terms *terms, enum mpsync_status status)
{
	terms->state = TERMS_OVER;
	terms->end_status = status;
}

/* Twice as long each time, and a random part of it, so that candidates that fail alike spread. */
static void back_off(
    struct terms *terms, uint32_t *pause_ms, uint32_t most_ms, const struct terms_input *input)
{
	const uint32_t half_ms = *pause_ms / 2;

	terms->state = TERMS_BACKING_OFF;
	terms->again_ms = later(input->now_ms, half_ms + input->random % (half_ms + 1));
	*pause_ms = *pause_ms > most_ms / 2 ? most_ms : *pause_ms * 2;
}

static void back_off_after_failure(struct terms *terms, const struct terms_input *input)
{
	if (terms->backoff_ms == 0)
		terms->backoff_ms = terms->options.ttl_ms / BACKOFF_PART;
	back_off(terms, &terms->backoff_ms, terms->options.ttl_ms * BACKOFF_MOST, input);
	terms->give_up_ms = 0; /* it stands anew */
}

/* Counted from the release: at a drain's limit the function may have gone on for long since then.
 */
static void let_others_come_first(struct terms *terms, uint64_t now_ms)
{
	const uint64_t again_ms = later(terms->free_ms, terms->options.ttl_ms / HAND_OVER_PART);

	if (again_ms <= now_ms)
		return;
	if (terms->state != TERMS_BACKING_OFF || terms->again_ms < again_ms)
		terms->again_ms = again_ms;
	terms->state = TERMS_BACKING_OFF;
}

static bool is_refusal(enum mpsync_status status)
{
	return status == MPSYNC_E_FORBIDDEN || status == MPSYNC_E_UNAUTHENTICATED ||
	       status == MPSYNC_E_INVALID || status == MPSYNC_E_CORRUPT;
}

/* What refused once may grant later, as long as it is waited for. */
static void back_off_from_store(struct terms *terms, const struct terms_input *input)
{
	const uint32_t least_ms = terms->options.ttl_ms / RETRY_PART;

	if (terms->retry_ms == 0)
		terms->retry_ms = least_ms > 0 ? least_ms : 1;
	back_off(terms, &terms->retry_ms, terms->options.ttl_ms / RETRY_MOST_PART, input);
	if (is_refusal(input->status))
		terms->again_ms = later(input->now_ms, terms->options.ttl_ms / REFUSED_PART);
	if (input->now_ms >= terms->trouble_ms) {
		terms->trouble_ms = later(input->now_ms, TROUBLE_EVERY_MS);
		terms->tell_trouble = true;
		terms->status = input->status;
	}
	terms->again_ms = sooner(terms->again_ms, terms->give_up_ms);
}

/* The function has returned, and nothing is held: what comes next? */
static void go_on(struct terms *terms, const struct terms_input *input)
{
	if (terms->options.once && terms->lost)
		end(terms, MPSYNC_E_LOST);
	else if (terms->reason == MPSYNC_REASON_CLOSED)
		end(terms, MPSYNC_E_CLOSED);
	else if (terms->stopped || terms->options.once)
		end(terms, MPSYNC_OK);
	else if (terms->failed)
		back_off_after_failure(terms, input);
	else
		stand(terms);
	if (terms->state != TERMS_OVER && terms->reason == MPSYNC_REASON_ASKED && !terms->lost)
		let_others_come_first(terms, input->now_ms);
}

static void lead(struct terms *terms, uint64_t now_ms)
{
	terms->state = TERMS_LEADING;
	terms->tell_term = true;
	terms->heard = true;
	terms->failed = false;
	terms->lost = false;
	terms->reason = MPSYNC_REASON_NONE;
	terms->give_up_ms = 0;
	terms->retry_ms = 0;
	terms->trouble_ms = 0;
	terms->since_ms = now_ms;
	terms->limit_ms = TERMS_NEVER;
}

/* ENDING is told once for each TERM, whatever else happens until the function returns. */
static void begin_ending(struct terms *terms, enum mpsync_reason reason, uint64_t now_ms)
{
	/* A function that was well for so long has not failed again and again. */
	if (now_ms - terms->since_ms >= (uint64_t)terms->options.ttl_ms * BACKOFF_MOST)
		terms->backoff_ms = 0;
	terms->state = TERMS_ENDING;
	terms->reason = reason;
	terms->tell_ending = true;
	terms->since_ms = now_ms;
	terms->late_ms = later(now_ms, terms->options.ttl_ms);
	if (terms->held)
		terms->limit_ms = later(now_ms, terms->options.drain_ms);
}

/* ---- Events ---- */

static void on_stop(struct terms *terms, uint64_t now_ms)
{
	terms->stopped = true;
	if (terms->state == TERMS_BACKING_OFF)
		end(terms, terms->options.once ? MPSYNC_E_CANCELLED : MPSYNC_OK);
	else if (terms->state == TERMS_STANDING)
		terms->state = TERMS_LEAVING;
	else if (terms->state == TERMS_LEADING)
		begin_ending(terms, MPSYNC_REASON_STOPPED, now_ms);
}

static void on_close(struct terms *terms, uint64_t now_ms)
{
	if (terms->state == TERMS_LEADING)
		begin_ending(terms, MPSYNC_REASON_CLOSED, now_ms);
	on_stop(terms, now_ms);
	terms->reason = MPSYNC_REASON_CLOSED;
	terms->limit_ms = now_ms;
	if (terms->state == TERMS_ENDING)
		terms->state = TERMS_RELEASING;
	else if (terms->state == TERMS_OVER)
		terms->end_status = MPSYNC_E_CLOSED;
}

static void on_done(struct terms *terms, const struct terms_input *input)
{
	if (!terms_at_work(terms))
		return;
	if (terms->state == TERMS_LEADING)
		begin_ending(terms, MPSYNC_REASON_RETURNED, input->now_ms);
	terms->failed = input->failed;
	if (!terms->failed)
		terms->backoff_ms = 0;
	terms->state = TERMS_RELEASING;
}

static void on_held(struct terms *terms, uint64_t now_ms)
{
	terms->asked = false;
	terms->leaving = false;
	terms->held = true;
	if (terms->state == TERMS_STANDING)
		lead(terms, now_ms);
	else
		terms->state = TERMS_RELEASING; /* stopped a moment before: nobody is told */
}

/*
 * The grant has ended. `reason` is told to the work if it was still leading, that is, if this run
 * did not release the grant itself.
 */
static void on_given_away(struct terms *terms, enum mpsync_reason reason, uint64_t now_ms)
{
	terms->held = false;
	terms->leaving = false;
	terms->right_until_ms = 0;
	terms->free_ms = now_ms;
	if (terms->state == TERMS_LEADING)
		begin_ending(terms, reason, now_ms);
	else if (terms->state == TERMS_ENDING)
		terms->late_ms = now_ms; /* another may lead beside what is still at work */
}

/*
 * May a later attempt succeed? A refusal is retried only by a run that has led before and waits
 * without a limit; an outage, until the wait is over.
 */
static bool may_be_granted_yet(const struct terms *terms, const struct terms_input *input)
{
	if (is_refusal(input->status))
		return terms->heard && terms->give_up_ms == TERMS_NEVER;
	return input->now_ms < terms->give_up_ms &&
	       (input->status == MPSYNC_E_UNREACHABLE || input->status == MPSYNC_E_NO_MEMORY);
}

/* The claim has ended without the name. */
static void on_refused(struct terms *terms, const struct terms_input *input)
{
	const bool standing = terms->state == TERMS_STANDING;

	terms->asked = false;
	terms->leaving = false;
	if (terms->reason == MPSYNC_REASON_CLOSED) {
		end(terms, MPSYNC_E_CLOSED);
	} else if (terms->stopped) {
		end(terms, terms->options.once ? MPSYNC_E_CANCELLED : MPSYNC_OK);
	} else if (standing && input->event == TERMS_FAILED && may_be_granted_yet(terms, input)) {
		back_off_from_store(terms, input);
	} else {
		terms->busy = input->event == TERMS_BUSY;
		end(terms, input->status);
	}
}

static void take_event(struct terms *terms, const struct terms_input *input)
{
	switch (input->event) {
	case TERMS_TICK:
		return;
	case TERMS_STOP:
		on_stop(terms, input->now_ms);
		return;
	case TERMS_HAND_OVER:
		if (terms->state == TERMS_LEADING)
			begin_ending(terms, MPSYNC_REASON_ASKED, input->now_ms);
		return;
	case TERMS_CLOSE:
		on_close(terms, input->now_ms);
		return;
	case TERMS_DONE:
		on_done(terms, input);
		return;
	case TERMS_HELD:
		on_held(terms, input->now_ms);
		return;
	case TERMS_LOST:
		terms->lost = true;
		on_given_away(terms, input->reason, input->now_ms);
		return;
	case TERMS_RELEASED:
		on_given_away(terms, MPSYNC_REASON_CLOSED, input->now_ms);
		return;
	case TERMS_BUSY:
	case TERMS_CANCELLED:
	case TERMS_FAILED:
		on_refused(terms, input);
		return;
	}
	assert(false && "unknown event of a run");
}

/* When a leader is told to stop, whose right nobody renews; never, if that is not known. */
static uint64_t notice_at_ms(const struct terms *terms)
{
	if (terms->right_until_ms == 0)
		return TERMS_NEVER;
	return terms->right_until_ms > terms->options.notice_ms
	           ? terms->right_until_ms - terms->options.notice_ms
	           : 0;
}

static void pass_time(struct terms *terms, const struct terms_input *input)
{
	if (terms->state == TERMS_BACKING_OFF && input->now_ms >= terms->again_ms)
		stand(terms);
	if (terms->state == TERMS_LEADING && input->now_ms >= notice_at_ms(terms))
		begin_ending(terms, MPSYNC_REASON_EXPIRED, input->now_ms);
	if (terms->state == TERMS_RELEASING && !terms->held && !terms->leaving)
		go_on(terms, input);
}

/* ---- What follows ---- */

static void ask(struct terms *terms, uint64_t now_ms)
{
	const uint64_t wait_ms = terms->options.wait_ms;

	if (terms->give_up_ms == 0)
		terms->give_up_ms = later(now_ms, wait_ms);
	terms->asked = true;
	terms->host->ask(terms->context, wait_ms == TERMS_NEVER       ? TERMS_NEVER
	                                 : terms->give_up_ms > now_ms ? terms->give_up_ms - now_ms
	                                                              : 0);
}

static void give_away(struct terms *terms)
{
	terms->held = false;
	terms->leaving = true;
	terms->right_until_ms = 0;
	terms->host->release(terms->context);
}

static void tell(struct terms *terms, bool *to_be_told, enum terms_word word)
{
	*to_be_told = false;
	terms->host->tell(terms->context, word);
}

static bool is_to_be_released(const struct terms *terms, uint64_t now_ms)
{
	return terms->held && (terms->state == TERMS_RELEASING ||
	                          (terms->state == TERMS_ENDING && now_ms >= terms->limit_ms));
}

/* One thing at most; false: nothing is to be done now. */
static bool act(struct terms *terms, uint64_t now_ms)
{
	if (terms->tell_term) {
		tell(terms, &terms->tell_term, TERMS_TELL_TERM);
	} else if (terms->tell_trouble) {
		tell(terms, &terms->tell_trouble, TERMS_TELL_TROUBLE);
	} else if (terms->tell_ending) {
		tell(terms, &terms->tell_ending, TERMS_TELL_ENDING);
	} else if (terms->state == TERMS_ENDING && now_ms >= terms->late_ms) {
		terms->late_ms = later(now_ms, terms->options.ttl_ms);
		terms->host->tell(terms->context, TERMS_TELL_LATE);
	} else if (is_to_be_released(terms, now_ms)) {
		give_away(terms);
	} else if (terms->state == TERMS_STANDING && !terms->asked) {
		ask(terms, now_ms);
	} else if (terms->state == TERMS_LEAVING && !terms->leaving) {
		terms->leaving = true;
		terms->host->cancel(terms->context);
	} else {
		return false;
	}
	return true;
}

static uint64_t wake_ms(const struct terms *terms)
{
	switch (terms->state) {
	case TERMS_LEADING:
		return notice_at_ms(terms);
	case TERMS_ENDING:
		return sooner(terms->late_ms, terms->held ? terms->limit_ms : TERMS_NEVER);
	case TERMS_BACKING_OFF:
		return terms->again_ms;
	case TERMS_STANDING:
	case TERMS_RELEASING:
	case TERMS_LEAVING:
	case TERMS_OVER:
		break;
	}
	return TERMS_NEVER;
}

void terms_feed(struct terms *terms, const struct terms_input *input)
{
	if (terms->state == TERMS_OVER)
		return;
	terms->depth++;
	take_event(terms, input);
	do
		pass_time(terms, input);
	while (act(terms, input->now_ms));
	terms->host->wake_at(terms->context, wake_ms(terms));
	if (--terms->depth == 0 && terms->state == TERMS_OVER)
		terms->host->end(terms->context);
}
