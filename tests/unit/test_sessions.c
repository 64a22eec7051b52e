/* What an elector may give away, and when: over a memory store, with a clock of the test's own. */
#include "unit.h"

#include "duration.h"
#include "sessions.h"
#include "stores/memory.h"

#include <string.h>

struct world {
	struct loop loop;
	struct engine *engine;
	struct sessions *sessions;
	uint64_t now_ms;
	int status; /* of the last answer */
	cJSON *body;
	struct store_ops ops;       /* the store's, with a renewal of the test's own */
	struct store_ops store_ops; /* the store's own */
	const char *forbidden;      /* the name that may not be renewed */
};

static struct world world;

static uint64_t boot_ms(void *context)
{
	(void)context;
	return world.now_ms;
}

static int64_t wall_ms(void *context)
{
	(void)context;
	return (int64_t)world.now_ms;
}

static uint32_t no_jitter(void *context)
{
	(void)context;
	return 0;
}

static void on_answer(struct sessions_request *request, struct answer *answer)
{
	(void)request;
	world.status = answer->status;
	cJSON_Delete(world.body);
	world.body = answer->body;
}

static void on_send(void *stream, uint64_t id, const char *event, cJSON *data)
{
	(void)stream, (void)id, (void)event;
	cJSON_Delete(data);
}

static void on_end(void *stream)
{
	(void)stream;
}

static void on_wake(void *context, uint64_t at_ms)
{
	(void)context, (void)at_ms;
}

static void ignore_timer(void *context)
{
	(void)context;
}

static void renew_what_is_allowed(
    struct store *store, struct store_claim *const *claims, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (world.forbidden && strcmp(claims[i]->name, world.forbidden) == 0)
			store->sink.answer(store->sink.engine, claims[i], CLAIM_REFUSED,
			    &(struct claim_answer){.status = MPSYNC_E_FORBIDDEN}, NULL);
		else
			world.store_ops.renew(store, &claims[i], 1);
}

static int set_up(void **state)
{
	const struct store_clock clock = {boot_ms, wall_ms, no_jitter, &world};
	const struct engine_host engine_host = {
	    .clock = clock, .owner = &sessions_owner, .wake_at = on_wake};
	const struct sessions_host host = {on_answer, on_send, on_end, on_wake, &world, {{0}}};
	const struct id instance = {{1}};
	const struct anonymous anonymous = {.holder = "anonymous"};

	(void)state;
	memset(&world, 0, sizeof world);
	world.now_ms = 1000000;
	assert_true(loop_init(&world.loop, true, ignore_timer, NULL));
	world.engine = engine_new(&engine_host, memory_open("sessions", &world.loop, &clock));
	world.store_ops = world.ops = *engine_store(world.engine)->ops;
	world.ops.renew = renew_what_is_allowed;
	engine_store(world.engine)->ops = &world.ops;
	world.sessions = sessions_new(world.engine, &clock, &host, &instance, &anonymous, 100);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	engine_free(world.engine);
	sessions_free(world.sessions);
	cJSON_Delete(world.body);
	loop_clear(&world.loop);
	return 0;
}

static struct put put_of(uint8_t claim)
{
	return (struct put){.name = "n",
	    .holder = "h",
	    .claim = {{claim}},
	    .session = {{(uint8_t)(claim + 100)}},
	    .ttl_ms = 15000,
	    .read_ms = world.now_ms};
}

static int ask(const struct put *put)
{
	static struct sessions_request request;

	request.ticket = NULL;
	world.status = 0;
	sessions_put(world.sessions, put, &request);
	return world.status;
}

static void pass(uint64_t ms)
{
	/* In steps, as timers ring. */
	for (uint64_t end = world.now_ms + ms; world.now_ms < end; world.now_ms += 100) {
		engine_run(world.engine);
		sessions_run(world.sessions);
	}
}

static struct session_stream *open_stream(uint8_t claim)
{
	const struct id session = {{(uint8_t)(claim + 100)}};

	return sessions_stream_open(world.sessions, &session, "h", 0, "peer", &world);
}

static void beat_as(uint8_t claim, uint64_t generation, bool low)
{
	static struct sessions_request request;
	const struct heartbeat heartbeat = {.holder = "h",
	    .session = {{(uint8_t)(claim + 100)}},
	    .stream = generation,
	    .low = low,
	    .read_ms = world.now_ms};

	sessions_heartbeat(world.sessions, &heartbeat, &request);
	assert_int_equal(world.status, 200);
}

static void beat(uint8_t claim, uint64_t generation)
{
	beat_as(claim, generation, false);
}

/* Goal: nobody gets what another was told he has, until that time is over (rule 1). */
static void test_nothing_is_given_away_before_told_until(void **state)
{
	const struct put a = put_of(1);
	struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	pass(12000);
	b.read_ms = world.now_ms;
	assert_int_equal(ask(&b), 409);
	pass(800);
	b.read_ms = world.now_ms;
	b.claim = (struct id){{3}};
	assert_int_equal(ask(&b), 200);
}

/* Goal: the same claim again is a retry; another claim of the same holder is another (rule 11). */
static void test_claim_is_what_counts(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	assert_int_equal(ask(&a), 200);
	assert_int_equal(ask(&b), 409);
}

/* Goal: a stream's end alone proves nothing: not unless its client declared it its fence. */
static void test_stream_end_without_declaration(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct session_stream *stream = open_stream(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	sessions_stream_closed(world.sessions, stream, true, true);
	assert_int_equal(ask(&b), 409);
}

static void test_declared_clean_end_hands_over(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct session_stream *stream = open_stream(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	beat(1, 1);
	sessions_stream_closed(world.sessions, stream, true, false);
	assert_int_equal(ask(&b), 200);
}

/* Goal: a reset, a proxy's end or our own end of a declared stream is no proof. */
static void test_unclean_end_proves_nothing(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct session_stream *stream = open_stream(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	beat(1, 1);
	sessions_stream_closed(world.sessions, stream, false, false);
	assert_int_equal(ask(&b), 409);
}

/* Goal: only the newest stream counts (rule 2). */
static void test_older_generation_is_ignored(void **state)
{
	const struct put a = put_of(1);
	const struct put b = put_of(2);
	struct session_stream *first = open_stream(1);
	struct session_stream *second;

	(void)state;
	assert_int_equal(ask(&a), 200);
	beat(1, 1);
	second = open_stream(1);
	sessions_stream_closed(world.sessions, first, true, true);
	assert_int_equal(ask(&b), 409);
	sessions_stream_closed(world.sessions, second, true, true);
	assert_int_equal(ask(&b), 409);
}

/* Goal: a cancel that overtakes its PUT still wins (rule 12). */
static void test_tombstone(void **state)
{
	static struct sessions_request request;
	const struct put a = put_of(1);

	(void)state;
	sessions_delete(world.sessions, &a, &request);
	assert_int_equal(world.status, 200);
	assert_int_equal(ask(&a), 409);
}

static void test_wrong_token_and_ttl(void **state)
{
	struct put a = put_of(1);

	(void)state;
	assert_int_equal(ask(&a), 200);
	a.token = 1;
	assert_int_equal(ask(&a), 400);
	a.token = 0;
	a.ttl_given = true;
	a.ttl_ms = 5000;
	assert_int_equal(ask(&a), 400);
}

/* Goal: a heartbeat keeps what the session holds, for as long as it beats. */
static void test_heartbeats_keep(void **state)
{
	const struct put a = put_of(1);
	struct put b = put_of(2);

	(void)state;
	assert_int_equal(ask(&a), 200);
	for (int i = 0; i < 10; i++) {
		pass(4000);
		beat(1, 0);
	}
	b.read_ms = world.now_ms;
	assert_int_equal(ask(&b), 409);
}

static uint64_t ms_of(const cJSON *object, const char *name)
{
	uint64_t ms = 0;

	assert_true(
	    duration_parse(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name)), &ms));
	return ms;
}

static uint64_t told_remaining_ms(void)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(world.body, "remaining");

	assert_int_equal(cJSON_GetArraySize(list), 1);
	return ms_of(cJSON_GetArrayItem(list, 0), "remaining");
}

/* Two grants of one session, of which the store renews one alone; nearly all of a right has passed.
 */
static void hold_two_of_which_one_is_forbidden(void)
{
	struct put put = put_of(1);

	assert_int_equal(ask(&put), 200);
	put.name = "forbidden";
	put.claim = (struct id){{2}};
	assert_int_equal(ask(&put), 200);
	world.forbidden = "forbidden";
	for (int i = 0; i < 10; i++) {
		pass(1000);
		beat(1, 0);
	}
}

/* Goal: one grant that the store does not renew takes no other with it. */
static void test_low_grant_is_told_of_by_itself(void **state)
{
	const cJSON *low;

	(void)state;
	hold_two_of_which_one_is_forbidden();
	beat_as(1, 0, true);
	assert_true(told_remaining_ms() > 15000 / 3);
	assert_int_equal(cJSON_GetObjectItemCaseSensitive(world.body, "grants")->valueint, 2);
	low = cJSON_GetObjectItemCaseSensitive(world.body, "low");
	assert_int_equal(cJSON_GetArraySize(low), 1);
	low = cJSON_GetArrayItem(low, 0);
	assert_string_equal(
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(low, "name")), "forbidden");
	assert_true(ms_of(low, "remaining") < 15000 / 4);
}

/* Goal: a client that knows no `low` is told what the least of its grants has left. */
static void test_former_client_is_told_the_least(void **state)
{
	(void)state;
	hold_two_of_which_one_is_forbidden();
	beat(1, 0);
	assert_true(told_remaining_ms() < 15000 / 4);
	assert_null(cJSON_GetObjectItemCaseSensitive(world.body, "low"));
}

/* Goal: what others were told does not count for a low grant: it is given away in its own time. */
static void test_low_grant_is_given_away_in_its_own_time(void **state)
{
	struct put other = put_of(3);

	(void)state;
	hold_two_of_which_one_is_forbidden();
	beat_as(1, 0, true);
	pass(5000);
	other.name = "forbidden";
	other.read_ms = world.now_ms;
	assert_int_equal(ask(&other), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
	        test_nothing_is_given_away_before_told_until, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_claim_is_what_counts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_stream_end_without_declaration, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_declared_clean_end_hands_over, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_unclean_end_proves_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_older_generation_is_ignored, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_tombstone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_wrong_token_and_ttl, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_heartbeats_keep, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_low_grant_is_told_of_by_itself, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_former_client_is_told_the_least, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
	        test_low_grant_is_given_away_in_its_own_time, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
