/**
 * @file mpsync.h
 * Metaparticle Sync: locks and leader election for programs that run as many copies.
 *
 * The whole public interface. A client is opened on a URL that says where the locks live; locks and
 * elections are asked for on the client; what becomes of each request arrives as an event in a
 * queue whose descriptor is readable while it holds one. Blocking calls stand on top.
 *
 * Rules that hold for every function:
 * - Handles count references: a lock keeps its client, a client keeps its queue. They may be freed
 * in any order, and every function takes NULL (and answers MPSYNC_E_INVALID, 0 or NULL).
 * - Every function may be called from any thread. Freeing a handle while another thread still calls
 *   with it is the caller's mistake.
 * - Text goes in as UTF-8 and is copied. Text that comes out says who owns it.
 * - @p error is always last, may be NULL, is cleared on success and filled on failure.
 * - After fork() the handles of the parent answer MPSYNC_E_FORKED in the child; open a new client.
 *   The parent's queue has no events there and no descriptor; what waits for a request is told that
 *   it has FAILED.
 * - `op_id`, lock and grant numbers are below 2^53, so that every language can hold them.
 */
#ifndef MPSYNC_H
#define MPSYNC_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) || defined(SWIG)
#define MPSYNC_API
#else
#define MPSYNC_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Statuses and errors ------------------------------------------------------------------- */

/** What a call came to. Values are never reused; new ones are appended. */
typedef enum mpsync_status {
	MPSYNC_OK = 0,
	MPSYNC_E_INVALID = -1,          /**< An argument breaks the contract. */
	MPSYNC_E_HELD = -2,             /**< Another holder has it. */
	MPSYNC_E_LOST = -3,             /**< The right ran out or was taken. */
	MPSYNC_E_UNREACHABLE = -4,      /**< The store did not answer in time. */
	MPSYNC_E_TIMEOUT = -5,          /**< The wait ended without it. */
	MPSYNC_E_CANCELLED = -6,        /**< The request was cancelled. */
	MPSYNC_E_NOT_HELD = -7,         /**< Nothing is held that could be released. */
	MPSYNC_E_ALREADY_HELD = -8,     /**< This handle holds it, or asks for it, already. */
	MPSYNC_E_FORBIDDEN = -9,        /**< The store refuses; the message names what is missing. */
	MPSYNC_E_UNAUTHENTICATED = -10, /**< The store does not know who asks. */
	MPSYNC_E_FORKED = -11,          /**< The handle belongs to the parent process. */
	MPSYNC_E_CLOSED = -12,          /**< The client is closed. */
	MPSYNC_E_NO_MEMORY = -13,
	MPSYNC_E_UNSUPPORTED = -14, /**< This store cannot do that (a ttl, a feature). */
	MPSYNC_E_CORRUPT = -15,     /**< A record or file is not what this library writes. */
	MPSYNC_E_INTERNAL = -16
} mpsync_status;

/** Why a right ended that nobody asked to end. */
typedef enum mpsync_reason {
	MPSYNC_REASON_NONE = 0,
	MPSYNC_REASON_EXPIRED = 1, /**< It could not be renewed in time. */
	MPSYNC_REASON_TAKEN = 2,   /**< The store shows another holder. */
	MPSYNC_REASON_DELETED = 3, /**< The store's record is gone. */
	MPSYNC_REASON_REVOKED = 4, /**< Released by force. */
	MPSYNC_REASON_CLOCK = 5,   /**< The wall clock ran ahead: this machine may have stood still. */
	MPSYNC_REASON_OTHER_ELECTOR = 6 /**< Another elector has adopted it. */
} mpsync_reason;

/** Filled on failure, cleared on success. The caller's own, so it follows no thread. */
typedef struct mpsync_error {
	int32_t status;    /**< an mpsync_status */
	char message[248]; /**< what happened, to what, and what to do; "" after success */
} mpsync_error;

/** The library's version, "1.0.0". Borrowed for ever. */
MPSYNC_API const char *mpsync_version(void);

/** One sentence for a status. Borrowed for ever. */
MPSYNC_API const char *mpsync_status_text(int32_t status);

/** The wire's word for a reason: "expired", "taken", … Borrowed for ever. */
MPSYNC_API const char *mpsync_reason_text(int32_t reason);

/* ---- Options -------------------------------------------------------------------------------- */

/** Settings by name, as in URLs' queries, the environment and the command line (docs/options.md).
 */
typedef struct mpsync_options mpsync_options;

/** @return owned by the caller: mpsync_options_free; NULL without memory */
MPSYNC_API mpsync_options *mpsync_options_new(mpsync_error *error);

/**
 * Set one option.
 *
 * @param name   "ttl", "identity", …
 * @param value  as people write it: "15s", "250ms"; copied
 * @return MPSYNC_OK, or MPSYNC_E_INVALID for an unknown name or a value out of range
 */
MPSYNC_API mpsync_status mpsync_options_set(
    mpsync_options *options, const char *name, const char *value, mpsync_error *error);

/** Frees them; clients and locks that were made with them have copies. NULL is allowed. */
MPSYNC_API void mpsync_options_free(mpsync_options *options);

/* ---- Events --------------------------------------------------------------------------------- */

/** What an event tells. Values are never reused; new ones are appended. */
typedef enum mpsync_event_type {
	MPSYNC_EVENT_HELD = 1,      /**< The grant is yours: grant, token. */
	MPSYNC_EVENT_LOST = 2,      /**< A held grant ended unasked: grant, reason. */
	MPSYNC_EVENT_RELEASED = 3,  /**< A held grant ended as asked: grant. */
	MPSYNC_EVENT_BUSY = 4,      /**< A try or a wait ended without it: holder. */
	MPSYNC_EVENT_CANCELLED = 5, /**< The request was cancelled. */
	MPSYNC_EVENT_FAILED = 6,    /**< The request cannot succeed: status, message. */
	MPSYNC_EVENT_WAITING = 7,   /**< Still waiting: holder, position, unchanged_ms. */
	MPSYNC_EVENT_LEADER = 8,    /**< Observed: holder (NULL: nobody), value, token. */
	MPSYNC_EVENT_LOG = 9,       /**< A line of the log: message. */
	MPSYNC_EVENT_DONE = 10      /**< A request without a grant is complete: status, message. */
} mpsync_event_type;

/** One event. Read-only, allocated by the library, freed by mpsync_event_free. Fields are appended.
 */
typedef struct mpsync_event {
	int32_t type;         /**< mpsync_event_type */
	int32_t status;       /**< mpsync_status; what a blocking call would have returned */
	int32_t reason;       /**< mpsync_reason, with LOST */
	uint32_t position;    /**< with WAITING: 1 is next, 0 is not known */
	uint64_t op_id;       /**< the request's number; 0 with LOST */
	uint64_t lock;        /**< the lock's or election's number (mpsync_lock_id), 0 if none */
	uint64_t grant;       /**< the grant's number, with HELD, LOST, RELEASED */
	uint64_t token;       /**< the fencing token, with HELD, LOST, RELEASED, LEADER */
	int64_t unchanged_ms; /**< with WAITING: how long the holder's record has been seen unchanged */
	const char *name;     /**< the lock's name, or NULL */
	const char *holder;   /**< who has it, or NULL */
	const char *value;    /**< the holder's value, or NULL */
	const char *message;  /**< for people, or NULL */
} mpsync_event;

/** A queue of events; one may serve many clients. */
typedef struct mpsync_queue mpsync_queue;

/** @return owned by the caller: mpsync_queue_free; NULL without memory or descriptors */
MPSYNC_API mpsync_queue *mpsync_queue_new(mpsync_error *error);

/** A descriptor that is readable while an event waits. Only poll it. Owned by the queue. */
MPSYNC_API int mpsync_queue_fd(const mpsync_queue *queue);

/** @return the next event, owned by the caller: mpsync_event_free; NULL when there is none */
MPSYNC_API mpsync_event *mpsync_queue_next(mpsync_queue *queue);

/**
 * Wait for the next event.
 *
 * @param timeout_ms  -1 waits for ever
 * @return as mpsync_queue_next; NULL after the timeout, a wakeup, or a signal
 */
MPSYNC_API mpsync_event *mpsync_queue_wait(mpsync_queue *queue, int64_t timeout_ms);

/** A bit of an op_id: what is told of this request is kept for mpsync_queue_wait_for alone. */
#define MPSYNC_OP_AWAITED 0x4000000000000000ULL

/**
 * Wait for the next event of one request, in the thread that needs its answer, so that no other
 * thread has to read the event and pass it on. Call it until the request's last event has come.
 * What has no request, as LOST, comes by the queue: a LOST may be read there before this thread
 * has dealt with its HELD. Other threads may wait for other requests at the same time.
 *
 * @param op_id  of a request made with MPSYNC_OP_AWAITED in it
 * @return as mpsync_queue_next; NULL after a signal, or without that bit
 */
MPSYNC_API mpsync_event *mpsync_queue_wait_for(mpsync_queue *queue, uint64_t op_id);

/**
 * For loops with a wake-up of their own: call @p notify whenever the queue has an event after it
 * had none. It runs on a thread of the library, must return soon, and must not use the queue.
 *
 * @param notify  NULL: none from now on; no call is under way any more when this returns
 */
MPSYNC_API void mpsync_queue_notify(
    mpsync_queue *queue, void (*notify)(void *context), void *context);

/** Makes one mpsync_queue_wait return NULL: the present one, or else the next. */
MPSYNC_API void mpsync_queue_wakeup(mpsync_queue *queue);

/** Drops the handle, and the events that nobody has taken. NULL is allowed. */
MPSYNC_API void mpsync_queue_free(mpsync_queue *queue);

/** Frees it and its strings. NULL is allowed. */
MPSYNC_API void mpsync_event_free(mpsync_event *event);

/* ---- Clients -------------------------------------------------------------------------------- */

/** A connection to one store, with a thread of its own. */
typedef struct mpsync_client mpsync_client;

/**
 * Open a client.
 *
 * @param url      where the locks live ("file:locks.db", "http://localhost:13131", "memory:");
 * NULL: MPSYNC_URL, else the elector next to this program
 * @param options  defaults for its locks, or NULL; copied
 * @param queue    where its events go, or NULL if only blocking calls are made
 * @return owned by the caller: mpsync_client_close. NULL: the URL or an option is wrong, or the
 * file cannot be used. A store that cannot be reached is not an error here, but of the requests.
 */
MPSYNC_API mpsync_client *mpsync_client_open(
    const char *url, const mpsync_options *options, mpsync_queue *queue, mpsync_error *error);

/** Release all that is held, then tell DONE with @p op_id. Requests from now on answer CLOSED. */
MPSYNC_API mpsync_status mpsync_client_close_start(
    mpsync_client *client, uint64_t op_id, mpsync_error *error);

/**
 * Release all that is held, wait for it (no longer than the rights last), and drop the handle. Its
 * locks may be freed later; until then they answer MPSYNC_E_CLOSED.
 */
MPSYNC_API void mpsync_client_close(mpsync_client *client);

/** The URL in use, without passwords. Borrowed until the client is closed. */
MPSYNC_API const char *mpsync_client_url(const mpsync_client *client);

/** Ask the store for a sign of life and the rights that locks need; blocks until it answers. */
MPSYNC_API mpsync_status mpsync_client_check(mpsync_client *client, mpsync_error *error);

/** One lock as the store shows it. Strings are borrowed until the list is freed. */
typedef struct mpsync_lock_info {
	const char *name;        /**< what was locked */
	const char *holder;      /**< the identity of who has it */
	const char *value;       /**< or NULL */
	uint64_t token;          /**< 0: not known */
	int64_t ttl_ms;          /**< how long its silent holder keeps others out */
	int64_t since_unix_ms;   /**< for people; never compare it with a clock */
	int64_t expires_unix_ms; /**< for people: when it ends unless renewed; 0: not known */
	int32_t is_election;     /**< 0: a lock */
	uint32_t waiters;        /**< those that this store knows of */
} mpsync_lock_info;

/** What mpsync_client_list found, sorted by the bytes of the names. */
typedef struct mpsync_list mpsync_list;

/**
 * List what is held; blocks until the store answers.
 *
 * @param prefix  only names that start with it; NULL or "": all
 * @return owned by the caller: mpsync_list_free
 */
MPSYNC_API mpsync_list *mpsync_client_list(
    mpsync_client *client, const char *prefix, mpsync_error *error);
/** How many locks there are in it; 0 for NULL. */
MPSYNC_API size_t mpsync_list_count(const mpsync_list *list);
/** @return borrowed until the list is freed; NULL beyond its end */
MPSYNC_API const mpsync_lock_info *mpsync_list_at(const mpsync_list *list, size_t index);
/** Frees it with all of its strings. NULL is allowed. */
MPSYNC_API void mpsync_list_free(mpsync_list *list);

/**
 * Take a lock from whoever holds it; blocks until the store answers. The holder is told `revoked`;
 * the next grant waits for the old one's ttl.
 *
 * @param now  not 0: the next grant need not wait. Unsafe: the old holder may still believe.
 * @return MPSYNC_OK, MPSYNC_E_NOT_HELD if nobody has it, MPSYNC_E_FORBIDDEN where force is not
 * allowed
 */
MPSYNC_API mpsync_status mpsync_client_force_release(
    mpsync_client *client, const char *name, int32_t now, mpsync_error *error);

/**
 * Tell LEADER events with @p op_id: who has @p name now (no holder: nobody), and each change, until
 * observe_stop.
 *
 * @param name  NULL: every name, each that somebody has now, and then each that changes
 */
MPSYNC_API mpsync_status mpsync_client_observe_start(
    mpsync_client *client, uint64_t op_id, const char *name, mpsync_error *error);
/** Ends it; DONE with @p op_id is its last event. */
MPSYNC_API mpsync_status mpsync_client_observe_stop(
    mpsync_client *client, uint64_t op_id, mpsync_error *error);

/* ---- Locks ---------------------------------------------------------------------------------- */

/** One name that at most one holder has at a time. A handle asks for, or has, one grant at a time.
 */
typedef struct mpsync_lock mpsync_lock;

/**
 * @param name     1 to 1,024 bytes of UTF-8
 * @param options  ttl, identity, wait; NULL: the client's
 * @return owned by the caller: mpsync_lock_free
 */
MPSYNC_API mpsync_lock *mpsync_lock_new(
    mpsync_client *client, const char *name, const mpsync_options *options, mpsync_error *error);

/** Drops the handle; what it holds is released, what it asks for is cancelled, in the background.
 */
MPSYNC_API void mpsync_lock_free(mpsync_lock *lock);

/** The number that events carry. */
MPSYNC_API uint64_t mpsync_lock_id(const mpsync_lock *lock);

/**
 * Ask for the lock without blocking. Ends in exactly one of HELD, BUSY, CANCELLED, FAILED.
 *
 * @param op_id    the caller's own number for this request
 * @param wait_ms  how long to queue; 0 tries once, -1 waits for ever, -2 as the option `wait` says
 */
MPSYNC_API mpsync_status mpsync_lock_acquire_start(
    mpsync_lock *lock, uint64_t op_id, int64_t wait_ms, mpsync_error *error);

/** Ask for it and block. MPSYNC_OK: held. HELD, TIMEOUT: not; the message names the holder. */
MPSYNC_API mpsync_status mpsync_lock_acquire(
    mpsync_lock *lock, int64_t wait_ms, mpsync_error *error);

/** Cancel the request under way, blocking or not. Does nothing if there is none. */
MPSYNC_API mpsync_status mpsync_lock_cancel(mpsync_lock *lock, mpsync_error *error);

/**
 * Release without blocking; is_held is no from this call on. RELEASED with @p op_id tells that the
 * store knows, or that the right has run out.
 *
 * @param grant  the grant to release; 0: the present one
 */
MPSYNC_API mpsync_status mpsync_lock_release_start(
    mpsync_lock *lock, uint64_t op_id, uint64_t grant, mpsync_error *error);

/** Release the present grant and block until the store knows, or the right has run out. */
MPSYNC_API mpsync_status mpsync_lock_release(mpsync_lock *lock, mpsync_error *error);

/**
 * Is this very grant still held? Compares with the clock at this call, so it is right after any
 * pause. A later grant of the same handle has another number.
 *
 * @param grant  as HELD told it; 0 is never held
 * @return 1 or 0
 */
MPSYNC_API int32_t mpsync_lock_is_held(const mpsync_lock *lock, uint64_t grant);

/** Milliseconds until the grant ends unless renewed; 0 when it is not held. */
MPSYNC_API int64_t mpsync_lock_remaining_ms(const mpsync_lock *lock, uint64_t grant);

/** The present grant, or 0. */
MPSYNC_API uint64_t mpsync_lock_grant(const mpsync_lock *lock);

/** The fencing token of the grant, greater than that of every earlier grant of the name; 0: not
 * held. */
MPSYNC_API uint64_t mpsync_lock_token(const mpsync_lock *lock, uint64_t grant);

/**
 * Why this grant was lost: MPSYNC_REASON_EXPIRED, … Known before MPSYNC_E_NOT_HELD is answered to
 * its release, and before LOST can be read.
 *
 * @return MPSYNC_REASON_NONE: it is held, it was released, or it is not the handle's latest
 */
MPSYNC_API int32_t mpsync_lock_lost_reason(const mpsync_lock *lock, uint64_t grant);

/* ---- Elections ------------------------------------------------------------------------------ */

/** One name that at most one candidate leads. A lock and an election of one name exclude each
 * other. */
typedef struct mpsync_election mpsync_election;

/** As mpsync_lock_new. @return owned by the caller: mpsync_election_free */
MPSYNC_API mpsync_election *mpsync_election_new(
    mpsync_client *client, const char *name, const mpsync_options *options, mpsync_error *error);

/** As mpsync_lock_free: a leader resigns. */
MPSYNC_API void mpsync_election_free(mpsync_election *election);

/** As mpsync_lock_id: the number that events carry. */
MPSYNC_API uint64_t mpsync_election_id(const mpsync_election *election);

/**
 * Stand for one term, as mpsync_lock_acquire_start. Campaign again after LOST or RELEASED.
 *
 * @param value  what observers see of the leader, at most 16 KiB, or NULL; copied
 */
MPSYNC_API mpsync_status mpsync_election_campaign_start(mpsync_election *election, uint64_t op_id,
    const char *value, int64_t wait_ms, mpsync_error *error);

/** Stand and block, as mpsync_lock_acquire. */
MPSYNC_API mpsync_status mpsync_election_campaign(
    mpsync_election *election, const char *value, int64_t wait_ms, mpsync_error *error);

/** As mpsync_lock_cancel. */
MPSYNC_API mpsync_status mpsync_election_cancel(mpsync_election *election, mpsync_error *error);

/** As mpsync_lock_release_start. */
MPSYNC_API mpsync_status mpsync_election_resign_start(
    mpsync_election *election, uint64_t op_id, uint64_t grant, mpsync_error *error);

/** As mpsync_lock_release. */
MPSYNC_API mpsync_status mpsync_election_resign(mpsync_election *election, mpsync_error *error);

/**
 * Change the value of the present term; DONE with @p op_id when the store has this very value, or
 * with LOST when the term ended before. A newer request ends one that is under way: CANCELLED.
 */
MPSYNC_API mpsync_status mpsync_election_set_value_start(
    mpsync_election *election, uint64_t op_id, const char *value, mpsync_error *error);

/** Change the value of the present term and block until the store has it. */
MPSYNC_API mpsync_status mpsync_election_set_value(
    mpsync_election *election, const char *value, mpsync_error *error);

/** As mpsync_lock_is_held, of one term. */
MPSYNC_API int32_t mpsync_election_is_leader(const mpsync_election *election, uint64_t grant);
/** As mpsync_lock_remaining_ms, of one term. */
MPSYNC_API int64_t mpsync_election_remaining_ms(const mpsync_election *election, uint64_t grant);
/** As mpsync_lock_grant: the present term. */
MPSYNC_API uint64_t mpsync_election_grant(const mpsync_election *election);
/** As mpsync_lock_token, of one term. */
MPSYNC_API uint64_t mpsync_election_token(const mpsync_election *election, uint64_t grant);
/** As mpsync_lock_lost_reason, of one term. */
MPSYNC_API int32_t mpsync_election_lost_reason(const mpsync_election *election, uint64_t grant);

#ifdef __cplusplus
}
#endif

#endif
