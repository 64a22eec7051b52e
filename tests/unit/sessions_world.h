/* An elector without HTTP over a memory store, with a clock of the test's own. */
#ifndef MPSYNC_SESSIONS_WORLD_H
#define MPSYNC_SESSIONS_WORLD_H

#include "unit.h"

#include "elector/protocol/sessions.h"
#include "stores/memory/memory.h"

struct world {
	struct loop loop;
	struct engine *engine;
	struct sessions *sessions;
	uint64_t now_ms;
	int status; /* of the last answer */
	const char *code;
	cJSON *body;
	void *told;        /* the stream that was sent something last */
	const char *event; /* that was sent */
	cJSON *data;
	struct store_ops ops;       /* the store's, with a renewal of the test's own */
	struct store_ops store_ops; /* the store's own */
	const char *forbidden;      /* the name that may not be renewed */
	bool late_ops; /* the next attempt waits until answer_late; no withdrawal is answered */
	struct store_claim *late;
	struct store_claim *leaving; /* whose withdrawal was not answered */
	enum mpsync_status refusal;  /* of each attempt; MPSYNC_OK: they are made */
	size_t renewals;             /* that the store was asked for */
	int withdrawals;             /* so many are answered yet */
	uint64_t sessions_wake_ms;   /* when the sessions asked to be woken, last */
};

extern struct world world;

int set_up(void **state);
int tear_down(void **state);
/* Its process ends, and another's begins: the store is all that stays. */
void restart_elector(void);

struct put put_of(uint8_t claim);
/* The status of the answer; 0: none yet. */
int ask(const struct put *put);
/* The status of the answer to its DELETE, when its release has been heard of. */
int release(const struct put *put);
/* The one holds, and the other waits for up to a minute, with that request. */
void wait_behind(const struct put *holder, struct put *waiter, struct sessions_request *request);
/* The attempt that waits for world.late_ops is made at last. */
void answer_late(void);
void withdraw_late(void);
/* In steps, as timers ring. */
void pass(uint64_t ms);
struct session_stream *open_stream(uint8_t claim);
void beat_as(uint8_t claim, uint64_t generation, bool low);
void beat(uint8_t claim, uint64_t generation);

#endif
