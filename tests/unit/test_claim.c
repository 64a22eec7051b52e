#include "unit.h"

#include "protocol/claim.h"

#define TTL 15000

static struct claim_output feed(
    struct claim *claim, enum claim_event event, uint64_t now_ms, const struct claim_answer *answer)
{
	struct claim_input input = {.event = event, .now_ms = now_ms, .wall_ms = (int64_t)now_ms};

	if (answer)
		input.answer = *answer;
	return claim_step(claim, &input);
}

static struct claim_output tick(struct claim *claim, uint64_t now_ms)
{
	return feed(claim, CLAIM_TICK, now_ms, NULL);
}

static const struct claim_answer *right(uint64_t sent_at_ms)
{
	static struct claim_answer answer;

	answer = (struct claim_answer){
	    .token = 7, .sent_at_ms = sent_at_ms, .right_ms = claim_right_ms(TTL)};
	return &answer;
}

static void hold(struct claim *claim, uint64_t wait_ms)
{
	claim_init(claim, TTL, 0, wait_ms);
	assert_int_equal(feed(claim, CLAIM_TURN, 0, NULL).action, CLAIM_ATTEMPT);
	assert_int_equal(feed(claim, CLAIM_GRANTED, 10, right(0)).action, CLAIM_REPORT);
	assert_int_equal(claim->report, CLAIM_REPORT_HELD);
}

/* Goal: the right counts from the sending of the request, not from its answer (rule 29). */
static void test_right_counts_from_sending(void **state)
{
	struct claim claim;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	assert_int_equal(claim.valid_until_ms, 12000);
	assert_int_equal(tick(&claim, 20).wake_at_ms, TTL / 3);
}

/*
 * Goal: an elector whose clock jumps while a hand deletes its client's record lets the next claim
 * come no sooner than when the client has ceased to believe.
 */
static void test_deleted_beside_a_clock_that_jumps(void **state)
{
	struct claim claim;
	struct claim_input gone = {.event = CLAIM_GONE, .now_ms = 3000, .wall_ms = 3000 + TTL};
	uint64_t until_ms;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	claim.on_behalf = true;
	gone.answer.reason = MPSYNC_REASON_DELETED;
	until_ms = claim.valid_until_ms;
	assert_int_equal(claim_step(&claim, &gone).action, CLAIM_REPORT);
	assert_int_equal(claim.report, CLAIM_REPORT_LOST);
	assert_int_equal(claim.reason, MPSYNC_REASON_CLOCK);
	assert_int_equal(tick(&claim, until_ms).action, CLAIM_SLEEP);
	assert_int_equal(tick(&claim, until_ms + TTL / 20 + 2).action, CLAIM_WITHDRAW);
}

/* Goal: a holder that hears nothing gives up at its own end, before anyone else may start. */
static void test_silent_holder_gives_up(void **state)
{
	struct claim claim;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	assert_int_equal(tick(&claim, 5000).action, CLAIM_RENEW);
	assert_int_equal(tick(&claim, 11999).action, CLAIM_SLEEP);
	assert_int_equal(tick(&claim, 12000).action, CLAIM_REPORT);
	assert_int_equal(claim.report, CLAIM_REPORT_LOST);
	assert_int_equal(claim.reason, MPSYNC_REASON_EXPIRED);
}

/* Goal: an answer that comes after the end does not bring the right back (rule 8). */
static void test_late_renewal_revives_nothing(void **state)
{
	struct claim claim;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	assert_int_equal(tick(&claim, 5000).action, CLAIM_RENEW);
	feed(&claim, CLAIM_RENEWED, 12000, right(5000));
	assert_int_equal(claim.report, CLAIM_REPORT_LOST);
	/* An elector's client may have a clock that is 5 % slower. */
	assert_int_equal(tick(&claim, 12000).action, CLAIM_SLEEP);
	assert_int_equal(tick(&claim, 12752).action, CLAIM_WITHDRAW);
}

/* Goal: a grant that ran out on its way here never was one (rule 7). */
static void test_ghost_is_not_a_grant(void **state)
{
	struct claim claim;

	(void)state;
	claim_init(&claim, TTL, 0, CLAIM_NEVER);
	feed(&claim, CLAIM_TURN, 0, NULL);
	assert_int_equal(feed(&claim, CLAIM_GRANTED, 12000, right(0)).action, CLAIM_SLEEP);
	assert_int_equal(claim.state, CLAIM_WAITING);
}

/* Goal: whoever releases hears `released`, never `lost`, whatever the store says (rule 37). */
static void test_release_ends_in_released(void **state)
{
	struct claim claim;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	assert_int_equal(feed(&claim, CLAIM_RELEASE, 100, NULL).action, CLAIM_WITHDRAW);
	feed(&claim, CLAIM_UNKNOWN, 200, NULL);
	assert_int_equal(tick(&claim, 12000).action, CLAIM_REPORT);
	assert_int_equal(claim.report, CLAIM_REPORT_RELEASED);
}

static void test_release_of_an_expired_right(void **state)
{
	struct claim claim;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	feed(&claim, CLAIM_RELEASE, 13000, NULL);
	tick(&claim, 13000);
	assert_int_equal(claim.report, CLAIM_REPORT_RELEASED);
}

/* Goal: exactly one of cancelled and held; a late grant is given back (guarantee 7). */
static void test_cancel_gives_a_late_grant_back(void **state)
{
	struct claim claim;

	(void)state;
	claim_init(&claim, TTL, 0, CLAIM_NEVER);
	feed(&claim, CLAIM_TURN, 0, NULL);
	assert_int_equal(feed(&claim, CLAIM_CANCEL, 5, NULL).action, CLAIM_REPORT);
	assert_int_equal(claim.report, CLAIM_REPORT_CANCELLED);
	assert_int_equal(feed(&claim, CLAIM_GRANTED, 10, right(0)).action, CLAIM_WITHDRAW);
	assert_int_equal(feed(&claim, CLAIM_FREED, 20, NULL).action, CLAIM_END);
}

static void test_try_is_decided_by_one_answer(void **state)
{
	struct claim claim;

	(void)state;
	claim_init(&claim, TTL, 0, 0);
	feed(&claim, CLAIM_TURN, 0, NULL);
	feed(&claim, CLAIM_BUSY, 5, &(struct claim_answer){.retry_in_ms = 100});
	assert_int_equal(claim.report, CLAIM_REPORT_BUSY);
	assert_int_equal(tick(&claim, 5).action, CLAIM_END);
}

/* Goal: a wait that ended while the store was silent is an error, not "busy" (guarantee 8). */
static void test_wait_in_an_outage_fails(void **state)
{
	struct claim claim;

	(void)state;
	claim_init(&claim, TTL, 0, 1000);
	feed(&claim, CLAIM_TURN, 0, NULL);
	feed(&claim, CLAIM_UNKNOWN, 5, &(struct claim_answer){.status = MPSYNC_E_UNREACHABLE});
	tick(&claim, 1000);
	assert_int_equal(claim.report, CLAIM_REPORT_FAILED);
	assert_int_equal(claim.status, MPSYNC_E_UNREACHABLE);
}

static void test_refusal_fails_at_once(void **state)
{
	struct claim claim;

	(void)state;
	claim_init(&claim, TTL, 0, CLAIM_NEVER);
	feed(&claim, CLAIM_TURN, 0, NULL);
	feed(&claim, CLAIM_REFUSED, 5, &(struct claim_answer){.status = MPSYNC_E_FORBIDDEN});
	assert_int_equal(claim.report, CLAIM_REPORT_FAILED);
}

/* Goal: 403 while held is no loss: the right runs on, and is asked for again. */
static void test_refused_renewal_keeps_the_right(void **state)
{
	struct claim claim;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	assert_int_equal(tick(&claim, 5000).action, CLAIM_RENEW);
	assert_int_equal(
	    feed(&claim, CLAIM_REFUSED, 5010, &(struct claim_answer){.status = MPSYNC_E_FORBIDDEN})
	        .action,
	    CLAIM_SLEEP);
	assert_int_equal(claim.state, CLAIM_HELD);
	assert_int_equal(tick(&claim, 5300).action, CLAIM_RENEW);
}

/* Goal: a wall clock that ran ahead may be a machine that stood still (rule 30). */
static void test_wall_clock_ahead_ends_the_right(void **state)
{
	struct claim claim;
	const struct claim_input input = {
	    .event = CLAIM_TICK, .now_ms = 1000, .wall_ms = 1000 + TTL / 5 + 1};

	(void)state;
	hold(&claim, CLAIM_NEVER);
	claim_step(&claim, &input);
	assert_int_equal(claim.report, CLAIM_REPORT_LOST);
	assert_int_equal(claim.reason, MPSYNC_REASON_CLOCK);
}

static void test_retry_after_is_obeyed(void **state)
{
	struct claim claim;

	(void)state;
	claim_init(&claim, TTL, 0, CLAIM_NEVER);
	feed(&claim, CLAIM_TURN, 0, NULL);
	assert_int_equal(
	    feed(&claim, CLAIM_UNKNOWN, 0,
	        &(struct claim_answer){.status = MPSYNC_E_UNREACHABLE, .retry_in_ms = 3000})
	        .wake_at_ms,
	    3000);
}

static const struct claim_answer *silence(uint64_t retry_in_ms)
{
	static struct claim_answer answer;

	answer = (struct claim_answer){.status = MPSYNC_E_UNREACHABLE, .retry_in_ms = retry_in_ms};
	return &answer;
}

/* Goal: a holder obeys Retry-After as far as its right allows: a sixth of the ttl, later a
 * thirtieth.
 */
static void test_a_holder_bounds_retry_after(void **state)
{
	struct claim claim;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	claim.next_try_ms = 2500;
	assert_int_equal(tick(&claim, 2500).action, CLAIM_RENEW);
	feed(&claim, CLAIM_UNKNOWN, 2500, silence(3600000));
	assert_int_equal(claim.next_try_ms, 5000);
	assert_int_equal(tick(&claim, 5000).action, CLAIM_RENEW);
	feed(&claim, CLAIM_UNKNOWN, 5000, silence(3600000));
	assert_int_equal(claim.next_try_ms, 5500);
}

/* Goal: whoever waits comes back after half a minute, whatever a server asks for. */
static void test_a_waiter_bounds_retry_after(void **state)
{
	struct claim claim;

	(void)state;
	claim_init(&claim, TTL, 0, CLAIM_NEVER);
	feed(&claim, CLAIM_TURN, 0, NULL);
	assert_int_equal(feed(&claim, CLAIM_UNKNOWN, 0, silence(3600000)).wake_at_ms, 30000);
}

/* Goal: while a right runs, two requests lie a thirtieth of the ttl apart at most. */
static void test_a_holder_retries_often(void **state)
{
	struct claim claim;
	uint64_t now_ms = 2500;

	(void)state;
	hold(&claim, CLAIM_NEVER);
	for (int i = 0; i < 10; i++) {
		tick(&claim, now_ms);
		feed(&claim, CLAIM_UNKNOWN, now_ms, silence(0));
		assert_in_range(claim.next_try_ms - now_ms, 1, TTL / 30 + 1);
		now_ms = claim.next_try_ms;
	}
}

/* Goal: a try that hears nothing ends after a third of the ttl, also behind a claim that leaves. */
static void test_a_try_without_an_answer_ends(void **state)
{
	struct claim claim;

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		claim_init(&claim, TTL, 0, 0);
		if (turn)
			feed(&claim, CLAIM_TURN, 0, NULL);
		assert_int_equal(tick(&claim, TTL / 3 - 1).wake_at_ms, TTL / 3);
		tick(&claim, TTL / 3);
		assert_int_equal(claim.report, CLAIM_REPORT_FAILED);
		assert_int_equal(claim.status, MPSYNC_E_UNREACHABLE);
	}
}

/* Goal: a wait that ends is "busy" only if the store, or the engine, has said so. */
static void test_a_silent_wait_is_not_busy(void **state)
{
	struct claim claim;
	struct claim_input end = {.event = CLAIM_TICK, .now_ms = 3000, .wall_ms = 3000};

	(void)state;
	claim_init(&claim, TTL, 0, 3000);
	feed(&claim, CLAIM_TURN, 0, NULL);
	tick(&claim, 3000);
	assert_int_equal(claim.report, CLAIM_REPORT_FAILED);
	claim_init(&claim, TTL, 0, 3000);
	end.held_here = true;
	claim_step(&claim, &end);
	assert_int_equal(claim.report, CLAIM_REPORT_BUSY);
}

/* Goal: what the store has judged once may be refused for a while: a wait without an end goes on.
 */
static void test_a_refusal_later_is_waited_out(void **state)
{
	struct claim claim;
	const struct claim_answer forbidden = {.status = MPSYNC_E_FORBIDDEN};

	(void)state;
	claim_init(&claim, TTL, 0, CLAIM_NEVER);
	feed(&claim, CLAIM_TURN, 0, NULL);
	feed(&claim, CLAIM_BUSY, 5, &(struct claim_answer){.retry_in_ms = 100});
	assert_int_equal(tick(&claim, 105).action, CLAIM_ATTEMPT);
	assert_int_equal(feed(&claim, CLAIM_REFUSED, 110, &forbidden).action, CLAIM_SLEEP);
	assert_int_equal(claim.state, CLAIM_WAITING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_right_counts_from_sending),
	    cmocka_unit_test(test_deleted_beside_a_clock_that_jumps),
	    cmocka_unit_test(test_silent_holder_gives_up),
	    cmocka_unit_test(test_late_renewal_revives_nothing),
	    cmocka_unit_test(test_ghost_is_not_a_grant),
	    cmocka_unit_test(test_release_ends_in_released),
	    cmocka_unit_test(test_release_of_an_expired_right),
	    cmocka_unit_test(test_cancel_gives_a_late_grant_back),
	    cmocka_unit_test(test_try_is_decided_by_one_answer),
	    cmocka_unit_test(test_wait_in_an_outage_fails),
	    cmocka_unit_test(test_refusal_fails_at_once),
	    cmocka_unit_test(test_refused_renewal_keeps_the_right),
	    cmocka_unit_test(test_wall_clock_ahead_ends_the_right),
	    cmocka_unit_test(test_retry_after_is_obeyed),
	    cmocka_unit_test(test_a_holder_bounds_retry_after),
	    cmocka_unit_test(test_a_waiter_bounds_retry_after),
	    cmocka_unit_test(test_a_holder_retries_often),
	    cmocka_unit_test(test_a_try_without_an_answer_ends),
	    cmocka_unit_test(test_a_silent_wait_is_not_busy),
	    cmocka_unit_test(test_a_refusal_later_is_waited_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
