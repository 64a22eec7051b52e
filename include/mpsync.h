/**
 * @file mpsync.h
 * Metaparticle Sync: locks and leader election for programs that run as many copies.
 *
 * The whole public interface. A client is opened on a URL that says where the locks live; locks and
 * elections are asked for on the client; what becomes of each request arrives as an event in a
 * queue whose descriptor is readable while the queue holds an event. Blocking calls stand on top.
 *
 * Rules that hold for every function:
 *
 * **Handles** count references: a lock keeps its client, a client keeps its queue. They may be
 * freed in any order, and every function takes NULL (and answers MPSYNC_E_INVALID, 0, -1 or NULL).
 *
 * **Threads**: every function may be called from any thread, also at the same time on the same
 * handle. Freeing a handle while another thread still calls with it is the caller's mistake.
 *
 * **Text** goes in as UTF-8 and is copied. For text that comes out, the function says who owns it.
 *
 * **Errors**: @p error is always the last parameter, may be NULL, is cleared on success and filled
 * on failure. Each function names the statuses that it returns; *the common errors* are
 * MPSYNC_E_INVALID (NULL, or a value out of range), MPSYNC_E_FORKED, MPSYNC_E_NO_MEMORY and
 * MPSYNC_E_INTERNAL; *the store's errors* are MPSYNC_E_UNREACHABLE, MPSYNC_E_FORBIDDEN,
 * MPSYNC_E_UNAUTHENTICATED, MPSYNC_E_UNSUPPORTED and MPSYNC_E_CORRUPT.
 *
 * **After fork()** the handles of the parent answer MPSYNC_E_FORKED in the child, which opens a
 * client of its own. The parent's queue has no events there and no descriptor; a child that waits
 * for a request is told that the request has FAILED.
 *
 * **Numbers**: lock and grant numbers are below 2^53, so that every language can hold them. An
 * op_id is chosen by the caller: below 2^53, with or without the bit MPSYNC_OP_AWAITED.
 *
 * **Times** are in milliseconds where a name ends in `_ms`.
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

/** The outcome of a call. Values are never reused; new ones are appended. */
typedef enum mpsync_status {
	MPSYNC_OK = 0,                  /**< The call did what it says. */
	MPSYNC_E_INVALID = -1,          /**< An argument breaks the contract. */
	MPSYNC_E_HELD = -2,             /**< Another holder has the lock. */
	MPSYNC_E_LOST = -3,             /**< The right ran out or was taken. */
	MPSYNC_E_UNREACHABLE = -4,      /**< The store did not answer in time. */
	MPSYNC_E_TIMEOUT = -5,          /**< The wait ended without the lock. */
	MPSYNC_E_CANCELLED = -6,        /**< The request was cancelled. */
	MPSYNC_E_NOT_HELD = -7,         /**< Nothing is held that could be released. */
	MPSYNC_E_ALREADY_HELD = -8,     /**< This handle holds the lock, or asks for it, already. */
	MPSYNC_E_FORBIDDEN = -9,        /**< The store refuses; the message names what is missing. */
	MPSYNC_E_UNAUTHENTICATED = -10, /**< The store does not know who asks. */
	MPSYNC_E_FORKED = -11,          /**< The handle belongs to the parent process. */
	MPSYNC_E_CLOSED = -12,          /**< The client is closed. */
	MPSYNC_E_NO_MEMORY = -13,       /**< An allocation failed. */
	MPSYNC_E_UNSUPPORTED = -14,     /**< This store cannot do that (a ttl, a feature). */
	MPSYNC_E_CORRUPT = -15,         /**< A record or file is not what this library writes. */
	MPSYNC_E_INTERNAL = -16         /**< The system refused a thread, a descriptor or a timer. */
} mpsync_status;

/** Why a right ended that nobody asked to end; from ASKED on, why a term of a run does. */
typedef enum mpsync_reason {
	MPSYNC_REASON_NONE = 0,    /**< The right was not lost: it is held, or was released. */
	MPSYNC_REASON_EXPIRED = 1, /**< No renewal was acknowledged in time. */
	MPSYNC_REASON_TAKEN = 2,   /**< The store shows another holder. */
	MPSYNC_REASON_DELETED = 3, /**< The store's record is gone. */
	MPSYNC_REASON_REVOKED = 4, /**< Somebody released it by force. */
	MPSYNC_REASON_CLOCK = 5,   /**< The wall clock ran ahead: this machine may have stood still. */
	MPSYNC_REASON_OTHER_ELECTOR = 6, /**< Another elector has adopted it. */
	MPSYNC_REASON_ASKED = 7,         /**< ENDING: it is to be handed over, as somebody asked. */
	MPSYNC_REASON_STOPPED = 8,       /**< ENDING: its run was asked to end. */
	MPSYNC_REASON_RETURNED = 9,      /**< ENDING: its function has returned. */
	MPSYNC_REASON_CLOSED = 10        /**< ENDING: its client was closed, or its handle freed. */
} mpsync_reason;

/** Filled on failure, cleared on success. The caller owns it, so it does not depend on a thread. */
typedef struct mpsync_error {
	int32_t status;    /**< an mpsync_status */
	char message[248]; /**< what happened, to what, and what to do; "" after success */
} mpsync_error;

/** @return the library's version, "1.0.0"; a constant, never freed */
MPSYNC_API const char *mpsync_version(void);

/**
 * One sentence for a status.
 *
 * @param status  an mpsync_status
 * @return a constant, never freed; "unknown status" for any other number
 */
MPSYNC_API const char *mpsync_status_text(int32_t status);

/**
 * The word that stands for a reason in logs and on the wire: "expired", "taken", …
 *
 * @param reason  an mpsync_reason
 * @return a constant, never freed; "unknown" for any other number
 */
MPSYNC_API const char *mpsync_reason_text(int32_t reason);

/* ---- Options -------------------------------------------------------------------------------- */

/**
 * Settings by name, the same as in a URL's query, the environment and on the command line.
 * docs/options.md lists each with its values, its unit and its default.
 */
typedef struct mpsync_options mpsync_options;

/**
 * Make an empty set of options: each has its default.
 *
 * @return owned by the caller: mpsync_options_free; NULL: MPSYNC_E_NO_MEMORY
 */
MPSYNC_API mpsync_options *mpsync_options_new(mpsync_error *error);

/**
 * Set one option. Unlike other handles, one set of options is not for several threads at a time.
 *
 * @param name   "ttl", "identity", …
 * @param value  as people write it: "15s", "250ms"; copied
 * @return MPSYNC_OK; MPSYNC_E_INVALID for an unknown name or a value out of range;
 *         MPSYNC_E_NO_MEMORY
 */
MPSYNC_API mpsync_status mpsync_options_set(
    mpsync_options *options, const char *name, const char *value, mpsync_error *error);

/** Free the options; clients and locks that were made with them have copies. NULL is allowed. */
MPSYNC_API void mpsync_options_free(mpsync_options *options);

/* ---- Events --------------------------------------------------------------------------------- */

/** What an event tells. Values are never reused; new ones are appended. */
typedef enum mpsync_event_type {
	MPSYNC_EVENT_HELD = 1,      /**< The grant is yours: grant, token. */
	MPSYNC_EVENT_LOST = 2,      /**< A held grant ended unasked: grant, reason. */
	MPSYNC_EVENT_RELEASED = 3,  /**< A held grant ended as asked: grant. */
	MPSYNC_EVENT_BUSY = 4,      /**< A try or a wait ended without the lock: holder. */
	MPSYNC_EVENT_CANCELLED = 5, /**< The request was cancelled. */
	MPSYNC_EVENT_FAILED = 6,    /**< The request cannot succeed: status, message. */
	MPSYNC_EVENT_WAITING = 7,   /**< Still waiting: holder, position, unchanged_ms. */
	MPSYNC_EVENT_LEADER = 8,    /**< Observed: holder (NULL: nobody), value, token. */
	MPSYNC_EVENT_LOG = 9,       /**< A line of the log: message. */
	MPSYNC_EVENT_DONE = 10,     /**< A request without a grant, or a run, is complete: status. */
	MPSYNC_EVENT_TERM = 11,     /**< A run holds it: begin the work: grant, token. */
	MPSYNC_EVENT_ENDING = 12    /**< End the work of the term: grant, reason, left_ms, message. */
} mpsync_event_type;

/**
 * One event. Read-only, allocated by the library; the caller frees the event, and its text with
 * it, by mpsync_event_free. Fields are appended.
 */
typedef struct mpsync_event {
	int32_t type;         /**< an mpsync_event_type */
	int32_t status;       /**< an mpsync_status: what a blocking call would have returned */
	int32_t reason;       /**< an mpsync_reason, with LOST and ENDING */
	uint32_t position;    /**< with WAITING: 1 is next, 0 is not known */
	uint64_t op_id;       /**< the request's number; 0 with LOST */
	uint64_t lock;        /**< the lock's or election's number (mpsync_lock_id), 0 if none */
	uint64_t grant;       /**< the grant's number, with HELD, LOST, RELEASED, TERM, ENDING */
	uint64_t token;       /**< the fencing token, with the same and LEADER */
	int64_t unchanged_ms; /**< with WAITING: how long the holder's record has been seen unchanged */
	const char *name;     /**< the lock's name, or NULL */
	const char *holder;   /**< who has the lock, or NULL */
	const char *value;    /**< the holder's value, or NULL */
	const char *message;  /**< a sentence for people, or NULL */
	int64_t left_ms;      /**< with ENDING: how long the term stays held; -1: no limit; 0: lost */
} mpsync_event;

/** A queue of events; one may serve many clients. */
typedef struct mpsync_queue mpsync_queue;

/**
 * Make an empty queue.
 *
 * @return owned by the caller: mpsync_queue_free; NULL: MPSYNC_E_NO_MEMORY, or MPSYNC_E_INTERNAL
 *         without descriptors
 */
MPSYNC_API mpsync_queue *mpsync_queue_new(mpsync_error *error);

/**
 * A descriptor that is readable while an event waits, for poll, epoll or an event loop. Only poll
 * it: reading or closing it breaks the queue.
 *
 * @return owned by the queue; -1 for NULL, and in a child after fork()
 */
MPSYNC_API int mpsync_queue_fd(const mpsync_queue *queue);

/**
 * Take the next event without waiting.
 *
 * @return owned by the caller: mpsync_event_free; NULL when there is none
 */
MPSYNC_API mpsync_event *mpsync_queue_next(mpsync_queue *queue);

/**
 * Wait for the next event.
 *
 * @param timeout_ms  milliseconds; -1 waits for ever
 * @return owned by the caller: mpsync_event_free; NULL after the timeout, a wakeup, or a signal
 */
MPSYNC_API mpsync_event *mpsync_queue_wait(mpsync_queue *queue, int64_t timeout_ms);

/** A bit of an op_id (2^62): this request's events are kept for mpsync_queue_wait_for alone. */
#define MPSYNC_OP_AWAITED 0x4000000000000000ULL

/**
 * Wait for the next event of one request, in the thread that needs its answer, so that no other
 * thread has to read the event and pass it on. Call it until the request's last event has come.
 * An event without a request, as LOST, comes by the queue: another thread may read a LOST there
 * before this thread has dealt with its HELD. Other threads may wait for other requests at the same
 * time, one thread for each request.
 *
 * @param op_id  of a request that was made with MPSYNC_OP_AWAITED in its op_id
 * @return owned by the caller: mpsync_event_free; NULL after a signal, or without that bit; in a
 *         child after fork() an event FAILED with MPSYNC_E_FORKED
 */
MPSYNC_API mpsync_event *mpsync_queue_wait_for(mpsync_queue *queue, uint64_t op_id);

/**
 * For loops with a wake-up of their own: call @p notify whenever the queue has an event after it
 * had none, and at once if it has one now. It runs on a thread of the library, must return soon,
 * and must not use the queue.
 *
 * @param notify   NULL: no calls from now on; when this returns, none is under way any more
 * @param context  handed to @p notify; borrowed until another call replaces it
 */
MPSYNC_API void mpsync_queue_notify(
    mpsync_queue *queue, void (*notify)(void *context), void *context);

/** Make one mpsync_queue_wait return NULL: the present one, or else the next. */
MPSYNC_API void mpsync_queue_wakeup(mpsync_queue *queue);

/**
 * Drop the handle. The queue, and the events that nobody has taken, end with the last client that
 * uses it. NULL is allowed.
 */
MPSYNC_API void mpsync_queue_free(mpsync_queue *queue);

/** Free an event and its text. NULL is allowed. */
MPSYNC_API void mpsync_event_free(mpsync_event *event);

/* ---- Clients -------------------------------------------------------------------------------- */

/** A connection to one store, with a thread of its own. */
typedef struct mpsync_client mpsync_client;

/**
 * Open a client. A store that cannot be reached is no error here, but of the requests.
 *
 * @param url      where the locks live ("file:locks.db", "http://localhost:13131", "memory:");
 *                 NULL: the option `url`, else MPSYNC_URL, else the elector next to this program
 * @param options  defaults for the client's locks, or NULL; copied
 * @param queue    where the client's events go, or NULL if only blocking calls are made; the
 *                 client keeps it
 * @return owned by the caller: mpsync_client_close. NULL: the common errors (MPSYNC_E_INVALID for
 *         a wrong URL or option, also of the environment), or what is wrong with the file or the
 *         credentials that the URL names: MPSYNC_E_UNREACHABLE, MPSYNC_E_FORBIDDEN,
 *         MPSYNC_E_UNSUPPORTED, MPSYNC_E_CORRUPT
 */
MPSYNC_API mpsync_client *mpsync_client_open(
    const char *url, const mpsync_options *options, mpsync_queue *queue, mpsync_error *error);

/**
 * Release all that is held, then tell DONE. Requests from now on answer MPSYNC_E_CLOSED. The
 * handle is still to be dropped by mpsync_client_close.
 *
 * @param op_id  of the event DONE
 * @return MPSYNC_OK, the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_client_close_start(
    mpsync_client *client, uint64_t op_id, mpsync_error *error);

/**
 * Release all that is held, wait for it (no longer than the rights last), and drop the handle. The
 * client's locks may be freed later; until then they answer MPSYNC_E_CLOSED. NULL is allowed.
 */
MPSYNC_API void mpsync_client_close(mpsync_client *client);

/**
 * For the very end of a process, as from atexit's functions: release what its death alone would not
 * give back, which is what is held in Kubernetes and etcd (a file and an elector notice the death).
 * Closes the clients of these stores, as mpsync_client_close_start does, and waits for that. Their
 * handles stay, and answer MPSYNC_E_CLOSED. Work that goes on under a lock overlaps with the next
 * holder's, so nothing that needs a lock may be at work any more.
 *
 * @param wait_ms  milliseconds to wait at most
 * @return MPSYNC_OK: all is released; MPSYNC_E_TIMEOUT: the rest ends with its ttl;
 *         MPSYNC_E_INVALID
 */
MPSYNC_API mpsync_status mpsync_exit(int64_t wait_ms, mpsync_error *error);

/** @return the URL in use, without passwords; borrowed until the client is closed; NULL for NULL */
MPSYNC_API const char *mpsync_client_url(const mpsync_client *client);

/**
 * Ask the store for a sign of life and for the rights that locks need; blocks until it answers.
 *
 * @return MPSYNC_OK, the common errors, the store's errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_client_check(mpsync_client *client, mpsync_error *error);

/** One lock as the store shows it. Text is borrowed until the list is freed. */
typedef struct mpsync_lock_info {
	const char *name;        /**< what was locked */
	const char *holder;      /**< the identity of who has it */
	const char *value;       /**< the leader's value, or NULL */
	uint64_t token;          /**< the grant's fencing token; 0: not known */
	int64_t ttl_ms;          /**< how long its silent holder keeps others out */
	int64_t since_unix_ms;   /**< held since; for people: never compare it with a clock */
	int64_t expires_unix_ms; /**< for people: when it ends unless renewed; 0: not known */
	int32_t is_election;     /**< 1: an election, 0: a lock */
	uint32_t waiters;        /**< how many wait, as far as this store knows */
} mpsync_lock_info;

/** What mpsync_client_list found, sorted by the bytes of the names. */
typedef struct mpsync_list mpsync_list;

/**
 * List what is held; blocks until the store answers.
 *
 * @param prefix  only names that start with it; NULL or "": all
 * @return owned by the caller: mpsync_list_free. NULL: the common errors, the store's errors, or
 *         MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_list *mpsync_client_list(
    mpsync_client *client, const char *prefix, mpsync_error *error);

/** @return how many locks the list has; 0 for NULL */
MPSYNC_API size_t mpsync_list_count(const mpsync_list *list);

/**
 * One lock of the list.
 *
 * @param index  from 0
 * @return borrowed until the list is freed; NULL beyond its end
 */
MPSYNC_API const mpsync_lock_info *mpsync_list_at(const mpsync_list *list, size_t index);

/** Free the list with all of its text. NULL is allowed. */
MPSYNC_API void mpsync_list_free(mpsync_list *list);

/**
 * Take a lock from whoever holds it; blocks until the store answers. The holder is told LOST, with
 * MPSYNC_REASON_REVOKED; the next grant waits for the old one's ttl.
 *
 * @param name  the lock's or election's
 * @param now   not 0: the next grant need not wait. Unsafe: the old holder may still believe.
 * @return MPSYNC_OK; MPSYNC_E_NOT_HELD if nobody has it; MPSYNC_E_FORBIDDEN where force is not
 *         allowed; the common errors, the store's errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_client_force_release(
    mpsync_client *client, const char *name, int32_t now, mpsync_error *error);

/**
 * Tell who holds a name now, by an event LEADER (no holder: nobody), and each change of it, until
 * mpsync_client_observe_stop. While the store does not answer, events LOG say so.
 *
 * @param op_id  of each of these events
 * @param name   NULL: every name, each that somebody has now, and then each that changes
 * @return MPSYNC_OK, the common errors (MPSYNC_E_INVALID: the client has no queue), or
 *         MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_client_observe_start(
    mpsync_client *client, uint64_t op_id, const char *name, mpsync_error *error);

/**
 * End an observation; its last event is DONE.
 *
 * @param op_id  as mpsync_client_observe_start was given; without such an observation nothing
 *               happens, and no event comes
 * @return MPSYNC_OK, the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_client_observe_stop(
    mpsync_client *client, uint64_t op_id, mpsync_error *error);

/* ---- Locks ---------------------------------------------------------------------------------- */

/**
 * One name that at most one holder has at a time. One handle asks for, or has, one grant at a
 * time; two handles of one process exclude each other as those of two machines do.
 */
typedef struct mpsync_lock mpsync_lock;

/**
 * Make a handle; nothing is asked of the store.
 *
 * @param name     1 to 1,024 bytes of UTF-8; copied
 * @param options  `ttl`, `identity` and `wait` of this lock; NULL: the client's; copied
 * @return owned by the caller: mpsync_lock_free. NULL: the common errors, or MPSYNC_E_UNSUPPORTED
 *         for a ttl that the store cannot keep
 */
MPSYNC_API mpsync_lock *mpsync_lock_new(
    mpsync_client *client, const char *name, const mpsync_options *options, mpsync_error *error);

/**
 * Drop the handle. A held lock is released, a request is cancelled, both in the background. NULL
 * is allowed.
 */
MPSYNC_API void mpsync_lock_free(mpsync_lock *lock);

/** @return the number that the handle's events carry; 0 for NULL */
MPSYNC_API uint64_t mpsync_lock_id(const mpsync_lock *lock);

/**
 * Ask for the lock without blocking. Ends in exactly one of HELD, BUSY, CANCELLED, FAILED; before
 * it, WAITING may come any number of times, each with the place in the queue as it is then; behind
 * an elector once, with the place as it was when the request was made, for no answer of the
 * elector's protocol tells a later one. A store that does not answer, or is not there yet, ends
 * a try; a wait goes on, and a LOG says so after a second, and each minute.
 *
 * @param op_id    the caller's own number for this request
 * @param wait_ms  milliseconds to queue; 0 tries once, -1 waits for ever, -2 does as the option
 *                 `wait` says
 * @return MPSYNC_OK: asked; the common errors, MPSYNC_E_ALREADY_HELD or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_lock_acquire_start(
    mpsync_lock *lock, uint64_t op_id, int64_t wait_ms, mpsync_error *error);

/**
 * Ask for the lock and block until it is held, or the wait has ended.
 *
 * @param wait_ms  milliseconds, as of mpsync_lock_acquire_start
 * @return MPSYNC_OK: held. MPSYNC_E_HELD (after a try) and MPSYNC_E_TIMEOUT: another has it, and
 *         the message names the holder. MPSYNC_E_CANCELLED, MPSYNC_E_ALREADY_HELD,
 *         MPSYNC_E_CLOSED, the common errors, or the store's errors
 */
MPSYNC_API mpsync_status mpsync_lock_acquire(
    mpsync_lock *lock, int64_t wait_ms, mpsync_error *error);

/**
 * Cancel the handle's request, blocking or not, or stop its run; does nothing if there is none. A
 * request that was granted before the cancel arrived ends in HELD.
 *
 * @return MPSYNC_OK: asked; the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_lock_cancel(mpsync_lock *lock, mpsync_error *error);

/**
 * Take back one request, whatever has become of it: for callers whose future, task or context
 * ended, who cannot know what is on its way. A request that waits ends in CANCELLED. One that was
 * granted has ended in HELD, whether that was read or not, and its grant is released, which
 * RELEASED tells with an op_id of 0. A run is stopped. Of a request that has ended otherwise,
 * nothing is left to do. Another request may be made at once: it begins when nothing is left of
 * this one, and its wait then.
 *
 * @param op_id  the request's number, not 0, and of no other request of this handle
 * @return MPSYNC_OK: asked; the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_lock_withdraw(
    mpsync_lock *lock, uint64_t op_id, mpsync_error *error);

/**
 * Release without blocking; mpsync_lock_is_held answers no from this call on. RELEASED tells that
 * the store knows, or that the right has run out; FAILED with MPSYNC_E_NOT_HELD, that the grant
 * was lost before. The term of a run is told ENDING, and released when its work has ended.
 *
 * @param op_id  the caller's own number for this request
 * @param grant  the grant to release; 0: the present one
 * @return MPSYNC_OK: asked; MPSYNC_E_NOT_HELD, the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_lock_release_start(
    mpsync_lock *lock, uint64_t op_id, uint64_t grant, mpsync_error *error);

/**
 * Release the present grant and block until the store knows, or the right has run out. Of a run,
 * whose work may be what calls, it asks for the end of the term and does not block.
 *
 * @return MPSYNC_OK; MPSYNC_E_NOT_HELD if nothing is held, or it was lost; the common errors, or
 *         MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_lock_release(mpsync_lock *lock, mpsync_error *error);

/**
 * Is this very grant still held? Compares with the clock at this call, so the answer is right after
 * any pause. A later grant of the same handle has another number. Takes no lock, and never waits.
 *
 * @param grant  as HELD told it; 0 is never held
 * @return 1 or 0
 */
MPSYNC_API int32_t mpsync_lock_is_held(const mpsync_lock *lock, uint64_t grant);

/**
 * How long a grant lasts unless it is renewed.
 *
 * @param grant  as HELD told it
 * @return milliseconds; 0 when the grant is not held
 */
MPSYNC_API int64_t mpsync_lock_remaining_ms(const mpsync_lock *lock, uint64_t grant);

/** @return the number of the present grant; 0 without one */
MPSYNC_API uint64_t mpsync_lock_grant(const mpsync_lock *lock);

/**
 * The fencing token of a grant, greater than that of every earlier grant of the name.
 *
 * @param grant  as HELD told it
 * @return the token; 0 when the grant is not the present one, or the store has no tokens
 */
MPSYNC_API uint64_t mpsync_lock_token(const mpsync_lock *lock, uint64_t grant);

/**
 * Why a grant was lost. Known before MPSYNC_E_NOT_HELD is answered to its release, and before LOST
 * can be read.
 *
 * @param grant  as HELD told it
 * @return an mpsync_reason; MPSYNC_REASON_NONE: the grant is held, it was released, or it is not
 *         the handle's latest
 */
MPSYNC_API int32_t mpsync_lock_lost_reason(const mpsync_lock *lock, uint64_t grant);

/**
 * Ask for the lock as a run of one term: TERM, ENDING and mpsync_lock_term_done as of
 * mpsync_election_run_start. Its last event is DONE, with MPSYNC_E_LOST if the right was lost, or
 * with MPSYNC_E_CANCELLED if the run was stopped before its term began.
 *
 * @param op_id    the caller's own number for this run, not 0
 * @param wait_ms  milliseconds, as of mpsync_lock_acquire_start
 * @return as mpsync_election_run_start
 */
MPSYNC_API mpsync_status mpsync_lock_run_start(
    mpsync_lock *lock, uint64_t op_id, int64_t wait_ms, mpsync_error *error);

/**
 * End a run of a lock, as mpsync_election_run_stop.
 *
 * @param op_id  the run's number
 * @return MPSYNC_OK: asked; the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_lock_run_stop(
    mpsync_lock *lock, uint64_t op_id, mpsync_error *error);

/**
 * Say that the work of a run's term has ended, as mpsync_election_term_done.
 *
 * @param grant   as TERM told it; 0: the present term
 * @param failed  of no effect for a lock, which has one term
 * @return as mpsync_election_term_done
 */
MPSYNC_API mpsync_status mpsync_lock_term_done(
    mpsync_lock *lock, uint64_t grant, int32_t failed, mpsync_error *error);

/* ---- Elections ------------------------------------------------------------------------------ */

/**
 * One name that at most one candidate leads. A lock and an election of one name exclude each
 * other.
 */
typedef struct mpsync_election mpsync_election;

/**
 * Make a handle, as mpsync_lock_new.
 *
 * @param name     1 to 1,024 bytes of UTF-8; copied
 * @param options  `ttl`, `identity` and `wait` of this candidate; NULL: the client's; copied
 * @return owned by the caller: mpsync_election_free. NULL: as mpsync_lock_new
 */
MPSYNC_API mpsync_election *mpsync_election_new(
    mpsync_client *client, const char *name, const mpsync_options *options, mpsync_error *error);

/** Drop the handle, as mpsync_lock_free: a leader resigns. NULL is allowed. */
MPSYNC_API void mpsync_election_free(mpsync_election *election);

/** @return the number that the handle's events carry; 0 for NULL */
MPSYNC_API uint64_t mpsync_election_id(const mpsync_election *election);

/**
 * Stand for one term, as mpsync_lock_acquire_start. Campaign again after LOST or RELEASED.
 *
 * @param op_id    the caller's own number for this request
 * @param value    what observers see of the leader, at most 16 KiB of UTF-8, or NULL; copied
 * @param wait_ms  milliseconds, as of mpsync_lock_acquire_start
 * @return as mpsync_lock_acquire_start; MPSYNC_E_INVALID also for a value that is too long
 */
MPSYNC_API mpsync_status mpsync_election_campaign_start(mpsync_election *election, uint64_t op_id,
    const char *value, int64_t wait_ms, mpsync_error *error);

/**
 * Stand for one term and block, as mpsync_lock_acquire.
 *
 * @param value    what observers see of the leader, at most 16 KiB of UTF-8, or NULL; copied
 * @param wait_ms  milliseconds, as of mpsync_lock_acquire_start
 * @return as mpsync_lock_acquire; MPSYNC_E_INVALID also for a value that is too long
 */
MPSYNC_API mpsync_status mpsync_election_campaign(
    mpsync_election *election, const char *value, int64_t wait_ms, mpsync_error *error);

/**
 * Cancel the candidate's request, as mpsync_lock_cancel.
 *
 * @return as mpsync_lock_cancel
 */
MPSYNC_API mpsync_status mpsync_election_cancel(mpsync_election *election, mpsync_error *error);

/**
 * Take back one request of a candidate, as mpsync_lock_withdraw.
 *
 * @param op_id  the request's number, not 0
 * @return as mpsync_lock_withdraw
 */
MPSYNC_API mpsync_status mpsync_election_withdraw(
    mpsync_election *election, uint64_t op_id, mpsync_error *error);

/**
 * Resign without blocking, as mpsync_lock_release_start.
 *
 * @param op_id  the caller's own number for this request
 * @param grant  the term to end; 0: the present one
 * @return as mpsync_lock_release_start
 */
MPSYNC_API mpsync_status mpsync_election_resign_start(
    mpsync_election *election, uint64_t op_id, uint64_t grant, mpsync_error *error);

/**
 * Resign and block, as mpsync_lock_release.
 *
 * @return as mpsync_lock_release
 */
MPSYNC_API mpsync_status mpsync_election_resign(mpsync_election *election, mpsync_error *error);

/**
 * Change the value of the present term. DONE tells that the store has this very value, or, with
 * MPSYNC_E_LOST, that the term ended before. FAILED with MPSYNC_E_CANCELLED tells that a newer
 * value was set meanwhile; with MPSYNC_E_NOT_HELD, that there is no term.
 *
 * @param op_id  the caller's own number for this request
 * @param value  at most 16 KiB of UTF-8, or NULL for none; copied
 * @return MPSYNC_OK: asked; the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_election_set_value_start(
    mpsync_election *election, uint64_t op_id, const char *value, mpsync_error *error);

/**
 * Change the value of the present term and block until the store has it.
 *
 * @param value  at most 16 KiB of UTF-8, or NULL for none; copied
 * @return MPSYNC_OK; MPSYNC_E_NOT_HELD without a term; MPSYNC_E_LOST if it ended before;
 *         MPSYNC_E_CANCELLED if a newer value was set meanwhile; the common errors, or
 *         MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_election_set_value(
    mpsync_election *election, const char *value, mpsync_error *error);

/**
 * Stand for term after term, until mpsync_election_run_stop. The client needs a queue. The run's
 * events carry @p op_id; they take the place of HELD, LOST and RELEASED:
 *
 * - TERM: begin the work. mpsync_election_is_leader answers yes for this grant.
 * - ENDING, exactly once for each TERM: end the work, then call mpsync_election_term_done. The
 *   reason is MPSYNC_REASON_STOPPED, _ASKED (a resign), _RETURNED (term_done came first), _CLOSED;
 *   _EXPIRED with a left_ms above 0: renewals fail, and the right will end then; or why the right
 *   was lost. What is not lost stays renewed, and is_leader answers yes, until the work has ended,
 *   or for left_ms, as the option `drain` says: then the term is given back, and work that goes on
 *   overlaps with the next leader's. Each ttl a LOG warns of such work.
 * - WAITING, while it stands.
 * - Last, and once: DONE (the run was stopped; with MPSYNC_E_CLOSED: its client was closed or its
 *   handle freed, which waits for no work), BUSY (a wait ended without a term) or FAILED (the
 *   store's errors, where waiting is of no use).
 *
 * The candidate stands again when the work has ended; after a resign not before ttl/5 from the
 * giving back, so that others come first; after work that failed, first after a pause that grows
 * from ttl/15 to four ttl. A store that does not answer is waited for, which a LOG with
 * @p op_id and the store's status says at once, and each minute. Until the last event the handle is
 * taken, also while the run is stopping: nothing queues behind it.
 *
 * @param op_id    the caller's own number for this run, not 0, and never used for another one
 * @param value    what observers see of each term, at most 16 KiB of UTF-8, or NULL; copied
 * @param wait_ms  milliseconds for each term, as of mpsync_lock_acquire_start
 * @return MPSYNC_OK: asked; MPSYNC_E_ALREADY_HELD: the handle has, or asks for, something;
 *         MPSYNC_E_INVALID (also without a queue), the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_election_run_start(mpsync_election *election, uint64_t op_id,
    const char *value, int64_t wait_ms, mpsync_error *error);

/**
 * End a run without blocking, at any moment: a term is told ENDING and ends with its work. A run
 * that is stopped before it has begun ends as soon as it begins.
 *
 * @param op_id  the run's number
 * @return MPSYNC_OK: asked; the common errors, or MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_election_run_stop(
    mpsync_election *election, uint64_t op_id, mpsync_error *error);

/**
 * Say that the work of a run's term has ended, after ENDING or by itself: the term is given back if
 * it is still held. Owed once for each TERM, also after a loss; of no use when the client is
 * closed.
 *
 * @param grant   as TERM told it; 0: the present term
 * @param failed  1: the work failed, so that the next term is to wait; 0: it did not
 * @return MPSYNC_OK; MPSYNC_E_NOT_HELD: no such term is at work; the common errors, or
 *         MPSYNC_E_CLOSED
 */
MPSYNC_API mpsync_status mpsync_election_term_done(
    mpsync_election *election, uint64_t grant, int32_t failed, mpsync_error *error);

/**
 * Is this very term still held? As mpsync_lock_is_held.
 *
 * @param grant  as HELD told it; 0 is never held
 * @return 1 or 0
 */
MPSYNC_API int32_t mpsync_election_is_leader(const mpsync_election *election, uint64_t grant);

/**
 * How long a term lasts unless it is renewed, as mpsync_lock_remaining_ms.
 *
 * @param grant  as HELD told it
 * @return milliseconds; 0 when the term is over
 */
MPSYNC_API int64_t mpsync_election_remaining_ms(const mpsync_election *election, uint64_t grant);

/** @return the number of the present term; 0 without one */
MPSYNC_API uint64_t mpsync_election_grant(const mpsync_election *election);

/**
 * The fencing token of a term, as mpsync_lock_token.
 *
 * @param grant  as HELD told it
 * @return the token; 0 when the term is not the present one, or the store has no tokens
 */
MPSYNC_API uint64_t mpsync_election_token(const mpsync_election *election, uint64_t grant);

/**
 * Why a term was lost, as mpsync_lock_lost_reason.
 *
 * @param grant  as HELD told it
 * @return an mpsync_reason; MPSYNC_REASON_NONE: the term is held, was resigned, or is not the
 *         handle's latest
 */
MPSYNC_API int32_t mpsync_election_lost_reason(const mpsync_election *election, uint64_t grant);

#ifdef __cplusplus
}
#endif

#endif
