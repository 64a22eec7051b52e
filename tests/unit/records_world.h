/* The records of a store over a backend that only notes what is asked of it, and a clock that only
 * the test moves. */
#ifndef MPSYNC_RECORDS_WORLD_H
#define MPSYNC_RECORDS_WORLD_H

#include "unit.h"

#include "stores/records/records.h"

#define TTL  15000
#define HOUR 3600000u

struct fixture {
	struct record_backend backend;
	struct store *store;
	uint64_t now_ms;
	uint64_t wake_at_ms;
	char removed[64];
	uint64_t removed_version;
	const struct record *there; /* what a read finds */
	unsigned writes;
	bool grants;                      /* writes succeed */
	bool conflicts;                   /* the next write finds another version */
	bool vanishes;                    /* ... and nothing any more */
	struct record_request *held_back; /* `silent`: the last write */
	struct record_request written;    /* the last write that succeeded, without its strings */
	char value[32];                   /* what it wrote */
	bool silent;                      /* writes are not answered */
	enum claim_event event;           /* the last answer's */
	enum mpsync_status status;
	uint64_t retry_in_ms;
};

/* With room for what the store keeps of it. */
struct kept_claim {
	struct store_claim claim;
	uint64_t kept[16];
};

int set_up(void **state);
int tear_down(void **state);
struct record left_behind(uint64_t version, bool election);
/* Lets time pass as the store asks to be woken. */
void pass(struct fixture *fixture, uint64_t ms);
/* The record of x changes, and its watch tells. */
void becomes(struct fixture *fixture, const struct record *record);

#endif
