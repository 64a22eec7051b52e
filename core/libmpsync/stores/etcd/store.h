/*
 * What the parts of the etcd store share: leases (session.c), what stands on them
 * (standing.c), the places that are held (held.c), claims (entry.c), their places in
 * the queue (place.c), giving them up (leave.c), adopting them (adopt.c), looking
 * (query.c).
 */
#ifndef MPSYNC_STORES_ETCD_STORE_H
#define MPSYNC_STORES_ETCD_STORE_H

#include "names.h"
#include "rpc.h"
#include "stores/records/observers.h"

#include <sys/queue.h>

struct etcd_session;
struct etcd_look;
struct etcd_entry;
TAILQ_HEAD(etcd_entries, etcd_entry);
struct etcd_observing;

struct etcd {
	struct store store;
	struct etcd_rpc *rpc;
	char *prefix;
	uint64_t request_timeout_ms; /* 0: a sixth of the ttl */
	struct etcd_session *sessions;
	struct etcd_look *looks;
	struct observers observers;
	struct etcd_observing *observing;
};

/* Before what was just in doubt is looked at again. */
#define ETCD_RACE_MS 50

enum etcd_phase {
	ETCD_IDLE,
	ETCD_NEEDS_LEASE, /* an attempt that waits for its session */
	ETCD_RENEWING,    /* a renewal that waits for its session */
	ETCD_ASKING,      /* a call of its own is under way */
};

/* One claim, and its place in the queue of its name. */
struct etcd_entry {
	struct etcd *etcd; /* NULL before its first attempt */
	struct store_claim *claim;
	struct etcd_session *session;
	struct etcd_entry *next; /* of the session */
	struct etcd_entry *previous;
	enum etcd_phase phase;
	struct etcd_call call;
	struct etcd_call check;   /* beside it, where something is not as it was left */
	struct etcd_watch before; /* the place before this one */
	char *queue;
	char *key;
	char *facts;
	char *before_key;
	char *owner_facts;     /* of who was seen to have the name */
	char *adopted_value;   /* until it is answered */
	int64_t owner_created; /* when that one came */
	int64_t created;       /* of `key`: the token; 0: it is not known to be there */
	int64_t written;       /* `key`, last: by another than this instance when that adopts it */
	int64_t facts_created; /* changes when another instance adopts it */
	bool before_is_ours;   /* the place before stands on our lease */
	bool doubtful;         /* a request to stand in the queue went unanswered */
	bool held;
	bool withdrawing;
	TAILQ_ENTRY(etcd_entry) held_entry;
	struct etcd_entries *list;    /* of its session, while it is held */
	uint64_t needs_ms;            /* it goes on after a keep-alive that was sent from then on */
	uint64_t asked_ms;            /* when its last transaction was sent */
	uint64_t seen_ms;             /* when it was sent what last showed the place */
	enum mpsync_reason taken;     /* to be told: its place is not there any more */
	struct etcd_entry *next_told; /* while its session has something to tell it */
	struct etcd_entry **told_link;
	unsigned races;
	uint32_t value_version;
};

/* Adopted for a claim that is not here (any more), whose holder may believe in it for a while. */
struct etcd_orphan {
	struct etcd_orphan *next;
	int64_t facts_created;
	uint64_t seen_ms;
	int64_t created; /* of its place */
	char *place;
	char *facts_key;
	char *facts; /* put back where a hand deletes them: they are what ends it */
};

enum etcd_session_phase {
	SESSION_IDLE,
	SESSION_GRANTING,
	SESSION_OPENING,
	SESSION_KEEPING,
	SESSION_CONFIRMING
};

/* One lease, kept alive once for all claims of one ttl. */
struct etcd_session {
	struct etcd *etcd;
	struct etcd_session *next;
	struct etcd_entry *entries;
	struct etcd_entries held;  /* who was seen the longest ago first */
	struct etcd_entries asked; /* whose places the request under way compares */
	size_t held_count;         /* in both */
	struct etcd_orphan *orphans;
	struct etcd_entry *told; /* to be told something, now */
	enum etcd_session_phase phase;
	struct etcd_call call;
	struct etcd_call reading;
	struct etcd_call changing; /* what nobody here wants */
	struct etcd_watch watch;
	uint32_t asked_s;
	uint32_t granted_s;
	int64_t lease; /* 0: none */
	char *path;
	char *ghost; /* facts that are being removed, or put back */
	int64_t ghost_created;
	uint64_t sent_at_ms;   /* of the request whose confirmation is awaited */
	uint64_t confirmed_ms; /* sent_at of the last confirmed one */
	uint64_t wanted_ms;    /* a keep-alive that was sent from then on is needed */
	uint64_t believed_ms;  /* so long others may believe in what stands on it, whoever is here */
	uint64_t step_ms;      /* when the request under way, or the last one, was due */
	uint64_t compared_ms;  /* when the comparison under way was sent */
	uint64_t term;
	uint64_t due_ms;  /* when to keep it alive, or to try again; CLAIM_NEVER */
	uint64_t read_ms; /* when to read what changed while the watch was broken; CLAIM_NEVER */
	uint32_t backoff_ms;
};

uint64_t etcd_now(const struct etcd *etcd);
void etcd_arm(struct etcd *etcd);

/* ---- session.c ---- */

/* NULL without memory. */
struct etcd_session *etcd_session_of(struct etcd *etcd, uint32_t ttl_ms);
void etcd_session_free(struct etcd_session *session);

/* Whoever is told something may end others, or the session: so those to be told stand in a list. */
void etcd_session_tell_later(struct etcd_session *session, struct etcd_entry *entry);
/* Off the list; NULL at its end. */
struct etcd_entry *etcd_session_next_told(const struct etcd_session *session);
void etcd_session_untell(struct etcd_entry *entry);

bool etcd_session_is_open(const struct etcd_session *session);
/* Was confirmed not long ago: may be relied on without asking. */
bool etcd_session_is_fresh(const struct etcd_session *session);
/* Grant it, or keep it alive; the entries that need it go on when that is confirmed. */
void etcd_session_need(struct etcd_session *session);
/* Likewise, by a keep-alive that is sent from then on. */
void etcd_session_need_from(struct etcd_session *session, uint64_t from_ms);
/* It is kept alive until then at least, also for nobody here. */
void etcd_session_outlast(struct etcd_session *session, uint64_t until_ms);
/* etcd says that the lease is gone: what stood on it is, too. */
void etcd_session_lost(struct etcd_session *session);
void etcd_session_run(struct etcd_session *session, uint64_t now_ms);
uint64_t etcd_session_right_ms(const struct etcd_session *session);
uint64_t etcd_session_timeout_ms(const struct etcd_session *session);
/* How often what is held is renewed. */
uint64_t etcd_session_interval_ms(const struct etcd_session *session);

/* ---- standing.c ---- */

void etcd_standing_watch(struct etcd_session *session, int64_t revision);
/* What the watch would have told. */
void etcd_standing_read(struct etcd_session *session);
/* What stands there may not be what is known here: read it, soon. */
void etcd_standing_read_again(struct etcd_session *session);
void etcd_standing_forget(struct etcd_session *session);

/* ---- held.c ---- */

/* The place was shown by what was sent at seen_ms, and is compared from now on. */
void etcd_hold(struct etcd_entry *entry, uint64_t seen_ms);
void etcd_unhold(struct etcd_entry *entry);
/* Until when its session and its place have been seen, whichever is less. */
uint64_t etcd_held_since_ms(const struct etcd_entry *entry);
/* In how many parts all are compared, one after the other, within the interval. */
size_t etcd_held_parts(const struct etcd_session *session);
/* The next part: how many they are. Their keys are the entries'. */
size_t etcd_held_compare(
    struct etcd_session *session, struct etcd_compare compares[ETCD_MOST_FURTHER]);
/* It was not answered. */
void etcd_held_put_back(struct etcd_session *session);
/* It was: those that have gone are told so, and those that asked are renewed. */
void etcd_held_answered(struct etcd_session *session, const struct etcd_answer *answer);

/* ---- entry.c ---- */

/* Answers to the engine. */
void etcd_entry_answer(struct etcd_entry *entry, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word);
/* The right counts from the last keep-alive that was confirmed, or the last sight of the place,
 * whichever is older (rules 33, 35). */
void etcd_entry_answer_right(struct etcd_entry *entry, enum claim_event event);
/* Likewise, and the transaction that was answered just now shows the place: ours, the oldest. */
void etcd_entry_answer_seen(struct etcd_entry *entry, enum claim_event event);
/* `still_there`: its key is left to be withdrawn when nobody believes in it any more. */
void etcd_entry_answer_gone(struct etcd_entry *entry, enum mpsync_reason reason, bool still_there);
void etcd_entry_fail(struct etcd_entry *entry, const struct etcd_answer *problem);
void etcd_entry_fail_no_memory(struct etcd_entry *entry);
void etcd_entry_tell_changed(struct etcd_entry *entry);

/* A transaction of its own: what is left out of the call is filled in. */
void etcd_entry_ask(struct etcd_entry *entry, const struct etcd_call *call);
/* One beside the entry's own: only while no other is under way. */
void etcd_entry_check(struct etcd_entry *entry, const struct etcd_call *call);
/* Says if the entry goes on with a good answer; else it has been told. */
bool etcd_entry_is_good(struct etcd_entry *entry, const struct etcd_answer *got);
/* The one key that was asked for, or NULL. */
const struct etcd_key *etcd_only(const struct etcd_found *found);

void etcd_entry_join(struct etcd_entry *entry, struct etcd_session *session);
void etcd_entry_leave_session(struct etcd_entry *entry);
/* Goes on at once, or when the session has been confirmed. */
void etcd_entry_proceed_when_fresh(struct etcd_entry *entry);
/* Goes on when a keep-alive that is sent from now on has been confirmed. */
void etcd_entry_proceed_when_kept(struct etcd_entry *entry);
/* Has the session been confirmed as late as the entry needs it? */
bool etcd_entry_is_kept(const struct etcd_entry *entry);
/* It stands nowhere any more, as far as is known. */
void etcd_entry_lose_place(struct etcd_entry *entry);

/* Those of its place on the session's present lease. False without memory. */
bool etcd_entry_set_keys(struct etcd_entry *entry);
/* Owned by the caller; NULL without memory. `key`, `token`: of an adopted place. */
char *etcd_entry_facts(const struct etcd_entry *entry, const char *key, uint64_t token);
/* Both on the session's present lease. */
struct etcd_op etcd_entry_put_key(const struct etcd_entry *entry);
struct etcd_op etcd_entry_put_facts(const struct etcd_entry *entry, const char *facts);
bool etcd_entry_owns(const struct etcd_entry *entry, const struct etcd_key *facts_key);
/* Else another elector has adopted the place, and answers for it (rule 3). */
bool etcd_stands_on_our_lease(const struct etcd_entry *entry, const struct etcd_key *place);
void etcd_entry_write_value(struct etcd_entry *entry);

/* What its session tells it. The lease is there and alive: go on. */
void etcd_entry_proceed(struct etcd_entry *entry);
/* The lease has ended. */
void etcd_entry_expire(struct etcd_entry *entry);
/* Its facts are there. */
void etcd_entry_see(struct etcd_entry *entry, const struct etcd_facts *facts);
/* Its facts have gone, or those of the place where it waits for room. */
void etcd_entry_gone(struct etcd_entry *entry);

/* ---- place.c ---- */

/* Into the queue; a try only where nobody stands in it. */
void etcd_place_take(struct etcd_entry *entry);
/* Is it the oldest? Else it waits for the one before it to go. */
void etcd_place_look(struct etcd_entry *entry);

/* ---- leave.c ---- */

/* Its key goes, also if it is not known to be there. */
void etcd_leave(struct etcd_entry *entry);

/* ---- adopt.c ---- */

/* A former instance's grant (rule 9), when the session has just been kept alive. */
void etcd_adopt(struct etcd_entry *entry);

/* ---- query.c ---- */

void etcd_query(void *etcd, struct store_query *query);
void etcd_query_cancel(void *etcd, struct store_query *query);
void etcd_observe(struct store *store, struct store_observer *observer);
void etcd_observe_stop(struct store *store, struct store_observer *observer);
void etcd_queries_run(struct etcd *etcd, uint64_t now_ms);
uint64_t etcd_queries_due_ms(const struct etcd *etcd);
void etcd_queries_close(struct etcd *etcd);

#endif
