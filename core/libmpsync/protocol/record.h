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

/* One kernel's boot clock: two records and observers with the same one may compare deadlines. */
struct record_host {
	struct id boot;  /* none: deadlines are not compared, only observed */
	uint32_t timens; /* inode of the time namespace */
	uint32_t pidns;  /* inode of the pid namespace */
	int32_t pid;     /* 0: the holder's death is no proof that nobody believes */
	uint64_t pid_start;
};

/*
 * Whoever reads a record bounds its numbers by these, so that sums of them never overflow: others
 * write what they like. What has no successor starts again: a change is all that it has to be.
 */
#define RECORD_LONGEST_MS       (1ull << 53) /* the largest number that JSON keeps exactly */
#define RECORD_LAST_RENEWAL_US  ((uint64_t)RFC3339_LAST_US)
#define RECORD_MOST_TRANSITIONS INT32_MAX /* of a Lease */

struct record {
	uint64_t version; /* of the last write; greater with each write of the name */
	struct id uid;    /* of the stored object, where the store gives it one */
	struct id claim;  /* the digest; none when the holder is no user of this library */
	struct id instance;
	char *holder; /* NULL: free */
	char *value;
	char *next; /* who may write first when it is free (rule 49); NULL: nobody */
	uint64_t token;
	uint64_t renewed_us;  /* unix time; rises by a second at least with every renewal */
	uint64_t deadline_ms; /* boot clock of `host`: when others may take it */
	struct record_host host;
	int64_t since_ms;
	uint32_t transitions; /* how often the holder changed, where that is kept */
	uint64_t ttl_ms;      /* 0: it does not say */
	bool election;
	bool revoked;
	/* Told by the backend, not stored: */
	bool holder_dead; /* proven */
	uint32_t ahead;   /* live waiters that came before the asking claim */
	bool unlisted;    /* the backend keeps an order, and the asking claim does not stand in it */
};

/* What one observer knows about one name. All zero: never seen. */
struct observation {
	enum { UNSEEN, SEEN_FREE, SEEN_HELD, SEEN_REVOKED, SEEN_VANISHED } state;
	uint64_t ttl_ms;
	uint64_t unchanged_ms; /* credited time without a change of the holder's part */
	uint64_t last_ms;      /* when it was credited last */
	uint64_t planned_ms;   /* how long the observer meant to sleep since then */
};

/* The contender that asks. */
struct record_view {
	struct id claim;
	struct id instance;
	struct record_host host;
	uint32_t ttl_ms;     /* its own */
	bool absent_is_free; /* a backend without hand deletion, whose free records are absent */
};

bool record_copy(struct record *to, const struct record *from);
void record_clear(struct record *record);

/* Same holder, same grant, not renewed in between. The version is not compared (rule 24). */
bool record_same_holding(const struct record *a, const struct record *b);

/*
 * Note what was seen at now_ms: `record` NULL when absent, `before` what was seen last or NULL.
 */
void record_observe(struct observation *seen, const struct record *before,
    const struct record *record, const struct record_view *view, uint64_t now_ms);

/*
 * How long until this contender may overwrite the record: 0 is now. Nobody may before (rules 17,
 * 31).
 */
uint64_t record_busy_ms(const struct observation *seen, const struct record *record,
    const struct record_view *view, uint64_t now_ms);

/* The record of the contender's own live grant, written by this instance or being adopted. */
bool record_is_own(const struct record *record, const struct record_view *view);

/* Is this the very grant that a former instance told as `token`? (rules 9, 10) */
bool record_is_grant(const struct record *record, const struct id *claim, uint64_t token);

/*
 * The granting write over `there` (NULL: nothing), which may be our own lost one, so that it has to
 * differ from it whatever the wall clock says. Borrowed strings; the version and, with it, the
 * token come from the backend.
 */
struct record record_grant(const struct record *there, const struct record_view *view,
    const char *holder, const char *value, uint32_t ttl_ms, bool election, uint64_t sent_at_ms,
    int64_t wall_ms);

/* The next renewal of a stored record, always different from it (rules 18, 19). */
struct record record_renewal(const struct record *stored, const struct record_view *view,
    const char *value, uint64_t token, uint64_t sent_at_ms, int64_t wall_ms);

/*
 * Who may write first when the record is free, in order: "CLAIM:N,CLAIM:N" (rule 49). It is
 * politeness, and never part of what contenders compare. What cannot be read is nobody.
 */
#define RECORD_MOST_NEXT 8
#define RECORD_NEXT_SIZE 512

uint32_t record_next_count(const char *next);
bool record_next_lists(const char *next, const struct id *claim);
/* How many come before the claim; all places, taken or not, if it has none and others do. */
uint32_t record_next_ahead(const char *next, const struct id *claim);
/* With the claim at the end. False: there is no room. */
bool record_next_add(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE]);
void record_next_without(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE]);
/* Those behind the claim: what it leaves when it takes the record. */
void record_next_behind(const char *next, const struct id *claim, char out[RECORD_NEXT_SIZE]);

/* The freeing write. Revoked: others wait for the ttl of the grant that was taken away. */
struct record record_release(const struct record *stored, bool revoked);

#endif
