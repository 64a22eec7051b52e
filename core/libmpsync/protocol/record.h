/*
 * What a stored record means to one contender, and what to write next. For the stores that keep
 * plain records under compare-and-swap: memory, SQLite, Kubernetes Leases. Nothing here does I/O.
 */
#ifndef MPSYNC_RECORD_H
#define MPSYNC_RECORD_H

#include "base/id.h"
#include "base/rfc3339.h"

#include <stdbool.h>
#include <stdint.h>

/* One kernel's boot clock. Records and observers that have the same one may compare deadlines. */
struct record_host {
	struct id boot;  /* none: changes are observed for a ttl, deadlines are not compared */
	uint32_t timens; /* inode of the time namespace */
	uint32_t pidns;  /* inode of the pid namespace */
	int32_t pid;     /* of the holder's process; 0: its death proves nothing */
	uint64_t pid_start;
};

/*
 * The numbers of a record are cut to these when it is read, so that sums of them never overflow:
 * other programs may write anything. A count that has no successor starts again from 0: contenders
 * only look whether it changed.
 */
#define RECORD_LONGEST_MS       (1ull << 53) /* the largest number that JSON keeps exactly */
#define RECORD_LAST_RENEWAL_US  ((uint64_t)RFC3339_LAST_US)
#define RECORD_MOST_TRANSITIONS INT32_MAX /* the largest that a Lease can keep */

struct record {
	uint64_t version; /* of the last write; greater with each write of the name */
	struct id uid;    /* of the stored object (Kubernetes); none elsewhere */
	struct id claim;  /* digest of the holder's claim; none: another client's */
	struct id instance;
	char *holder; /* NULL: free */
	char *value;
	char *next; /* waiters that may write first (rule 49, places instead of a herd); NULL: none */
	uint64_t token;
	uint64_t renewed_us;  /* unix time; rises by a second at least with every renewal */
	uint64_t deadline_ms; /* boot clock of `host`: when others may take the name */
	struct record_host host;
	int64_t since_ms;
	uint32_t transitions; /* how often the holder changed, in stores that count it */
	uint64_t ttl_ms;      /* 0: the record does not say */
	bool election;
	bool revoked;
	/* What the store adds to a record when it is read: */
	bool holder_dead; /* proven, by the end of the holder's process */
	uint32_t ahead;   /* waiters that are alive and came before the asking claim */
	bool unlisted;    /* the store keeps waiters in order, and the asking claim is not among them */
};

/* What one observer knows about one name. All zero: never seen. */
struct observation {
	enum { UNSEEN, SEEN_FREE, SEEN_HELD, SEEN_REVOKED, SEEN_VANISHED } state;
	uint64_t ttl_ms;
	uint64_t unchanged_ms; /* no change for so long, while the observer was awake */
	uint64_t last_ms;      /* boot clock, when unchanged_ms was brought up to date */
	uint64_t planned_ms;   /* how long the observer meant to sleep from then on */
};

/* The contender that asks. */
struct record_view {
	struct id claim;
	struct id instance;
	struct record_host host;
	uint32_t ttl_ms;     /* the contender's own */
	bool absent_is_free; /* records go by a release alone: absent is free */
};

bool record_copy(struct record *to, const struct record *from);
void record_clear(struct record *record);

/*
 * Same holder, same grant, not renewed in between. The version is not compared, since anybody's
 * annotation changes it (rule 24, a conflict is not a loss).
 */
bool record_same_holding(const struct record *a, const struct record *b);

/*
 * Note what was seen at now_ms: `record` NULL when absent, `before` what was seen last or NULL.
 */
void record_observe(struct observation *seen, const struct record *before,
    const struct record *record, const struct record_view *view, uint64_t now_ms);

/*
 * How long until this contender may overwrite the record; 0 is now. Earlier, the holder may still
 * believe in its grant (rules 17 and 31).
 */
uint64_t record_busy_ms(const struct observation *seen, const struct record *record,
    const struct record_view *view, uint64_t now_ms);

/* Is the record the contender's own live grant, written by this instance or about to be adopted? */
bool record_is_own(const struct record *record, const struct record_view *view);

/* Is this the very grant that a former instance told as `token`? (rules 9, 10) */
bool record_is_grant(const struct record *record, const struct id *claim, uint64_t token);

/*
 * The write that grants the name, over the record `there` (NULL: none). That record may be our own
 * lost write, so the new one differs from it whatever the wall clock says. Texts are borrowed; the
 * store sets the version and, with it, the token.
 */
struct record record_grant(const struct record *there, const struct record_view *view,
    const char *holder, const char *value, uint32_t ttl_ms, bool election, uint64_t sent_at_ms,
    int64_t wall_ms);

/*
 * The next renewal of a stored record. It always differs from what is stored, since a write that
 * changes nothing renews nothing (rules 18 and 19).
 */
struct record record_renewal(const struct record *stored, const struct record_view *view,
    const char *value, uint64_t token, uint64_t sent_at_ms, int64_t wall_ms);

/*
 * Who may write first when the name is free, in order: "CLAIM:N,CLAIM:N" (rule 49, places instead
 * of a herd). Places save writes and never decide who holds, so contenders do not compare them, and
 * a text that cannot be read counts as no places.
 */
#define RECORD_MOST_NEXT 8
#define RECORD_NEXT_SIZE 512

uint32_t record_next_count(const char *next);
bool record_next_lists(const char *next, const struct id *claim);
/*
 * How many places come before the claim's; the number of all places if the claim has none and
 * others do.
 */
uint32_t record_next_ahead(const char *next, const struct id *claim);
/* Add a place for the claim at the end. False: all places are taken. */
bool record_next_add(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE]);
void record_next_without(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE]);
/* The places behind the claim's, which stay when the claim takes the name. */
void record_next_behind(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE]);

/*
 * The write that frees the name. `revoked`: others wait for the ttl of the grant that was taken
 * away, since its holder may not know yet.
 */
struct record record_release(const struct record *stored, bool revoked);

#endif
