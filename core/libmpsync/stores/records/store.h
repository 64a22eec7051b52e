/*
 * What is inside of records, for the files that it consists of: tasks.c does what a claim
 * asks for, names.c has what was seen of each name, errands.c what is done on
 * behalf of no claim, and store.c brings them together.
 */
#ifndef MPSYNC_STORES_RECORDS_STORE_H
#define MPSYNC_STORES_RECORDS_STORE_H

#include "observers.h"
#include "pace.h"
#include "records.h"

/* Lost races before a request says "busy" and comes back later. */
#define MOST_RACES 8

enum phase {
	IDLE,
	ATTEMPT_READ,
	ATTEMPT_WRITE,
	ADOPT_READ,
	ADOPT_WRITE,
	RENEW_WRITE,
	RENEW_READ,
	WITHDRAW_WRITE,
	WITHDRAW_READ,
	WITHDRAW_LINGER, /* no request: the free record is left for others to take */
	WITHDRAW_REMOVE,
	RESERVE_WRITE,
	UNRESERVE_WRITE
};

/*
 * A name that somebody waits for, and what was seen of it. It lingers for a while after the last
 * waiter has left, so that those who try again and again do not observe anew each time (rules 17,
 * 25).
 */
struct watched_name {
	struct watched_name *next;
	struct watched_name *previous;
	char *name;
	struct task *waiting;
	uint32_t users;       /* tasks that point here */
	struct task *holding; /* ours, which keeps up with what others write into its record */
	struct record last;
	bool has_last;
	struct observation seen;
	uint64_t newest_version;
	uint64_t linger_until_ms;
	uint64_t look_at_ms; /* the store is asked although nobody told of a change; 0: not planned */
	char *unheard;       /* why its changes are not heard of; NULL: they are */
	enum mpsync_status unheard_status;
	uint64_t held_at_ms; /* when its present holder was seen first */
	uint64_t open_at_ms; /* since when all may write; 0: nobody may */
	uint32_t windows;    /* which each of them does within */
	struct rivals rivals;
};

/*
 * What is kept for one claim as long as it lives. Version and uid are those of its last write that
 * is known to be there.
 */
struct grant {
	struct task *task; /* NULL: it is held, and nothing is asked for it */
	bool held;
	uint32_t value_version; /* of the claim's values, the one that is known to be there */
	uint64_t version;
	struct id uid;
	uint64_t renewed_us;
	int64_t since_ms;
};

/* What one claim is doing at the backend. */
struct task {
	struct record_request request;
	struct records *records;
	struct store_claim *claim;
	struct grant *grant;
	struct watched_name *watched;
	struct task *next; /* waiting for the same name */
	enum phase phase;
	unsigned races;
	uint64_t sent_at_ms;   /* of the latest write that grants or renews */
	uint64_t asked_at_ms;  /* of the latest request */
	uint64_t echo_from_ms; /* of a write, until an event of this version is seen; 0: it was */
	uint64_t echo_version;
	bool queued;     /* stands in the backend's order */
	bool wrote;      /* a grant may be there */
	bool granting;   /* a granting write is in flight */
	bool late_grant; /* one was given up and may yet be done, if nobody else writes before */
	bool reserved;   /* its place may stand in the record */
	uint64_t reserve_at_ms;
	uint64_t lost_version; /* of the record that somebody else wrote first */
	uint64_t remove_at_ms;
	uint64_t asked_version; /* the newest that was known of the name when it was read last */
	uint64_t place_until_ms;
	char *adopted_value; /* until it is answered */
};

/*
 * A granting write without an answer, whose claim is gone: its record is removed when it appears. A
 * create is guarded by no version at all (rule 16), an update only until somebody else writes.
 */
struct dead_grant {
	struct dead_grant *next;
	struct id claim;
	struct watched_name *watched;
	uint64_t until_ms;
	uint64_t check_at_ms;
	uint32_t check_every_ms; /* doubles */
	uint32_t ttl_ms;         /* its record may stand so long, and no longer */
	uint64_t adopted_token;  /* of a grant whose holder may believe in it: it runs out; 0: none */
	bool checked_late;
	bool removed; /* it came, and was taken back */
};

struct errand;

struct records {
	struct store store;
	struct record_backend *backend;
	struct id instance;
	void *names;                  /* tsearch tree of struct watched_name */
	struct watched_name *watched; /* all of them */
	struct watched_name *cursor;
	struct watched_name *sweep; /* the next to be looked at, whether it still lingers */
	uint64_t sweep_at_ms;       /* when all of them are; CLAIM_NEVER: not by itself */
	uint64_t litter_at_ms;      /* when litter is looked for; CLAIM_NEVER: it is others' to do */
	struct dead_grant *dead;
	struct task *lingering; /* by `next` */
	struct errand *errands;
	/* Those that were needed last; all zero. Made anew between what stays they would leave holes.
	 */
	struct task *spare;
	struct watched_name *spare_watched;
	struct pace pace;
	struct observers observers;
	uint64_t observe_at_ms; /* when observers ask again; CLAIM_NEVER: all were answered */
};

/* ---- store.c ---- */

static inline struct records *records_of(struct store *store)
{
	return (struct records *)store;
}

/* Asks for the next call of `run`. */
void records_arm(struct records *records);

/* ---- tasks.c ---- */

void records_attempt(struct store *store, struct store_claim *claim);
void records_renew(struct store *store, struct store_claim *const *claims, size_t count);
void records_withdraw(struct store *store, struct store_claim *claim);
void records_forget(struct store *store, struct store_claim *claim);

/* What was left for others to take, and nobody took. */
void records_remove_lingered(struct records *records);
/*
 * Those that may go on attempt again; the others wait for the end that they know of. `known`: what
 * was seen last is what is there.
 */
void records_wake_waiting(struct records *records, struct watched_name *watched, bool known);
/* Ours, which others wrote into. */
void records_keep_up(struct watched_name *watched, const struct record *record);

/* ---- places.c: who writes when, of those who wait (rule 49) ---- */

/* Its request was answered. */
void places_answered(struct task *task);
/* The store told of this. */
void places_heard(struct watched_name *watched, const struct record *record);
/* The name is seen as `record`, after `before`. */
void places_see(struct records *records, struct watched_name *watched, const struct record *before,
    const struct record *record);
/* It wrote this; somebody else wrote before. */
void places_written(struct task *task, const struct record *record);
void places_lost(struct task *task);
/* So long it leaves a name that is free to others. */
uint64_t places_busy_ms(struct task *task, const struct record *record);
/* Is there a place that it could take? */
bool places_wanted(const struct task *task, const struct record *record);
/* When it may, if there is one still. */
uint64_t places_reserve_at_ms(const struct task *task, const struct record *record);

/* ---- names.c ---- */

struct watched_name *watched_find(struct records *records, const char *name);
/* NULL without memory. */
struct watched_name *watched_make(struct records *records, const char *name);
/* It may be gone then. */
void watched_drop_if_idle(struct records *records, struct watched_name *watched);
/* `record` NULL: nothing is there. */
void watched_see(
    struct records *records, struct watched_name *watched, const struct record *record);
/* The same, if the name is watched. */
void watched_note(struct records *records, const char *name, const struct record *there);
/* An answer that was overtaken by a newer event would undo what that event told. */
bool watched_is_stale(const struct watched_name *watched, const struct record *record);
/* A few of those whose watching may be over. */
void watched_sweep_some(struct records *records);
void watched_sweep_all(struct records *records);
void watched_remove_litter(struct records *records);
void watched_clear(struct records *records);

/* False without memory. */
bool task_start_waiting(struct task *task);
void task_watch_while_holding(struct task *task);
void task_stop_watching(struct task *task);

/* ---- errands.c ---- */

/* Unless it is written meanwhile. */
void errand_remove(struct records *records, const char *name, const struct record *record);
void errand_force(struct records *records, struct store_query *query);
/* False: it is none of an errand. */
bool errand_cancel(struct records *records, const struct store_query *query);
void errands_clear(struct records *records);

/* The task goes, with a granting write that may yet be done. */
void dead_grants_remember(struct task *task);
/* A claim that comes back answers for its own late grant. Was there one? */
bool dead_grants_take_back(struct records *records, const struct store_claim *claim);
/* Is this one? */
bool dead_grants_have(const struct records *records, const char *name, const struct record *record);
/* May one still appear under this name? */
bool dead_grants_await(const struct records *records, const struct watched_name *watched);
void dead_grants_run(struct records *records);
/* The name of one that has not come yet; NULL: there is none. */
const char *dead_grants_in_doubt(const struct records *records);
void dead_grants_clear(struct records *records);

#endif
