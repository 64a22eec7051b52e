#include "unit.h"

#include "protocol/record.h"

#include <string.h>

#define TTL 15000

static const struct record_view view = {.claim = {{1}}, .instance = {{2}}};

static struct record held_by_another(void)
{
	return (struct record){
	    .version = 5, .claim = {{9}}, .holder = "other", .ttl_ms = TTL, .renewed_us = 100};
}

/* Goal: a record is free only after its ttl was seen to pass without a change. */
static void test_expiry_is_observed(void **state)
{
	struct observation seen = {0};
	const struct record record = held_by_another();

	(void)state;
	record_observe(&seen, NULL, &record, &view, 1000);
	assert_int_equal(record_busy_ms(&seen, &record, &view, 1000), TTL + 1);
	record_observe(&seen, &record, &record, &view, 1000 + TTL);
	assert_int_equal(record_busy_ms(&seen, &record, &view, 1000 + TTL), 1);
	record_observe(&seen, &record, &record, &view, 1001 + TTL);
	assert_int_equal(record_busy_ms(&seen, &record, &view, 1001 + TTL), 0);
}

static void test_renewal_starts_it_anew(void **state)
{
	struct observation seen = {0};
	const struct record before = held_by_another();
	struct record renewed = before;

	(void)state;
	renewed.renewed_us++;
	record_observe(&seen, NULL, &before, &view, 1000);
	record_observe(&seen, &before, &renewed, &view, 14000);
	assert_int_equal(record_busy_ms(&seen, &renewed, &view, 14000), TTL + 1);
}

/* Goal: a label, which only changes the version, does not keep a dead holder for ever (rule 24). */
static void test_version_alone_is_no_renewal(void **state)
{
	struct observation seen = {0};
	const struct record before = held_by_another();
	struct record labelled = before;

	(void)state;
	labelled.version++;
	record_observe(&seen, NULL, &before, &view, 1000);
	record_observe(&seen, &before, &labelled, &view, 2000);
	assert_int_equal(record_busy_ms(&seen, &labelled, &view, 2000), TTL - 1000 + 1);
}

/* Goal: a held record that vanishes counts as held for its ttl (rule 17). */
static void test_vanished_record_is_not_free(void **state)
{
	struct observation seen = {0};
	const struct record before = held_by_another();

	(void)state;
	record_observe(&seen, NULL, &before, &view, 1000);
	record_observe(&seen, &before, NULL, &view, 2000);
	assert_int_equal(record_busy_ms(&seen, NULL, &view, 2000), TTL + 1);
}

static void test_newcomer_takes_what_is_absent(void **state)
{
	struct observation seen = {0};

	(void)state;
	record_observe(&seen, NULL, NULL, &view, 1000);
	assert_int_equal(record_busy_ms(&seen, NULL, &view, 1000), 0);
}

/* Goal: after a revocation the others wait for the ttl of the grant that was taken away. */
static void test_revoked_record_waits(void **state)
{
	struct observation seen = {0};
	const struct record before = held_by_another();
	struct record revoked = record_release(&before, true);

	(void)state;
	record_observe(&seen, &before, &revoked, &view, 1000);
	assert_int_equal(record_busy_ms(&seen, &revoked, &view, 1000), TTL + 1);
}

/* Goal: another boot is never instantly free: it may be another host (rule 31). */
static void test_only_the_same_boot_compares_deadlines(void **state)
{
	struct observation seen = {0};
	struct record record = held_by_another();
	struct record_view here = view;

	(void)state;
	record.deadline_ms = 500;
	record.host.boot = (struct id){{3}};
	here.host.boot = (struct id){{4}};
	record_observe(&seen, NULL, &record, &here, 1000);
	assert_int_equal(record_busy_ms(&seen, &record, &here, 1000), TTL + 1);
	here.host.boot = record.host.boot;
	assert_int_equal(record_busy_ms(&seen, &record, &here, 1000), 0);
	assert_int_equal(record_busy_ms(&seen, &record, &here, 400), 101);
}

/* Goal: a sleep far longer than planned may be a clock that jumped: little of it counts (rule 30).
 */
static void test_late_wake_is_not_credited(void **state)
{
	struct observation seen = {0};
	const struct record record = held_by_another();

	(void)state;
	record_observe(&seen, NULL, &record, &view, 1000);
	seen.planned_ms = 100;
	record_observe(&seen, &record, &record, &view, 1000000);
	assert_int_equal(seen.unchanged_ms, 150);
}

/* Goal: each renewal differs, though the wall clock stands still or goes back (rule 18). */
static void test_renewal_always_changes(void **state)
{
	const struct record before = held_by_another();
	const struct record next = record_renewal(&before, &view, NULL, 7, 0, 0);

	(void)state;
	assert_true(next.renewed_us > before.renewed_us);
	assert_false(record_same_holding(&before, &next));
}

static void test_grant_over_own_lost_one_differs(void **state)
{
	const struct record lost = record_grant(NULL, &view, "me", NULL, TTL, false, 0, 1700000000000);
	const struct record again =
	    record_grant(&lost, &view, "me", NULL, TTL, false, 0, 1700000000000);

	(void)state;
	assert_false(record_same_holding(&lost, &again));
}

/* Goal: a token of another grant of the same claim or holder is not adopted (rule 10). */
static void test_adoption_needs_claim_and_token(void **state)
{
	struct record record = held_by_another();
	const struct id stranger = {{8}};

	(void)state;
	assert_true(record_is_grant(&record, &record.claim, 5));
	assert_false(record_is_grant(&record, &record.claim, 6));
	assert_false(record_is_grant(&record, &stranger, 5));
	record.token = 4;
	assert_true(record_is_grant(&record, &record.claim, 4));
	assert_false(record_is_grant(&record, &record.claim, 5));
}

/* Goal: places keep their order, and leave from the front or from anywhere (rule 49). */
static void test_places(void **state)
{
	const struct id a = {{0xa}}, b = {{0xb}}, c = {{0xc}};
	char next[RECORD_NEXT_SIZE] = "";
	char out[RECORD_NEXT_SIZE];

	(void)state;
	assert_int_equal(record_next_ahead(NULL, &a), 0);
	assert_true(record_next_add(NULL, &a, next));
	assert_true(record_next_add(next, &b, out));
	assert_true(record_next_add(out, &c, next));
	assert_int_equal(record_next_count(next), 3);
	assert_int_equal(record_next_ahead(next, &b), 1);
	assert_int_equal(record_next_ahead(next, &view.claim), RECORD_MOST_NEXT);
	record_next_without(next, &b, out);
	assert_int_equal(record_next_ahead(out, &c), 1);
	assert_false(record_next_lists(out, &b));
	record_next_behind(next, &b, out);
	assert_int_equal(record_next_count(out), 1);
	assert_true(record_next_lists(out, &c));
	record_next_behind(next, &view.claim, out);
	assert_string_equal(out, "");
}

/* Goal: a record is busy for as long as it says, also where that is more than 32 bits hold. */
static void test_durations_have_no_edge(void **state)
{
	static const uint64_t durations[] = {
	    UINT32_MAX - 1, UINT32_MAX, UINT32_MAX + 1ull, INT32_MAX * 1000ull, RECORD_LONGEST_MS};

	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		struct observation seen = {0};
		struct record record = held_by_another();
		const uint64_t end = 1000 + durations[i];

		record.ttl_ms = durations[i];
		record_observe(&seen, NULL, &record, &view, 1000);
		assert_true(record_busy_ms(&seen, &record, &view, 1000) == durations[i] + 1);
		record_observe(&seen, &record, &record, &view, end);
		assert_int_equal(record_busy_ms(&seen, &record, &view, end), 1);
		record_observe(&seen, &record, &record, &view, end + 1);
		assert_int_equal(record_busy_ms(&seen, &record, &view, end + 1), 0);
	}
}

/* Goal: a record without a duration is busy for the ttl of the contender that looks at it. */
static void test_no_duration_is_the_contenders(void **state)
{
	const struct record_view mine = {.claim = {{1}}, .instance = {{2}}, .ttl_ms = TTL};
	struct observation seen = {0};
	struct record record = held_by_another();

	(void)state;
	record.ttl_ms = 0;
	record_observe(&seen, NULL, &record, &mine, 1000);
	assert_int_equal(record_busy_ms(&seen, &record, &mine, 1000), TTL + 1);
	record_observe(&seen, &record, &record, &mine, 1001 + TTL);
	assert_int_equal(record_busy_ms(&seen, &record, &mine, 1001 + TTL), 0);
}

/* Goal: times and counts that have no successor start again, and differ from what is there. */
static void test_what_overflows_starts_again(void **state)
{
	const int64_t wall_ms = 1700000000999;
	struct record there = held_by_another();
	struct record next;

	(void)state;
	there.renewed_us = RECORD_LAST_RENEWAL_US;
	there.transitions = RECORD_MOST_TRANSITIONS;
	next = record_grant(&there, &view, "me", NULL, TTL, false, 0, wall_ms);
	assert_true(next.renewed_us == 1700000000000000);
	assert_int_equal(next.transitions, 0);
	there.renewed_us = RECORD_LAST_RENEWAL_US - 1000000;
	assert_true(
	    record_renewal(&there, &view, NULL, 5, 0, wall_ms).renewed_us == RECORD_LAST_RENEWAL_US);
	/* A wall clock that is behind the last year is as good as none. */
	there.renewed_us = RECORD_LAST_RENEWAL_US;
	assert_int_equal(record_renewal(&there, &view, NULL, 5, 0, INT64_MAX).renewed_us, 0);
}

/* Goal: what somebody else wrote there is nobody; a number with a meaning of later is kept. */
static void test_places_that_cannot_be_read(void **state)
{
	static const char *const bad[] = {"x", ":", "00112233445566778899aabbccddeeff",
	    "00112233445566778899aabbccddeeff:", "00112233445566778899aabbccddeeff:0;",
	    "00112233445566778899aabbccddeeff:-1", "00112233445566778899aabbccddeefg:0"};
	char next[RECORD_NEXT_SIZE] = "";
	char out[RECORD_NEXT_SIZE];
	const struct id a = {{0xa}};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(record_next_count(bad[i]), 0);
	for (uint8_t i = 1; i <= RECORD_MOST_NEXT; i++) {
		assert_true(record_next_add(next, &(struct id){{i}}, out));
		memcpy(next, out, sizeof next);
	}
	assert_false(record_next_add(next, &a, out));
	record_next_without("00112233445566778899aabbccddeeff:12", &a, out);
	assert_string_equal(out, "00112233445566778899aabbccddeeff:12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expiry_is_observed),
	    cmocka_unit_test(test_renewal_starts_it_anew),
	    cmocka_unit_test(test_version_alone_is_no_renewal),
	    cmocka_unit_test(test_vanished_record_is_not_free),
	    cmocka_unit_test(test_newcomer_takes_what_is_absent),
	    cmocka_unit_test(test_revoked_record_waits),
	    cmocka_unit_test(test_only_the_same_boot_compares_deadlines),
	    cmocka_unit_test(test_late_wake_is_not_credited),
	    cmocka_unit_test(test_renewal_always_changes),
	    cmocka_unit_test(test_grant_over_own_lost_one_differs),
	    cmocka_unit_test(test_adoption_needs_claim_and_token),
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_durations_have_no_edge),
	    cmocka_unit_test(test_no_duration_is_the_contenders),
	    cmocka_unit_test(test_what_overflows_starts_again),
	    cmocka_unit_test(test_places_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
