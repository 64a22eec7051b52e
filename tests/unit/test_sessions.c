/* What an elector may give away, and when: over a memory store, with a clock of the test's own. */
#include "unit.h"

#include "sessions.h"
#include "stores/memory.h"

#include <string.h>

struct world {
	struct loop loop;
	struct engine *engine;
	struct sessions *sessions;
	uint64_t now_ms;
	int status; /* of the last answer */
	uint64_t remaining_ms;
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
	cJSON_Delete(answer->body);
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
	world.sessions = sessions_new(world.engine, &clock, &host, &instance, &anonymous, 100);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	engine_free(world.engine);
	sessions_free(world.sessions);
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

static void beat(uint8_t claim, uint64_t generation)
{
	static struct sessions_request request;
	const struct heartbeat heartbeat = {.holder = "h",
	    .session = {{(uint8_t)(claim + 100)}},
	    .stream = generation,
	    .read_ms = world.now_ms};

	sessions_heartbeat(world.sessions, &heartbeat, &request);
	assert_int_equal(world.status, 200);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
