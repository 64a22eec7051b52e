/*
 * What the files of the records store share: tasks.c and those of task.h do what a claim asks for,
 * names.c has what was seen of each name, errands.c does what no claim asks for, places.c says who
 * writes when, and store.c brings them together.
 */
#ifndef MPSYNC_STORES_RECORDS_STORE_H
#define MPSYNC_STORES_RECORDS_STORE_H

#include "observers.h"
#include "pace.h"
#include "records.h"

/* After so many lost races a request answers "busy" and comes back later. */
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
 * A name that somebody waits for, and what was seen of it. It is kept for a while after the last
 * waiter has left, so that a contender that tries again and again need not observe anew each time
 * (rules 17 and 25).
 */
struct watched_name {
	struct watched_name *next;
	struct watched_name *previous;
	char *name;
	struct task *waiting;
	uint32_t users;       /* tasks that point to this name */
	struct task *holding; /* the holder's task, which follows what others write into the record */
	struct record last;
	bool has_last;
	struct observation seen;
	uint64_t newest_version;
	uint64_t linger_until_ms;
	uint64_t look_at_ms; /* when the store is asked although no change was told; 0: not planned */
	char *unheard;       /* why changes of the name are not told; NULL: they are */
	enum mpsync_status unheard_status;
	uint64_t held_at_ms; /* when its present holder was seen first */
	uint64_t hold_ms;    /* how long its holders keep it: an average */
	uint64_t free_at_ms; /* since when it is free, as this client heard of it; 0: it is held */
	bool let_go;         /* this client held it last */
	uint64_t open_at_ms; /* since when all contenders may write; 0: they may not yet */
	uint32_t windows;    /* over how many windows contenders without a place spread their writes */
	bool racing;         /* a waiter of this client is among these contenders */
	struct rivals rivals;
};

/*
 * What is kept of each claim as long as the claim lives. Version and uid are those of its last
 * write that was acknowledged.
 */
struct grant {
	struct task *task; /* NULL: the claim holds, and no request is under way */
	bool held;
	uint32_t value_version; /* which of the claim's values is known to be stored */
	uint64_t version;
	struct id uid;
	uint64_t renewed_us;
	int64_t since_ms;
};

/* The work of one claim at the backend. */
struct task {
	struct record_request request;
	struct records *records;
	struct store_claim *claim;
	struct grant *grant;
	struct watched_name *watched;
	struct task *next; /* another task that waits for the same name */
	enum phase phase;
	unsigned races;
	uint64_t sent_at_ms;   /* of the latest write that grants or renews */
	uint64_t asked_at_ms;  /* of the latest request */
	uint64_t echo_from_ms; /* of a write, until its event is seen; 0: none is awaited */
	uint64_t echo_version;
	bool queued;     /* it has a place in the backend's order */
	bool wrote;      /* a grant of this task may be stored */
	bool granting;   /* a write that grants is under way */
	bool late_grant; /* such a write was given up, and may yet be carried out */
	bool reserved;   /* its place may stand in the record */
	uint64_t reserve_at_ms;
	uint64_t lost_version; /* of the record that another contender wrote first */
	uint64_t remove_at_ms;
	uint64_t asked_version; /* the newest version that was known when the name was read last */
	uint64_t place_until_ms;
	char *adopted_value; /* until the adoption is answered */
};

/*
 * A granting write that got no answer, and whose claim is gone: its record is removed when it
 * appears. A create may appear at any time, because no version guards it (rule 16, a create is
 * guarded by no version); an update only until somebody else writes.
 */
struct dead_grant {
	struct dead_grant *next;
	struct id claim;
	struct watched_name *watched;
	uint64_t until_ms;
	uint64_t check_at_ms;
	uint32_t check_every_ms; /* doubles each time */
	uint32_t ttl_ms;         /* the record may stand for so long, and no longer */
	uint64_t adopted_token;  /* of a grant that may be believed, and runs out; 0: none */
	bool checked_late;
	bool removed; /* the record appeared, and was removed */
};

struct errand;

struct records {
	struct store store;
	struct record_backend *backend;
	struct id instance;
	void *names;                  /* tsearch tree of struct watched_name */
	struct watched_name *watched; /* the same names as a list */
	struct watched_name *cursor;
	struct watched_name *sweep; /* where sweeping goes on: is this name still needed? */
	uint64_t sweep_at_ms;       /* when all names are swept; CLAIM_NEVER: attempts do it */
	uint64_t litter_at_ms;      /* when litter is looked for; CLAIM_NEVER: other processes do it */
	struct dead_grant *dead;
	struct task *lingering; /* a list, by `next` */
	struct errand *errands;
	/*
	 * One free task and one free name, zeroed, kept for the next request: allocating them anew
	 * among long-lived objects fragments the heap.
	 */
	struct task *spare;
	struct watched_name *spare_watched;
	struct pace pace;
	struct observers observers;
	uint64_t observe_at_ms; /* when queries of observers are repeated; CLAIM_NEVER: not */
};

/* ---- store.c ---- */

static inline struct records *records_of(struct store *store)
{
	return (struct records *)store;
}

/* The wall clock that the store was made with. */
int64_t records_wall_now(const struct records *records);
/* Ask the engine for the next call of `run`. */
void records_arm(struct records *records);

/* ---- tasks.c ---- */

void records_attempt(struct store *store, struct store_claim *claim);
void records_renew(struct store *store, struct store_claim *const *claims, size_t count);
void records_withdraw(struct store *store, struct store_claim *claim);
void records_forget(struct store *store, struct store_claim *claim);

/*
 * Waiters that may write attempt again; the others wait until the time that they know of. `known`:
 * what was seen last is what is stored now.
 */
void records_wake_waiting(struct records *records, struct watched_name *watched, bool known);
/* The record of a holder of ours, into which others wrote. */
void records_keep_up(struct watched_name *watched, const struct record *record);

/* ---- withdrawals.c ---- */

/* Remove the free records that were left for others to take, and that nobody took. */
void records_remove_lingered(struct records *records);

/* ---- places.c: who writes when, of those who wait (rule 49, places instead of a herd) ---- */

/* A request of the task was answered. */
void places_answered(struct task *task);
/* The store told of a change of this name. */
void places_heard(struct watched_name *watched, const struct record *record);
/* The name is seen as `record`, after `before`. */
void places_see(struct records *records, struct watched_name *watched, const struct record *before,
    const struct record *record);
/* The task wrote this record, or another contender wrote first. */
void places_written(struct task *task, const struct record *record);
void places_lost(struct task *task);
/* How long the task leaves a free name to others. */
uint64_t places_busy_ms(struct task *task, const struct record *record);
/* Is there a place that the task could take? */
bool places_wanted(const struct task *task, const struct record *record);
/* When the task may write its place, if one is left by then. */
uint64_t places_reserve_at_ms(const struct task *task, const struct record *record);

/* ---- names.c ---- */

struct watched_name *watched_find(struct records *records, const char *name);
/* NULL without memory. */
struct watched_name *watched_make(struct records *records, const char *name);
/* Afterwards the name may be freed. */
void watched_drop_if_idle(struct records *records, struct watched_name *watched);
/* `record` NULL: nothing is stored. */
void watched_see(
    struct records *records, struct watched_name *watched, const struct record *record);
/* As watched_see, if the name is watched. */
void watched_note(struct records *records, const char *name, const struct record *there);
/* Was the answer overtaken by a newer event? It must not undo what that event told. */
bool watched_is_stale(const struct watched_name *watched, const struct record *record);
/* End the watching of a few names that nobody needs any more. */
void watched_sweep_some(struct records *records);
void watched_sweep_all(struct records *records);
void watched_remove_litter(struct records *records);
void watched_clear(struct records *records);

/* False without memory. */
bool task_start_waiting(struct task *task);
void task_watch_while_holding(struct task *task);
void task_stop_watching(struct task *task);

/* ---- errands.c ---- */

/* Remove the record, unless it is written meanwhile. */
void errand_remove(struct records *records, const char *name, const struct record *record);
void errand_force(struct records *records, struct store_query *query);
/* False: the query belongs to no errand. */
bool errand_cancel(struct records *records, const struct store_query *query);
void errands_clear(struct records *records);

/* The task goes; its granting write, which may yet be carried out, is remembered. */
void dead_grants_remember(struct task *task);
/* A claim that asks again answers for its own late grant. True if there was one. */
bool dead_grants_take_back(struct records *records, const struct store_claim *claim);
/* Is the record such a late grant? */
bool dead_grants_have(const struct records *records, const char *name, const struct record *record);
/* May such a grant still appear under this name? */
bool dead_grants_await(const struct records *records, const struct watched_name *watched);
void dead_grants_run(struct records *records);
/* The name of a late grant that has not appeared yet; NULL: there is none. */
const char *dead_grants_in_doubt(const struct records *records);
void dead_grants_clear(struct records *records);

#endif
