#include "etcd_world.h"

#include "stores/etcd/etcd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct etcd_rpc {
	char unused;
};

struct etcd_world etcd_world;

/* ---- Calls, without a network ---- */

struct etcd_rpc *etcd_rpc_new(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error)
{
	(void)url, (void)options, (void)loop, (void)clock, (void)error;
	return calloc(1, sizeof(struct etcd_rpc));
}

static void free_flight(struct flight *flight)
{
	struct flight **link = &etcd_world.flights;

	while (*link != flight)
		link = &(*link)->next;
	*link = flight->next;
	flight->call->flight = NULL;
	free(flight);
}

void etcd_rpc_free(struct etcd_rpc *rpc)
{
	while (etcd_world.flights)
		free_flight(etcd_world.flights);
	free(rpc);
}

void etcd_send(struct etcd_rpc *rpc, struct etcd_call *call)
{
	struct flight **last = &etcd_world.flights;
	struct flight *flight = calloc(1, sizeof *flight);

	(void)rpc;
	assert_non_null(flight);
	flight->call = call;
	call->flight = flight;
	if (call->kind == ETCD_TXN)
		snprintf(flight->key, sizeof flight->key, "%s", call->then[0].key);
	if (call->further_count > 0)
		snprintf(flight->compared, sizeof flight->compared, "%s", call->further[0].key);
	while (*last)
		last = &(*last)->next;
	*last = flight;
}

void etcd_cancel(struct etcd_call *call)
{
	if (call->flight)
		free_flight(call->flight);
}

/* Nothing changes but by the store itself: no watch has anything to tell. */
void etcd_watch(struct etcd_rpc *rpc, struct etcd_watch *watch)
{
	watch->flight = rpc;
	etcd_world.watch = watch;
}

void etcd_unwatch(struct etcd_watch *watch)
{
	watch->flight = NULL;
}

void etcd_next_member(struct etcd_rpc *rpc)
{
	(void)rpc;
	etcd_world.next_members++;
}

struct flight *calling(enum etcd_call_kind kind)
{
	struct flight *flight = etcd_world.flights;

	while (flight && flight->call->kind != kind)
		flight = flight->next;
	return flight;
}

struct flight *expect_call(enum etcd_call_kind kind)
{
	struct flight *flight = calling(kind);

	assert_non_null(flight);
	return flight;
}

void answer_call(struct flight *flight, const struct etcd_answer *answer)
{
	struct etcd_call *call = flight->call;

	free_flight(flight);
	call->done(call, answer);
}

void lose_call(enum etcd_call_kind kind)
{
	answer_call(expect_call(kind),
	    &(struct etcd_answer){
	        .result = ETCD_UNKNOWN, .status = MPSYNC_E_UNREACHABLE, .message = "no answer"});
}

/* ---- What an etcd answers ---- */

void open_session(uint32_t ttl_s)
{
	answer_call(expect_call(ETCD_GRANT), &(struct etcd_answer){.ttl_s = ttl_s, .term = TERM});
	answer_call(expect_call(ETCD_TXN),
	    &(struct etcd_answer){.succeeded = true, .revision = OPENED_AT, .term = TERM});
}

static struct etcd_key place(const char *key, int64_t revision, int64_t lease)
{
	return (struct etcd_key){.key = key,
	    .value = "other",
	    .create_revision = revision,
	    .mod_revision = revision,
	    .lease = lease};
}

static int64_t taken_at; /* the place that was given last */
static int64_t lease_taken_on;

void give_place(int64_t revision, bool first)
{
	const struct flight *flight = expect_call(ETCD_TXN);
	const struct etcd_key oldest =
	    place("other", first ? revision : 1, first ? flight->call->then[0].lease : 1);
	struct etcd_answer answer = {.succeeded = true, .revision = revision, .term = TERM};

	taken_at = revision;
	lease_taken_on = flight->call->then[0].lease;
	answer.found[2] = (struct etcd_found){&oldest, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
}

void show_who_has_it(void)
{
	const struct etcd_key own = place(expect_call(ETCD_TXN)->key, taken_at, lease_taken_on);
	const struct etcd_key other = place("other", 1, 1);
	struct etcd_answer answer = {.succeeded = true, .revision = taken_at, .term = TERM};

	answer.found[0] = (struct etcd_found){&own, 1};
	answer.found[1] = answer.found[2] = (struct etcd_found){&other, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
}

void keep_alive(void)
{
	answer_call(expect_call(ETCD_KEEP_ALIVE), &(struct etcd_answer){.ttl_s = 15, .term = TERM});
}

void confirm(void)
{
	const struct etcd_key own = {.key = expect_call(ETCD_TXN)->key, .value = ""};
	struct etcd_answer answer = {.succeeded = true, .revision = 100, .term = TERM};

	answer.found[0] = (struct etcd_found){&own, 1};
	answer_call(expect_call(ETCD_TXN), &answer);
}

struct store_claim *hold_in_etcd(void)
{
	struct store_claim *claim = new_claim("n");

	attempt(claim);
	open_session(15);
	give_place(11, true);
	assert_int_equal(store_world.told.event, CLAIM_GRANTED);
	return claim;
}

int open_etcd(void **state)
{
	const struct store_clock clock = begin_store_world();
	const struct mpsync_options options = {{0}};
	const struct url url = {0};

	(void)state;
	memset(&etcd_world, 0, sizeof etcd_world);
	give_store(etcd_open(&url, &options, NULL, &clock, NULL));
	return 0;
}

int close_etcd(void **state)
{
	(void)state;
	store_world.store->ops->close(store_world.store);
	return 0;
}
