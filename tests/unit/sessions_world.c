#include "sessions_world.h"
#include "base/identity.h"

#include <limits.h>
#include <string.h>

struct world world;

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
	world.code = answer->code;
	cJSON_Delete(world.body);
	world.body = answer->body;
}

static void on_send(void *stream, uint64_t id, const char *event, cJSON *data)
{
	(void)id;
	world.told = stream;
	world.event = event;
	cJSON_Delete(world.data);
	world.data = data;
}

static void on_end(void *stream)
{
	(void)stream;
}

static void on_wake(void *context, uint64_t at_ms)
{
	(void)context, (void)at_ms;
}

static void on_sessions_wake(void *context, uint64_t at_ms)
{
	(void)context;
	world.sessions_wake_ms = at_ms;
}

static void ignore_timer(void *context)
{
	(void)context;
}

static void renew_what_is_allowed(
    struct store *store, struct store_claim *const *claims, size_t count)
{
	world.renewals += count;
	for (size_t i = 0; i < count; i++)
		if (world.forbidden && strcmp(claims[i]->name, world.forbidden) == 0)
			store->sink.answer(store->sink.engine, claims[i], CLAIM_REFUSED,
			    &(struct claim_answer){.status = MPSYNC_E_FORBIDDEN}, NULL);
		else
			world.store_ops.renew(store, &claims[i], 1);
}

static void attempt_now_or_later(struct store *store, struct store_claim *claim)
{
	if (world.refusal != MPSYNC_OK)
		store->sink.answer(store->sink.engine, claim, CLAIM_REFUSED,
		    &(struct claim_answer){.status = world.refusal}, NULL);
	else if (world.late_ops)
		world.late = claim;
	else
		world.store_ops.attempt(store, claim);
}

static void withdraw_now_or_never(struct store *store, struct store_claim *claim)
{
	if (!world.late_ops && world.withdrawals-- > 0)
		world.store_ops.withdraw(store, claim);
	else
		world.leaving = claim;
}

void withdraw_late(void)
{
	world.store_ops.withdraw(engine_store(world.engine), world.leaving);
}

int release(const struct put *put)
{
	static struct sessions_request request;

	world.status = 0;
	sessions_delete(world.sessions, put, &request);
	pass(200);
	return world.status;
}

void wait_behind(const struct put *holder, struct put *waiter, struct sessions_request *request)
{
	assert_int_equal(ask(holder), 200);
	waiter->wait_ms = 60000;
	sessions_put(world.sessions, waiter, request);
}

void answer_late(void)
{
	world.late_ops = false;
	world.store_ops.attempt(engine_store(world.engine), world.late);
}

static void start_elector(uint8_t instance)
{
	const struct store_clock clock = {boot_ms, wall_ms, no_jitter, &world};
	const struct engine_host engine_host = {.random_id = id_random,
	    .digest_id = id_digest,
	    .clock = clock,
	    .owner = &sessions_owner,
	    .wake_at = on_wake,
	    .on_behalf = true};
	const struct sessions_host host = {.answer = on_answer,
	    .send = on_send,
	    .end = on_end,
	    .wake_at = on_sessions_wake,
	    .context = &world};
	const struct id id = {{instance}};
	const struct anonymous anonymous = {.holder = "anonymous"};

	world.engine = engine_new(&engine_host, memory_open("sessions", &world.loop, &clock));
	world.store_ops = world.ops = *engine_store(world.engine)->ops;
	world.ops.renew = renew_what_is_allowed;
	world.ops.attempt = attempt_now_or_later;
	world.ops.withdraw = withdraw_now_or_never;
	engine_store(world.engine)->ops = &world.ops;
	world.sessions = sessions_new(world.engine, &clock, &host, &id, &anonymous, 100);
}

void restart_elector(void)
{
	struct engine *engine = world.engine;
	struct sessions *sessions = world.sessions;

	start_elector(2);
	engine_free(engine);
	sessions_free(sessions);
}

int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof world);
	world.now_ms = 1000000;
	world.withdrawals = INT_MAX;
	assert_true(loop_init(&world.loop, true, ignore_timer, NULL));
	start_elector(1);
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	engine_free(world.engine);
	sessions_free(world.sessions);
	cJSON_Delete(world.body);
	cJSON_Delete(world.data);
	loop_clear(&world.loop);
	return 0;
}

struct put put_of(uint8_t claim)
{
	return (struct put){.name = "n",
	    .holder = "h",
	    .claim = {{claim}},
	    .session = {{(uint8_t)(claim + 100)}},
	    .ttl_ms = 15000,
	    .read_ms = world.now_ms};
}

int ask(const struct put *put)
{
	static struct sessions_request request;

	request.ticket = NULL;
	world.status = 0;
	sessions_put(world.sessions, put, &request);
	return world.status;
}

void pass(uint64_t ms)
{
	for (uint64_t end = world.now_ms + ms; world.now_ms < end; world.now_ms += 100) {
		engine_run(world.engine);
		sessions_run(world.sessions);
	}
}

struct session_stream *open_stream(uint8_t claim)
{
	const struct id session = {{(uint8_t)(claim + 100)}};

	return sessions_stream_open(world.sessions, &session, "h", 0, "peer", &world);
}

void beat_as(uint8_t claim, uint64_t generation, bool low)
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

void beat(uint8_t claim, uint64_t generation)
{
	beat_as(claim, generation, false);
}
