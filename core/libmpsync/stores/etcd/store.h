/*
 * What the files of the etcd store share: leases (session.c), what stands on a lease (standing.c),
 * the places that are held (held.c), claims (entry.c), their places in a queue (place.c), giving
 * them up (leave.c), adopting them (adopt.c), queries (query.c, list.c, look.h), and observers
 * (observe.c).
 *
 * A place is a claim's key in the queue of its name; its facts are a second key, which says whose
 * the place is. A ghost is a facts key of no claim here; an orphan, an adopted place whose claim is
 * not here.
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
	uint32_t
	    misses; /* requests in a row that got no answer in their time, ETCD_MOST_MISSES at most */
	struct etcd_session *sessions;
	struct etcd_look *looks;
	struct observers observers;
	struct etcd_observing *observing;
	struct etcd_call listening; /* while somebody observes: does the connection pass anything? */
	uint64_t listen_ms;         /* when that is asked; CLAIM_NEVER: it is asked just now */
	uint32_t quiet_ms;          /* how soon observers notice that it does not */
};

#define ETCD_MOST_MISSES 2

/* The pause before something that was in doubt is looked at again. */
#define ETCD_RACE_MS 50

enum etcd_phase {
	ETCD_IDLE,
	ETCD_NEEDS_LEASE, /* an attempt that waits for its session */
	ETCD_RENEWING,    /* a renewal that waits for its session */
	ETCD_ASKING,      /* a request of its own is under way */
};

/* One claim, and its place in the queue of its name. */
struct etcd_entry {
	struct etcd *etcd; /* NULL before its first attempt */
	struct store_claim *claim;
	struct etcd_session *session;
	struct etcd_entry *next; /* of the same session */
	struct etcd_entry *previous;
	enum etcd_phase phase;
	struct etcd_call call;
	struct etcd_call check;   /* a second request beside it, where something has changed */
	struct etcd_watch before; /* watches the place before this one */
	char *queue;
	char *key;
	char *facts;
	char *before_key;
	char *owner_facts;     /* the facts key of the holder that was seen */
	char *adopted_value;   /* until it is answered */
	int64_t owner_created; /* when the holder's key was created */
	int64_t owner_lease;   /* its lease, which is another after an adoption */
	int64_t created;       /* of `key`, which is the token; 0: it may not exist */
	int64_t written;       /* `key`, last; changes when another instance adopts it, or will */
	int64_t shown;         /* likewise, as the last comparison showed it */
	int64_t facts_created; /* changes when another instance adopts it */
	bool before_is_ours;   /* the place before this one is on our lease */
	bool doubtful;         /* a request to enter the queue got no answer */
	bool held;
	bool withdrawing;
	TAILQ_ENTRY(etcd_entry) held_entry;
	struct etcd_entries *list;    /* in its session's lists, while it is held */
	uint64_t needs_ms;            /* it needs a keep-alive that is sent after this */
	uint64_t asked_ms;            /* when its last transaction was sent */
	uint64_t seen_ms;             /* when the request was sent that last showed the place */
	enum mpsync_reason taken;     /* to be told: the place has gone, and why */
	struct etcd_entry *next_told; /* the list of entries to be told */
	struct etcd_entry **told_link;
	unsigned races;
	uint32_t value_version;
};

/*
 * A place that was adopted for a claim that this client does not have, or not any more. Its holder
 * may believe in it for a while.
 */
struct etcd_orphan {
	struct etcd_orphan *next;
	int64_t facts_created;
	uint64_t seen_ms;
	int64_t created; /* of its place */
	char *place;
	char *facts_key;
	char *facts; /* written again if somebody deletes them, since only they end it */
};

enum etcd_session_phase {
	SESSION_IDLE,
	SESSION_GRANTING,
	SESSION_OPENING,
	SESSION_KEEPING,
	SESSION_CONFIRMING
};

/* One lease, kept alive by one request for all claims with the same ttl. */
struct etcd_session {
	struct etcd *etcd;
	struct etcd_session *next;
	struct etcd_entry *entries;
	struct etcd_entries held;  /* the one whose place was shown longest ago comes first */
	struct etcd_entries asked; /* those whose places the request under way compares */
	size_t held_count;         /* in both lists */
	struct etcd_orphan *orphans;
	struct etcd_entry *told; /* entries that are to be told something now */
	enum etcd_session_phase phase;
	struct etcd_call call;
	struct etcd_call reading;
	struct etcd_call changing; /* removes what belongs to no claim here */
	struct etcd_watch watch;
	uint32_t asked_s;
	uint32_t granted_s;
	int64_t lease; /* 0: none */
	char *path;
	char *ghost; /* the facts key that is being removed, or restored */
	int64_t ghost_created;
	uint64_t sent_at_ms;   /* of the keep-alive that is to be confirmed */
	uint64_t confirmed_ms; /* sent_at_ms of the last confirmed one */
	uint64_t wanted_ms;    /* a keep-alive that is sent after this is needed */
	uint64_t believed_ms;  /* others may believe until then in what stands on the lease */
	uint64_t step_ms;      /* when the request under way, or the last one, was due */
	uint64_t compared_ms;  /* when the comparison under way was sent */
	uint64_t asked_ms;     /* when `call` was sent */
	uint64_t term;
	uint64_t due_ms;  /* when to keep it alive, or to try again; CLAIM_NEVER: not */
	uint64_t read_ms; /* when to read what the broken watch missed; CLAIM_NEVER: not */
	uint32_t backoff_ms;
};

uint64_t etcd_now(const struct etcd *etcd);
/*
 * A request that got no answer in its time leaves the next ones more: a server that is slow is
 * understood, and one silent connection, which is left then, holds nothing up (rule 28, one silent
 * connection stops nobody).
 */
void etcd_note_answer(struct etcd *etcd, const struct etcd_call *call,
    const struct etcd_answer *answer, uint64_t asked_ms);
void etcd_arm(struct etcd *etcd);

/* ---- session.c ---- */

/* NULL without memory. */
struct etcd_session *etcd_session_of(struct etcd *etcd, uint32_t ttl_ms);
void etcd_session_free(struct etcd_session *session);

/*
 * An entry that is told something may end others, or the session. So the entries to be told stand
 * in a list.
 */
void etcd_session_tell_later(struct etcd_session *session, struct etcd_entry *entry);
/* Take the entry off the list. The next one is NULL at the list's end. */
struct etcd_entry *etcd_session_next_told(const struct etcd_session *session);
void etcd_session_untell(struct etcd_entry *entry);

bool etcd_session_is_open(const struct etcd_session *session);
/* Was the lease confirmed so recently that it may be relied on? */
bool etcd_session_is_fresh(const struct etcd_session *session);
/* Grant the lease, or keep it alive; the entries that need it proceed when that is confirmed. */
void etcd_session_need(struct etcd_session *session);
/* Likewise, by a keep-alive that is sent at from_ms or later. */
void etcd_session_need_from(struct etcd_session *session, uint64_t from_ms);
/* Keep the lease alive at least until then, even without entries. */
void etcd_session_outlast(struct etcd_session *session, uint64_t until_ms);
/* etcd says that the lease is gone, and so is everything that stood on it. */
void etcd_session_lost(struct etcd_session *session);
void etcd_session_run(struct etcd_session *session, uint64_t now_ms);
uint64_t etcd_session_right_ms(const struct etcd_session *session);
uint64_t etcd_session_timeout_ms(const struct etcd_session *session);
/* How often what is held is renewed. */
uint64_t etcd_session_interval_ms(const struct etcd_session *session);

/* ---- standing.c ---- */

void etcd_standing_watch(struct etcd_session *session, int64_t revision);
/* Handle everything that the broken watch did not tell. */
void etcd_standing_read(struct etcd_session *session);
/* What stands on the lease may differ from what is known here: read it soon. */
void etcd_standing_read_again(struct etcd_session *session);
void etcd_standing_forget(struct etcd_session *session);

/* ---- held.c ---- */

/*
 * The request that was sent at seen_ms showed the place; from now on it is compared in each
 * interval.
 */
void etcd_hold(struct etcd_entry *entry, uint64_t seen_ms);
void etcd_unhold(struct etcd_entry *entry);
/*
 * The place was written by another elector, which means to adopt it. Write it once more before
 * there is a right, so that what that elector has asked of etcd is not done later.
 */
void etcd_hold_on(struct etcd_entry *entry, int64_t written);
/* How recently both the lease and the place were confirmed: the earlier of the two times. */
uint64_t etcd_held_since_ms(const struct etcd_entry *entry);
/* In how many parts the places are compared, one after the other, within the interval. */
size_t etcd_held_parts(const struct etcd_session *session);
/* Fill in the next part, and return how many comparisons it has. Their keys are the entries'. */
size_t etcd_held_compare(
    struct etcd_session *session, struct etcd_compare compares[ETCD_MOST_FURTHER]);
/* The comparison got no answer. */
void etcd_held_put_back(struct etcd_session *session);
/* It was answered: entries whose places have gone are told, and those that asked are renewed. */
void etcd_held_answered(struct etcd_session *session, const struct etcd_answer *answer);

/* ---- entry.c ---- */

/* Answers to the engine. */
void etcd_entry_answer(struct etcd_entry *entry, enum claim_event event,
    const struct claim_answer *particulars, const struct store_word *word);
/*
 * Answers with a right that counts from the last confirmed keep-alive, or from when the place was
 * last shown, whichever is earlier (rules 33 and 35).
 */
void etcd_entry_answer_right(struct etcd_entry *entry, enum claim_event event);
/* Likewise, after a transaction that has just shown our place to be the oldest. */
void etcd_entry_answer_seen(struct etcd_entry *entry, enum claim_event event);
/*
 * `still_there`: the key stays until nobody believes in the grant any more, and is then withdrawn.
 */
void etcd_entry_answer_gone(struct etcd_entry *entry, enum mpsync_reason reason, bool still_there);
void etcd_entry_fail(struct etcd_entry *entry, const struct etcd_answer *problem);
void etcd_entry_fail_no_memory(struct etcd_entry *entry);
void etcd_entry_tell_changed(struct etcd_entry *entry);

/* Send a transaction of the entry's own; what `call` leaves out is filled in. */
void etcd_entry_ask(struct etcd_entry *entry, const struct etcd_call *call);
/* Send a second one beside it; only one at a time. */
void etcd_entry_check(struct etcd_entry *entry, const struct etcd_call *call);
/* Is the answer good, so that the entry proceeds? Else the engine has been answered. */
bool etcd_entry_is_good(struct etcd_entry *entry, const struct etcd_answer *got);
/* The one key that was asked for; NULL: it does not exist. */
const struct etcd_key *etcd_only(const struct etcd_found *found);

void etcd_entry_join(struct etcd_entry *entry, struct etcd_session *session);
void etcd_entry_leave_session(struct etcd_entry *entry);
/* Proceed at once if the lease is fresh, else when it has been confirmed. */
void etcd_entry_proceed_when_fresh(struct etcd_entry *entry);
/* Proceed when a keep-alive that is sent from now on has been confirmed. */
void etcd_entry_proceed_when_kept(struct etcd_entry *entry);
/* Has a keep-alive been confirmed that was sent as late as the entry needs? */
bool etcd_entry_is_kept(const struct etcd_entry *entry);
/* As far as is known, the claim has no place any more. */
void etcd_entry_lose_place(struct etcd_entry *entry);

/* Set the keys of the claim's place on the session's present lease. False without memory. */
bool etcd_entry_set_keys(struct etcd_entry *entry);
/*
 * The facts as text, owned by the caller; NULL without memory. `key` and `token` are those of an
 * adopted place.
 */
char *etcd_entry_facts(const struct etcd_entry *entry, const char *key, uint64_t token);
/* Operations that put the key, and its facts, on the session's present lease. */
struct etcd_op etcd_entry_put_key(const struct etcd_entry *entry);
struct etcd_op etcd_entry_put_facts(const struct etcd_entry *entry, const char *facts);
bool etcd_entry_owns(const struct etcd_entry *entry, const struct etcd_key *facts_key);
/*
 * False: another elector has adopted the place, and answers for it (rule 3, write only on top of
 * your own write).
 */
bool etcd_stands_on_our_lease(const struct etcd_entry *entry, const struct etcd_key *place);
void etcd_entry_write_value(struct etcd_entry *entry);

/* Called by the session. The lease is alive: proceed. */
void etcd_entry_proceed(struct etcd_entry *entry);
/* The lease has ended. */
void etcd_entry_expire(struct etcd_entry *entry);
/* The claim's facts are there. */
void etcd_entry_see(struct etcd_entry *entry, const struct etcd_facts *facts);
/* The claim's facts have gone, or those of the place that it waits for. */
void etcd_entry_gone(struct etcd_entry *entry);

/* ---- place.c ---- */

/* Enter the queue; a try does so only if nobody is in it. */
void etcd_place_take(struct etcd_entry *entry);
/*
 * The place stands on a lease of this client and belongs to no claim of it: it came late, or was
 * adopted for a claim that has gone.
 */
bool etcd_place_is_nobodys(const struct etcd_entry *entry, const struct etcd_key *place);
/*
 * Write the facts of a place that belongs to no claim again if they are missing. Whoever reads the
 * facts removes the place when the right of its holder has ended; without facts the place would
 * stay. False without memory.
 */
bool etcd_place_restore_facts(struct etcd_entry *entry, const struct etcd_key *place,
    void (*send)(struct etcd_entry *, const struct etcd_call *),
    void (*done)(struct etcd_call *, const struct etcd_answer *));
/* Is the place the oldest? Else wait for the one before it to go. */
void etcd_place_look(struct etcd_entry *entry);

/* ---- leave.c ---- */

/* Remove the claim's key, even if it is not known to exist. */
void etcd_leave(struct etcd_entry *entry);

/* ---- adopt.c ---- */

/*
 * Adopt a former instance's grant (rule 9, a restart loses nothing). The session has just been kept
 * alive.
 */
void etcd_adopt(struct etcd_entry *entry);

/* ---- query.c ---- */

void etcd_query(void *etcd, struct store_query *query);
void etcd_query_cancel(void *etcd, struct store_query *query);
void etcd_queries_close(struct etcd *etcd);

/* ---- observe.c ---- */

void etcd_observe(struct store *store, struct store_observer *observer);
void etcd_observe_stop(struct store *store, struct store_observer *observer);
void etcd_observe_run(struct etcd *etcd, uint64_t now_ms);
uint64_t etcd_observe_due_ms(const struct etcd *etcd);
void etcd_observe_close(struct etcd *etcd);

#endif
