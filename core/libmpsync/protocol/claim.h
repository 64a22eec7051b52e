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
	CLAIM_LEAVING, /* over for the caller; the store may still hold or queue it */
	CLAIM_ENDED
};

enum claim_event {
	CLAIM_TICK,        /* only time has passed */
	CLAIM_TURN,        /* first in the engine's queue now */
	CLAIM_RENEW_EARLY, /* other claims are being renewed: join them if this one is nearly due */
	CLAIM_RENEW_NOW,   /* the value changed, or a holder wants its full right */
	CLAIM_RELEASE,     /* the caller's wish */
	CLAIM_CANCEL,      /* the caller's wish */
	/* What the store tells: */
	CLAIM_CHANGED, /* the name may be free now */
	CLAIM_GRANTED, /* attempt: the claim has the name; token, sent_at_ms, right_ms */
	CLAIM_BUSY,    /* attempt: another claim has the name; retry_in_ms */
	CLAIM_RENEWED, /* renew: acknowledged; sent_at_ms, right_ms */
	CLAIM_GONE,    /* renew or adopt: the store shows that the grant ended; reason */
	CLAIM_FREED,   /* withdraw: the store neither holds nor queues this claim */
	CLAIM_REFUSED, /* the request can never succeed; status */
	CLAIM_UNKNOWN  /* no answer in time; status, and retry_in_ms if the store named a pause */
};

enum claim_action {
	CLAIM_SLEEP,
	CLAIM_ATTEMPT,
	CLAIM_RENEW,
	CLAIM_WITHDRAW, /* release, or make sure that the store neither holds nor queues the claim */
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
	/*
	 * BUSY: when to try again if no change is told before; CLAIM_NEVER: not at all. UNKNOWN,
	 * REFUSED: how long the store asks not to be called; 0: it did not say.
	 */
	uint64_t retry_in_ms;
	enum mpsync_reason reason;
	enum mpsync_status status;
	uint32_t ttl_ms;  /* GRANTED, adopted: the grant's own ttl; 0: the one asked for */
	bool still_there; /* GONE: the record stays until nobody can believe in it */
};

struct claim_input {
	enum claim_event event;
	uint32_t random; /* for jitter */
	uint64_t now_ms; /* boot clock */
	int64_t wall_ms; /* wall clock, to notice that it ran ahead of the boot clock */
	bool held_here;  /* QUEUED: another claim of this engine is known to hold the name */
	struct claim_answer answer;
};

struct claim_output {
	enum claim_action action;
	uint64_t wake_at_ms;
};

/* Kept small: an elector has a hundred thousand of these. */
struct claim {
	enum claim_state state : 8;
	enum claim_action in_flight : 8; /* SLEEP: no request is under way */
	enum claim_report report : 8;    /* what the caller has not been told yet */
	enum mpsync_reason reason : 8;
	enum mpsync_status status : 8; /* the last error; an answer clears it */
	bool once : 1;                 /* a try: one answer of the store decides */
	bool heard : 1;                /* the store has answered once: it can be reached */
	bool on_behalf : 1;            /* an elector's: its client believes until the right ends */
	bool patient : 1;              /* a try that asks again after a bad answer, until give_up_ms */
	bool adopting : 1;             /* GONE ends it: a former elector's grant lasts, or is over */
	bool attempted : 1;            /* the store may know of this claim */
	bool doubtful : 1;             /* a request got no answer: it may have been carried out */
	bool changed : 1;              /* the name may be free: attempt again */
	bool renew_now : 1;
	bool release_asked : 1;
	uint8_t renewals; /* how many times the grant is renewed in one ttl */
	uint32_t ttl_ms;
	uint32_t backoff_ms;
	uint64_t token;
	uint64_t give_up_ms;       /* the end of the wait; LEAVING: of trying to withdraw */
	uint64_t next_try_ms;      /* when to attempt, renew or withdraw next */
	uint64_t valid_until_ms;   /* HELD: the end of the right */
	uint64_t withdraw_from_ms; /* LEAVING: others may believe until then */
	int64_t wall_ahead_ms;     /* wall clock minus boot clock when the right was last confirmed */
};

/*
 * From now on the claim adopts a grant of a former elector, which the store may have found only
 * now. Such a grant is not this claim's to release, even if the claim has been given up meanwhile.
 */
void claim_adopts(struct claim *claim);

/* wait_ms 0 tries once, for claim_try_ms at most; CLAIM_NEVER waits for ever. */
void claim_init(struct claim *claim, uint32_t ttl_ms, uint64_t now_ms, uint64_t wait_ms);

/*
 * Take one event. The caller does what the output says and steps again with CLAIM_TICK, until the
 * output is SLEEP or END. Each ATTEMPT, RENEW and WITHDRAW is answered later by one event of the
 * store.
 */
struct claim_output claim_step(struct claim *claim, const struct claim_input *input);

/* How long a right lasts after its acknowledged write was sent (rule 29, the inequality). */
uint64_t claim_right_ms(uint64_t ttl_ms);

/*
 * The longest that one request may take, so that a slow server cannot block the claims behind it.
 */
uint64_t claim_request_timeout_ms(uint64_t ttl_ms);

/*
 * After so long without an answer a further request is sent on another connection (rule 28, one
 * silent connection stops nobody).
 */
uint64_t claim_further_ms(uint64_t ttl_ms);

/* How long a try waits for the store's answer before it ends without one. */
uint64_t claim_try_ms(uint64_t ttl_ms);

/*
 * How often a right is renewed where requests cross a network: a store that is silent for half a
 * ttl costs no right.
 */
uint64_t claim_renew_often_ms(uint64_t ttl_ms);

/*
 * Are renewals at next_ms so near that they join those of other claims now? One request for many
 * costs less.
 */
bool claim_is_nearly_due(const struct claim *claim, uint64_t next_ms, uint64_t now_ms);

#endif
