/*
 * The terms of one run: a candidate that stands, leads, stops, and stands again, until it is asked
 * to end. The caller's function is at work from TERM to TERMS_DONE.
 *
 *                ┌───── the function failed, handed over, the store refuses ─── BACKING_OFF
 *                ▼                                                                   ▲
 *   STANDING ──held──▶ LEADING ──asked, lost, nearly expired──▶ ENDING ──done──▶ RELEASING ──▶ OVER
 *      │                  └───────────────done─────────────────────────────────────▲  │
 *      ├──stop──▶ LEAVING ──▶ OVER                                                     │
 *      └◀──────────────────────────── released, and not stopped ───────────────────────┘
 *
 * While the function is at work the right is renewed. It is released when the function has
 * returned, or at the drain's limit; what is lost is not touched; nothing is asked for before the
 * function has returned. Each TERM is followed by exactly one ENDING, and the run ends once.
 *
 * What happens goes in with the time, and calls of the host come out. Nothing here reads a clock,
 * allocates or sends, so the simulation runs this file.
 */
#ifndef MPSYNC_TERMS_H
#define MPSYNC_TERMS_H

#include <mpsync.h>
#include <stdbool.h>
#include <stdint.h>

#define TERMS_NEVER UINT64_MAX

enum terms_state {
	TERMS_STANDING,    /* a claim waits for the name */
	TERMS_LEADING,     /* the function is at work */
	TERMS_ENDING,      /* it was told to stop, and is still at work */
	TERMS_RELEASING,   /* it has returned; the claim is being released, if it was still held */
	TERMS_BACKING_OFF, /* nothing is asked for, for a while */
	TERMS_LEAVING,     /* stopped while it stood: the claim is being cancelled */
	TERMS_OVER
};

enum terms_event {
	TERMS_TICK, /* only time has passed */
	/* The caller's: */
	TERMS_STOP, /* end the run */
	/* End this term, and stand again after a pause, behind the others; nothing without a term. */
	TERMS_HAND_OVER,
	TERMS_CLOSE, /* end the run without waiting for the function */
	TERMS_DONE,  /* the function has returned; `failed` */
	/* What became of the claim that was asked for: */
	TERMS_HELD,
	TERMS_LOST, /* reason */
	TERMS_RELEASED,
	TERMS_BUSY, /* the wait is over */
	TERMS_CANCELLED,
	TERMS_FAILED /* status */
};

enum terms_word {
	TERMS_TELL_TERM,   /* the function begins */
	TERMS_TELL_ENDING, /* it shall stop: `reason`, terms_left_ms */
	TERMS_TELL_LATE,   /* it is still at work long after it was told to stop */
	TERMS_TELL_TROUBLE /* the store does not grant anything, and is waited for: `status` */
};

struct terms_input {
	enum terms_event event;
	uint32_t random; /* for jitter */
	uint64_t now_ms; /* boot clock */
	bool failed;
	enum mpsync_reason reason;
	enum mpsync_status status;
};

struct terms_options {
	bool once; /* one term, as a lock has */
	uint32_t ttl_ms;
	uint64_t wait_ms;   /* how long it stands for each term; 0 tries; TERMS_NEVER */
	uint64_t drain_ms;  /* the longest that a function may end under the right; TERMS_NEVER */
	uint64_t notice_ms; /* ENDING comes so long before a right ends that is not renewed */
};

/* What a run has done. Each may bring the next event before it returns, but `wake_at`. */
struct terms_host {
	/* A claim, which waits so long. */
	void (*ask)(void *context, uint64_t wait_ms);
	void (*cancel)(void *context);
	void (*release)(void *context);
	void (*tell)(void *context, enum terms_word word);
	/* Feed TICK at that time; a later call replaces an earlier one. */
	void (*wake_at)(void *context, uint64_t at_ms);
	/* `end_status`, and `busy`; the run is not touched any more. */
	void (*end)(void *context);
};

struct terms {
	const struct terms_host *host;
	void *context;
	struct terms_options options;
	enum terms_state state;
	enum mpsync_reason reason;     /* of ENDING */
	enum mpsync_status end_status; /* the run's */
	enum mpsync_status status;     /* of the latest refusal */
	bool busy;                     /* it ended because a wait was over */
	bool stopped;
	bool failed;    /* the function of the latest term */
	bool lost;      /* the latest term's right */
	bool heard;     /* it has led: it can succeed */
	bool asked;     /* a claim waits */
	bool held;      /* the right is there, and nothing was done to give it away */
	bool leaving;   /* the claim was told to cancel or release, and has not answered */
	bool tell_term; /* to be told next */
	bool tell_ending;
	bool tell_trouble;
	unsigned depth;
	uint32_t backoff_ms;     /* after functions that failed */
	uint32_t retry_ms;       /* while the store refuses */
	uint64_t give_up_ms;     /* STANDING: the wait's end */
	uint64_t again_ms;       /* BACKING_OFF: its end */
	uint64_t trouble_ms;     /* when to say next that the store is waited for; 0: at once */
	uint64_t since_ms;       /* LEADING: since when; ENDING: when it was told */
	uint64_t limit_ms;       /* ENDING: the drain's end */
	uint64_t free_ms;        /* when the latest grant ended */
	uint64_t late_ms;        /* ENDING: when to say that the function is still at work */
	uint64_t right_until_ms; /* 0: not known */
};

/* Nothing is done before the first event, TICK or STOP. */
void terms_init(struct terms *terms, const struct terms_options *options,
    const struct terms_host *host, void *context);

/* Take one event, and do all that follows from it. */
void terms_feed(struct terms *terms, const struct terms_input *input);

/* The right's end as it was confirmed last. */
void terms_right(struct terms *terms, uint64_t until_ms);

/* Is the function at work? */
bool terms_at_work(const struct terms *terms);

/*
 * For how long the name stays this run's while the function ends: -1 as long as it is renewed; 0:
 * it is lost.
 */
int64_t terms_left_ms(const struct terms *terms, uint64_t now_ms);

#endif
