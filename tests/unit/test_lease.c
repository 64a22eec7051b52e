#include "unit.h"

#include "stores/kubernetes/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UID "a2b10c66-c4b5-4b53-a4ff-6f5c9a2ea0b1"
#define HEX "00112233445566778899aabbccddeeff"

static struct record read_text(const char *text, const char *name, bool good)
{
	cJSON *object = cJSON_Parse(text);
	char problem[LEASE_PROBLEM_SIZE] = "";
	struct record record;

	assert_non_null(object);
	assert_int_equal(lease_read(object, name, &record, problem), good);
	assert_int_equal(*problem == '\0', good);
	cJSON_Delete(object);
	return record;
}

static struct record granted(void)
{
	struct record record = {.holder = "worker",
	    .value = "10.0.0.7",
	    .ttl_ms = 15000,
	    .since_ms = 1700000000123,
	    .renewed_us = 1700000001000000,
	    .transitions = 3,
	    .instance = {{7}}};

	assert_true(id_from_hex(&record.claim, HEX));
	return record;
}

/* Goal: what is written is read back, from the object that a server makes of it. */
static void test_round_trip(void **state)
{
	const struct record written = granted();
	cJSON *object = lease_create(&written, "Not A Name");
	cJSON *metadata = cJSON_GetObjectItem(object, "metadata");
	char problem[LEASE_PROBLEM_SIZE];
	struct record record;

	(void)state;
	cJSON_AddStringToObject(metadata, "uid", UID);
	cJSON_AddStringToObject(metadata, "resourceVersion", "42");
	assert_string_equal(lease_lock_name(object), "Not A Name");
	assert_true(lease_read(object, "Not A Name", &record, problem));
	assert_string_equal(record.holder, "worker");
	assert_string_equal(record.value, "10.0.0.7");
	assert_int_equal(record.version, 42);
	assert_int_equal(record.ttl_ms, 15000);
	assert_int_equal(record.since_ms, written.since_ms);
	assert_int_equal(record.renewed_us, written.renewed_us);
	assert_int_equal(record.transitions, 3);
	assert_true(id_equal(&record.claim, &written.claim));
	assert_true(id_equal(&record.instance, &written.instance));
	assert_false(record.election);
	record_clear(&record);
	cJSON_Delete(object);
}

/* Goal: annotations of a former holder, which client-go leaves in place, say nothing of the present
 * one. */
static void test_annotations_count_for_their_claim_only(void **state)
{
	struct record record =
	    read_text("{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID
	              "\",\"resourceVersion\":\"7\",\"annotations\":{"
	              "\"metaparticle.io/claim\":\"" HEX "\",\"metaparticle.io/value\":\"old\","
	              "\"metaparticle.io/token\":\"" HEX ":5\"}},"
	              "\"spec\":{\"holderIdentity\":\"operator_1\",\"leaseDurationSeconds\":15}}",
	        "x", true);

	(void)state;
	assert_string_equal(record.holder, "operator_1");
	assert_null(record.value);
	assert_int_equal(record.token, 0);
	assert_true(id_is_none(&record.claim));
	record_clear(&record);
}

static void test_microseconds_of_others_are_seen(void **state)
{
	static const char text[] =
	    "{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID "\",\"resourceVersion\":\"7\"},\"spec\":{"
	    "\"holderIdentity\":\"a\",\"renewTime\":\"2026-01-02T03:04:05.%06dZ\"}}";
	struct record records[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		char one[sizeof text + 16];

		snprintf(one, sizeof one, text, 999998 + i);
		records[i] = read_text(one, "x", true);
	}
	assert_int_equal(records[1].renewed_us - records[0].renewed_us, 1);
	assert_false(record_same_holding(&records[0], &records[1]));
	assert_int_equal(records[0].ttl_ms, 0);
	record_clear(&records[0]);
	record_clear(&records[1]);
}

static void test_what_no_contender_may_touch(void **state)
{
	static const char *const bad[] = {
	    "{}",
	    "{\"metadata\":{\"name\":\"x\",\"uid\":\"nothing\",\"resourceVersion\":\"7\"}}",
	    "{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID "\",\"resourceVersion\":\"0x7\"}}",
	    "{\"metadata\":{\"name\":\"y\",\"uid\":\"" UID "\",\"resourceVersion\":\"7\"}}",
	    "{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID "\",\"resourceVersion\":\"7\"},"
	    "\"spec\":{\"strategy\":\"OldestEmulationVersion\"}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		read_text(bad[i], "x", false);
}

/* Goal: a Lease whose holder is chosen otherwise is shown, and no contender touches it. */
static void test_coordinated_election_is_shown(void **state)
{
	cJSON *object = cJSON_Parse("{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID
	                            "\",\"resourceVersion\":\"7\"},\"spec\":{\"holderIdentity\":\"a\","
	                            "\"strategy\":\"OldestEmulationVersion\"}}");
	char problem[LEASE_PROBLEM_SIZE];
	struct record record;

	(void)state;
	assert_false(lease_read(object, "x", &record, problem));
	assert_true(lease_look(object, "x", &record, problem));
	assert_string_equal(record.holder, "a");
	record_clear(&record);
	cJSON_Delete(object);
}

/* Goal: a number beyond its bounds is the bound, and what is written over it is what an API server
 * takes. */
static void test_numbers_beyond_their_bounds(void **state)
{
	struct record record = read_text("{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID
	                                 "\",\"resourceVersion\":\"7\"},\"spec\":{"
	                                 "\"holderIdentity\":\"a\",\"leaseDurationSeconds\":1e99,"
	                                 "\"leaseTransitions\":2.1e60}}",
	    "x", true);
	const struct record_view view = {.ttl_ms = 15000};
	struct record next = record_grant(&record, &view, "b", NULL, 15000, false, 1, 1);
	cJSON *patch = lease_patch(&next, LEASE_GRANT, &record.uid, 7);
	const cJSON *spec = cJSON_GetObjectItem(patch, "spec");
	const cJSON *transitions = cJSON_GetObjectItem(spec, "leaseTransitions");

	(void)state;
	assert_int_equal(record.transitions, RECORD_MOST_TRANSITIONS);
	assert_true(record.ttl_ms == RECORD_LONGEST_MS / 1000 * 1000);
	assert_true(transitions->valuedouble == 0);
	cJSON_Delete(patch);
	record_clear(&record);
}

static void test_names(void **state)
{
	static const char *const own[] = {"x", "a.b-c.d", "0"};
	static const char *const hashed[] = {
	    "X", "-a", "a-", "a..b", "a.-b", "a_b", "mpsync-x", "\xc3\xbc"};
	char object[LEASE_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		assert_true(lease_object_name(own[i], object));
		assert_string_equal(object, own[i]);
	}
	for (size_t i = 0; i < sizeof hashed / sizeof *hashed; i++) {
		assert_true(lease_object_name(hashed[i], object));
		assert_int_equal(strlen(object), strlen("mpsync-") + 32);
	}
}

/* A copy under another name that looks like one of ours is not the lock that it shows. */
static void test_a_hashed_name_is_of_the_lock_beside_it(void **state)
{
	static const char form[] =
	    "{\"metadata\":{\"name\":\"%s\",\"annotations\":{\"metaparticle.io/name\":\"a b\"}}}";
	char object[LEASE_NAME_SIZE];
	char text[400];

	(void)state;
	assert_true(lease_object_name("a b", object));
	for (int copy = 0; copy < 2; copy++) {
		cJSON *lease;

		object[8] = copy ? (char)(object[8] ^ 1) : object[8];
		snprintf(text, sizeof text, form, object);
		lease = cJSON_Parse(text);
		if (copy)
			assert_null(lease_lock_name(lease));
		else
			assert_string_equal(lease_lock_name(lease), "a b");
		cJSON_Delete(lease);
	}
}

/* Goal: every change names the object and the version that it is meant for (rule 15). */
static void test_changes_carry_uid_and_version(void **state)
{
	const struct record record = granted();
	struct id uid;

	(void)state;
	assert_true(id_from_hex(&uid, "a2b10c66c4b54b53a4ff6f5c9a2ea0b1"));
	for (int write = LEASE_GRANT; write <= LEASE_PLACES; write++) {
		cJSON *patch = lease_patch(&record, (enum lease_write)write, &uid, 7);
		const cJSON *metadata = cJSON_GetObjectItem(patch, "metadata");

		assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(metadata, "uid")), UID);
		assert_string_equal(
		    cJSON_GetStringValue(cJSON_GetObjectItem(metadata, "resourceVersion")), "7");
		cJSON_Delete(patch);
	}
}

/* Goal: a place is written with the token where there is one, and never takes one away. */
static void test_places_leave_the_token(void **state)
{
	struct record record = {.holder = (char *)"me", .claim = {{1}}, .next = (char *)"1"};
	struct id uid;
	char *text;

	(void)state;
	assert_true(id_from_hex(&uid, "a2b10c66c4b54b53a4ff6f5c9a2ea0b1"));
	for (record.token = 0; record.token < 20; record.token += 10) {
		cJSON *patch = lease_patch(&record, LEASE_PLACES, &uid, 17);

		text = cJSON_PrintUnformatted(patch);
		assert_int_equal(strstr(text, "metaparticle.io/token") != NULL, record.token != 0);
		cJSON_free(text);
		cJSON_Delete(patch);
	}
}

/* Goal: what a hand took away stays taken until the former holder has stopped to believe in it. */
static void test_a_release_says_whether_it_was_revoked(void **state)
{
	struct record record = granted();
	const struct id uid = {{1}};

	(void)state;
	for (int revoked = 0; revoked < 2; revoked++) {
		cJSON *patch;
		const cJSON *annotations;
		const char *text;

		record.revoked = revoked;
		patch = lease_patch(&record, LEASE_RELEASE, &uid, 7);
		annotations = cJSON_GetObjectItem(cJSON_GetObjectItem(patch, "metadata"), "annotations");
		text = cJSON_GetStringValue(cJSON_GetObjectItem(annotations, "metaparticle.io/revoked"));
		assert_int_equal(text != NULL, revoked);
		assert_true(cJSON_IsNull(
		    cJSON_GetObjectItem(cJSON_GetObjectItem(patch, "spec"), "holderIdentity")));
		assert_false(
		    cJSON_HasObjectItem(cJSON_GetObjectItem(patch, "spec"), "leaseDurationSeconds"));
		cJSON_Delete(patch);
	}
}

/* Goal: a version that is no decimal number of 64 bits never becomes a token. */
static void test_versions_are_strict_decimals(void **state)
{
	static const char *const bad[] = {"", "0", "42a", "0x2a", " 42", "-1", "18446744073709551616"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[200];

		snprintf(text, sizeof text,
		    "{\"metadata\":{\"name\":\"x\",\"uid\":\"" UID "\",\"resourceVersion\":\"%s\"}}",
		    bad[i]);
		read_text(text, "x", false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_annotations_count_for_their_claim_only),
	    cmocka_unit_test(test_microseconds_of_others_are_seen),
	    cmocka_unit_test(test_what_no_contender_may_touch),
	    cmocka_unit_test(test_coordinated_election_is_shown),
	    cmocka_unit_test(test_numbers_beyond_their_bounds),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_a_hashed_name_is_of_the_lock_beside_it),
	    cmocka_unit_test(test_changes_carry_uid_and_version),
	    cmocka_unit_test(test_places_leave_the_token),
	    cmocka_unit_test(test_a_release_says_whether_it_was_revoked),
	    cmocka_unit_test(test_versions_are_strict_decimals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
