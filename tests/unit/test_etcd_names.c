/* How names and facts stand in etcd. */
#include "unit.h"

#include "stores/etcd/names.h"

#include <stdlib.h>
#include <string.h>

static void expect(char *text, const char *wanted)
{
	assert_string_equal(text, wanted);
	free(text);
}

/* Goal: plain names make the very keys of etcd's own recipe. */
static void test_plain_names_interoperate(void **state)
{
	(void)state;
	expect(etcd_queue_path("", "orders"), "orders/");
	expect(etcd_queue_key("", "orders", 0x694d8), "orders/694d8");
	expect(etcd_queue_key("apps/", "orders", 1), "apps/orders/1");
}

/* Goal: the queue of "a" is not that of "a/b", and no lock meets the keys of the sessions (rule
 * 36). */
static void test_names_do_not_meet(void **state)
{
	(void)state;
	expect(etcd_queue_path("", "a/b"), "a%2Fb/");
	expect(etcd_queue_path("", "a%2Fb"), "a%252Fb/");
	expect(etcd_queue_path("", "mpsync-session"), "%6Dpsync-session/");
}

/* Goal: what was escaped comes back, whatever bytes it has. */
static void test_names_come_back(void **state)
{
	static const char *const names[] = {
	    "a", "a/b", "%", "%41", "mpsync-x", "mpsync-", "𝄞/..", "a//", "%2", "/"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *key = etcd_facts_key("p/", 0x1f, names[i]);
		char *name = etcd_facts_name("p/", key);

		assert_string_equal(name, names[i]);
		free(name);
		free(key);
	}
}

/* Goal: an adopted place has facts of its own beside those of the lease's own place. */
static void test_facts_of_places(void **state)
{
	(void)state;
	expect(etcd_place_facts_key("p/", "a/b", "p/a%2Fb/1f", 0x1f, 7), "p/mpsync-session/1f/a%2Fb");
	expect(etcd_place_facts_key("p/", "a/b", "p/a%2Fb/2e", 0x1f, 0x1c),
	    "p/mpsync-session/1f/a%2Fb/1c");
	expect(etcd_facts_name("p/", "p/mpsync-session/1f/a%2Fb/1c"), "a/b");
}

/* Goal: a place in a queue is told from whatever else may stand in an etcd. */
static void test_names_of_queues(void **state)
{
	(void)state;
	expect(etcd_queue_name("", "orders/694d8", 0x694d8), "orders");
	expect(etcd_queue_name("p/", "p/a%2Fb/1f", 0x1f), "a/b");
	assert_null(etcd_queue_name("", "orders/694d8", 0x694d7));
	assert_null(etcd_queue_name("", "orders/0", 0));
	assert_null(etcd_queue_name("", "a/b/1f", 0x1f));
	assert_null(etcd_queue_name("p/", "q/a/1f", 0x1f));
	assert_null(etcd_queue_name("p/", "p/1f", 0x1f));
	assert_null(etcd_queue_name("", "1f", 0x1f));
}

static void test_other_keys_have_no_name(void **state)
{
	(void)state;
	assert_null(etcd_facts_name("p/", "p/mpsync-session/1f/"));
	assert_null(etcd_facts_name("p/", "p/mpsync-session/1f"));
	assert_null(etcd_facts_name("p/", "mpsync-session/1f/x"));
	assert_null(etcd_facts_name("", "x/1f"));
}

static void test_facts_come_back(void **state)
{
	const struct id claim = {{1, 2, 3}};
	char *text = etcd_facts_write(&(struct etcd_facts){.holder = "w",
	    .value = "10.0.0.7:80",
	    .key = "x/1",
	    .claim = claim,
	    .token = UINT64_MAX,
	    .ttl_ms = 15000,
	    .since_ms = 1700000000000,
	    .election = true,
	    .revoked = true});
	struct etcd_facts facts;

	(void)state;
	assert_true(etcd_facts_read(&facts, text));
	assert_string_equal(facts.holder, "w");
	assert_string_equal(facts.value, "10.0.0.7:80");
	assert_string_equal(facts.key, "x/1");
	assert_true(id_equal(&facts.claim, &claim));
	assert_true(facts.token == UINT64_MAX && facts.ttl_ms == 15000 && facts.election);
	assert_true(facts.revoked && facts.since_ms == 1700000000000);
	etcd_facts_clear(&facts);
	free(text);
}

/* Goal: what others wrote there is no facts, and harms nobody. */
static void test_nonsense_is_no_facts(void **state)
{
	static const char *const texts[] = {"", "nonsense", "{}", "[]", "{\"holder\":5}",
	    "{\"holder\":\"w\",\"claim\":\"short\"}", "{\"holder\":\"\",\"claim\":\"\"}"};
	struct etcd_facts facts;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(etcd_facts_read(&facts, texts[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain_names_interoperate),
	    cmocka_unit_test(test_names_do_not_meet),
	    cmocka_unit_test(test_names_come_back),
	    cmocka_unit_test(test_other_keys_have_no_name),
	    cmocka_unit_test(test_facts_of_places),
	    cmocka_unit_test(test_names_of_queues),
	    cmocka_unit_test(test_facts_come_back),
	    cmocka_unit_test(test_nonsense_is_no_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
