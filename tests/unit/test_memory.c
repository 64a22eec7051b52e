/*
 * Goal: no allocation that fails brings anything down: the call says so, and what was made is given
 * back. Method: each scenario is run again and again, with its first, second, third… allocation
 * failing, until it needs no more.
 */
#include "unit.h"

#include "base/options.h"
#include "base/url.h"
#include "base/wire.h"
#include "elector/http/fields.h"
#include "failing.h"
#include "net/sse.h"
#include "stores/etcd/names.h"
#include "stores/etcd/proto.h"

#include <fcntl.h>
#include <mpsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define MOST_ALLOCATIONS 20000
/* A scenario that waits for ever has lost something. */
#define PATIENCE_S 300

static void with_each_failing(void (*scenario)(void))
{
	for (long nth = 1; nth <= MOST_ALLOCATIONS; nth++) {
		failing_from(nth, 1);
		scenario();
		if (!failing_end())
			return;
	}
	fail_msg("it never needed less than %d allocations", MOST_ALLOCATIONS);
}

int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);

/* All clients, one after another, have the same one: the kernel takes 0.1 s to close the last of
 * its descriptors. */
int __wrap_inotify_init1(int flags)
{
	static int kept = -1;

	if (kept == -1)
		kept = __real_inotify_init1(flags);
	return fcntl(kept, F_DUPFD_CLOEXEC, 0);
}

/* Nothing here is about what a disk keeps, so that SQLite need not wait for one. */
__attribute__((visibility("default"))) int fdatasync(int descriptor)
{
	(void)descriptor;
	return 0;
}

/* ---- Scenarios ---- */

static void read_settings(void)
{
	mpsync_error error;
	mpsync_options *options = mpsync_options_new(&error);
	struct url url;

	mpsync_options_set(options, "ttl", "5s", &error);
	mpsync_options_set(options, "identity", "worker", &error);
	mpsync_options_free(options);
	if (url_parse(&url, "http://localhost:13131/?ttl=5s&identity=a%20b", &error))
		url_clear(&url);
	if (url_parse(&url, "file:locks.db?ttl=5s", &error))
		url_clear(&url);
}

static void read_bodies(void)
{
	static const char put_text[] =
	    "{\"holder\":\"w\",\"claim\":\"00112233445566778899aabbccddeeff\",\"value\":\"v\"}";
	static const struct store_lock lock = {.name = "n", .holder = "h", .value = "v", .token = 7};
	struct put put = {.name = "n"};
	char problem[FIELDS_PROBLEM_SIZE];
	cJSON *object;

	if (body_parse(put_text, strlen(put_text), &object, problem) == BODY_OBJECT)
		put_parse(&put, object, NULL, &(struct store){.shortest_ttl_ms = 50}, problem);
	cJSON_Delete(object);
	object = wire_lock(&lock, 0);
	cJSON_free(object ? cJSON_PrintUnformatted(object) : NULL);
	cJSON_Delete(object);
}

static void ignore_event(void *context, const char *id, const char *event, const char *data)
{
	(void)context, (void)id, (void)event, (void)data;
}

static void read_stream(void)
{
	static const char text[] = "id: 1\nevent: granted\ndata: {}\n\n";
	struct sse sse = {.event = ignore_event};

	sse_feed(&sse, text, strlen(text));
	sse_clear(&sse);
}

static void speak_to_etcd(void)
{
	const struct etcd_call call = {.kind = ETCD_TXN,
	    .compares = {{.key = "x/1"}},
	    .compare_count = 1,
	    .then = {{.kind = ETCD_PUT, .key = "x/1", .value = "v", .lease = 1}},
	    .then_count = 1};
	struct etcd_facts facts = {.holder = "w", .value = "v", .claim = {{1}}};
	char *name = etcd_facts_name("", "mpsync-session/1/a%2Fb");
	char *text = etcd_facts_write(&facts);

	free(etcd_encode(&call).bytes);
	free(etcd_queue_key("p/", "a/b", 1));
	if (text && etcd_facts_read(&facts, text))
		etcd_facts_clear(&facts);
	cJSON_free(text);
	free(name);
}

static void drain(mpsync_queue *queue)
{
	mpsync_event *event;

	while ((event = mpsync_queue_next(queue)))
		mpsync_event_free(event);
}

static void use_lock(mpsync_client *client)
{
	mpsync_error error;
	mpsync_lock *lock = mpsync_lock_new(client, "orders/42", NULL, &error);

	if (mpsync_lock_acquire(lock, 1000, &error) == MPSYNC_OK) {
		assert_int_equal(mpsync_lock_is_held(lock, mpsync_lock_grant(lock)), 1);
		mpsync_lock_release(lock, &error);
	}
	mpsync_lock_free(lock);
}

static void use_election(mpsync_client *client)
{
	mpsync_error error;
	mpsync_election *election = mpsync_election_new(client, "leader", NULL, &error);

	if (mpsync_election_campaign(election, "10.0.0.7:80", 1000, &error) == MPSYNC_OK)
		mpsync_election_resign(election, &error);
	mpsync_election_free(election);
}

/* Whatever is missing, the run ends, and only once what it began was done. */
static void use_run(mpsync_client *client, mpsync_queue *queue)
{
	mpsync_election *election = mpsync_election_new(client, "runner", NULL, NULL);
	bool ended = mpsync_election_run_start(election, 1, "v", 1000, NULL) != MPSYNC_OK;

	while (!ended) {
		mpsync_event *event = mpsync_queue_wait(queue, -1);

		if (event && event->type == MPSYNC_EVENT_TERM)
			while (mpsync_election_run_stop(election, 1, NULL) != MPSYNC_OK)
				;
		if (event && event->type == MPSYNC_EVENT_ENDING)
			while (mpsync_election_term_done(election, event->grant, 0, NULL) != MPSYNC_OK)
				;
		ended = event && event->op_id == 1 &&
		        (event->type == MPSYNC_EVENT_DONE || event->type == MPSYNC_EVENT_FAILED);
		mpsync_event_free(event);
	}
	mpsync_election_free(election);
}

static void use_client(const char *url)
{
	mpsync_error error;
	mpsync_queue *queue = mpsync_queue_new(&error);
	mpsync_client *client = mpsync_client_open(url, NULL, queue, &error);

	if (!client)
		assert_int_not_equal(error.status, MPSYNC_OK);
	use_lock(client);
	use_election(client);
	if (queue)
		use_run(client, queue);
	mpsync_list_free(mpsync_client_list(client, "", &error));
	drain(queue);
	mpsync_client_close(client);
	mpsync_queue_free(queue);
}

static void use_memory(void)
{
	use_client("memory:");
}

static char folder[64];

static void use_file(void)
{
	char url[96];

	snprintf(url, sizeof url, "file:%s/locks.db", folder);
	use_client(url);
}

/* ---- Tests ---- */

static void test_settings(void **state)
{
	(void)state;
	with_each_failing(read_settings);
}

static void test_bodies(void **state)
{
	(void)state;
	with_each_failing(read_bodies);
}

static void test_streams(void **state)
{
	(void)state;
	with_each_failing(read_stream);
}

static void test_etcd(void **state)
{
	(void)state;
	with_each_failing(speak_to_etcd);
}

static void test_client_in_memory(void **state)
{
	(void)state;
	with_each_failing(use_memory);
}

static void expect_stored(mpsync_client *client, const char *value)
{
	mpsync_list *list = mpsync_client_list(client, "", NULL);

	assert_int_equal(mpsync_list_count(list), 1);
	assert_string_equal(mpsync_list_at(list, 0)->value, value);
	mpsync_list_free(list);
}

/* The call's nth allocation fails. */
static mpsync_status set_value_without(mpsync_election *election, long nth)
{
	mpsync_status status;

	failing_from(nth, 1);
	status = mpsync_election_set_value(election, "new", NULL);
	failing_end();
	return status;
}

/*
 * Goal: a call that had no memory has changed nothing: the value is the former one, what was not
 * released is held and can be released. And dropping a handle needs none: others get the name.
 */
static void test_calls_without_memory(void **state)
{
	mpsync_client *client = mpsync_client_open("memory:", NULL, NULL, NULL);
	mpsync_election *election = mpsync_election_new(client, "n", NULL, NULL);
	mpsync_lock *lock = mpsync_lock_new(client, "n", NULL, NULL);
	mpsync_status status;

	(void)state;
	assert_int_equal(mpsync_election_campaign(election, "old", 0, NULL), MPSYNC_OK);
	for (long nth = 1; set_value_without(election, nth) == MPSYNC_E_NO_MEMORY; nth++)
		expect_stored(client, "old");
	expect_stored(client, "new");
	failing_from(1, 1);
	status = mpsync_election_resign(election, NULL);
	failing_end();
	assert_int_equal(status, MPSYNC_E_NO_MEMORY);
	assert_int_equal(mpsync_election_is_leader(election, mpsync_election_grant(election)), 1);
	assert_int_equal(mpsync_election_resign(election, NULL), MPSYNC_OK);
	assert_int_equal(mpsync_election_campaign(election, NULL, 0, NULL), MPSYNC_OK);
	failing_from(1, 1);
	mpsync_election_free(election);
	failing_end();
	assert_int_equal(mpsync_lock_acquire(lock, 30000, NULL), MPSYNC_OK);
	mpsync_lock_free(lock);
	mpsync_client_close(client);
}

static void test_client_on_file(void **state)
{
	char command[96];

	(void)state;
	snprintf(folder, sizeof folder, "/tmp/mpsync-memory-XXXXXX");
	assert_non_null(mkdtemp(folder));
	use_file(); /* the file is made */
	with_each_failing(use_file);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_streams),
	    cmocka_unit_test(test_etcd),
	    cmocka_unit_test(test_client_in_memory),
	    cmocka_unit_test(test_calls_without_memory),
	    cmocka_unit_test(test_client_on_file),
	};

	failing_install(true);
	alarm(PATIENCE_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
