/*
 * The life of one claim: one contender's wish for one name.
 *
 *   QUEUED ──turn──▶ WAITING ──granted──▶ HELD ──released, lost──▶ LEAVING ──freed──▶ ENDED
 *     │                 └───cancelled, timed out, refused───────────▶┘                  ▲
 *     └──cancelled, timed out───────────────────────────────────────────────────────────┘
 *
 * What happens goes in with the time; what to do comes out with the time to wake. Nothing here
 * reads a clock, allocates, locks or sends: a test can be a year long, and the simulation runs this
 * file.
 */
#ifndef MPSYNC_CLAIM_H
#define MPSYNC_CLAIM_H

#include <mpsync.h>
#include <stdbool.h>
#include <stdint.h>

#define CLAIM_NEVER UINT64_MAX

enum claim_state {
	CLAIM_QUEUED,  /* behind another claim of the same engine */
	CLAIM_WAITING, /* contends at the store */
	CLAIM_HELD,
	CLAIM_LEAVING, /* over for the caller; the store may still show it */
	CLAIM_ENDED
};

enum claim_event {
	CLAIM_TICK,        /* only time has passed */
	CLAIM_TURN,        /* first in the engine's queue now */
	CLAIM_RENEW_EARLY, /* others are being renewed: join them if it is nearly time */
	CLAIM_RENEW_NOW,   /* the value changed, or the margin is wanted */
	CLAIM_RELEASE,     /* the caller's wish */
	CLAIM_CANCEL,      /* the caller's wish */
	/* What the store tells: */
	CLAIM_CHANGED, /* the name may be free now */
	CLAIM_GRANTED, /* attempt: ours; token, sent_at_ms, right_ms */
	CLAIM_BUSY,    /* attempt: another's; retry_in_ms */
	CLAIM_RENEWED, /* renew: acknowledged; sent_at_ms, right_ms */
	CLAIM_GONE,    /* renew or adopt: the store shows that the grant ended; reason */
	CLAIM_FREED,   /* withdraw: the store neither holds nor queues this claim */
	CLAIM_REFUSED, /* can never succeed; status */
	CLAIM_UNKNOWN  /* no answer in time; status, retry_in_ms if the store named one */
};

enum claim_action {
	CLAIM_SLEEP,
	CLAIM_ATTEMPT,
	CLAIM_RENEW,
	CLAIM_WITHDRAW, /* release, or make sure that nothing is held or queued */
	CLAIM_REPORT,   /* tell the caller what `report` says */
	CLAIM_END       /* forget this claim */
};

enum claim_report {
	CLAIM_REPORT_NONE,
	CLAIM_REPORT_HELD,
	CLAIM_REPORT_LOST,
	CLAIM_REPORT_RELEASED,
	CLAIM_REPORT_BUSY,
	CLAIM_REPORT_CANCELLED,
	CLAIM_REPORT_FAILED
};

/* The particulars of an event from the store. */
struct claim_answer {
	uint64_t token;
	uint64_t sent_at_ms;  /* boot clock, read before the acknowledged request was sent */
	uint64_t right_ms;    /* how long the right lasts from sent_at_ms */
	uint64_t renew_in_ms; /* from sent_at_ms, when to renew; 0: a third of the ttl */
	/* BUSY: when to try again unless it changes before; CLAIM_NEVER: never. UNKNOWN, REFUSED: how
	   long the store wants to be left alone; 0: it did not say. */
	uint64_t retry_in_ms;
	enum mpsync_reason reason;
	enum mpsync_status status;
	uint32_t ttl_ms;  /* GRANTED, adopted: the grant's own; 0: as asked */
	bool still_there; /* GONE: to be withdrawn when nobody can believe in it any more */
};

struct claim_input {
	enum claim_event event;
	uint32_t random; /* for jitter */
	uint64_t now_ms; /* boot clock */
	int64_t wall_ms; /* wall clock, to notice that it ran ahead of the boot clock */
	bool held_here;  /* QUEUED: the store has given the name to another, as those before it know */
	struct claim_answer answer;
};

struct claim_output {
	enum claim_action action;
	uint64_t wake_at_ms;
};

/* Kept small: an elector has a hundred thousand. */
struct claim {
	enum claim_state state : 8;
	enum claim_action in_flight : 8; /* SLEEP: nothing was asked of the store, or it has answered */
	enum claim_report report : 8;    /* not yet told */
	enum mpsync_reason reason : 8;
	enum mpsync_status status : 8; /* the last error, cleared by an answer */
	bool once : 1;                 /* a try: one answer of the store decides */
	bool heard : 1;                /* the store has judged it once: it can succeed */
	bool on_behalf : 1;            /* others believe in it, until its right ends */
	bool
	    patient : 1; /* `once`, but what is not answered well is asked for again until give_up_ms */
	bool adopting : 1;  /* GONE ends it: a grant of a former elector is confirmed or over */
	bool attempted : 1; /* the store may know of this claim */
	bool doubtful : 1;  /* a request went unanswered: it may have been done */
	bool changed : 1;   /* it may be free: attempt again */
	bool renew_now : 1;
	bool release_asked : 1;
	uint8_t renewals; /* in a ttl */
	uint32_t ttl_ms;
	uint32_t backoff_ms;
	uint64_t token;
	uint64_t give_up_ms;       /* QUEUED, WAITING: the wait's end; LEAVING: that of trying again */
	uint64_t next_try_ms;      /* when to attempt, renew or withdraw */
	uint64_t valid_until_ms;   /* HELD: the end of the right */
	uint64_t withdraw_from_ms; /* LEAVING: others may still be told that it is held */
	int64_t wall_ahead_ms;     /* wall clock minus boot clock when the right was last confirmed */
};

/*
 * What is attempted is to adopt a grant of a former elector, as the store may have found only now:
 * it is not this claim's to release, also where that has been given up meanwhile.
 */
void claim_adopts(struct claim *claim);

/* wait_ms 0 tries once, for claim_try_ms at most; CLAIM_NEVER waits for ever. */
void claim_init(struct claim *claim, uint32_t ttl_ms, uint64_t now_ms, uint64_t wait_ms);

/*
 * Take one event. The caller does what the output says and steps again with CLAIM_TICK, until it is
 * SLEEP or END. ATTEMPT, RENEW and WITHDRAW are answered later by one event of the store each.
 */
struct claim_output claim_step(struct claim *claim, const struct claim_input *input);

/* How long a right lasts from the sending of the write that was acknowledged (rule 29). */
uint64_t claim_right_ms(uint64_t ttl_ms);

/* The longest that one request may take, so that a slow server starves nobody. */
uint64_t claim_request_timeout_ms(uint64_t ttl_ms);

/* After so long without an answer a further request is sent (rule 28). */
uint64_t claim_further_ms(uint64_t ttl_ms);

/* A try that has no answer by then ends without one. */
uint64_t claim_try_ms(uint64_t ttl_ms);

/* Where a request crosses a network, a right is renewed so often: half a ttl without it is
 * survived.
 */
uint64_t claim_renew_often_ms(uint64_t ttl_ms);

/* Are renewals at next_ms so near that they join others now? */
bool claim_is_nearly_due(const struct claim *claim, uint64_t next_ms, uint64_t now_ms);

#endif
